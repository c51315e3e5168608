"""medical-o1's reasoning data as a JSON list: Question, Complex_CoT, Response; open-ended.

The published reasoning is kept as the worked answer. Rows have no id: a question is named by its file and its number.
"""

from collections.abc import Iterator
from pathlib import Path

from medu1.prepare.formats.records import numbered
from medu1.prepare.formats.row import Fields, Row, judged
from medu1.prepare.formats.text import group_by_wording
from medu1.prepare.publication import PUBLICATIONS
from medu1.question import FreeText, Question, Split

COLUMNS = ("Question", "Complex_CoT", "Response")


def questions(path: Path, split: Split | None) -> Iterator[Row]:
    """Every row of one file."""
    return judged(path, numbered(path, COLUMNS), lambda row: _question(path.stem, *row, split))


def _question(file: str, number: int, row: object, split: Split | None) -> Question:
    fields = Fields(row)
    text = fields.text("Question")
    return Question(
        id=f"medical-o1/{file}/{number}",
        source="medical-o1",
        text=text,
        gold=FreeText(text=fields.text("Response")),
        licence=PUBLICATIONS["medical-o1"].licence,
        group=group_by_wording("medical-o1", text, split),
        split=split,
        rationale=fields.text("Complex_CoT"),
    )
