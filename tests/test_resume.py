"""Resume is exact: a training killed three times, at three points, ends with the bits of one that ran through."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from killed import STEPS, Point
from medu1 import record
from medu1.manifest import ModelManifest
from medu1.tracking import Tracking
from medu1.workspace import Workspace

pytestmark = pytest.mark.faults
ROOT = Path(__file__).parent.parent
PATHS = os.pathsep.join(str(ROOT / each) for each in ("components", ".", "tests"))
KILLS: list[tuple[Point, int]] = [("generating", 5), ("saving", 3), ("publishing", 2)]
TIMED = ("time/", "system/", "validation/seconds", "step_time", "per_second", "sync/")  # differ between two runs


class Trained(NamedTuple):
    """A finished training and what its attempts left."""

    workspace: Workspace
    model: ModelManifest
    resumed: list[str]  # "" or the checkpoint each attempt went on from

    @property
    def folder(self) -> Path:
        return self.workspace.home / "store" / self.model.key

    def history(self) -> list[dict[str, object]]:
        """The lines of the training's history without times."""
        path = self.workspace.home / "store" / "checkpoints" / Path(self.model.key).name / "history.jsonl"
        return [_timeless(json.loads(line)) for line in path.read_text().splitlines()]


def _timeless(line: dict[str, object]) -> dict[str, object]:
    metrics = line["metrics"]
    assert isinstance(metrics, dict)
    kept = {name: value for name, value in metrics.items() if not any(part in name for part in TIMED)}
    return {"step": line["step"], "metrics": kept}


def attempt(workspace: Workspace, processes: int, point: Point, call: int) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **workspace.environment(), "OMP_NUM_THREADS": "1", "PYTHONPATH": PATHS}
    environment.pop("MLFLOW_RUN_ID", None)
    command = [sys.executable, str(ROOT / "tests" / "killed.py"), "step", str(processes), point, str(call)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)


def trained(home: Path, processes: int, kills: list[tuple[Point, int]]) -> Trained:
    workspace = Workspace(home=home, run="r", tracking_uri=f"sqlite:///{home / 'mlflow.db'}")
    for point, call in kills:
        ended = attempt(workspace, processes, point, call)
        assert ended.returncode != 0, (point, ended.stdout, ended.stderr)
        assert not list((home / "store").glob("train/*")), point
    ended = attempt(workspace, processes, "none", 0)
    assert ended.returncode == 0, ended.stderr
    client = Tracking(workspace)
    runs = [run for run in reversed(client.tree()) if run.data.tags.get("medu1.step") == "train"]
    resumed = [run.data.tags.get("medu1.resumed_from", "") for run in runs]
    return Trained(workspace, ModelManifest.model_validate_json(ended.stdout.splitlines()[-1]), resumed)


@pytest.fixture(scope="module", params=[1, 2], ids=["one process", "two processes"])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, empty_database: Path
) -> list[Trained]:
    """The same training without and with kills."""
    homes = [tmp_path_factory.mktemp(name) for name in ("whole", "killed")]
    for home in homes:
        (home / "mlflow.db").write_bytes(empty_database.read_bytes())
    return [trained(home, request.param, kills) for home, kills in zip(homes, ([], KILLS), strict=True)]


def test_it_goes_on_from_the_newest_whole_checkpoint(pair: list[Trained]) -> None:
    """Killed in step 3, while step 4 was saved, and before step 6's marker was written."""
    assert pair[0].resumed == [""]
    assert pair[1].resumed == ["", "step-00000002", "step-00000002", "step-00000004"]


def test_the_weights_are_the_same_bits(pair: list[Trained]) -> None:
    whole, killed = (record.checksum(each.folder / "model.safetensors") for each in pair)
    assert whole == killed
    assert pair[0].model == pair[1].model


def test_the_logged_rewards_and_losses_are_the_same_bits(pair: list[Trained]) -> None:
    whole, killed = (each.history() for each in pair)
    assert whole == killed
    assert [line["step"] for line in whole] == [0, 0, *range(1, STEPS + 1)]


def test_the_state_of_training_is_the_same_too(pair: list[Trained]) -> None:
    """Optimizer, scheduler and random state of the last checkpoint."""
    folders = [next((each.workspace.home / "store" / "checkpoints").glob(f"*/step-{STEPS:08d}")) for each in pair]
    names = sorted(path.name for path in folders[0].iterdir() if path.suffix in {".pt", ".pth", ".safetensors"})
    assert len(names) >= 4
    for name in names:
        assert record.checksum(folders[0] / name) == record.checksum(folders[1] / name), name


def test_mlflow_holds_one_value_per_metric_and_step(pair: list[Trained]) -> None:
    for each in pair:
        made = record.read(each.folder)
        assert made is not None
        client = Tracking(each.workspace).client
        assert client.get_run(made.mlflow_run).info.status == "FINISHED"
        for name in client.get_run(made.mlflow_run).data.metrics:
            steps = [point.step for point in client.get_metric_history(made.mlflow_run, name)]
            assert len(steps) == len(set(steps)), name
        assert [point.step for point in client.get_metric_history(made.mlflow_run, "reward")] == [*range(1, STEPS + 1)]


def test_nothing_unfinished_is_left(pair: list[Trained]) -> None:
    for each in pair:
        store = each.workspace.home / "store"
        assert not list(store.glob(".scratch-*"))
        assert not list(store.glob("checkpoints/*/.saving/*"))
