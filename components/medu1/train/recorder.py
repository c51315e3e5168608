"""Telemetry on its way to MLflow: a thread follows a training's history and tables, and a run holds each value once.

The thread shares only files with the training, so an unreachable server costs the training nothing: the thread keeps
its place, waits longer after each failure and goes on where it was. A value is known by its name and step. What the run
holds is read once at the start, so that a retry which finds its run again (KFP's MLFLOW_RUN_ID) and a resume that
measures steps anew add nothing: the value that came first stays. Where a call failed and the server may have committed
it, the run's latest values are looked at before anything is sent again; what they cannot tell is sent with its own
timestamp, and to MLflow's primary key (name, step, timestamp, value) the same value sent twice is one row.
"""

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from medu1.errors import Stop
from medu1.tracking import Point, Tracking
from medu1.train.history import History, Line

INTERVAL = 2.0  # seconds between looks at the files: four steps of half a second cost MLflow one call
MOST = 1000  # metrics MLflow takes in a call
LONGEST_PAUSE = 30.0  # seconds, of the back-off
RETRY = 0.2  # seconds between attempts while somebody waits in `flush`
FAREWELL, HASTE = 30.0, 5.0  # seconds for what is left at the end, and after an error: a pod has 30 in all
TABLES, COMPLETIONS = "tables", "completions"  # beside the history; the folder of the run's artifacts

log = logging.getLogger(__name__)


class Status(NamedTuple):
    """Where the recorder stands."""

    sent: int  # values, by this recorder
    left: int  # values and tables the run may lack
    error: str  # of the newest attempt; "" where it succeeded


class Recorder:
    """Sends `history`, and the tables beside it, to an MLflow run from a thread of its own.

    Tables are files `tables/*.json` in MLflow's split orientation, renamed into place when they are whole.
    Whoever writes the history truncates it before the first new line; should that happen while it is followed, the file
    is read again from its start.
    """

    def __init__(self, tracking: Tracking, run: str, history: History, interval: float = INTERVAL) -> None:
        self.run, self.history, self.interval = run, history, interval
        self._tracking = tracking.background()
        self._thread = threading.Thread(target=self._follow, name="recorder", daemon=True)
        self._bell = threading.Condition()
        self._stopping = False
        self._called, self._deadline, self._caught_up = 0.0, 0.0, 0.0  # monotonic seconds
        self._seen: dict[str, set[int]] | None = None  # steps the run holds, by name; None: not asked yet
        self._logged: set[str] | None = None  # tables the run holds; None: not asked yet
        self._unsure: Sequence[Point] = ()  # in a call that failed
        self._offset, self._identity = 0, history.identity()  # everything before the offset is sent
        self._sent, self._error, self._doubt = 0, "", True

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop(FAREWELL if error is None else HASTE)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self, seconds: float = FAREWELL) -> int:
        """`flush`, then end the thread; one that hangs in a call to the server dies with the process."""
        left = self.flush(seconds)
        with self._bell:
            self._stopping = True
            self._bell.notify_all()
        self._thread.join(timeout=RETRY)
        return left

    def flush(self, seconds: float) -> int:
        """Wait until what was written before this call is sent, or time is up; how many values and tables are left."""
        with self._bell:
            self._called = time.monotonic()
            self._deadline = self._called + seconds
            self._bell.notify_all()
            self._bell.wait_for(lambda: self._caught_up >= self._called or self._ended(), seconds)
        return 0 if self._caught_up >= self._called else self._left()

    def status(self) -> Status:
        """For the journal."""
        return Status(self._sent, self._left(), self._error)

    def _ended(self) -> bool:
        return self._stopping or not self._thread.is_alive()

    # The thread

    def _follow(self) -> None:
        failures = 0
        while not self._stopping:
            begun = time.monotonic()
            try:
                self._send_all()
                failures, self._error = 0, ""
                with self._bell:
                    self._caught_up = begun
                    self._bell.notify_all()
            except Exception as error:  # whatever it is, the training goes on
                failures, self._doubt = failures + 1, True
                self._complain(error)
            self._rest(failures)

    def _complain(self, error: Exception) -> None:
        reason = error.fact if isinstance(error, Stop) else f"{type(error).__name__}: {error}"
        if not self._error:
            log.warning("Telemetry waits for MLflow. %s", reason)
        self._error = reason

    def _rest(self, failures: int) -> None:
        with self._bell:
            if failures and self._hurried():
                self._bell.wait_for(lambda: self._stopping, RETRY)
            else:
                pause = min(LONGEST_PAUSE, self.interval * 2 ** min(failures, 10))
                self._bell.wait_for(lambda: self._stopping or self._hurried(), pause)

    def _hurried(self) -> bool:
        return self._caught_up < self._called and time.monotonic() < self._deadline

    def _send_all(self) -> None:
        """One round: everything in the files that the run lacks. Raises whatever the server or the client does."""
        if self._doubt:
            self._make_sure()
        if (identity := self.history.identity()) != self._identity:
            self._identity, self._offset = identity, 0
        for points, end in self._batches():
            self._send(points)
            self._offset = end
        for path in self._waiting_tables():
            self._send_table(path)

    def _make_sure(self) -> None:
        """What the run holds: all of it at the start, then only whether a call that failed was carried out."""
        self._tracking.check()
        if self._seen is None:
            self._seen = self._tracking.held(self.run)
        elif self._unsure:
            self._mark(landed(self._unsure, self._tracking.latest(self.run)))
            self._unsure = ()
        self._doubt = False

    def _batches(self) -> Iterator[tuple[list[Point], int]]:
        """Points the run lacks, of as many whole lines as fit into a call, with the offset they reach."""
        batch: dict[tuple[str, int], Point] = {}
        end = self._offset
        for line, offset in self.history.read(self._offset):
            if batch and len(batch) + len(line.metrics) > MOST:
                yield list(batch.values()), end
                batch = {}
            for point in self._lacking(line):
                batch.setdefault((point.name, point.step), point)
            end = offset
        yield list(batch.values()), end

    def _lacking(self, line: Line) -> list[Point]:
        seen = self._seen or {}
        return [
            Point(name, line.step, line.time, value)
            for name, value in line.metrics.items()
            if line.step not in seen.get(name, ())
        ]

    def _send(self, points: Sequence[Point]) -> None:
        for start in range(0, len(points), MOST):
            self._unsure = points[start : start + MOST]
            self._tracking.points(self.run, self._unsure)
            self._mark(self._unsure)
            self._unsure = ()

    def _mark(self, points: Sequence[Point]) -> None:
        assert self._seen is not None
        for point in points:
            self._seen.setdefault(point.name, set()).add(point.step)
        self._sent += len(points)

    def _waiting_tables(self) -> list[Path]:
        folder, logged = self.history.path.parent / TABLES, self._logged or set()
        return [path for path in sorted(folder.glob("*.json")) if path.name not in logged]

    def _send_table(self, path: Path) -> None:
        if self._logged is None:
            self._logged = self._tracking.files(self.run, COMPLETIONS)
        if path.name not in self._logged:
            self._tracking.table_file(self.run, COMPLETIONS, path)
            self._logged.add(path.name)

    def _left(self) -> int:
        """Counted from the files; before the run was asked, all they hold."""
        lacking = {
            (point.name, point.step) for line, _ in self.history.read(self._offset) for point in self._lacking(line)
        }
        return len(lacking) + len(self._waiting_tables())


def landed(points: Sequence[Point], latest: Mapping[str, Point]) -> list[Point]:
    """Which points of a call that failed the run holds, by its latest value of each name.

    Where that is one of the points, the call reached the store, in order: it and those before it are held.
    """
    sent = {point[:3] for point in points}  # name, step, time
    reached = {name: point.step for name, point in latest.items() if point[:3] in sent}
    return [point for point in points if point.step <= reached.get(point.name, point.step - 1)]
