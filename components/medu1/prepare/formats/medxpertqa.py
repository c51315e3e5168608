"""MedXpertQA Text as JSON Lines or Parquet: question, ten options by letter, label, medical_task, body_system.

The publisher repeats the options behind the question's text; they are taken off, since the prompt lists them itself.
The questions that come with images (the subset MM) are malformed here: without its image a question is another one.
"""

from collections.abc import Iterator
from pathlib import Path

from medu1.prepare.formats import options
from medu1.prepare.formats.records import records
from medu1.prepare.formats.row import Fields, Row, WrongField, judged
from medu1.prepare.formats.text import group_by_wording
from medu1.prepare.publication import PUBLICATIONS
from medu1.question import Question, Split

REPEATED, IMAGES = "Answer Choices:", "images"
COLUMNS = ("id", "question", "options", "label", "medical_task", "body_system")


def questions(path: Path, split: Split | None) -> Iterator[Row]:
    """Every row of one file, all of one split."""
    return judged(path, records(path, COLUMNS, also=(IMAGES,)), lambda row: _question(row, split))


def _question(row: object, split: Split | None) -> Question:
    fields = Fields(row)
    if fields.row.get(IMAGES):
        raise WrongField(IMAGES, "is not empty: only the subset Text can be asked in words")
    text, choices = _stem(fields), options.mapped(fields, "options", padded=True)
    name = fields.label("id")
    return Question(
        id=f"medxpertqa/{split}/{name}" if split else f"medxpertqa/{name}",
        source="medxpertqa",
        text=text,
        options=choices,
        gold=options.letter(fields, "label", choices),
        licence=PUBLICATIONS["medxpertqa"].licence,
        group=group_by_wording("medxpertqa", text, split),
        split=split,
        topic="/".join(filter(None, (fields.optional("medical_task"), fields.optional("body_system")))),
    )


def _stem(fields: Fields) -> str:
    text = fields.text("question")
    stem, mark, repeated = text.rpartition(REPEATED)
    return stem.strip() if mark and repeated.lstrip().startswith("(A)") and stem.strip() else text
