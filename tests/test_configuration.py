"""A checkpoint and what an exact resume must share with it, through a real training that goes on from one."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from medu1 import journal, record
from medu1.errors import Stop
from medu1.manifest import ModelManifest
from medu1.tracking import Tracking
from medu1.train import checkpoints
from medu1.train.rewards import Judged
from medu1.train.telemetry import Telemetry
from training import PARAMS, THIRD_PARTY, Prepared, model_digest
from training import prepared as prepared

pytestmark = [*(pytest.mark.filterwarnings(line) for line in THIRD_PARTY), pytest.mark.usefixtures("one_thread")]
EIGHT = PARAMS.model_copy(update={"micro_batch": 8})  # two micro-batches a step


class Begun(NamedTuple):
    """A training whose checkpoints are there and whose output is not."""

    prepared: Prepared
    model: ModelManifest  # as it was made

    @property
    def root(self) -> Path:
        """Where its checkpoints lie."""
        return self.prepared.workspace.home / "store" / "checkpoints" / Path(self.model.key).name

    def output(self) -> Path:
        """Where its model lay."""
        return self.prepared.folder(self.model)

    def notes(self) -> list[str]:
        """Lines for people, in order."""
        return [event.message for event, _ in journal.read(self.prepared.workspace.journal) if event.kind == "note"]


@pytest.fixture(scope="module")
def trained(prepared: Prepared) -> Begun:
    return Begun(prepared, prepared.trained(EIGHT))


@pytest.fixture
def begun(trained: Begun) -> Begun:
    """Its output is lost, so that whoever asks for the model has to go on from a checkpoint."""
    shutil.rmtree(trained.output(), ignore_errors=True)
    assert [found.marker.step for found in checkpoints.held(trained.root)] == [2, 1]
    return trained


@contextmanager
def generations() -> Iterator[list[int]]:
    """While it lasts, one entry a generation: the number of its completions."""
    before, found = Telemetry.record, list[int]()

    def recorded(telemetry: Telemetry, batch: Sequence[Judged], group_size: int) -> None:
        found.append(len(batch))
        before(telemetry, batch, group_size)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Telemetry, "record", recorded)
        yield found


def state(folder: Path) -> dict[str, tuple[int, str]]:
    """When each file below a folder was written, and its checksum."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, record.checksum(path)) for path in files}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"micro_batch": 4}, "train.micro_batch is 8 there and 4 here."),
        ({"micro_batch": None}, "train.micro_batch is 8 there and 16 here."),
        ({"sharding": "zero2"}, 'train.sharding is "none" there and "zero2" here.'),
        (
            {"micro_batch": 16, "sharding": "zero2"},
            'train.micro_batch is 8 there and 16 here; train.sharding is "none" there and "zero2" here.',
        ),
    ],
    ids=["micro_batch", "no micro_batch", "sharding", "both"],
)
def test_the_work_divided_in_another_way_is_a_stop_that_touches_no_checkpoint(
    begun: Begun, changes: dict[str, object], told: str
) -> None:
    before = state(begun.root)
    with generations() as found, pytest.raises(Stop) as stop:
        begun.prepared.trained(EIGHT.model_copy(update=changes))
    assert f"step-00000002 is of another configuration: {told}" in str(stop.value)
    assert "Restore these values, or remove the folder" in str(stop.value)
    assert found == []
    assert state(begun.root) == before
    assert not begun.output().exists()
    newest = next(
        run for run in Tracking(begun.prepared.workspace).tree() if run.data.tags.get("medu1.step") == "train"
    )
    assert newest.info.status == "FAILED"


@pytest.mark.parametrize(
    "changes", [{}, {"keep": 1}, {"save_every": 2}, {"base_model": "elsewhere"}], ids=lambda changes: ", ".join(changes)
)
def test_with_the_same_configuration_a_finished_training_is_not_trained_again(
    begun: Begun, changes: dict[str, object]
) -> None:
    """Which checkpoints are kept, how often, and what the base is called change nothing of the weights."""
    before = state(begun.root)
    with generations() as found:
        again = begun.prepared.trained(EIGHT.model_copy(update=changes))
    assert found == []
    assert (again.key, again.digest) == (begun.model.key, begun.model.digest)
    assert model_digest(begun.output()) == begun.model.digest
    assert any(note.startswith("going on from step 2, ") for note in begun.notes())
    marked = {name: each for name, each in before.items() if name.startswith("step-")}
    assert marked.items() <= state(begun.root).items()


def test_from_the_middle_only_the_missing_step_is_trained_and_the_weights_are_the_same(begun: Begun) -> None:
    shutil.rmtree(begun.root / checkpoints.name(2))
    before = state(begun.root / checkpoints.name(1))
    with generations() as found:
        again = begun.prepared.trained(EIGHT)
    assert found == [EIGHT.prompts_per_step * EIGHT.group_size]
    assert again == begun.model
    assert state(begun.root / checkpoints.name(1)) == before
    assert any(note.startswith("going on from step 1, ") for note in begun.notes())


def test_from_the_middle_other_micro_batches_are_a_stop_too(begun: Begun) -> None:
    kept = begun.root / checkpoints.name(2)
    aside = kept.rename(begun.root / "aside")
    try:
        with generations() as found, pytest.raises(Stop, match=r"step-00000001 .* train\.micro_batch is 8 there and 4"):
            begun.prepared.trained(EIGHT.model_copy(update={"micro_batch": 4}))
        assert found == []
    finally:
        aside.rename(kept)
