"""Runs in containers, for tests: started, waited for until the training has saved, and looked at afterwards."""

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from engine import Engine
from medu1 import journal
from medu1.train import checkpoints
from pipelines import guard
from tiny import ROOT, command, environment

PATIENCE_SECONDS = 300.0
LONG: Mapping[str, object] = {"train__steps": 40, "train__save_every": 2, "train__validation__every": 0}


def words(home: Path, images: Path, **settings: object) -> list[str]:
    """`medu1 run --runner docker` on the tiny parameters."""
    return [*command("run", home, **settings), "--runner", "docker", "--images", str(images), "--json"]


def ran(home: Path, images: Path, **settings: object) -> "subprocess.CompletedProcess[str]":
    """A run to its end."""
    return subprocess.run(
        words(home, images, **settings), cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=900
    )


@contextmanager
def started(home: Path, images: Path, **settings: object) -> Iterator["subprocess.Popen[str]"]:
    """A run under way, its standard error in the home; killed where the test leaves it."""
    with (home / "stderr").open("w") as errors:
        process = subprocess.Popen(
            words(home, images, **settings),
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=errors,
            text=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_SECONDS)


def saved(home: Path) -> int:
    """The step of the newest complete checkpoint, 0 where there is none."""
    roots = home.glob("store/checkpoints/*")
    return max((found.marker.step for root in roots for found in checkpoints.held(root)), default=0)


def until_saved(home: Path, process: "subprocess.Popen[str]", after: int = 0) -> None:
    """Wait until the training has saved a later step."""
    until = time.monotonic() + PATIENCE_SECONDS
    while saved(home) <= after:
        assert process.poll() is None, (home / "stderr").read_text()
        assert time.monotonic() < until
        time.sleep(0.1)


def left(engine: Engine, home: Path) -> list[str]:
    """The containers of a home's runs."""
    return engine("ps", "--all", "--quiet", "--filter", f"label={guard.HOME}={home}").split()


def until_none(engine: Engine, home: Path) -> None:
    """Wait until no container of a home's runs is left."""
    until = time.monotonic() + PATIENCE_SECONDS
    while left(engine, home):
        assert time.monotonic() < until
        time.sleep(0.1)


def runs(home: Path) -> list[tuple[str, str]]:
    """Name and status of every MLflow run."""
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        return database.execute("select name, status from runs").fetchall()


def until_closed(home: Path) -> None:
    """Wait until no MLflow run is open."""
    until = time.monotonic() + PATIENCE_SECONDS
    while any(status == "RUNNING" for _, status in runs(home)):
        assert time.monotonic() < until, runs(home)
        time.sleep(0.1)


def newest(home: Path) -> Path:
    """The folder of the last run."""
    return max((home / "runs").iterdir(), key=lambda run: run.name)


def events(home: Path) -> list[journal.Event]:
    """What the steps of the last run said."""
    return [event for event, _ in journal.read(newest(home) / "journal.jsonl")]


def child(home: Path) -> int:
    """The process that runs kfp for a home's run."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line, surroundings = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        except OSError:
            continue
        if b"pipelines.local" in line and f"MEDU1_HOME={home}".encode() in surroundings.split(b"\0"):
            return int(folder.name)
    raise AssertionError("kfp does not run")


def record(home: Path, step: str) -> dict[str, Any]:
    """The record of a step's only output."""
    (path,) = home.glob(f"store/{step}/*/record.json")
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def texts(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file below a folder with its bytes."""
    for path in folder.rglob("*"):
        if path.is_file() and os.access(path, os.R_OK):
            yield path, path.read_bytes()
