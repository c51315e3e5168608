"""What a person sees of a run."""

import io

from rich.console import Console

from medu1.journal import Event, Kind
from pipelines.progress import Board


def event(step: str, kind: Kind, message: str = "", done: int = 0, seconds: float = 0.0) -> Event:
    return Event(step=step, kind=kind, message=message, done=done, total=10, seconds=seconds)


def shown(*events: Event, terminal: bool = False) -> tuple[Board, str]:
    """The board after these events and what it wrote."""
    written = io.StringIO()
    board = Board(Console(file=written, force_terminal=terminal, width=100))
    with board.live():
        for one in events:
            board.show(one)
    return board, written.getvalue()


def test_a_log_file_gets_one_line_an_event_and_none_for_progress() -> None:
    _, text = shown(
        event("preflight", "started", seconds=5.0),
        event("preflight", "progress", done=1),
        event("preflight", "note", "kept 3 of 4 [rows]"),
        event("preflight", "finished", seconds=7.5),
    )
    lines = [line.split(maxsplit=1)[1] for line in text.splitlines()]
    assert lines == ["started", "kept 3 of 4 [rows]", "done in 2.5 s"]


def test_a_terminal_gets_one_bar_a_step() -> None:
    _, text = shown(
        event("preflight", "started"),
        event("preflight", "progress", "half", done=5),
        event("preflight", "finished"),
        terminal=True,
    )
    last = text.splitlines()[-2]
    assert "preflight" in last
    assert "10/10" in last


def test_silent_steps_before_a_speaking_one_were_reused() -> None:
    board, _ = shown(event("preflight", "started"), event("preflight", "finished"), event("train", "started"))
    assert board.reused == ["tokenizer", "prepare", "audit", "base"]


def test_failures_are_the_paragraphs_to_end_with() -> None:
    board, _ = shown(event("preflight", "started"), event("preflight", "failed", "preflight: no. Because. Do."))
    assert board.explained() == ["preflight: no. Because. Do."]


def test_a_killed_step_is_named_although_it_said_nothing() -> None:
    board, _ = shown(event("preflight", "started"))
    assert "preflight" in board.explained()[0]
    assert "memory" in board.explained()[0]
