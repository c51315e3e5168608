"""`medu1 score`: completions of any number graded in order, on every core, in memory that only questions fill.

The file is read in chunks of whole lines; worker processes grade chunks, each with its own copy of the questions, and
only a few chunks are under way at once. Verdicts go to a file beside the output that takes its place at the very end,
so an output is whole or is not there.
"""

import os
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from medu1.errors import Stop
from medu1.params import Rewards, Scoring
from medu1.question import Frozen
from medu1.scoring.rows import Fault, Questions, graded, read_questions
from medu1.workers import pool

CHUNK: Final = 1 << 20  # bytes of whole lines that one worker grades at a time
SHOWN: Final = 100  # faults kept to be told one by one; all are counted
ALONE: Final = 4 << 20  # bytes of completions up to which starting workers costs more than it saves


class Task(Frozen):
    """What is graded, by which rules."""

    questions: Path
    completions: Path
    out: Path
    settings: Scoring
    weights: Rewards
    limit: int | None = None  # tokens a response may have: beyond, and shortly before, its reward falls
    strict: bool = False  # stop at the first row that is not as it should be


class Chunk(NamedTuple):
    """Whole lines of the completions, and the number of the first."""

    first: int
    lines: list[bytes]


class Verdicts(NamedTuple):
    """A chunk's verdict lines, and what they say in sum."""

    lines: bytes
    reasons: Counter[str]
    correct: Counter[bool | None]
    faults: list[Fault]


@dataclass
class Tally:
    """What became of all rows so far."""

    reasons: Counter[str] = field(default_factory=Counter)
    correct: Counter[bool | None] = field(default_factory=Counter)
    faults: int = 0  # rows reported, of both files
    shown: list[Fault] = field(default_factory=list)  # the first of them

    def add(self, verdicts: Verdicts) -> None:
        """Count a chunk."""
        self.reasons += verdicts.reasons
        self.correct += verdicts.correct
        self.report(verdicts.faults)

    def report(self, faults: list[Fault]) -> None:
        """Count rows that are not as they should be, and keep the first."""
        self.faults += len(faults)
        self.shown += faults[: SHOWN - len(self.shown)]


def score_files(task: Task) -> Tally:
    """Grade a file of completions into a file of verdicts. Raises Stop where a file cannot be read or written.

    A strict task raises Stop also at the first row that is not as it should be; nothing is written then.
    """
    _refuse_overwriting(task)
    tally = Tally()
    read = _read(task)
    tally.report(_tolerated(read.faults, task))
    with _opened(task.completions) as source, whole(task.out) as sink:
        for verdicts in _graded(task, read, chunks(source)):
            sink.write(verdicts.lines)
            tally.add(verdicts._replace(faults=_tolerated(verdicts.faults, task)))
    return tally


def chunks(source: BinaryIO) -> Iterator[Chunk]:
    """The file in order, about `CHUNK` bytes of whole lines at a time."""
    first = 1
    while lines := source.readlines(CHUNK):
        yield Chunk(first, lines)
        first += len(lines)


def grade(chunk: Chunk, questions: Questions, task: Task) -> Verdicts:
    """One verdict line a row; blank lines are passed over."""
    found = [
        graded(number, line, questions.by_id, task.settings, task.weights, task.limit)
        for number, line in enumerate(chunk.lines, start=chunk.first)
        if line.strip()
    ]
    return Verdicts(
        lines=b"".join(each.row.line() for each in found),
        reasons=Counter(each.row.reason.value for each in found),
        correct=Counter(each.row.correct for each in found),
        faults=[each.fault for each in found if each.fault],
    )


def _graded(task: Task, questions: Questions, parts: Iterator[Chunk]) -> Iterator[Verdicts]:
    workers = os.cpu_count() or 1
    if workers == 1 or task.completions.stat().st_size <= ALONE:
        yield from (grade(part, questions, task) for part in parts)
        return
    with pool(workers, "grades completions") as processes:
        yield from _in_order(processes, parts, task, ahead=2 * workers)


def _in_order(processes: ProcessPoolExecutor, parts: Iterator[Chunk], task: Task, ahead: int) -> Iterator[Verdicts]:
    """The chunks' verdicts in the chunks' order, with at most `ahead` chunks under way."""
    under_way: deque[Future[Verdicts]] = deque()
    for part in parts:
        under_way.append(processes.submit(_work, part, task))
        if len(under_way) > ahead:
            yield under_way.popleft().result()
    while under_way:
        yield under_way.popleft().result()


def _work(part: Chunk, task: Task) -> Verdicts:
    """In a worker, which lives for one task and reads the questions once."""
    return grade(part, _of_worker(task), task)


@lru_cache(maxsize=1)
def _of_worker(task: Task) -> Questions:
    return _read(task)


def _read(task: Task) -> Questions:
    with _opened(task.questions) as lines:
        return read_questions(lines, task.settings)


def _tolerated(faults: list[Fault], task: Task) -> list[Fault]:
    """The faults themselves. Raises Stop at the first of a strict task."""
    if task.strict and faults:
        raise Stop(f"{faults[0]}.", "--strict stops at the first such row; nothing is written.", "Correct the row.")
    return faults


def _refuse_overwriting(task: Task) -> None:
    for path in (task.questions, task.completions):
        if path.resolve() == task.out.resolve():
            raise Stop(f"{task.out} is read and cannot be the output too.", next_step="Name another file with --out.")


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise Stop(f"{path} cannot be read: {error.strerror}.", next_step="Correct the path and run again.") from None
    with file:
        yield file


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A file that takes its place only when it is complete. Raises Stop where it cannot be written."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        file = part.open("wb")
    except OSError as error:
        raise Stop(f"{path} cannot be written: {error.strerror}.", next_step="Name another file with --out.") from None
    try:
        with file:
            yield file
        part.replace(path)
    except OSError as error:
        raise Stop(f"{path} cannot be written: {error.strerror}.", next_step="Make room, and run again.") from None
    finally:
        part.unlink(missing_ok=True)
