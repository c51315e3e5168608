"""A disk that fills up while training: the error says what is kept, and with room the same training goes on from it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from disks import small_disk
from medu1.errors import Stop
from medu1.train import checkpoints
from medu1.train.telemetry import Telemetry
from medu1.workspace import Workspace
from training import PARAMS, THIRD_PARTY, Prepared, made, model_digest

pytestmark = [
    pytest.mark.faults,
    *(pytest.mark.filterwarnings(line) for line in THIRD_PARTY),
    pytest.mark.usefixtures("one_thread"),
]
MEGABYTES = 24
BLOCK = 4096
THREE = PARAMS.model_copy(update={"steps": 3})


@pytest.fixture
def prepared(tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Prepared]:
    """A home on a small disk; MLflow's database lies elsewhere."""
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "mlflow.db").write_bytes(empty_database.read_bytes())
    workspace = Workspace(home=home, run="r", tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    for name, value in workspace.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    with small_disk(home, MEGABYTES):
        yield made(workspace)


def nothing(root: Path) -> int:
    return 0


def half_the_weights(root: Path) -> int:
    return (newest(root) / "model.safetensors").stat().st_size // 2


def the_weights(root: Path) -> int:
    return sum((newest(root) / name).stat().st_size for name in ("model.safetensors", "tokenizer.json")) + 5 * BLOCK


def newest(root: Path) -> Path:
    found = checkpoints.newest(root)
    assert found is not None
    return found.folder


@contextmanager
def filled_at(step: int, home: Path, left: Callable[[Path], int]) -> Iterator[Path]:
    """While it lasts, the disk is full but for some bytes from the generation of a step on."""
    filler, before, calls = home / "filler", Telemetry.record, 0

    def recorded(telemetry: Telemetry, *arguments: object) -> None:
        nonlocal calls
        calls += 1
        if calls == step:
            (root,) = (home / "store" / "checkpoints").iterdir()
            fill(filler, left(root))
        before(telemetry, *arguments)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Telemetry, "record", recorded)
        yield filler


def fill(filler: Path, left: int) -> None:
    """Write until nothing more can be, then give some bytes back."""
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(BLOCK)):
                pass
        except OSError:
            file.truncate(max(0, file.tell() - left))


@pytest.mark.parametrize("left", [nothing, half_the_weights, the_weights])
def test_a_full_disk_is_a_stop_that_keeps_checkpoints_and_with_room_training_goes_on(
    left: Callable[[Path], int], prepared: Prepared
) -> None:
    home = prepared.workspace.home
    with filled_at(3, home, left) as filler, pytest.raises(Stop) as stopped:
        prepared.trained(THREE)
    (root,) = (home / "store" / "checkpoints").iterdir()
    assert f"The disk of {root} is full" in str(stopped.value)
    assert "the checkpoint of step 2 is whole" in str(stopped.value)
    assert "Free space" in str(stopped.value)
    assert not (root / checkpoints.SAVING).exists()
    assert all(checkpoints.is_sound(found) for found in checkpoints.held(root))
    assert not list((home / "store").glob("train/*"))
    filler.unlink()
    resumed = prepared.trained(THREE)
    made_anew = prepared.trained(THREE, code="elsewhere")
    assert resumed.digest == made_anew.digest
    assert resumed.digest == model_digest(prepared.folder(resumed))
