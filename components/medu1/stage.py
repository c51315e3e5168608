"""One execution of one step: its MLflow run, its events, and an output that exists only when it is complete.

`produce` is for steps whose output is reused: the same fingerprint is made once, whoever asks. `tracked` is for steps
that always run. Either way a failure closes the run as FAILED, leaves one paragraph in the journal and goes on upwards.
"""

import errno
import shutil
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from medu1 import journal, record
from medu1.code import versions
from medu1.errors import Interrupted, Stop
from medu1.journal import Event
from medu1.record import StepRecord
from medu1.storage import open_store, scratch
from medu1.tracking import Tracking, refused
from medu1.words import first_line
from medu1.workspace import Workspace

ERROR = "medu1.error"  # tag of the run of a step that failed, for the one that tells how the chain ended
RECORDED = ("medu1", "torch", "transformers", "trl", "mlflow", "kfp", "dvc", "numpy", "pyarrow")


@dataclass
class Stage:
    """What the body of a step holds while it runs."""

    step: str
    workspace: Workspace
    tracking: Tracking
    run: str  # the step's MLflow run
    folder: Path | None = None  # scratch for the output of `produce`
    _last: float = field(default=0.0, repr=False)

    def note(self, message: str) -> None:
        """One line for people, with counts."""
        self._event(Event(step=self.step, kind="note", message=message))

    def progress(self, done: int, total: int, message: str = "") -> None:
        """A step of a live bar; at most ten a second are written."""
        if done < total and time.monotonic() - self._last < 0.1:
            return
        self._last = time.monotonic()
        self._event(Event(step=self.step, kind="progress", message=message, done=done, total=total))

    def metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Log metrics to the step's run."""
        self.tracking.metrics(self.run, metrics, step)

    def _event(self, event: Event) -> None:
        journal.append(self.workspace.journal, event)


class Output(NamedTuple):
    """A complete output in the store: its key, where it lies on this machine, its record."""

    key: str
    folder: Path
    record: StepRecord


def produce(
    step: str,
    params: Mapping[str, Any],
    inputs: Mapping[str, str],
    code: str,
    make: Callable[[Stage, Path], Mapping[str, Any]],
    is_phase: bool = False,
) -> Output:
    """The output of this fingerprint, made by `make(stage, folder)` unless the store has it.

    `params` are the step's parameters as JSON values, `inputs` digests by name. `make` writes files into the folder and
    returns the facts of the record. A phase is a part of another step's task.
    """
    workspace = Workspace.from_environment()
    store = open_store(workspace)
    identity = record.fingerprint(step, params, inputs, code)
    key = f"{step}/{identity}"
    if folder := store.fetch(key):
        journal.append(workspace.journal, Event(step=step, kind="reused", message=key))
        return _output(key, folder)
    started, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    with tracked(step, params, workspace, is_phase) as stage:
        work = scratch(workspace)
        try:
            facts = make(stage, work)
            record.write(
                StepRecord(
                    step=step,
                    fingerprint=identity,
                    params=dict(params),
                    inputs=dict(inputs),
                    code=code,
                    outputs=record.entries(work),
                    facts=dict(facts),
                    commit=workspace.commit,
                    dirty=workspace.dirty,
                    image=workspace.image,
                    versions=versions(RECORDED),
                    run=workspace.run,
                    mlflow_run=stage.run,
                    started=started,
                    seconds=round(time.monotonic() - clock, 3),
                ),
                work,
            )
            stage.tracking.artifact(stage.run, work / record.NAME)
            return _output(key, store.publish(work, key))
        finally:
            shutil.rmtree(work, ignore_errors=True)


def fetch(key: str, workspace: Workspace) -> Output:
    """An earlier step's output. Raises Stop where the store no longer has it whole."""
    folder = open_store(workspace).fetch(key)
    if folder is None:
        raise Stop(
            f"The output {key} is not in the store, or not whole.",
            "It was deleted or damaged after the step that made it.",
            "Run the chain again: the step runs anew.",
        )
    return _output(key, folder)


def _output(key: str, folder: Path) -> Output:
    found = record.read(folder)
    assert found is not None, key
    return Output(key, folder, found)


@contextmanager
def tracked(
    step: str, params: Mapping[str, Any] | None = None, workspace: Workspace | None = None, is_phase: bool = False
) -> Iterator[Stage]:
    """Run a step's body inside its MLflow run and journal how it ends."""
    workspace = workspace or Workspace.from_environment()
    journal.append(workspace.journal, Event(step=step, kind="started"))
    stage: Stage | None = None
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        tracking = Tracking(workspace)
        stage = Stage(step, workspace, tracking, tracking.child(step, is_phase))
        tracking.params(stage.run, params or {})
        yield stage
        tracking.close(stage.run, "FINISHED")
        journal.append(workspace.journal, Event(step=step, kind="finished"))
    except BaseException as error:
        kind: journal.Kind = "interrupted" if isinstance(error, Interrupted) else "failed"
        journal.append(workspace.journal, Event(step=step, kind=kind, message=_paragraph(step, error)))
        if stage:
            with suppress(Exception):  # the server may be what failed; the run is swept later
                stage.tracking.close(stage.run, "FAILED" if isinstance(error, Exception) else "KILLED")
                stage.tracking.tags(stage.run, {ERROR: first_line(_paragraph(step, error))})
        raise
    finally:
        signal.signal(signal.SIGTERM, previous)


def _paragraph(step: str, error: BaseException) -> str:
    match refused(error) or error:
        case Stop() as stop:
            return f"{step}: {stop}"
        case Interrupted(where=where):
            return f"{step}: stopped before it was done; {where}. Run again: it goes on from there."
        case KeyboardInterrupt() | SystemExit():
            return f"{step}: stopped before it was done. Run again: complete steps are reused."
        case OSError(errno=errno.ENOSPC | errno.EDQUOT) as full:
            return (
                f"{step}: the disk is full ({full.filename or full.strerror}). Nothing of this step is kept, so no "
                "later one can take a part for the whole. Free space, or name another place with --home, and run again."
            )
        case _:
            place = traceback.extract_tb(error.__traceback__)[-1]
            return (
                f"{step}: {type(error).__name__}: {error} (at {Path(place.filename).name}:{place.lineno}). "
                "The traceback is in the run's log."
            )


def _terminate(signum: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + signum)
