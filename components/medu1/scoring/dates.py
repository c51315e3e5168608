"""Dates and gestational ages.

A date is read as month/day/year, ISO or with a month name, never as day/month/year; two-digit years and points between
figures are not read. A gestational age needs both its parts. The same date or age may be given twice; figures left over
beside it mean that more than one thing is said: wrong. Bounds and denials count only where there is something to bound.
"""

import re
from datetime import date
from itertools import product
from typing import Final

from medu1.question import Date, WeeksDays
from medu1.scoring.bound import bounds
from medu1.scoring.denial import denies
from medu1.scoring.typography import plain
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
_WEEK = r"(?:w|wks?|weeks?)(?![a-z])"
_SAID = r"[\"']? ?[:=] ?[\"']?([0-9]{1,3})(?![0-9]|[.,][0-9])"  # the value after its name: "weeks": 17
_FREE = r"(?<![0-9.,/-])(?<!minus )"  # neither part of a larger figure nor taken away
_WEEKS = re.compile(rf"{_FREE}([0-9]{{1,3}})(?: completed| full)?[ -]?{_WEEK}|\bweeks?{_SAID}")
_DAYS = re.compile(rf"{_FREE}([0-9]{{1,3}})[ -]?(?:d|days?)(?![a-z])|\bdays?{_SAID}")
_TUPLE = re.compile(r"[\[(]?'?([0-9]{1,3})'?, ?'?([0-9]{1,3})'?[\])]?")  # (17, 6)
_PAIR = re.compile(  # 17 6/7 weeks, 17+6 weeks
    rf"(?<!\+){_FREE}([0-9]{{1,3}})(?: ?{_WEEK})?(?: ?[+-] ?|(?: and)? )([0-9])/7(?![0-9/])(?: ?{_WEEK})?"
    rf"|(?<!\+){_FREE}([0-9]{{1,3}}) ?\+ ?([0-9])(?:/40)?(?![0-9+/]|[.,][0-9]| ?d(?:ays?)?\b)(?: ?{_WEEK})?"
)


def judge_date(answer: str, gold: Date) -> Judgement:
    """Right where exactly one calendar date is given and it is the gold's."""
    text = _folded(answer)
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


def judge_weeks_days(answer: str, gold: WeeksDays) -> Judgement:
    """Right where exactly one number of weeks and one of days are given and both are the gold's."""
    text = _folded(answer)
    pair = _weeks_and_days(text)
    if pair is None:
        return wrong(Reason.NOT_WEEKS_DAYS)
    if bounds(text):
        return wrong(Reason.RANGE_OR_INEQUALITY)
    if denies(text):
        return wrong(Reason.NEGATED)
    return right() if pair == (gold.weeks, gold.days) else wrong(Reason.WRONG_WEEKS_DAYS)


def _folded(answer: str) -> str:
    return " ".join(plain(answer).casefold().split())


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
    """The one pair that all figures of the text give."""
    if found := _TUPLE.fullmatch(text.rstrip(" .")):
        return int(found.group(1)), int(found.group(2))
    pairs = _figures(_PAIR, text)
    text = _PAIR.sub(" ", text)
    weeks, text = _figures(_WEEKS, text), _WEEKS.sub(" ", text)
    days, text = _figures(_DAYS, text), _DAYS.sub(" ", text)
    if len(weeks) != len(days) or _DIGIT.search(text):
        return None
    pairs |= {of_weeks + of_days for of_weeks, of_days in product(weeks, days)}
    if len(pairs) != 1:
        return None
    whole, part = pairs.pop()
    return whole, part


def _figures(pattern: re.Pattern[str], text: str) -> set[tuple[int, ...]]:
    """The figures of each place where the pattern holds."""
    return {tuple(int(part) for part in found.groups() if part) for found in pattern.finditer(text)}
