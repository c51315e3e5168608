"""Numbers, read without evaluating anything.

Percent signs and units are dropped and nothing is rescaled (53.1% is 53.1); digits inside units and names (m², 10^9/L,
mL/min/1.73 m², CURB-65) are no numbers. Exactly one value must remain: ranges, bounds, sums and different numbers are
wrong. For an integer gold "4/5" and "4 out of 5" are 4; for a number gold "3/4" is 0.75.

A dash before a number is its sign, with or without a space, also where Markdown would make it a list's bullet: "- 3" is
-3, for a bare number needs no list. After a word and a space ("Score - 3") it may be a sign or a pause: such an answer
gives two numbers. "1.47 x 10^3/uL" is one quantity and has two numbers, 1,470 per uL and 1.47 of the unit 10^3/uL;
the question's unit decides which, so either is right. Both hold only where power and volume stand there in the text.
"""

import math
import re
from collections.abc import Iterable
from typing import Final

from medu1.question import Number
from medu1.scoring.bound import bounds
from medu1.scoring.denial import denies
from medu1.scoring.typography import plain
from medu1.scoring.verdict import Judgement, Reason, right, wrong

_FLOAT_SLACK: Final = 1e-9  # relative; limits in data files are themselves rounded decimals

_SUPERSCRIPTS: Final = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_SUPERSCRIPT = re.compile("[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_MINUS_SPACE = re.compile("[\u2212\uff0d\ufe63] *")
_THIN_SPACE = re.compile("(?<=[0-9])[\u202f\u2009\u00a0](?=[0-9]{3}(?![0-9]))")
_UNGLUED = re.compile("(?<=[0-9])(?=[¼-¾⅐-⅞↉])")  # 3½ is not 31/2
_LATEX = re.compile(r"\\(times|cdot|pm|leq?|geq?|lt|gt|approx|sim|boxed|text|mathrm|,|%|[()\[\]])|[{}$]")
_LATEX_MEANING: Final = {"times": " x ", "cdot": " * ", "pm": "±", "le": "<", "leq": "<", "ge": ">", "geq": ">"} | {
    "lt": "<",
    "gt": ">",
}
_BOLD = re.compile(r"(?<![0-9])\*\*|\*\*(?![ (]?[-+]?[0-9])")  # and no power, 10**3

_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9]|,[0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+"
_TEN_TO_THE = r"10\s?(?:\^|\*\*)\s?\(?\s?([-+]?[0-9]{1,3})"
_TIMES_POWER = re.compile(rf"(?<=[0-9.])\s?[xX*]\s?{_TEN_TO_THE}")
_POWER_OF_TEN = re.compile(rf"(?<![0-9.xX*])(?<![xX*] ){_TEN_TO_THE}")
_PLAIN = re.compile(r"([-+]?[0-9]{1,59}(?:\.[0-9]+)?) ?([A-Za-z%][A-Za-z/%]*)?")  # read at a glance, as most answers
UNITS: Final = frozenset(
    {"%", "mg/dL", "g/dL", "mEq/L", "mmol/L", "mOsm/kg", "mL/min", "mL/hr", "mg", "kg", "L", "mL", "cm", "mmHg", "bpm"}
    | {"msec", "ms", "point", "points"}
)
_ENDLESS = re.compile(r"[0-9]{60}")
_NUMBER = re.compile(rf"((?:(?<![0-9A-Za-z)%])[-+])?(?:{_DIGITS}))(?:[eE]([-+]?[0-9]{{1,3}})(?![0-9A-Za-z]))?")
_MINUS_WORD = re.compile(r"\b(?:minus|negative) (?=[(~≈]?\.?[0-9])", re.IGNORECASE)
_SIGN_APART = re.compile(r"(?<![0-9A-Za-z)%\]])-[ ()\[~≈*_`'\"]{1,4}(?=\.?[0-9])")  # "- 3", "(-) 3", "-(3)"
_SPACED_THOUSANDS = re.compile(r"[^0-9]*?([1-9][0-9]{0,2}(?: [0-9]{3})+)(?:\.[0-9]+)?[^0-9]*")  # and no other digits
_SPAN = re.compile(r"[0-9]%? ?(?:-|~|\.\.+|\bto\b) ?[-+]?\.?[0-9]|[0-9](?:\+| plus\b)(?! ?[0-9])", re.IGNORECASE)
_SUM = re.compile(  # what stands between is no number's own sign
    r"[0-9A-Za-z)\]%] {1,3}(?:[-+*]|plus|times) {1,3}[(~≈]?\.?[0-9]|[0-9)\]] ?[+*xX÷^]{1,2}(?: ?[-+]?|\()\.?[0-9]"
)
_NO_ONE_NUMBER = re.compile(  # a date or ratio of three, a decimal comma, broken grouping
    r"[0-9] ?/ ?[0-9]+ ?/ ?[0-9]|[0-9],[0-9]{1,2}(?![0-9])|[0-9],[0-9]{4}"
)
_INSIDEUNITS = re.compile(
    r"(?:[xX*]\s?)?(?<![0-9.])10\s?(?:\^|\*\*)\s?-?[0-9]{1,2}\s?(?:cells?\s?)?(?:/|per\b)\s?(?=[A-Za-zμ])"  # 10^9/L
    r"|(?:(?<=[A-Za-zμ%])\s?/|\bper\b)\s?[0-9][0-9.,]*\s?(?=[A-Za-zμ])"  # mL/min/1.73 m^2, mg per 24 h
    r"|(?<![A-Za-zμ])[A-Za-zμ]{1,4}\s?\^\s?-?[0-9]"  # m^2, s^-1
    r"|(?<![A-Za-zμ])[cdkmμu]?m[23]\b"  # m2, mm3
    r"|(?<![0-9A-Za-zμ.])(?![xX]10\s?(?:\^|\*\*))[A-Za-zμ]+-?[0-9][A-Za-z0-9-]*"  # CURB-65, CHA2DS2-VASc, cmH2O
)
_POWER_PER_VOLUME = re.compile(
    r"(?<=[0-9])(\s?[xX*]\s?10\s?(?:\^|\*\*)\s?-?[0-9]{1,2})\s?(?:cells?\s?)?(?:/|per\b)\s?(?=[A-Za-zμ])"
)
_BESIDE_ANOTHER = re.compile(r"(?<![0-9.])1\.73\s?m?(?:\^?2)?\b|(?<![0-9.])[0-9]+-(?:year|month|week|day|hour)s?\b")
_OUT_OF = re.compile(rf"(?:/|\bout of\b|(?<=[0-9]) of)(?: a (?:maximum|total|possible)(?: of)?)?\s?(?:{_DIGITS})")
_FRACTION = re.compile(rf"({_DIGITS})\s?/\s?({_DIGITS})")


def judge_number(answer: str, gold: Number, tolerance: float) -> Judgement:
    """Right within the gold's limits in either order, or within `tolerance` x |value| where it has none."""
    values = read_number(answer, whole=False)
    if isinstance(values, Reason):
        return wrong(values)
    low, high = _limits(gold, tolerance)
    return right() if any(_within(value, low, high) for value in values) else wrong(Reason.OUTSIDE_LIMITS)


def lies_within_limits(gold: Number, tolerance: float) -> bool:
    """False for a malformed gold: its own value lies outside its limits."""
    return gold.lower is None or _within(gold.value, *_limits(gold, tolerance))


def read_number(answer: str, whole: bool) -> tuple[float, ...] | Reason:
    """The one number an answer gives, in its two readings where a power of ten stands before a volume, or why none.

    `whole`: a score, whose "4/5" means 4.
    """
    if (found := _PLAIN.fullmatch(answer)) and (found[2] is None or found[2] in UNITS):
        return (float(found[1]),)
    readings = [_read(form, whole) for form in _forms(_plain(answer))]
    reasons = [reading for reading in readings if isinstance(reading, Reason)]
    return tuple(reading for reading in readings if not isinstance(reading, Reason)) or reasons[0]


def _forms(text: str) -> Iterable[str]:
    """The text and, where a power of ten stands before a volume, the text in which it is no part of the unit."""
    return dict.fromkeys((text, _POWER_PER_VOLUME.sub(r"\1 ", text))) if "10" in text else (text,)


def _read(text: str, whole: bool) -> float | Reason:
    if _ENDLESS.search(text):
        return Reason.NOT_A_NUMBER
    if _NO_ONE_NUMBER.search(text):
        return Reason.SEVERAL_NUMBERS
    text = _without_units(text)
    values = _values(text, whole)
    if not values:
        return Reason.NOT_A_NUMBER
    if bounds(text) or _SPAN.search(text):
        return Reason.RANGE_OR_INEQUALITY
    if denies(text):
        return Reason.NEGATED
    return Reason.SEVERAL_NUMBERS if _SUM.search(text) else _single(values, text, whole)


def _single(values: list[float], text: str, whole: bool) -> float | Reason:
    """The value all numbers agree on; a body surface of 1.73 or a "10-year" risk does not count beside another."""
    if len(set(values)) > 1:
        values = _values(_BESIDE_ANOTHER.sub(" ", text), whole) or values
    if not all(map(math.isfinite, values)):
        return Reason.NOT_A_NUMBER
    return values[0] if len(set(values)) == 1 else Reason.SEVERAL_NUMBERS


def _without_units(text: str) -> str:
    """The text with a letter for every unit or name that has digits, and its powers of ten as exponents."""
    text = _INSIDEUNITS.sub(" u ", text)
    if "10" in text:
        text = _POWER_OF_TEN.sub(r"1e\1 ", _TIMES_POWER.sub(r"e\1 ", text))
    if found := _SPACED_THOUSANDS.fullmatch(text):
        text = text.replace(found.group(1), found.group(1).replace(" ", ""))
    return _MINUS_WORD.sub("-", text)


def _values(text: str, whole: bool) -> list[float]:
    text = _OUT_OF.sub(" ", text) if whole else _FRACTION.sub(_quotient, text)
    if "-" in text:
        text = _SIGN_APART.sub("-", text)
    return [_value(*found.groups()) for found in _NUMBER.finditer(text)]


def _value(mantissa: str, exponent: str | None) -> float:
    return float(f"{mantissa.replace(',', '')}e{exponent or 0}")


def _quotient(found: re.Match[str]) -> str:
    above, below = (float(part.replace(",", "")) for part in found.groups())
    return f" {above / below:.17g} " if below else " "


def _plain(answer: str) -> str:
    """ASCII digits, signs and carets for whatever typography or LaTeX the answer uses; single spaces."""
    text = answer
    if not text.isascii():
        text = _SUPERSCRIPT.sub(lambda found: "^" + found.group().translate(_SUPERSCRIPTS), text)
        text = _UNGLUED.sub(" ", _THIN_SPACE.sub("", _MINUS_SPACE.sub("-", text)))
        text = plain(text)
    if "\\" in text or "$" in text or "{" in text:
        text = _LATEX.sub(lambda found: _LATEX_MEANING.get(found.group(1) or "", " "), text)
    return " ".join((_BOLD.sub("", text) if "**" in text else text).split())


def _limits(gold: Number, tolerance: float) -> tuple[float, float]:
    if gold.lower is None or gold.upper is None:
        slack = abs(gold.value) * tolerance
        return gold.value - slack, gold.value + slack
    return min(gold.lower, gold.upper), max(gold.lower, gold.upper)


def _within(value: float, low: float, high: float) -> bool:
    return low <= value <= high or any(math.isclose(value, end, rel_tol=_FLOAT_SLACK) for end in (low, high))
