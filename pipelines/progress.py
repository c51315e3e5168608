"""A run's events for a person: one live bar a step on a terminal, one line an event elsewhere.

A step that kfp answers from its cache writes no event; it shows as reused once a later one speaks.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from medu1.journal import Event

ORDER = ("preflight", "tokenizer", "prepare", "audit", "base", "train", "evaluate", "decide", "register")

ENDED = ("finished", "failed", "interrupted")


class Board:
    """What is known of each step; `failures` are the paragraphs to end with, also of steps that were interrupted."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.failures: list[str] = []
        self.reused: list[str] = []
        self.interrupted = False  # whether a step ended as it was told to, with what it did saved
        self.running: dict[str, float] = {}  # step -> when it started
        self._seen: set[str] = set()
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    @contextmanager
    def live(self) -> Iterator["Board"]:
        """Bars that redraw in place where the console is a terminal."""
        if not self.console.is_terminal:
            yield self
            return
        columns = (
            TextColumn("{task.description:<10}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[message]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
        )
        with Progress(*columns, console=self.console) as self._bars:
            yield self

    def show(self, event: Event) -> None:
        """Take one event in."""
        if event.step not in self._seen:
            self._meet(event.step)
        self._account(event)
        if self._bars is None:
            self._line(event)
        else:
            self._bar(self._bars, event)

    def _meet(self, step: str) -> None:
        """First word of a step: the silent ones before it were reused."""
        before = ORDER[: ORDER.index(step)] if step in ORDER else ()
        for silent in before:
            if silent not in self._seen:
                self._seen.add(silent)
                self.show(Event(step=silent, kind="reused", message="unchanged"))
        self._seen.add(step)

    def _account(self, event: Event) -> None:
        match event.kind:
            case "started":
                self.running[event.step] = event.seconds
            case "failed":
                self.failures.append(event.message)
            case "interrupted":
                self.failures.append(event.message)
                self.interrupted = True
            case "reused":
                self.reused.append(event.step)
            case "progress" | "note" | "finished":
                pass

    def _line(self, event: Event) -> None:
        if event.kind == "progress":
            return
        seconds = self._seconds(event)
        said = {"finished": f"done in {seconds:.1f} s", "reused": f"reused ({event.message})"}
        text = said.get(event.kind, event.kind if event.kind in ENDED else event.message or event.kind)
        self.console.print(f"{event.step:<10} {text}", markup=False, highlight=False, soft_wrap=True)
        self._leave(event)

    def _bar(self, bars: Progress, event: Event) -> None:
        if event.step not in self._tasks:
            self._tasks[event.step] = bars.add_task(event.step, total=None, message="")
        task = self._tasks[event.step]
        match event.kind:
            case "progress":
                bars.update(task, completed=event.done, total=event.total, message=event.message)
            case "note":
                bars.update(task, message=event.message)
            case "reused":
                bars.update(task, completed=1, total=1, message=f"reused ({event.message})")
            case "finished":
                total = bars.tasks[task].total or 1
                bars.update(task, completed=total, total=total)
            case "failed" | "interrupted":
                bars.update(task, message=event.kind)
                bars.stop_task(task)
            case "started":
                pass
        self._leave(event)

    def _seconds(self, event: Event) -> float:
        return event.seconds - self.running.get(event.step, event.seconds)

    def _leave(self, event: Event) -> None:
        if event.kind in ENDED:
            self.running.pop(event.step, None)

    def explained(self) -> list[str]:
        """What went wrong, a paragraph a step; a step that was killed could not write one."""
        silent = [f"{step}: its process ended without a word; it may have run out of memory." for step in self.running]
        return [*self.failures, *silent] or ["The chain ended before a step could say why."]
