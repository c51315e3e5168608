"""A row of a raw file on its way to a question: every fault names its file, its place and its field.

Readers go on past a malformed row, so that one run tells of all of them; who asked for the file refuses it afterwards.
Rows are judged one at a time, so that a file of any length is read in the memory of one row.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count, islice
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from pydantic import ValidationError
from pydantic_core import from_json

from medu1.question import Frozen, Question

T = TypeVar("T")


class Malformed(Frozen):
    """One row that is no question. `place` is a line of a text file, a key path of a JSON one or a row of Parquet."""

    file: str
    place: str
    field: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}, {self.place}, field {self.field}: {self.reason}"


class Asked(NamedTuple):
    """A question and where it stands."""

    question: Question
    file: str
    place: str


Row = Asked | Malformed


class Reading(NamedTuple):
    """What one file holds."""

    asked: list[Asked]
    malformed: list[Malformed]


class WrongField(Exception):
    """A field that is absent or not what its format says."""

    def __init__(self, field: str, reason: str) -> None:
        self.field, self.reason = field, reason
        super().__init__(f"{field}: {reason}")


class Line(NamedTuple):
    """A line of JSON, parsed when its row is taken: a process passes over the rows of the others."""

    text: str


def parsed(row: object) -> object:
    """A row as its file holds it; of a line that is no JSON, the WrongField that says why."""
    if not isinstance(row, Line):
        return row
    try:
        return from_json(row.text)
    except ValueError:  # what the fast parser does not take, the standard library's may, and it says why not
        return _parsed_slowly(row.text)


def _parsed_slowly(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        return WrongField("(line)", f"is not JSON: column {error.colno}: {error.msg}")
    except (ValueError, RecursionError) as error:
        return WrongField("(line)", f"is not JSON: {error}")


class Fields:
    """The fields of one row, taken out by name and kind. Every method raises WrongField."""

    def __init__(self, row: object) -> None:
        """A row that could not even be taken apart arrives as the WrongField that says why."""
        row = parsed(row)
        if isinstance(row, WrongField):
            raise row
        if not isinstance(row, Mapping):
            raise WrongField("(row)", f"is {type(row).__name__}, not a mapping of fields")
        self.row = row

    def text(self, name: str) -> str:
        """A text that is not blank, without the space around it."""
        value = self.row.get(name)
        if isinstance(value, str) and (text := value.strip()):
            return text
        if value is None:
            raise WrongField(name, "is missing")
        raise WrongField(name, "is empty" if isinstance(value, str) else f"is {type(value).__name__}, not text")

    def optional(self, name: str) -> str:
        """A text without the space around it; "" where the field is absent, null or blank."""
        value = self.row.get(name)
        return "" if value is None or value == "" or value != value or str(value).isspace() else self.label(name)

    def label(self, name: str) -> str:
        """A text, or a whole number as its digits: what publishers name rows by."""
        value = self.row.get(name)
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else self.text(name)

    def number(self, name: str) -> float:
        """A finite decimal, also as text."""
        value = self.row.get(name)
        text = value if isinstance(value, int | float) and not isinstance(value, bool) else self.text(name)
        try:
            number = float(text)
        except (ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise WrongField(name, f"{text!r} is not a number")
        return number

    def whole(self, name: str) -> int:
        """A whole number, also where it is written 3.0."""
        number = self.number(name)
        if not number.is_integer():
            raise WrongField(name, f"{self.row[name]!r} is not a whole number")
        return int(number)

    def texts(self, name: str) -> list[str]:
        """A list of texts, none of them blank."""
        values = self.row.get(name)
        if values is None:
            raise WrongField(name, "is missing")
        if not isinstance(values, list | tuple):
            raise WrongField(name, f"is {type(values).__name__}, not a list of texts")
        items = Fields({f"{name}[{place}]": value for place, value in enumerate(values)})
        return [items.text(place) for place in items.row]


class Judged(Iterator[Row], Generic[T]):
    """A question from each (place, row) of a file, or why it is none."""

    def __init__(self, path: Path, rows: Iterable[tuple[str, T]], make: Callable[[T], Question]) -> None:
        self._name, self._rows, self._make = path.name, iter(rows), make

    def __next__(self) -> Row:
        return self._judge(*next(self._rows))

    def blocks(self, size: int, number: int, of: int) -> Iterator[tuple[int, list[Row]]]:
        """Every `of`-th block of `size` rows, from block `number` on, after its own number; the rest is not judged."""
        for block in count():
            taken = list(islice(self._rows, size))
            if not taken:
                return
            if block % of == number:
                yield block, [self._judge(place, row) for place, row in taken]

    def _judge(self, place: str, row: T) -> Row:
        try:
            return Asked(self._make(row), self._name, place)
        except WrongField as error:
            return self._malformed(place, error.field, error.reason)
        except ValidationError as error:
            return self._malformed(place, *_first(error))

    def _malformed(self, place: str, field: str, reason: str) -> Malformed:
        return Malformed(file=self._name, place=place, field=field, reason=reason)


def judged(path: Path, rows: Iterable[tuple[str, T]], make: Callable[[T], Question]) -> Judged[T]:
    """A question from each (place, row), or why it is none."""
    return Judged(path, rows, make)


def reading(rows: Iterable[Row]) -> Reading:
    """All of them in memory, questions apart from malformed rows."""
    found = Reading([], [])
    for row in rows:
        match row:
            case Asked():
                found.asked.append(row)
            case Malformed():
                found.malformed.append(row)
    return found


def _first(error: ValidationError) -> tuple[str, str]:
    problem = error.errors()[0]
    return ".".join(map(str, problem["loc"])) or "(row)", problem["msg"].removeprefix("Value error, ")
