"""Builds the calculator of an equation, whose working is the formula with the patient's values in it.

A working reads "140 - (104 + 24) = 12": what `shown` says, then the result as the gold writes it. An equation of
several steps shows them in one line, parted by semicolons, each rounded as a person would write it down.
"""

from collections.abc import Callable
from datetime import date

from medu1.calculators.calculator import Calculator, Criterion, Input, Level, Measurement, Result, Value, Values

SEX = Criterion("sex", (Level("male", "male", 0), Level("female", "female", 0)))


def equation(
    *,
    key: str,
    title: str,
    question: str,
    inputs: tuple[Input, ...],
    formula: Callable[..., Result],
    shown: str | Callable[..., str],
    unit: str = "",
    decimals: int = 0,
    medcalc_id: int | None = None,
) -> Calculator:
    """A calculator whose working is `shown`, a format string of the inputs or a function of them, and the result."""

    def working(values: Values) -> str:
        left = shown.format(**_said(inputs, values)) if isinstance(shown, str) else shown(**values)
        return f"{left} = {written(formula(**values), decimals)}"

    return Calculator(
        key=key,
        title=title,
        question=question,
        inputs=inputs,
        formula=formula,
        unit=unit,
        decimals=decimals,
        medcalc_id=medcalc_id,
        working=working,
    )


def written(result: Result, decimals: int = 0) -> str:
    """A result as text: a number with `decimals` decimals (never -0.0), a date MM/DD/YYYY, or weeks and days."""
    match result:
        case date() as day:
            return f"{day:%m/%d/%Y}"
        case (weeks, days):
            return f"{weeks} weeks and {days} days"
        case int() | float() as number:
            return f"{round(number, decimals) + 0.0:.{decimals}f}"
    raise TypeError(f"{result!r} is neither number, date nor weeks and days")


def _said(inputs: tuple[Input, ...], values: Values) -> dict[str, str]:
    return {each.name: _text(each, values[each.name]) for each in inputs}


def _text(each: Input, value: Value) -> str:
    match each, value:
        case Measurement(decimals=decimals), int() | float():
            return f"{value:.{decimals}f}"
        case _, date():
            return f"{value:%m/%d/%Y}"
    return str(value)
