"""Gestational ages: weeks and days, in any common phrasing.

Both parts are needed. The same age may be given twice; figures left over beside it mean that more than one thing is
said: wrong. Bounds and denials count only where there is an age to bound.
"""

import re

from medu1.question import WeeksDays
from medu1.scoring.bound import bounds
from medu1.scoring.denial import denies
from medu1.scoring.typography import folded
from medu1.scoring.verdict import Judgement, Reason, right, wrong

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


def judge_weeks_days(answer: str, gold: WeeksDays) -> Judgement:
    """Right where exactly one number of weeks and one of days are given and both are the gold's."""
    text = folded(answer)
    pair = _weeks_and_days(text)
    if pair is None:
        return wrong(Reason.NOT_WEEKS_DAYS)
    if bounds(text):
        return wrong(Reason.RANGE_OR_INEQUALITY)
    if denies(text):
        return wrong(Reason.NEGATED)
    return right() if pair == (gold.weeks, gold.days) else wrong(Reason.WRONG_WEEKS_DAYS)


def _weeks_and_days(text: str) -> tuple[int, int] | None:
    """The one pair that all figures of the text give."""
    if found := _TUPLE.fullmatch(text.rstrip(" .")):
        return int(found.group(1)), int(found.group(2))
    pairs = _figures(_PAIR, text)
    text = _PAIR.sub(" ", text)
    weeks, text = _figures(_WEEKS, text), _WEEKS.sub(" ", text)
    days, text = _figures(_DAYS, text), _DAYS.sub(" ", text)
    if len(weeks) != len(days) or len(weeks) > 1 or _DIGIT.search(text):
        return None
    pairs |= {of_weeks + of_days for of_weeks, of_days in zip(weeks, days, strict=True)}
    if len(pairs) != 1:
        return None
    whole, part = pairs.pop()
    return whole, part


def _figures(pattern: re.Pattern[str], text: str) -> set[tuple[int, ...]]:
    """The figures of each place where the pattern holds."""
    return {tuple(int(part) for part in found.groups() if part) for found in pattern.finditer(text)}
