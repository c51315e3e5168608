"""MedCalc-Bench's CSV: a patient note, a question about it, and the truth with its limits.

The gold is typed by the column Output Type. Gestational age says `integer` there and writes a tuple of weeks and days,
so the answer's own form decides between the two. Template notes are numbered within their calculator: the same Note ID
stands on different notes and the same note under different ids, so the group is the note itself.
"""

import ast
import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from medu1.errors import Stop
from medu1.prepare.row import Fields, Reading, WrongField, collected
from medu1.prepare.text import group_of, opened
from medu1.question import Date, Gold, Integer, Number, Question, WeeksDays

LICENCE = "CC-BY-SA-4.0"
NUMBER, CALCULATOR, KIND, NOTE, ASKED = "Row Number", "Calculator Name", "Output Type", "Patient Note", "Question"
ANSWER, LOWER, UPPER = "Ground Truth Answer", "Lower Limit", "Upper Limit"
COLUMNS = (NUMBER, CALCULATOR, KIND, NOTE, ASKED, ANSWER, LOWER, UPPER)


def read(path: Path) -> Reading:
    """Every row; places are lines of the file."""
    return collected(path, _rows(path), _question)


def _rows(path: Path) -> Iterator[tuple[str, dict[str, str | None]]]:
    with opened(path) as file:
        table = csv.DictReader(file)
        _check_header(path, table.fieldnames or [])
        line = table.line_num + 1
        for row in table:
            yield f"line {line}", row
            line = table.line_num + 1  # a note may hold line breaks: a row begins where the one before it ends


def _check_header(path: Path, header: Sequence[str]) -> None:
    if absent := [name for name in COLUMNS if name not in header]:
        raise Stop(
            f"{path.name}, line 1: the column {absent[0]} is missing.",
            f"MedCalc-Bench's columns are {', '.join(COLUMNS)}, among others.",
            "Give the CSV file as its publisher wrote it.",
        )


def _question(row: dict[str, str | None]) -> Question:
    fields = Fields(row)
    if None in fields.row:
        raise WrongField("(row)", "has more fields than the header")
    note = fields.text(NOTE)
    return Question(
        id=f"medcalc/{fields.text(NUMBER)}",
        source="medcalc",
        context=note,
        text=fields.text(ASKED),
        gold=_gold(fields),
        licence=LICENCE,
        group=group_of("note", note),
        topic=fields.text(CALCULATOR),
    )


def _gold(fields: Fields) -> Gold:
    match fields.text(KIND):
        case "decimal":
            return Number(value=fields.number(ANSWER), lower=fields.number(LOWER), upper=fields.number(UPPER))
        case "integer":
            return _weeks_days(fields) if fields.text(ANSWER).startswith("(") else Integer(value=fields.whole(ANSWER))
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
