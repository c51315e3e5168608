"""One step by argv: what it needs is made first, what the home has is not made again, and SIGTERM saves."""

import json
import shutil
import signal
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from medu1 import journal
from medu1.train import checkpoints
from medu1.train.history import History
from tiny import ROOT, command, environment, medu1

pytestmark = pytest.mark.faults
LONG = 3000  # steps: far more than are done before a signal comes
PATIENCE_SECONDS = 150.0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Path:
    found = tmp_path_factory.mktemp("steps")
    shutil.copy(empty_database, found / "mlflow.db")
    return found


def output(home: Path, step: str, **settings: object) -> dict[str, Any]:
    done = medu1(step, home, **settings)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def made(home: Path) -> dict[str, int]:
    """How many outputs of each step the home has."""
    return {each.name: len(list(each.iterdir())) for each in (home / "store").iterdir()}


def open_runs(home: Path) -> list[str]:
    with sqlite3.connect(home / "mlflow.db") as database:
        rows = database.execute("select name from runs where status = 'RUNNING'").fetchall()
    database.close()
    return [name for (name,) in rows]


def notes(home: Path) -> list[str]:
    newest = max((home / "runs").iterdir())
    return [event.message for event, _ in journal.read(newest / "journal.jsonl") if event.kind == "note"]


def test_a_step_is_made_with_what_it_needs_and_no_more(home: Path) -> None:
    dataset = output(home, "prepare")
    assert (home / "store" / dataset["key"]).is_dir()
    assert made(home) == {"tokenizer": 1, "prepare": 1, "audit": 1}
    candidate = output(home, "train")
    assert (home / "store" / candidate["key"] / "model.safetensors").is_file()
    assert made(home) == {"tokenizer": 1, "prepare": 1, "audit": 1, "base": 1, "train": 1, "checkpoints": 1}
    evaluation = output(home, "evaluate")
    assert evaluation["candidate"] == candidate["digest"]
    assert open_runs(home) == []


def test_what_the_home_has_is_the_chains_too(home: Path) -> None:
    candidate = output(home, "train")
    done = medu1("run", home, "--json")
    assert done.returncode == 0, done.stderr
    assert {"tokenizer", "prepare", "audit", "base", "train"} <= set(json.loads(done.stdout)["reused"])
    assert output(home, "train") == candidate


def test_a_candidate_that_did_not_pass_is_not_registered(home: Path) -> None:
    done = medu1("register", home, decide__min_gain=0.99)
    assert done.returncode == 2
    assert "did not pass the decision" in done.stderr
    page = max((home / "runs").iterdir()) / "report.html"
    assert str(page) in done.stderr
    assert "Decision: do not register" in page.read_text(encoding="utf-8")
    assert open_runs(home) == []


@pytest.mark.parametrize("name", ["run", "train"])
def test_an_option_trl_has_not_is_refused_before_anything_starts(name: str, home: Path) -> None:
    before = sorted((home / "runs").iterdir())
    done = medu1(name, home, "--set", "train.grpo={lerning_rate: 1}")
    assert done.returncode == 2
    assert "train.grpo.lerning_rate is no option of TRL's GRPOConfig" in done.stderr
    assert sorted((home / "runs").iterdir()) == before


def steps(home: Path) -> int:
    """Optimizer steps in the longest history."""
    lines = [line for path in home.glob("store/checkpoints/*/history.jsonl") for line in History(path).lines()]
    return max((line.step for line in lines), default=0)


@pytest.mark.parametrize("name", ["run", "train"])
def test_sigterm_saves_and_the_same_command_goes_on(name: str, home: Path) -> None:
    """The step it was at is kept, the command ends with a code of its own, and no run stays open."""
    done = steps(home)
    for after in (done + 3, done + 6):
        with subprocess.Popen(
            command(name, home, train__steps=LONG), cwd=ROOT, env=environment(), stderr=subprocess.PIPE, text=True
        ) as process:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while steps(home) < after:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            _, error = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 75, error
        assert f"of {LONG} is saved in" in error
        assert "Run again: it goes on from there" in error
        assert open_runs(home) == []
    (root,) = {path.parent for path in home.glob("store/checkpoints/*/*") if str(LONG) in (root_job(path))}
    newest = checkpoints.newest(root)
    assert newest is not None
    assert newest.marker.step >= after
    assert any("going on from step" in note for note in notes(home))


def root_job(path: Path) -> str:
    """The job of a training's folder, as text."""
    return (path.parent / "job.json").read_text()
