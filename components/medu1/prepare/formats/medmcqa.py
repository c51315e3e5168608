"""MedMCQA, as the authors' JSON Lines or the hub's Parquet: question, opa to opd, cop, subject_name.

The authors count the right option `cop` from 1, the hub from 0, and the column says neither. A file that holds a 0
counts from 0 and one that holds a 4 from 1; one with neither is taken at its container's word. The labels of the
official test are not published: the hub writes -1 there.
"""

from collections.abc import Iterator
from pathlib import Path

from medu1.prepare.formats import options
from medu1.prepare.formats.records import records
from medu1.prepare.formats.row import Fields, Row, WrongField, judged, parsed
from medu1.prepare.formats.text import group_by_wording
from medu1.prepare.publication import PUBLICATIONS
from medu1.question import Question, Split

OPTIONS = ("opa", "opb", "opc", "opd")
COLUMNS = ("id", "question", *OPTIONS, "cop", "subject_name")


def questions(path: Path, split: Split | None) -> Iterator[Row]:
    """Every row of one file, all of one split."""
    first = _first(path)
    return judged(path, records(path, COLUMNS), lambda row: _question(row, split, first))


def _first(path: Path) -> int:
    """What option A is called in this file."""
    for _, row in records(path, ("cop",)):
        match parsed(row):
            case {"cop": 0 | "0"}:
                return 0
            case {"cop": 4 | "4"}:
                return 1
    return 0 if path.suffix == ".parquet" else 1


def _question(row: object, split: Split | None, first: int) -> Question:
    fields = Fields(row)
    text = fields.text("question")
    choices = options.lettered([fields.label(name) for name in OPTIONS], "opa to opd")
    if fields.row.get("cop") in (-1, None):
        raise WrongField("cop", "is not there: the labels of the official test are not published")
    return Question(
        id=f"medmcqa/{fields.label('id')}",
        source="medmcqa",
        text=text,
        options=choices,
        gold=options.place(fields, "cop", choices, first),
        licence=PUBLICATIONS["medmcqa"].licence,
        group=group_by_wording("medmcqa", text, split),
        split=split,
        topic=fields.optional("subject_name"),
    )
