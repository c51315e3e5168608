"""A run on a cluster, followed to its end: one line a task, as `progress.py` has it for a run on this machine.

The endpoint is asked again and again, less often where nothing changes. What it fails to answer is no news of the run:
following goes on through restarts of the API, and whoever stops it leaves the run as it is.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from medu1.errors import Stop
from medu1.question import Frozen
from pipelines import terminal
from pipelines.answers import UNDER_WAY, Run, Task
from pipelines.endpoint import Endpoint
from pipelines.progress import ORDER
from pipelines.wire import Unanswered

TASKS: Final = (*ORDER, "finalize")  # kfp lists its own pods beside them: drivers, the condition, the whole
QUIET: Final = ("RUNTIME_STATE_UNSPECIFIED", "PENDING")
COLOURS: Final = {"SUCCEEDED": "green", "RUNNING": "cyan", "FAILED": "red", "CANCELED": "red"}
SHOWN: Final = 600  # characters of an error


class Pace(Frozen):
    """How often to ask."""

    first: float = 2.0  # seconds after something changed
    longest: float = 30.0
    factor: float = 1.5
    outage: float = 900.0  # seconds without any answer, after which it is given up


class Board:
    """What is known of each task."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.states: dict[str, str] = {}
        self._live: Live | None = None

    @contextmanager
    def live(self) -> Iterator["Board"]:
        """Lines that change in place where the console is a terminal, else one line a change."""
        if not self.console.is_terminal:
            yield self
            return
        with Live(console=self.console, refresh_per_second=4) as self._live:
            yield self

    def show(self, run: Run) -> bool:
        """Take a look at the run in. Returns whether something changed."""
        tasks = {name: task for name, task in run.tasks().items() if name in TASKS}
        states = {"": run.state, **{name: task.state for name, task in tasks.items()}}
        changed = {name: state for name, state in states.items() if self.states.get(name) != state}
        self.states = states
        if self._live:
            self._live.update(_table(run, tasks))
        else:
            for name, state in sorted(changed.items(), key=lambda each: _rank(each[0])):
                if name and state not in QUIET:
                    took = "" if state in UNDER_WAY else _seconds(tasks[name])
                    self.say(f"{name:<10} {_word(state)}{took}")
        return bool(changed)

    def say(self, line: str) -> None:
        """A line for a person."""
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


def followed(endpoint: Endpoint, run: Run, board: Board, pace: Pace = Pace()) -> Run:  # noqa: B008, a frozen value
    """The run at its end. Raises Stop where the endpoint refuses, or does not answer for long; the run goes on."""
    pause, heard, silent = pace.first, time.monotonic(), False
    with board.live():
        while True:
            try:
                run = endpoint.run(run.id)
            except Unanswered as unanswered:
                if time.monotonic() - heard > pace.outage:
                    raise _left(endpoint, run, unanswered) from None
                if not silent:
                    board.say(f"{unanswered.fact} Still asking; the run goes on.")
                silent = True
            except Stop as stop:
                raise _left(endpoint, run, stop) from None
            else:
                heard, silent = time.monotonic(), False
                pause = pace.first if board.show(run) else min(pause * pace.factor, pace.longest)
                if not run.under_way:
                    return run
            time.sleep(min(pause, pace.longest))


def failure(run: Run) -> str:
    """Why a run did not succeed, a paragraph; its tasks' errors first, for they say more."""
    failed = {name: task for name, task in run.tasks().items() if name in TASKS and task.state == "FAILED"}
    told = [f"{name} failed{_because(task.error.message)}" for name, task in failed.items()]
    return " ".join(told or [f"The run ended as {_word(run.state)}{_because(run.error.message)}"])


def leaving(run: Run, link: str) -> str:
    """For who stops following."""
    return f"Run {run.name} goes on. The same command follows it again; end it with Terminate at {link}"


def _left(endpoint: Endpoint, run: Run, stop: Stop) -> Stop:
    return Stop(stop.fact, stop.reason, f"{stop.next_step} {leaving(run, endpoint.link(run.id))}")


def _because(message: str) -> str:
    text = terminal.line(message)[:SHOWN].rstrip(".")
    return f": {text}." if text else "."


def _table(run: Run, tasks: Mapping[str, Task]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name in sorted(tasks, key=_rank):
        state = tasks[name].state
        table.add_row(name, Text(_word(state), COLOURS.get(state, "")), _seconds(tasks[name]).strip())
    table.add_row("run", Text(_word(run.state)), "")
    return table


def _rank(name: str) -> int:
    return TASKS.index(name) if name in TASKS else -1


def _word(state: str) -> str:
    return terminal.line(state.lower()) if state != "RUNTIME_STATE_UNSPECIFIED" else "waiting"


def _seconds(task: Task) -> str:
    """How long a task takes, or took."""
    try:
        began = datetime.fromisoformat(task.start_time)
        ended = datetime.now(UTC) if task.state in UNDER_WAY else datetime.fromisoformat(task.end_time)
    except ValueError:
        return ""
    seconds = (ended - began).total_seconds()
    return f" {seconds:.0f} s" if 0 < seconds < 10**8 else ""
