"""MedQuAD as JSON Lines: consumer health questions with short answers in free text.

Questions about one subject (`focus`) repeat each other's answers, so the subject is the group. Ids repeat between
MedQuAD's collections, so a question's id holds its collection.
"""

from collections.abc import Iterator
from pathlib import Path

from medu1.prepare.formats.records import records
from medu1.prepare.formats.row import Fields, Reading, Row, judged, reading
from medu1.prepare.formats.text import group_of
from medu1.prepare.publication import PUBLICATIONS
from medu1.question import FreeText, Question, Split

COLUMNS = ("id", "source", "focus", "qtype", "question", "answer")


def read(path: Path) -> Reading:
    """Every question of a file, in memory."""
    return reading(questions(path, None))


def questions(path: Path, split: Split | None) -> Iterator[Row]:
    """Every line that is not blank; places are lines of the file."""
    return judged(path, records(path, COLUMNS), lambda row: _question(row, split))


def _question(row: object, split: Split | None) -> Question:
    fields = Fields(row)
    return Question(
        id=f"medquad/{fields.text('source')}/{fields.text('id')}",
        source="medquad",
        text=fields.text("question"),
        gold=FreeText(text=fields.text("answer")),
        licence=PUBLICATIONS["medquad"].licence,
        group=group_of("focus", fields.text("focus")),
        split=split,
        topic=fields.text("qtype"),
    )
