"""Numbers, read without evaluating anything.

Percent signs and units are dropped and nothing is rescaled (53.1% is 53.1); digits inside units and names (m², 10^9/L,
mL/min/1.73 m², CURB-65) are no numbers. Exactly one value must remain: ranges, bounds and different numbers are wrong.
For an integer gold "4/5" and "4 out of 5" are 4; for a number gold "3/4" is 0.75.
"""

import math
import re
import unicodedata
from typing import Final

from medu1.question import Integer, Number
from medu1.scoring.denial import denies
from medu1.scoring.verdict import Judgement, Reason, right, wrong

_FLOAT_SLACK: Final = 1e-9  # relative; limits in data files are themselves rounded decimals

_SUPERSCRIPTS: Final = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_SUPERSCRIPT = re.compile("[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_MINUS_SPACE = re.compile("[\u2212\uff0d\ufe63] *")
_THIN_SPACE = re.compile("(?<=[0-9])[\u202f\u2009\u00a0](?=[0-9]{3}(?![0-9]))")
_SIGNS: Final = str.maketrans(
    {"\u2013": "-", "\u2014": "-", "\u2010": "-", "\u2011": "-", "\u00d7": "x"}
    | {"\u22c5": "*", "\u00b7": "*", "\u2044": "/", "\u223c": "~"}
)
_LATEX = re.compile(r"\\(times|cdot|pm|leq?|geq?|lt|gt|approx|sim|boxed|text|mathrm|,|%|[()\[\]])|[{}$]")
_LATEX_MEANING: Final = {"times": " x ", "cdot": " * ", "pm": "±", "le": "<", "leq": "<", "ge": ">", "geq": ">"} | {
    "lt": "<",
    "gt": ">",
}

_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9]|,[0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+"
_POWER = r"\s?[xX*]\s?10\s?(?:\^|\*\*)\s?\(?\s?([-+]?[0-9]{1,3})"
_PLAIN = re.compile(r"[-+]?[0-9]{1,59}(?:\.[0-9]+)?")
_ENDLESS = re.compile(r"[0-9]{60}")
_NUMBER = re.compile(rf"((?:(?<![0-9A-Za-z)%])[-+])?(?:{_DIGITS}))(?:[eE]([-+]?[0-9]{{1,3}})(?![0-9A-Za-z])|{_POWER})?")
_POWER_OF_TEN = re.compile(r"(?<![0-9.xX*])(?<![xX*] )10\s?(?:\^|\*\*)\s?([-+]?[0-9]{1,3})")
_BOUND = re.compile(
    r"[<>≤≥±≦≧≪≫]|\+ ?/? ?-|\b(?:less|more|greater|fewer|higher|lower|larger|smaller) than\b|\bat (?:least|most)\b"
    r"|\bup to\b|\b(?:between|below|above|under|over|exceeds) [-+]?[0-9.]"
    r"|[0-9]%? ?(?:-|~|\.\.+|\bto\b) ?[-+]?\.?[0-9]|[0-9]\+(?! ?[0-9])",
    re.IGNORECASE,
)
_NO_ONE_NUMBER = re.compile(  # a date or ratio of three, a decimal comma, broken grouping
    r"[0-9] ?/ ?[0-9]+ ?/ ?[0-9]|[0-9],[0-9]{1,2}(?![0-9])|[0-9],[0-9]{4}"
)
_INSIDE_UNITS = re.compile(
    r"(?:[xX*]\s?)?(?<![0-9.])10\s?(?:\^|\*\*)\s?-?[0-9]{1,2}\s?(?:cells?\s?)?/\s?(?=[A-Za-zμ])"  # 10^9/L
    r"|(?:(?<=[A-Za-zμ%])\s?/|\bper\b)\s?[0-9][0-9.,]*\s?(?=[A-Za-zμ])"  # mL/min/1.73 m^2, mg per 24 h
    r"|(?<![A-Za-zμ])[A-Za-zμ]{1,4}\s?\^\s?-?[0-9]"  # m^2, s^-1
    r"|(?<![A-Za-zμ])[cdkmμu]?m[23]\b"  # m2, mm3
    r"|(?<![0-9A-Za-zμ.])(?![xX]10\s?(?:\^|\*\*))[A-Za-zμ]+-?[0-9][A-Za-z0-9-]*"  # CURB-65, CHA2DS2-VASc, cmH2O
)
_BESIDE_ANOTHER = re.compile(r"(?<![0-9.])1\.73\s?m?(?:\^?2)?\b|(?<![0-9.])[0-9]+-(?:year|month|week|day|hour)s?\b")
_OUT_OF = re.compile(rf"(?:/|\bout of\b|(?<=[0-9]) of)(?: a (?:maximum|total|possible)(?: of)?)?\s?(?:{_DIGITS})")
_FRACTION = re.compile(rf"({_DIGITS})\s?/\s?({_DIGITS})")


def judge_number(answer: str, gold: Number, tolerance: float) -> Judgement:
    """Right within the gold's limits in either order, or within `tolerance` x |value| where it has none."""
    value = read_number(answer, whole=False)
    if isinstance(value, Reason):
        return wrong(value)
    return right() if _within(value, *_limits(gold, tolerance)) else wrong(Reason.OUTSIDE_LIMITS)


def lies_within_limits(gold: Number, tolerance: float) -> bool:
    """False for a malformed gold: its own value lies outside its limits."""
    return _within(gold.value, *_limits(gold, tolerance))


def judge_integer(answer: str, gold: Integer) -> Judgement:
    """Right where the number given rounds to the gold (Python's `round`, as the benchmark's evaluator has it)."""
    value = read_number(answer, whole=True)
    if isinstance(value, Reason):
        return wrong(value)
    return right() if round(value) == gold.value else wrong(Reason.WRONG_VALUE)


def read_number(answer: str, whole: bool) -> float | Reason:
    """The one number an answer gives, or why it gives none; `whole`: a score, whose "4/5" means 4."""
    if _PLAIN.fullmatch(answer):
        return float(answer)
    text = _plain(answer)
    if _ENDLESS.search(text):
        return Reason.NOT_A_NUMBER
    if _NO_ONE_NUMBER.search(text):
        return Reason.SEVERAL_NUMBERS
    text = _INSIDE_UNITS.sub(" ", text)
    if _BOUND.search(text):
        return Reason.RANGE_OR_INEQUALITY
    if denies(text):
        return Reason.NEGATED
    return _single(_values(text, whole), text, whole)


def _single(values: list[float], text: str, whole: bool) -> float | Reason:
    """The value all numbers agree on; a body surface of 1.73 or a "10-year" risk does not count beside another."""
    if len(set(values)) > 1:
        values = _values(_BESIDE_ANOTHER.sub(" ", text), whole) or values
    if not values or not all(map(math.isfinite, values)):
        return Reason.NOT_A_NUMBER
    return values[0] if len(set(values)) == 1 else Reason.SEVERAL_NUMBERS


def _values(text: str, whole: bool) -> list[float]:
    text = _OUT_OF.sub(" ", text) if whole else _FRACTION.sub(_quotient, text)
    text = _POWER_OF_TEN.sub(r"1e\1", text)
    return [_value(*found.groups()) for found in _NUMBER.finditer(text)]


def _value(mantissa: str, exponent: str | None, power: str | None) -> float:
    return float(f"{mantissa.replace(',', '')}e{exponent or power or 0}")


def _quotient(found: re.Match[str]) -> str:
    above, below = (float(part.replace(",", "")) for part in found.groups())
    return f" {above / below:.17g} " if below else " "


def _plain(answer: str) -> str:
    """ASCII digits, signs and carets for whatever typography or LaTeX the answer uses; single spaces."""
    text = answer
    if not text.isascii():
        text = _SUPERSCRIPT.sub(lambda found: "^" + found.group().translate(_SUPERSCRIPTS), text)
        text = _THIN_SPACE.sub("", _MINUS_SPACE.sub("-", text))
        text = unicodedata.normalize("NFKC", text).translate(_SIGNS)
    if "\\" in text or "$" in text or "{" in text:
        text = _LATEX.sub(lambda found: _LATEX_MEANING.get(found.group(1) or "", " "), text)
    return " ".join(text.replace("**", "" if "10**" not in text else "**").split())


def _limits(gold: Number, tolerance: float) -> tuple[float, float]:
    if gold.lower is None or gold.upper is None:
        slack = abs(gold.value) * tolerance
        return gold.value - slack, gold.value + slack
    return min(gold.lower, gold.upper), max(gold.lower, gold.upper)


def _within(value: float, low: float, high: float) -> bool:
    return low <= value <= high or any(math.isclose(value, end, rel_tol=_FLOAT_SLACK) for end in (low, high))
