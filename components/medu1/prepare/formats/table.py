"""A user's own table, JSON Lines, CSV or Parquet, by a mapping of columns: the format for what has no reader.

CSV holds text only, so a column of options or aliases may hold JSON there, and a number may be its digits anywhere.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from medu1.columns import CHOICES, Columns
from medu1.prepare.formats import options
from medu1.prepare.formats.records import numbered
from medu1.prepare.formats.row import Fields, Row, WrongField, judged
from medu1.prompt import normalised
from medu1.question import Choice, Date, FreeText, Gold, Integer, Number, Question, Split, WeeksDays

SPLITS: tuple[Split, ...] = get_args(Split)


def questions(path: Path, columns: Columns, split: Split | None) -> Iterator[Row]:
    """Every row; a split stated for the file stands above the column's."""
    return judged(path, numbered(path, columns.names()), lambda row: _question(columns, *row, split))


def _question(columns: Columns, number: int, row: object, split: Split | None) -> Question:
    fields = Fields(row)
    choices = _options(fields, columns) if columns.kind in CHOICES else {}
    group = _optional(fields, columns.group)
    return Question(
        id=f"{columns.source}/{fields.label(columns.id) if columns.id else number}",
        source=columns.source,
        context=_optional(fields, columns.context),
        text=fields.text(columns.text),
        options=choices,
        gold=_gold(fields, columns, choices),
        licence=columns.licence,
        group=f"{columns.source}/{group}" if group else "",
        split=split or _split(fields, columns.split),
        topic=_optional(fields, columns.topic),
        difficulty=fields.number(columns.difficulty) if _is_given(fields, columns.difficulty) else None,
    )


def _optional(fields: Fields, name: str) -> str:
    return fields.optional(name) if name else ""


def _split(fields: Fields, name: str) -> Split | None:
    stated = _optional(fields, name)
    for known in SPLITS:
        if stated == known:
            return known
    if stated:
        raise WrongField(name, f"{stated!r} is none of {', '.join(SPLITS)}")
    return None


def _options(fields: Fields, columns: Columns) -> dict[str, str]:
    if len(columns.options) > 1:
        return _from_columns(fields, columns.options)
    (name,) = columns.options
    unpacked = Fields({name: _unpacked(fields, name)})
    if isinstance(unpacked.row[name], list | tuple):
        return options.lettered(unpacked.texts(name), name)
    return options.mapped(unpacked, name, padded=True)


def _from_columns(fields: Fields, names: tuple[str, ...]) -> dict[str, str]:
    """Trailing blank cells are no options."""
    last = max((place for place, name in enumerate(names) if fields.optional(name)), default=0)
    return options.lettered([fields.label(name) for name in names[: last + 1]], " to ".join((names[0], names[-1])))


def _unpacked(fields: Fields, name: str) -> object:
    """A list or mapping, which a text holds as JSON."""
    value = fields.row.get(name)
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise WrongField(name, "is text, but no JSON list or mapping") from None


def _gold(fields: Fields, columns: Columns, choices: dict[str, str]) -> Gold:
    name = columns.gold
    match columns.kind:
        case "letter":
            return options.letter(fields, name, choices)
        case "index":
            return options.place(fields, name, choices, first=0)
        case "position":
            return options.place(fields, name, choices, first=1)
        case "option":
            return _by_text(fields, name, choices)
        case "number":
            return _number(fields, columns)
        case "integer":
            return Integer(value=fields.whole(name))
        case "date":
            return _date(fields, name)
        case "weeks_days":
            return _weeks_days(fields, name)
        case "free_text":
            return FreeText(text=fields.label(name), aliases=_aliases(fields, columns.aliases))


def _by_text(fields: Fields, name: str, choices: dict[str, str]) -> Choice:
    stated = fields.label(name)
    same = [letter for letter, text in choices.items() if normalised(text) == normalised(stated)]
    if len(same) != 1:
        raise WrongField(name, f"{stated!r} is the text of {len(same)} options, not of one")
    return Choice(letter=same[0])


def _number(fields: Fields, columns: Columns) -> Number:
    if not columns.lower:
        return Number(value=fields.number(columns.gold))
    lower, upper = fields.number(columns.lower), fields.number(columns.upper)
    return Number(value=fields.number(columns.gold), lower=lower, upper=upper)


def _date(fields: Fields, name: str) -> Date:
    text = fields.text(name)
    try:
        return Date(value=Date(value=text).as_date().strftime("%m/%d/%Y"))
    except ValueError:
        raise WrongField(name, f"{text!r} is not a date written MM/DD/YYYY") from None


def _weeks_days(fields: Fields, name: str) -> WeeksDays:
    text = fields.text(name)
    found = re.fullmatch(r"\D*(\d{1,2}) weeks?\D+([0-6]) days?\D*", text)
    if not found:
        raise WrongField(name, f"{text!r} is not written 14 weeks 1 day")
    return WeeksDays(weeks=int(found[1]), days=int(found[2]))


def _aliases(fields: Fields, name: str) -> tuple[str, ...]:
    if not _is_given(fields, name):
        return ()
    return tuple(Fields({name: _unpacked(fields, name)}).texts(name))


def _is_given(fields: Fields, name: str) -> bool:
    """Neither null, nor blank, nor the NaN that a data frame writes for an empty cell."""
    value = fields.row.get(name) if name else None
    return value is not None and value == value and bool(str(value).strip())
