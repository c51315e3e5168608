"""One training killed many times at random, against the same training left alone: SIGKILL to every process at once.

    .venv/bin/python -m benchmarks.soak --kills 20 --out benchmarks/results/soak.json

It ends well where the killed training finishes with the bits of the other one, no MLflow run stays open, its run holds
every value once, and after each kill every checkpoint that counts is whole and the database is sound. The moments are
drawn from `--seed`, from the step's start on: while it starts, generates, updates, saves and publishes.
"""

import argparse
import json
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from benchmarks.machine import machine
from medu1 import journal, record
from medu1.train import checkpoints
from medu1.train.history import History

SETTINGS = {
    "base.steps": 40,  # weights are compared, not answers
    "train.steps": 160,
    "train.save_every": 2,
    "train.validation.every": 20,
    "train.validation.questions": 50,
}
STATE = (".safetensors", ".pt", ".pth")
SPAN_SECONDS = 20.0  # after the step has begun: about half of it to import, build and restore, half to train
POLL_SECONDS = 0.05


class Killed(NamedTuple):
    """One attempt that was killed."""

    seconds: float  # after the step began
    step: int  # the last one written down
    resumes_from: int  # the newest whole checkpoint it left
    was_saving: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/soak.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="medu1-soak-") as folder:
        whole, killed = Path(folder, "whole"), Path(folder, "killed")
        reference = json.loads(subprocess.run(command(whole), check=True, stdout=subprocess.PIPE).stdout)
        shutil.copytree(whole / "store", killed / "store", ignore=shutil.ignore_patterns("train", "checkpoints"))
        draw = random.Random(options.seed)
        attempts = [attempt(killed, draw.random() * SPAN_SECONDS) for _ in range(options.kills)]
        candidate = json.loads(subprocess.run(command(killed), check=True, stdout=subprocess.PIPE).stdout)
        found = {
            "machine": machine("torch", "transformers", "trl", "mlflow"),
            "settings": SETTINGS,
            "kills": [each._asdict() for each in attempts],
            "same_candidate": candidate["digest"] == reference["digest"],
            "same_last_checkpoint": state(killed) == state(whole),
            "open_runs": open_runs(killed),
            "values_held_twice": twice(killed),
            "values_missing": missing(killed),
        }
    record.write_text(options.out, json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))
    failed = not found["same_weights"] or any(
        found[each] for each in ("open_runs", "values_held_twice", "values_missing")
    )
    sys.exit(int(failed))


def command(home: Path) -> list[str]:
    """The training in a home, with what it needs."""
    settings = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    return [sys.executable, "-m", "pipelines.cli", "train", "--home", str(home), *settings]


def attempt(home: Path, seconds: float) -> Killed:
    """Start, kill so long after the step began, and look at what is left. Raises AssertionError as `sound` does."""
    before = set(journals(home))
    with subprocess.Popen(command(home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not began(home, before):
            assert process.poll() is None, "the training ended before it was killed"
            time.sleep(POLL_SECONDS)
        time.sleep(seconds)
        assert process.poll() is None, "the training ended before it was killed: it needs more steps"
        kill(process.pid)
    return sound(home, seconds)


def journals(home: Path) -> list[Path]:
    return sorted(home.glob("runs/*/journal.jsonl"))


def began(home: Path, before: set[Path]) -> bool:
    """Whether this attempt's step has begun."""
    fresh = [path for path in journals(home) if path not in before]
    return any(event.step == "train" for path in fresh for event, _ in journal.read(path))


def kill(parent: int) -> None:
    """Every process of the command, stopped first so that none sees another one's end."""
    found = psutil.Process(parent)
    family = [found, *found.children(recursive=True)]
    for act in (psutil.Process.suspend, psutil.Process.kill):
        for each in family:
            with suppress(psutil.NoSuchProcess):
                act(each)
    psutil.wait_procs(family[1:], timeout=10)


def sound(home: Path, seconds: float) -> Killed:
    """What a kill left. Raises AssertionError where a file that counts is not whole."""
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
    assert not list(home.glob("store/train/*")), "a candidate exists before its training is done"
    roots = list(home.glob("store/checkpoints/*"))
    step = newest = 0
    for root in roots:
        for found in checkpoints.held(root):
            assert checkpoints.is_sound(found), found.folder
            newest = max(newest, found.marker.step)
        step = max([line.step for line in History(root / checkpoints.HISTORY).lines()], default=0)
    return Killed(round(seconds, 2), step, newest, any(list(root.glob(f"{checkpoints.SAVING}/*")) for root in roots))


def state(home: Path) -> dict[str, str]:
    """Checksums of the last step's weights, optimizer, scheduler and random state."""
    (root,) = home.glob("store/checkpoints/*")
    found = checkpoints.newest(root)
    assert found is not None
    assert found.marker.step == SETTINGS["train.steps"]
    return {path: entry.sha256 for path, entry in found.marker.files.items() if Path(path).suffix in STATE}


def open_runs(home: Path) -> list[str]:
    """Names of MLflow runs that are still running."""
    return [name for (name,) in rows(home, "select name from runs where status = 'RUNNING'")]


def twice(home: Path) -> list[Any]:
    """Metrics that a run holds more than once for a step."""
    return rows(home, "select run_uuid, key, step from metrics group by run_uuid, key, step having count(*) > 1")


def missing(home: Path) -> list[Any]:
    """Values of the history that the finished run does not hold."""
    (run,) = rows(
        home,
        "select run_uuid from runs where name = 'train' and status = 'FINISHED'",
    )
    held = Counter(rows(home, "select key, step from metrics where run_uuid = ?", *run))
    (root,) = home.glob("store/checkpoints/*")
    lines = History(root / checkpoints.HISTORY).lines()
    return [(name, line.step) for line in lines for name in line.metrics if not held[(name, line.step)]]


def rows(home: Path, query: str, *values: str) -> list[Any]:
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        return database.execute(query, values).fetchall()


if __name__ == "__main__":
    main()
