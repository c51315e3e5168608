"""A run's events as one JSON line each: steps write them, the command line renders them.

kfp tells its caller only that an inner task failed, so what a person needs to know passes through here.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from medu1.question import Frozen

Kind = Literal["started", "progress", "note", "reused", "finished", "failed", "interrupted"]


class Event(Frozen):
    """`done` of `total` is progress; `message` a stage line with counts, or the paragraph of a failure.

    An interrupted step ended when it was told to, and saved what the next attempt goes on from.
    """

    step: str
    kind: Kind
    message: str = ""
    done: int = 0
    total: int = 0
    seconds: float = 0.0  # since the epoch


def append(path: Path, event: Event) -> None:
    """Add one line; lines below the pipe buffer's size are appended whole, also by several processes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(event.model_copy(update={"seconds": time.time()}).model_dump_json() + "\n")


def read(path: Path, offset: int = 0) -> Iterator[tuple[Event, int]]:
    """Events from a byte offset on, each with the offset after it; a line still being written is left for later."""
    if not path.exists():
        return
    with path.open("rb") as file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            yield Event.model_validate(json.loads(line)), offset
