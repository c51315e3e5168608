"""MedCalc-Bench's CSV or Parquet: a patient note, a question about it, and the truth with its limits.

Versions 1.0, 1.2 and Verified have the same columns. Row Number begins anew in each version and each of its files, so
an id holds the version and the split. The gold is typed by the column Output Type, but for gestational age, which says
`integer` (1.0) or `date` (later ones) there and writes a tuple of weeks and days: the answer's own form tells it.
Template notes are numbered within their calculator: the same Note ID stands on different notes and the same note under
different ids, so the group is the note itself.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from medu1.prepare.formats.records import Records, records
from medu1.prepare.formats.row import Fields, Reading, Row, WrongField, judged, reading
from medu1.prepare.formats.text import group_of
from medu1.prepare.publication import PUBLICATIONS
from medu1.question import Date, Gold, Integer, Number, Question, Split, WeeksDays

Version = Literal["medcalc", "medcalc-v1.2", "medcalc-verified"]

NUMBER, CALCULATOR, KIND, NOTE, ASKED = "Row Number", "Calculator Name", "Output Type", "Patient Note", "Question"
ANSWER, LOWER, UPPER = "Ground Truth Answer", "Lower Limit", "Upper Limit"
COLUMNS = (NUMBER, CALCULATOR, KIND, NOTE, ASKED, ANSWER, LOWER, UPPER)
AUDITED = ("Calculator ID", "Relevant Entities")  # read by the label audit alone


def read(path: Path) -> Reading:
    """Every question of a file of version 1.0, in memory."""
    return reading(questions(path, None))


def questions(path: Path, split: Split | None, version: Version = "medcalc") -> Iterator[Row]:
    """Every row of one file, all of one split; places are lines of CSV or rows of Parquet."""
    return judged(path, rows(path), lambda row: _question(row, split, version))


def rows(path: Path) -> Records:
    """Each row after its place, one at a time. Raises Stop where the file is absent or is no such table."""
    return records(path, COLUMNS, also=AUDITED)


def _question(row: object, split: Split | None, version: Version) -> Question:
    fields = Fields(row)
    note = fields.text(NOTE)
    return Question(
        id=id_of(fields, split, version),
        source=version,
        context=note,
        text=fields.text(ASKED),
        gold=gold_of(fields),
        licence=PUBLICATIONS[version].licence,
        group=group_of("note", note),
        split=split,
        topic=fields.text(CALCULATOR),
    )


def id_of(fields: Fields, split: Split | None = None, version: Version = "medcalc") -> str:
    """The id of the question a row makes. Raises WrongField."""
    return "/".join([version, *([split] if split else []), fields.label(NUMBER)])


def gold_of(fields: Fields) -> Gold:
    """The truth a row states, typed. Raises WrongField or ValidationError."""
    match fields.text(KIND):
        case "integer" | "date" if fields.text(ANSWER).startswith("("):
            return _weeks_days(fields)
        case "decimal":
            return Number(value=fields.number(ANSWER), lower=fields.number(LOWER), upper=fields.number(UPPER))
        case "integer":
            return Integer(value=fields.whole(ANSWER))
        case "date":
            return _date(fields.text(ANSWER))
        case other:
            raise WrongField(KIND, f"{other!r} is none of decimal, integer, date")


def _date(text: str) -> Date:
    try:
        return Date(value=Date(value=text).as_date().strftime("%m/%d/%Y"))
    except ValueError:
        raise WrongField(ANSWER, f"{text!r} is not a date written MM/DD/YYYY") from None


def _weeks_days(fields: Fields) -> WeeksDays:
    """`('14 weeks', '1 days')`, a Python literal."""
    text = fields.text(ANSWER)
    try:
        weeks, days = ast.literal_eval(text)
        return WeeksDays(weeks=_count(weeks, "week"), days=_count(days, "day"))
    except (ValueError, SyntaxError, TypeError):
        raise WrongField(ANSWER, f"{text!r} is not written ('14 weeks', '1 days')") from None


def _count(text: str, unit: str) -> int:
    found = re.fullmatch(rf"(\d+) {unit}s?", text)
    if not found:
        raise ValueError(text)
    return int(found[1])
