"""The built-in questions as raw files: canonical questions, one a line, as `medu1.builtin` writes them."""

from pathlib import Path

from medu1.prepare.row import Reading, collected
from medu1.prepare.text import numbered_lines
from medu1.question import Question

FOLDER = "builtin"  # below the raw directory


def read(raw: Path) -> Reading:
    """Every question of every file, files by name."""
    readings = [
        collected(path, numbered_lines(path), Question.model_validate_json)
        for path in sorted((raw / FOLDER).glob("*.jsonl"))
    ]
    return Reading(
        [asked for reading in readings for asked in reading.asked],
        [row for reading in readings for row in reading.malformed],
    )
