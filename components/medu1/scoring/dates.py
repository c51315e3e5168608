"""Calendar dates: month/day/year, ISO or with a month name, never day/month/year.

Two-digit years and points between figures are not read. The same date may be given twice; figures left over beside it
mean that more than one thing is said: wrong. Bounds and denials count only where there is a date to bound.
"""

import re
from datetime import date
from typing import Final

from medu1.question import Date
from medu1.scoring.bound import bounds
from medu1.scoring.denial import denies
from medu1.scoring.typography import folded
from medu1.scoring.verdict import Judgement, Reason, right, wrong

_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        [
            *("january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul", "august aug"),
            *("september sept sep", "october oct", "november nov", "december dec"),
        ],
        start=1,
    )
    for name in names.split()
}
_MONTH = "(?:" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + r")\b\.?"
_DAY = r"[0-9]{1,2}(?:st|nd|rd|th)?"
_DATE = re.compile(
    r"(?<![0-9/.-])(?P<m>[0-9]{1,2}) ?(?P<s>[/-]) ?(?P<d>[0-9]{1,2}) ?(?P=s) ?(?P<y>[0-9]{4})(?![0-9/-])"
    r"|(?<![0-9/.-])(?P<y2>[0-9]{4})(?P<s2>[/-])(?P<m2>[0-9]{1,2})(?P=s2)(?P<d2>[0-9]{1,2})(?![0-9/-])"
    r"(?:[t ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?z?\b)?"
    rf"|\b(?P<m3>{_MONTH})[ /-]?(?P<d3>{_DAY})(?:, ?|[ /-])(?P<y3>[0-9]{{4}})(?![0-9])"
    rf"|(?<![0-9/.-])(?P<d4>{_DAY})(?:[ /-]|\. ?)(?:of )?(?P<m4>{_MONTH}),?[ /-]?(?P<y4>[0-9]{{4}})(?![0-9])"
)
_BEFORE_OR_AFTER = re.compile(r"\b(?:before|after|between|until|since)\b")
_DIGIT = re.compile("[0-9]")


def judge_date(answer: str, gold: Date) -> Judgement:
    """Right where exactly one calendar date is given and it is the gold's."""
    text = folded(answer)
    dates = {_read(found) for found in _DATE.finditer(text)}
    if not dates or None in dates:
        return wrong(Reason.NOT_A_DATE)
    if bounds(text) or _BEFORE_OR_AFTER.search(text):
        return wrong(Reason.RANGE_OR_INEQUALITY)
    if denies(text):
        return wrong(Reason.NEGATED)
    if len(dates) > 1 or _DIGIT.search(_DATE.sub(" ", text)):
        return wrong(Reason.SEVERAL_DATES)
    return right() if dates == {gold.as_date()} else wrong(Reason.WRONG_DATE)


def _read(found: re.Match[str]) -> date | None:
    """The date matched by one of the four forms; None where the calendar has no such day."""
    for form in ("", "2", "3", "4"):
        if year := found.group("y" + form):
            month, day = found.group("m" + form), found.group("d" + form)
            try:
                return date(int(year), _MONTHS.get(month.rstrip("."), 0) or int(month), int(day.rstrip("stndrh")))
            except ValueError:
                return None
    return None
