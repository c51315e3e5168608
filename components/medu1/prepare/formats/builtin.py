"""The built-in questions as raw files: canonical questions, one a line, as `medu1.builtin` writes them."""

from collections.abc import Iterator
from pathlib import Path

from medu1.prepare.formats.row import Row, judged
from medu1.prepare.formats.text import numbered_lines
from medu1.question import Question

FOLDER = "builtin"  # below the raw directory


def questions(raw: Path) -> Iterator[Row]:
    """Every question of every file, files by name."""
    for path in sorted((raw / FOLDER).glob("*.jsonl")):
        yield from judged(path, numbered_lines(path), Question.model_validate_json)
