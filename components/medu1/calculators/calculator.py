"""A medical calculator: a documented formula with the inputs a patient vignette states.

The formulas are plain functions in the files beside this one; a `Calculator` ties one to its inputs, so that the
built-in questions can draw patients and the label audit can recompute a truth.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from medu1.question import Date, Integer, Number, WeeksDays

Value = float | int | str | bool | date
Values = Mapping[str, Value]
Result = float | int | date | tuple[int, int]


@dataclass(frozen=True)
class Level:
    """One level of a scored criterion: how a vignette says it, what the formula receives, the points it is worth."""

    says: str
    value: Value
    points: float  # whole, but for Wells' criteria for pulmonary embolism


@dataclass(frozen=True)
class Criterion:
    """An input with few levels, each worth points."""

    name: str
    levels: tuple[Level, ...]

    def level(self, value: Value) -> Level:
        """The level a value belongs to. Raises KeyError where no level has that value."""
        for level in self.levels:
            if level.value == value:
                return level
        raise KeyError(f"{self.name} has no level {value!r}")


@dataclass(frozen=True)
class Measurement:
    """A numeric input drawn from `low`, `low + step`, ... up to `high`, written with `decimals` decimals."""

    name: str
    says: str  # a format string with {value} and the unit, such as "sodium {value} mmol/L"
    low: float
    high: float
    step: float = 1.0
    decimals: int = 0


@dataclass(frozen=True)
class Day:
    """A calendar date drawn from `first` to `last`, written MM/DD/YYYY."""

    name: str
    says: str  # a format string with {value}, such as "last menstrual period on {value}"
    first: date
    last: date


Input = Criterion | Measurement | Day


def finding(name: str, says: str, points: float = 1) -> Criterion:
    """A yes-or-no criterion: unmentioned when absent, worth `points` when present."""
    return Criterion(name, (Level("", False, 0), Level(says, True, points)))


@dataclass(frozen=True)
class Calculator:
    """A formula, the inputs a vignette states, and how its result is worked out and written."""

    key: str
    title: str
    question: str
    inputs: tuple[Input, ...]
    formula: Callable[..., Result]  # called by keyword, one argument an input
    unit: str = ""
    decimals: int = 0  # of the written result
    medcalc_id: int | None = None  # in MedCalc-Bench
    working: Callable[[Values], str] | None = None  # the substituted formula; None: the points, summed in order

    def gold(self, values: Values) -> Integer | Number | Date | WeeksDays:
        """The typed truth for one patient. Raises ValueError where a value is outside the formula's valid range."""
        match self.formula(**values):
            case date() as day:
                return Date(value=day.strftime("%m/%d/%Y"))
            case (weeks, days):
                return WeeksDays(weeks=weeks, days=days)
            case int(score):
                return Integer(value=score)
            case float(number):
                value = round(number, self.decimals) + 0.0  # a rounded -0.04 is 0.0, not -0.0
                half, digits = abs(value) * 0.05, self.decimals + 2
                return Number(value=value, lower=round(value - half, digits), upper=round(value + half, digits))
        raise TypeError(f"{self.key}: {self.formula.__name__} returned neither number, date nor weeks and days")
