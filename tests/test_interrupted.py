"""SIGTERM saves and ends with a code of its own: the step, torchrun, and the argv of a TrainJob."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medu1.errors import Interrupted
from medu1.train import checkpoints
from medu1.train.history import History
from medu1.train.job import Outcome
from medu1.workspace import Workspace

pytestmark = pytest.mark.faults
ROOT = Path(__file__).parent.parent
PATHS = os.pathsep.join(str(ROOT / each) for each in ("components", ".", "tests"))
STEPS = 400  # far more than are done before the signal comes
PATIENCE_SECONDS = 120.0


def started(home: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    workspace = Workspace(home=home, run="r", tracking_uri=f"sqlite:///{home / 'mlflow.db'}")
    environment = {**os.environ, **workspace.environment(), "OMP_NUM_THREADS": "1", "PYTHONPATH": PATHS}
    environment.pop("MLFLOW_RUN_ID", None)
    with (home / "log").open("ab") as log:
        return subprocess.Popen([sys.executable, *arguments], env=environment, cwd=ROOT, stdout=log, stderr=log)


def steps(home: Path) -> list[int]:
    """Optimizer steps in the history of the only training."""
    return [line.step for path in home.glob("store/checkpoints/*/history.jsonl") for line in History(path).lines()]


def ended(process: "subprocess.Popen[bytes]", home: Path, after: int) -> int:
    """The exit code after a SIGTERM once so many steps are done."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while max(steps(home), default=0) < after:
        assert process.poll() is None, (home / "log").read_text()[-2000:]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    return process.wait(PATIENCE_SECONDS)


@pytest.fixture(scope="module", params=[1, 2], ids=["one process", "two processes"])
def interrupted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Path:
    """A home whose training was told to end."""
    home = tmp_path_factory.mktemp("home")
    (home / "mlflow.db").write_bytes(empty_database.read_bytes())
    script = str(ROOT / "tests" / "killed.py")
    code = ended(started(home, script, "step", str(request.param), "none", str(STEPS)), home, 3)
    assert code == Interrupted.CODE, (home / "log").read_text()[-3000:]
    return home


def root(home: Path) -> Path:
    (found,) = home.glob("store/checkpoints/*")
    return found


def test_the_step_it_was_at_is_saved(interrupted: Path) -> None:
    outcome = Outcome.read(root(interrupted))
    found = checkpoints.newest(root(interrupted))
    assert outcome is not None
    assert found is not None
    assert outcome.end == "interrupted"
    assert 3 <= outcome.step < STEPS
    assert found.marker.step == outcome.step
    assert not list(interrupted.glob("store/train/*"))


def test_the_next_attempt_goes_on_and_a_trainjobs_argv_ends_with_the_same_code(interrupted: Path) -> None:
    """`python -m medu1.train JOB`, which is its own launcher where several processes are asked for."""
    path = root(interrupted) / "job.json"
    (root(interrupted) / "history.jsonl").unlink()  # so that its steps are seen
    process = started(interrupted, "-m", "medu1.train", str(path))
    assert ended(process, interrupted, 3) == Interrupted.CODE
