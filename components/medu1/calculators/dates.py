"""Dates of pregnancy, counted from the first day of the last menstrual period."""

from datetime import date, timedelta

from medu1.calculators.calculator import Day, Measurement
from medu1.calculators.equation import equation
from medu1.calculators.valid import CYCLE_LENGTH, Range

PREGNANCY = Range("today", 0, 320, "days after last_period")


def due_date(*, last_period: date, cycle_length: float) -> date:
    """Expected day of birth: 280 days on, moved by the days the cycle is longer or shorter than 28.

    Source: Naegele, 1812, with the correction for cycle length (ACOG Committee Opinion 700, 2017).
    """
    CYCLE_LENGTH.check(cycle_length)
    return last_period + timedelta(days=280 + round(cycle_length) - 28)


def conception_date(*, last_period: date, cycle_length: float) -> date:
    """Day of conception: 14 days before the next period is due, which is 266 days before birth.

    Source: ACOG Committee Opinion 700, 2017 (280 days from the last period, 266 from ovulation, in a cycle of 28).
    """
    CYCLE_LENGTH.check(cycle_length)
    return last_period + timedelta(days=round(cycle_length) - 14)


def gestational_age(*, last_period: date, today: date) -> tuple[int, int]:
    """Whole weeks and days from the last period to today, at most 320 days.

    Source: ACOG Committee Opinion 700, 2017.
    """
    days = (today - last_period).days
    PREGNANCY.check(days)
    return divmod(days, 7)


def _due_date_shown(last_period: date, cycle_length: float) -> str:
    extra = round(cycle_length) - 28
    moved = f" {'+' if extra > 0 else '-'} {abs(extra)} days" if extra else ""
    return f"{last_period:%m/%d/%Y} + 280 days{moved}"


def _conception_date_shown(last_period: date, cycle_length: float) -> str:
    return f"{last_period:%m/%d/%Y} + {cycle_length:g} days - 14 days"


def _gestational_age_shown(last_period: date, today: date) -> str:
    return f"{last_period:%m/%d/%Y} to {today:%m/%d/%Y} = {(today - last_period).days} days"


DUE_DATE = equation(
    key="due_date",
    title="Estimated due date",
    question="What is the estimated due date?",
    inputs=(
        Day("last_period", "last menstrual period on {value}", date(2015, 1, 1), date(2024, 12, 31)),
        Measurement("cycle_length", "cycle of {value} days", 21, 35),
    ),
    formula=due_date,
    shown=_due_date_shown,
    medcalc_id=13,
)

CONCEPTION_DATE = equation(
    key="conception_date",
    title="Estimated date of conception",
    question="What is the estimated date of conception?",
    inputs=DUE_DATE.inputs,
    formula=conception_date,
    shown=_conception_date_shown,
    medcalc_id=68,
)

GESTATIONAL_AGE = equation(
    key="gestational_age",
    title="Estimated gestational age",
    question="What is the gestational age in weeks and days?",
    inputs=(
        Day("last_period", "last menstrual period on {value}", date(2024, 1, 1), date(2024, 3, 31)),
        Day("today", "today is {value}", date(2024, 4, 1), date(2024, 9, 30)),
    ),
    formula=gestational_age,
    shown=_gestational_age_shown,
    medcalc_id=69,
)
