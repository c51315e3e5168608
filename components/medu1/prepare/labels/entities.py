"""The entities of a MedCalc-Bench row: what its annotators read in the note, taken out by name and kind.

The column holds the text of a Python literal, such as {'sex': 'Female', 'height': [1.63, 'm'], 'Stroke': False}. It is
read as a literal and never evaluated; a long or deep one is refused.

A yes-or-no finding that a row does not name is absent: the benchmark's own explanations say so ("is not reported and so
we assume it to be false"). So that a renamed finding is not taken for an absent one, a row whose entities were not all
asked for cannot be recomputed, nor can one that lacks a measurement.
"""

import ast
import math
import unicodedata
from collections.abc import Mapping
from datetime import date
from typing import Final, NamedTuple

from medu1.question import Date

LONGEST: Final = 20_000  # characters of a row's entities; the longest of version 1.0 has 1,292

Units = Mapping[str, float]  # unit, as `plain` writes it -> factor to the unit wanted


class Unreadable(Exception):
    """Why a row cannot be recomputed."""


class Dose(NamedTuple):
    """An amount of a named drug."""

    drug: str
    amount: float  # mg


class Entities:
    """The entities of one row. Every method raises Unreadable where what it is asked for is absent or malformed."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values
        self._asked: set[str] = set()

    def names(self) -> set[str]:
        """Every entity's name."""
        return set(self._values)

    def unasked(self) -> list[str]:
        """The names that no method was called with, sorted."""
        return sorted(self._values.keys() - self._asked)

    def has(self, name: str) -> bool:
        """Whether the row names an entity."""
        self._asked.add(name)
        return name in self._values

    def is_flag(self, name: str) -> bool:
        """Whether an entity is True or False; some are a word in one row and a flag in another."""
        return isinstance(self._values.get(name), bool)

    def measure(self, name: str, units: Units) -> float:
        """A measurement in the unit wanted, from [number, unit]."""
        match self._stated(name):
            case [value, str(unit)]:
                return _number(name, value) * _factor(name, unit, units)
            case other:
                raise Unreadable(f"{name} is {_shown(other)}, not a number with its unit")

    def temperature(self, name: str) -> float:
        """Degrees Celsius, from [number, unit]; upstream misspells both units."""
        match self._stated(name):
            case [value, str(unit)] if "cels" in unit.lower():
                return _number(name, value)
            case [value, str(unit)] if "fahr" in unit.lower():
                return (_number(name, value) - 32) * 5 / 9
            case other:
                raise Unreadable(f"{name} is {_shown(other)}, not a temperature with its unit")

    def number(self, name: str) -> float:
        """A number without a unit."""
        return _number(name, self._stated(name))

    def word(self, name: str) -> str:
        """A text in lower case and single spaces."""
        match self._stated(name):
            case str(text):
                return " ".join(text.casefold().split())
            case other:
                raise Unreadable(f"{name} is {_shown(other)}, not text")

    def flag(self, name: str) -> bool:
        """Whether a finding is present; absent where the row does not name it."""
        if not self.has(name):
            return False
        match self._stated(name):
            case bool(present):
                return present
            case other:
                raise Unreadable(f"{name} is {_shown(other)}, neither True nor False")

    def day(self, name: str) -> date:
        """A calendar date written MM/DD/YYYY."""
        try:
            return Date(value=self.word(name)).as_date()
        except ValueError:
            raise Unreadable(f"{name} is {_shown(self._values[name])}, not a date written MM/DD/YYYY") from None

    def dose(self, name: str) -> Dose:
        """An amount of a drug, from [drug, number, 'mg']."""
        match self._stated(name):
            case [str(drug), value, "mg"]:
                return Dose(" ".join(drug.casefold().split()), _number(name, value))
            case other:
                raise Unreadable(f"{name} is {_shown(other)}, not a drug with its dose in mg")

    def _stated(self, name: str) -> object:
        if not self.has(name):
            raise Unreadable(f"{name} is absent")
        return self._values[name]


def parsed(text: str) -> Entities:
    """The entities of a row. Raises Unreadable where the text is no literal of a mapping."""
    if len(text) > LONGEST:
        raise Unreadable(f"the entities are longer than {LONGEST:,} characters")
    try:
        values = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        raise Unreadable("the entities are no Python literal") from None
    if not isinstance(values, dict):
        raise Unreadable(f"the entities are {type(values).__name__}, not a mapping")
    return Entities({str(name): value for name, value in values.items()})


def plain(unit: str) -> str:
    """A unit in lower case without spaces, with one of Unicode's two signs for micro."""
    return unicodedata.normalize("NFKC", unit).casefold().replace(" ", "")


def _factor(name: str, unit: str, units: Units) -> float:
    factor = units.get(plain(unit))
    if factor is None:
        raise Unreadable(f"{name} is in {_shown(unit)}, not in {' or '.join(units)}")
    return factor


def _number(name: str, value: object) -> float:
    match value:
        case bool():
            pass
        case int() | float():
            try:
                number = float(value)
            except OverflowError:
                number = math.inf
            if math.isfinite(number):
                return number
    raise Unreadable(f"{name} is {_shown(value)}, not a number")


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits has no repr
        text = type(value).__name__
    return text if len(text) <= 60 else f"{text[:60]}..."
