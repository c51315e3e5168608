"""MMLU-Pro's health questions, from its Parquet or JSON Lines: question, up to ten options, the right letter.

Rows of other categories are passed over: this is a medical benchmark's out-of-distribution set, not a general one. A
release that pads short rows to ten options writes N/A there, which is no option.
"""

from collections.abc import Iterator
from pathlib import Path

from medu1.prepare.formats import options
from medu1.prepare.formats.records import Records, records
from medu1.prepare.formats.row import Fields, Row, judged, parsed
from medu1.prepare.formats.text import group_by_wording
from medu1.prepare.publication import PUBLICATIONS
from medu1.question import Question, Split

CATEGORY, PADDING = "health", "N/A"
COLUMNS = ("question_id", "question", "options", "answer", "category", "src")


def questions(path: Path, split: Split | None) -> Iterator[Row]:
    """Every row on health."""
    return judged(path, _health(records(path, COLUMNS)), lambda row: _question(row, split))


def _health(rows: Records) -> Records:
    for place, row in rows:
        match parsed(row):
            case {"category": str(category)} if category != CATEGORY:
                continue
        yield place, row


def _question(row: object, split: Split | None) -> Question:
    fields = Fields(row)
    fields.text("category")
    text, texts = fields.text("question"), fields.texts("options")
    while texts and texts[-1] == PADDING:
        texts.pop()
    choices = options.lettered(texts, "options")
    return Question(
        id=f"mmlu-pro/{fields.label('question_id')}",
        source="mmlu-pro",
        text=text,
        options=choices,
        gold=options.letter(fields, "answer", choices),
        licence=PUBLICATIONS["mmlu-pro"].licence,
        group=group_by_wording("mmlu-pro", text, split),
        split=split,
        topic=fields.optional("src"),
    )
