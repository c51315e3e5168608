"""What one check of preflight found, and how checks are made: several at a time, each in bounded time, none fatal.

A check is a function that says what it saw. It raises Stop where the run cannot succeed, and Unsure where that cannot
be told from here. Whatever else it raises is unknown as well, and so is a check that does not end: its own fault is no
reason to refuse a run.
"""

import time
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Final, Literal

from medu1.errors import Stop
from medu1.question import Frozen
from medu1.words import line

AT_ONCE: Final = 8
LIMIT_SECONDS: Final = 90.0  # all checks together; a store that is silent gives up before
LONGEST: Final = 800  # characters of what was seen

State = Literal["passed", "failed", "unknown"]
Check = Callable[[], str]
Checks = Mapping[str, Check]  # by name


class Unsure(Exception):
    """What a check looks for can not be told from here."""

    def __init__(self, seen: str, next_step: str = "") -> None:
        self.seen, self.next_step = seen, next_step
        super().__init__(seen)


class Finding(Frozen):
    """One check: `unknown` is a warning, and does not end the run."""

    name: str
    state: State
    seen: str
    next_step: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (f"{self.name}: {self.seen}", self.next_step) if part)


def made(name: str, check: Check) -> Finding:
    """What a check finds; nothing it raises gets out."""
    try:
        return Finding(name=name, state="passed", seen=line(check(), LONGEST))
    except Stop as stop:
        return refused(name, stop)
    except Unsure as unsure:
        return _unknown(name, unsure.seen, unsure.next_step)
    except Exception as error:
        return _unknown(name, f"the check itself failed ({type(error).__name__}: {line(error, 200)}).")


def refused(name: str, stop: Stop) -> Finding:
    """A failed check, in the words of an error."""
    seen = line(" ".join(filter(None, (stop.fact, stop.reason))), LONGEST)
    return Finding(name=name, state="failed", seen=seen, next_step=line(stop.next_step, LONGEST))


def look(checks: Checks, seconds: float = LIMIT_SECONDS) -> tuple[Finding, ...]:
    """What all checks find, in their order. One that has not ended in time is unknown, and left to end by itself."""
    waiting, done = SimpleQueue[tuple[str, Check]](), SimpleQueue[Finding]()
    for name, check in checks.items():
        waiting.put((name, check))
    for _ in range(min(AT_ONCE, len(checks))):
        Thread(target=_labour, args=(waiting, done), name="check", daemon=True).start()
    found = _gathered(done, len(checks), time.monotonic() + seconds)
    late = f"it did not end within {seconds:g} s."
    return tuple(found.get(name) or _unknown(name, late) for name in checks)


def _gathered(done: "SimpleQueue[Finding]", wanted: int, until: float) -> dict[str, Finding]:
    found: dict[str, Finding] = {}
    while len(found) < wanted:
        try:
            finding = done.get(timeout=max(0.0, until - time.monotonic()))
        except Empty:
            break
        found[finding.name] = finding
    return found


def _labour(waiting: "SimpleQueue[tuple[str, Check]]", done: "SimpleQueue[Finding]") -> None:
    """Of daemon threads: those of concurrent.futures are joined at exit, and a check that hangs would hold the step."""
    while True:
        try:
            name, check = waiting.get_nowait()
        except Empty:
            return
        done.put(made(name, check))


def _unknown(name: str, seen: str, next_step: str = "") -> Finding:
    return Finding(name=name, state="unknown", seen=line(seen, LONGEST), next_step=line(next_step, LONGEST))
