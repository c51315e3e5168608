"""What in a text may name a person: names, dates of birth, phone numbers and the other identifiers of a patient.

Dates are dates of birth only: dates of admission are what calculations are about. Toll-free numbers belong to hotlines,
and web pages of public bodies to the public. Every pattern is bounded and begins where a word begins: time grows with
a text's length and no faster. Addresses and numbers are those of the United States and what resembles them.
"""

import re
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from medu1.prepare.health import person
from medu1.prepare.health.glance import Glance
from medu1.prepare.health.person import cased, names


class Kind(StrEnum):
    """What an identifier is."""

    NAME = "name"
    DATE = "date"  # of birth
    PHONE = "phone"
    EMAIL = "email"
    RECORD = "record"  # medical record, account, insurance and social security numbers
    ADDRESS = "address"
    URL = "url"
    IP = "ip"

    @property
    def mark(self) -> str:
        """What stands in its place once it is redacted."""
        return f"[{self.upper()}]"


class Span(NamedTuple):
    """Where an identifier stands in a text."""

    start: int
    end: int
    kind: Kind


class Exempt(NamedTuple):
    """What belongs to the public."""

    toll_free: bool
    hosts: tuple[str, ...]  # ends of host names, such as .gov


class _Pattern(NamedTuple):
    """The group `it` of a match is the identifier where `holds` says so.

    Most texts are spared the search: those without a run of `digits` digits, or without any of `needs` in lower case.
    """

    kind: Kind
    regex: re.Pattern[str]
    digits: int
    needs: tuple[str, ...]
    holds: Callable[[re.Match[str]], bool]


def _always(found: re.Match[str]) -> bool:
    return True


def _pattern(
    kind: Kind, regex: str, needs: str = "", digits: int = 0, holds: Callable[[re.Match[str]], bool] = _always
) -> _Pattern:
    return _Pattern(kind, re.compile(regex), digits, tuple(needs.split("|")), holds)


def _digits(found: re.Match[str]) -> int:
    return sum(map(str.isdigit, found["it"]))


def _is_called(found: re.Match[str]) -> bool:
    """A number of seven digits or more that someone is to be called at."""
    before = found.string[max(0, found.start() - 40) : found.start()]
    return 7 <= _digits(found) <= 15 and _CALLED.search(before) is not None


def _is_foreign_phone(found: re.Match[str]) -> bool:
    return 9 <= _digits(found) <= 15


def _is_record(found: re.Match[str]) -> bool:
    return _digits(found) >= 4


def _is_address(found: re.Match[str]) -> bool:
    """IPv4; not an enzyme's number (EC 3.4.21.5) or a release."""
    before = " " + found.string[max(0, found.start() - 12) : found.start()].lower().rstrip(" .:")
    return not before.endswith(_NUMBERED) and all(int(octet) < 256 for octet in found["it"].split("."))


_NUMBERED: Final = (" ec", "(ec", "e.c", "ec number", "ec no", "version", "release", "section", " v")

_MONTHS: Final = "january|february|march|april|may|june|july|august|september|october|november|december"
_MONTH: Final = rf"(?:{cased(_MONTHS)}|{cased('jan|feb|mar|apr|jun|jul|aug|sept|sep|oct|nov|dec')})\.?"
_BIRTH: Final = r"(?<!\w)(?:d\.? ?o\.? ?b|(?<=\()b(?=\.)|date of birth|birth ?date|birth ?day|born|birth)"
_BORN: Final = re.compile(rf"{_BIRTH}(?!\w)\.?[^\d\n.;]{{0,30}}$", re.IGNORECASE)
_BORN_THEN: Final = re.compile(rf"[ (,]{{1,3}}{_BIRTH}(?!\w)", re.IGNORECASE)


def _is_birth(found: re.Match[str]) -> bool:
    """A date beside the word."""
    before = found.string[max(0, found.start() - 45) : found.start()]
    return _BORN.search(before) is not None or _BORN_THEN.match(found.string, found.end()) is not None


_STREET: Final = (
    r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Place|Pl|Way|Terrace|Ter|Circle|Cir|"
    r"Parkway|Pkwy|Highway|Hwy|Square|Sq|Trail|Crescent|Close|Alley)(?!\w)"
)
_UNIT: Final = r"(?:\.?,? (?:Apt|Apartment|Suite|Ste|Unit|Floor|#)\.? ?#?\w{1,6})?"
_PLACE: Final = r"[\w'\u2019.-]{1,24}"

_STRONG: Final = cased(
    "mrn|m.r.n|mr#|mr #|ssn|social security|nhs|health card|medical record|hospital record|patient record|"
    "health record|unit record|chart record|medical chart|hospital chart|patient chart"
).replace(".", r"\.")
_WEAK: Final = cased(
    "patient|medical|account|acct|policy|member|membership|subscriber|insurance|medicare|medicaid|beneficiary|certificate|"
    "passport|license|licence|case|encounter|visit|specimen|hospital|chart|record|file|group|plan|claim|registration"
)
_NUMBER: Final = r"(?:(?:number|num|no|id|identifier)(?!\w)\.?|#)"
_VALUE: Final = r"(?P<it>(?:\d{2,4}[ -]){1,3}\d{2,6}|[A-Za-z]{0,4}-?\d[\dA-Za-z-]{2,19})(?![\w])"
_GLUE: Final = r"[ \t]{0,2}(?:(?i:is|was|of)[ \t]|[:#=(-][ \t]{0,2}){0,2}#?"

_TALK: Final = (
    r"(?:ring|(?:home |work |cell |mobile |contact |tele)?phone|tel|fax|pager|beeper|call(?:ed|ing)?|dial|text|contact|"
    r"reach(?:ed|able)?|cell|mobile|whatsapp)"
)
_WITH: Final = r"(?:(?:(?:number|no|num|is|at|me|him|her|them|us|on|or|was)(?!\w)\.?|[:#])[ \t]{0,2}){0,3}"
_CALLED: Final = re.compile(rf"(?<!\w){_TALK}\.?[ \t]{{0,2}}{_WITH}$", re.IGNORECASE)

_HOST: Final = r"(?P<host>[\w-]{1,63}(?:\.[\w-]{1,63}){1,5})"
_TOLL_FREE: Final = re.compile(r"\+?1?[ .-]?\(?8(?:00|33|44|55|66|77|88)(?!\d)")

_NUMBER_RUN: Final = re.compile("[0-9]+")

_PATTERNS: Final = (
    _pattern(
        Kind.DATE,
        r"(?P<it>\d(?<![\w/.-]\d)(?:\d?(?P<mark>[/.-])\d{1,2}(?P=mark)(?:\d{4}|\d{2})|\d{3}(?P<iso>[/.-])\d\d?(?P=iso)\d\d?|"
        rf"\d?(?:st|nd|rd|th)?(?: of)?[ -]{_MONTH},?[ -]\d{{4}}))(?!\d)",
        "birth|born|dob|d.o.b|d. o. b|d o b|(b.",
        2,
        _is_birth,
    ),
    _pattern(
        Kind.DATE,
        rf"(?P<it>{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}})(?!\d)",
        "birth|born|dob|d.o.b|d. o. b|d o b|(b.",
        4,
        _is_birth,
    ),
    _pattern(
        Kind.PHONE,
        r"(?P<it>[+(1-9](?<![\w.+-].)(?:(?:(?<=\+)1|(?<=1))[ .-](?:\(\d{3}\)[ .-]?|\d{3}[ .-])|(?<=\()\d{3}\)[ .-]?|"
        r"(?<=[2-9])\d{2}[.-])\d{3}[ .-]\d{4})(?![\w-])",
        digits=4,
    ),
    _pattern(Kind.PHONE, r"(?P<it>\+(?<![\w.+-]\+)\d(?:[ .()-]{0,2}\d){8,14})(?![\w-])", "+", 2, _is_foreign_phone),
    _pattern(
        Kind.PHONE,
        r"(?P<it>[+(\d](?<![\w.+-].)(?:(?<=\d)[ .()-]{0,2})?\d(?:[ .()-]{0,2}\d){5,13})(?![\w-])",
        "phone|tel|fax|pager|beeper|ring |call|dial|text|contact|reach|cell|mobile|whatsapp",
        2,
        _is_called,
    ),
    _pattern(Kind.EMAIL, rf"(?<![\w.+-])(?P<it>[\w.+-]{{1,64}}@{_HOST})", "@"),
    _pattern(Kind.RECORD, r"(?P<it>\d(?<![\w-]\d)\d{2}-\d{2}-\d{4})(?![\w-])", "-", 4),
    _pattern(
        Kind.RECORD,
        rf"(?:{_STRONG})(?![A-Za-z])\.?(?: (?i:{_NUMBER}))?{_GLUE}{_VALUE}",
        "mrn|m.r.n|mr#|mr #|medical rec|hospital rec|patient rec|health rec|unit rec|chart rec|medical chart|"
        "hospital chart|patient chart|ssn|social sec|nhs|health card",
        1,
        _is_record,
    ),
    _pattern(
        Kind.RECORD,
        rf"(?:{_WEAK})\.? {{0,2}}(?i:{_NUMBER}){_GLUE}{_VALUE}",
        "patient id|patient n|patient #|medical id|account|acct|policy|member|subscriber|insurance|medicare|medicaid|"
        "beneficiary|certificate|passport|licen|"
        "case n|case #|case id|encounter|visit n|visit #|visit id|specimen|hospital n|hospital #|chart n|chart #|"
        "record n|record #|file n|file #|group n|group #|plan n|plan id|claim|registration",
        1,
        _is_record,
    ),
    _pattern(
        Kind.ADDRESS,
        rf"(?P<it>\d(?<![\w.,/-]\d)\d{{0,5}}[A-Za-z]? (?:(?:[A-Z][\w'\u2019.-]{{0,24}}|\d{{1,3}}(?:st|nd|rd|th)) )"
        rf"{{1,4}}{_STREET}{_UNIT})",
        digits=1,
    ),
    _pattern(
        Kind.ADDRESS,
        rf"(?:{cased('address|residing at|resides at|lives at|living at|lived at|home')})(?: is|:| at)?[ \t]{{1,3}}"
        rf"(?P<it>\d{{1,6}} (?:{_PLACE} ){{1,4}}(?i:{_STREET}){_UNIT})",
        "address|residing at|resides at|lives at|living at|lived at|home",
        1,
    ),
    _pattern(
        Kind.ADDRESS, rf"(?P<it>(?:P\.O\.|P\. O\.|{cased('po|post office')}) (?i:box) ?#?\d{{1,6}})(?!\w)", " box", 1
    ),
    _pattern(Kind.ADDRESS, r"(?P<it>[A-Z](?<!\w[A-Z])[a-z]{2,24},? [A-Z]{2},? \d{5}(?:-\d{4})?)(?![\w-])", digits=5),
    _pattern(
        Kind.URL, rf"(?P<it>(?:{cased('https|http|ftp')})://(?:[\w.-]{{1,40}}@)?{_HOST}[^\s<>\"']{{0,300}})", "://"
    ),
    _pattern(Kind.URL, rf"(?P<it>(?:www|WWW|Www)\.{_HOST}(?:/[^\s<>\"']{{0,300}})?)", "www."),
    _pattern(
        Kind.URL,
        r"(?<![\w.@/-])(?P<it>(?P<host>(?:[\w-]{1,40}\.){1,3}(?i:com|org|net|info|io|me))(?!\w)(?:/[^\s<>\"']{0,300})?)",
        ".com|.org|.net|.info|.io|.me",
    ),
    _pattern(Kind.IP, r"(?P<it>\d(?<![\w.-]\d)\d{0,2}(?:\.\d{1,3}){3})(?![\w-]|\.\d)", ".", 1, _is_address),
    _pattern(Kind.IP, r"(?<![\w:])(?P<it>(?i:(?:[0-9a-f]{1,4}:){1,6}(?::[0-9a-f]{1,4}){1,6}))(?![\w:])", "::", 1),
    _pattern(Kind.IP, r"(?<![\w:])(?P<it>(?i:[0-9a-f]{1,4}:){7}(?i:[0-9a-f]{1,4}))(?![\w:])", ":", 3),
)

GLANCE: Final = Glance([*person.PATTERNS, *(pattern.regex for pattern in _PATTERNS)])

WINDOW: Final = 4096  # characters searched at once: what calls for a pattern calls for it only nearby
OVERLAP: Final = 512  # longer than any identifier and what stands around it


def identifiers(text: str, exempt: Exempt) -> list[Span]:
    """Every identifier, in order; of two that overlap, the one that begins first, then the longer one."""
    spans: list[Span] = []
    for span in sorted(set(_everywhere(text, exempt)), key=lambda span: (span.start, -span.end)):
        if not spans or span.start >= spans[-1].end:
            spans.append(span)
    return spans


def _everywhere(text: str, exempt: Exempt) -> Iterator[Span]:
    """Window after window, but for what a window cuts: the next or the one before it holds that in full."""
    for begin in range(0, max(1, len(text) - OVERLAP), WINDOW - OVERLAP):
        window = text[begin : begin + WINDOW]
        end = begin + len(window)
        for start, stop, kind in (*_named(window), *_numbered(window, exempt)):
            if (start > 0 or begin == 0) and (stop < len(window) or end == len(text)):
                yield Span(begin + start, begin + stop, kind)


def _named(text: str) -> Iterator[Span]:
    yield from (Span(start, end, Kind.NAME) for start, end in names(text))


def _numbered(text: str, exempt: Exempt) -> Iterator[Span]:
    lower, digits = text.lower(), _longest_number(text)
    for pattern in _PATTERNS:
        if pattern.digits <= digits and any(need in lower for need in pattern.needs):
            for found in pattern.regex.finditer(text):
                if _begins(found) and pattern.holds(found) and not _is_public(pattern.kind, found, exempt):
                    yield Span(*found.span("it"), pattern.kind)


def _begins(found: re.Match[str]) -> bool:
    """Whether no word goes on here."""
    start = found.start()
    return start == 0 or not (found.string[start].isalnum() and found.string[start - 1].isalnum())


def _longest_number(text: str) -> int:
    """Digits of the longest run, as far as patterns ask."""
    return max(map(len, _NUMBER_RUN.findall(text)), default=0)


def _is_public(kind: Kind, found: re.Match[str], exempt: Exempt) -> bool:
    match kind:
        case Kind.PHONE:
            return exempt.toll_free and _TOLL_FREE.match(found["it"]) is not None
        case Kind.URL:
            return found["host"].lower().rstrip(".").endswith(exempt.hosts)
        case _:
            return False
