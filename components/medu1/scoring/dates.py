"""Dates and gestational ages.

A date is read as month/day/year, ISO or with a month name, never as day/month/year. A gestational age needs both its
parts. Figures left over beside the answer mean that more than one thing is said: wrong.
"""

import re
import unicodedata
from datetime import date
from typing import Final

from medu1.question import Date, WeeksDays
from medu1.scoring.denial import denies
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
    rf"|\b(?P<m3>{_MONTH}) ?(?P<d3>{_DAY})(?:, ?| )(?P<y3>[0-9]{{4}})(?![0-9])"
    rf"|(?<![0-9/.-])(?P<d4>{_DAY}) (?:of )?(?P<m4>{_MONTH}),? ?(?P<y4>[0-9]{{4}})(?![0-9])"
)
_BOUND = re.compile(r"[<>\u2264\u2265\u00b1]|\b(?:before|after|between|until|since|earlier than|later than)\b")
_DIGIT = re.compile("[0-9]")
_WEEKS = re.compile(r"(?<![0-9.,/-])([0-9]{1,3})[ -]?(?:w|wk|wks|week|weeks)(?![a-z])")
_DAYS = re.compile(r"(?<![0-9.,/-])([0-9]{1,3})[ -]?(?:d|day|days)(?![a-z])")
_PAIR = re.compile(
    r"[\[(]?'?([0-9]{1,3})'?, ?'?([0-9]{1,3})'?[\])]?"  # the tuple (17, 6)
    r"|([0-9]{1,3}) ?\+ ?([0-9])(?: ?(?:w|wk|wks|weeks))?"  # 17+6 weeks
    r"|([0-9]{1,3})(?: ?(?:w|wks?|weeks?)(?: and)?)? ([0-9])/7(?: ?(?:w|wks?|weeks?))?"  # 17 6/7 weeks
)


def judge_date(answer: str, gold: Date) -> Judgement:
    """Right where exactly one calendar date is given and it is the gold's."""
    text = _folded(answer)
    if _BOUND.search(text):
        return wrong(Reason.RANGE_OR_INEQUALITY)
    if denies(text):
        return wrong(Reason.NEGATED)
    dates = {_read(found) for found in _DATE.finditer(text)}
    if not dates or None in dates:
        return wrong(Reason.NOT_A_DATE)
    if len(dates) > 1 or _DIGIT.search(_DATE.sub(" ", text)):
        return wrong(Reason.SEVERAL_DATES)
    return right() if dates == {gold.as_date()} else wrong(Reason.WRONG_DATE)


def judge_weeks_days(answer: str, gold: WeeksDays) -> Judgement:
    """Right where exactly one number of weeks and one of days are given and both are the gold's."""
    text = _folded(answer)
    if _BOUND.search(text):
        return wrong(Reason.RANGE_OR_INEQUALITY)
    if denies(text):
        return wrong(Reason.NEGATED)
    pair = _weeks_and_days(text)
    if pair is None:
        return wrong(Reason.NOT_WEEKS_DAYS)
    return right() if pair == (gold.weeks, gold.days) else wrong(Reason.WRONG_WEEKS_DAYS)


def _folded(answer: str) -> str:
    text = unicodedata.normalize("NFKC", answer.replace("\u2212", "-").replace("\u2013", "-")).casefold()
    return " ".join(text.replace("\u2044", "/").split())


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


def _weeks_and_days(text: str) -> tuple[int, int] | None:
    if found := _PAIR.fullmatch(text.rstrip(" .")):
        weeks, days = (int(part) for part in found.groups() if part)
        return weeks, days
    weeks_said, days_said = set(_WEEKS.findall(text)), set(_DAYS.findall(text))
    if len(weeks_said) != 1 or len(days_said) != 1 or _DIGIT.search(_DAYS.sub("", _WEEKS.sub("", text))):
        return None
    return int(weeks_said.pop()), int(days_said.pop())
