"""What a training measures, one JSON line a step in a file of its checkpoint folder: the truth about its telemetry.

The training process appends and never waits for a server; `recorder` follows the file and sends it to MLflow. One
process appends (rank 0). A resume from the checkpoint of step k begins with `truncate(k)`, so that what is measured
again stands here once. Several lines may carry one step; a name counts once a step, the first time.
"""

import errno
import json
import math
import os
import re
import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from pydantic import FiniteFloat, ValidationError

from medu1 import record
from medu1.question import Frozen

NAME = "history.jsonl"
LONGEST_NAME = 250  # characters MLflow keeps


class Line(Frozen):
    """Metrics measured together."""

    step: int
    time: int  # milliseconds since the epoch
    metrics: dict[str, FiniteFloat]


class History:
    """The lines of one training."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._whole = False  # whether the last line is known to be complete

    def append(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add one line, written whole. NaN and infinities are left out: neither JSON nor MLflow's charts hold them.

        Raises OSError where the disk is full.
        """
        found = {metric_name(name): float(value) for name, value in metrics.items() if math.isfinite(value)}
        if not found:
            return
        line = {"metrics": found, "step": step, "time": time.time_ns() // 1_000_000}
        content = json.dumps(line, sort_keys=True, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        self._mend()
        with self.path.open("ab", buffering=0) as file:
            if file.write(content) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def read(self, offset: int = 0) -> Iterator[tuple[Line, int]]:
        """Lines from a byte offset on, each with the offset after it.

        A line still being written is left for later; one that is not a line at all is passed over.
        """
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(offset)
            for text in file:
                if not text.endswith(b"\n"):
                    return
                offset += len(text)
                if line := _parse(text):
                    yield line, offset

    def lines(self) -> Iterator[Line]:
        """Every line, in order of writing."""
        return (line for line, _ in self.read())

    def truncate(self, step: int) -> None:
        """Drop the lines beyond a step, and a torn last one: the file is replaced whole, or left alone."""
        if not self.path.exists():
            return
        found = self.path.read_bytes().splitlines(keepends=True)
        kept = [text for text in found if text.endswith(b"\n") and (line := _parse(text)) and line.step <= step]
        if kept != found:
            record.write_text(self.path, b"".join(kept).decode())

    def identity(self) -> int | None:
        """The file's inode, another one after `truncate` has replaced it; None where there is no file."""
        try:
            return self.path.stat().st_ino
        except FileNotFoundError:
            return None

    def _mend(self) -> None:
        """Before the first line of this process: cut what a killed one left half written."""
        if self._whole:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists() and not (content := self.path.read_bytes()).endswith(b"\n"):
            os.truncate(self.path, content.rfind(b"\n") + 1)
        self._whole = True


@lru_cache(maxsize=1024)
def metric_name(name: str) -> str:
    """A name MLflow accepts: other characters become "_", and no part of the path is empty, "." or ".."."""
    clean = re.sub(r"[^\w/.\- :]", "_", name)[:LONGEST_NAME]
    return "/".join(part for part in clean.split("/") if part not in {"", ".", ".."}) or "_"


def _parse(text: bytes) -> Line | None:
    try:
        return Line.model_validate_json(text)
    except ValidationError:
        return None
