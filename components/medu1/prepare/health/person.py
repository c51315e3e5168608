"""Names of people, found by what stands around them: a title, a label, "my name is", an age or a degree.

No list of names is asked, so eponyms are none: "Parkinson disease" and "a Foley catheter" have no title. A title before
an eponym or an institution ("Dr. Soetomo General Hospital") names that.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_UPPER: Final = "A-Z\u00c0-\u00d6\u00d8-\u00de"
_LOWER: Final = "a-z\u00df-\u00f6\u00f8-\u00ff"
_PART: Final = rf"[{_UPPER}][{_LOWER}]{{1,24}}"
_CAPITALS: Final = rf"[{_UPPER}]{{3,24}}"
_REST: Final = (  # of a word after its capital: McDonald, Anna-Maria, O'Brien, SMITH
    rf"(?:[{_LOWER}]{{1,24}}(?:['\u2019-]?{_PART}){{0,2}}|['\u2019]{_PART}|[{_UPPER}]{{2,23}})(?!\w)"
)
_PARTICLES: Final = (
    r"(?:(?:[Vv]an der|[Vv]an den|[Vv]an de|[Dd]e la|[Vv]an|[Vv]on|[Dd]e|[Dd]i|[Dd]el|[Aa]l|[Ee]l|[Bb]in)[ -])?"
)
_INITIALS: Final = rf"(?:[{_UPPER}](?:\. ?| )){{0,2}}"
_ONE: Final = rf"{_INITIALS}{_PARTICLES}[{_UPPER}]{_REST}"
_FULL: Final = rf"{_ONE}(?: {_ONE}){{0,3}}"
_TWO: Final = rf"[{_UPPER}](?<![\w-].)(?:{_REST},? {_ONE}(?: {_ONE})?|\. ?{_ONE})"
_LISTED: Final = rf"(?:[{_UPPER}]{_REST}, {_FULL}|{_FULL})"  # Smith, John

_RELATIVE: Final = "mother|father|parent|guardian|spouse|husband|wife|son|daughter|child|sister|brother"
_OWNER: Final = f"patient|pt|{_RELATIVE}|provider|physician|doctor|nurse"
_BY: Final = "signed by|dictated by|transcribed by|reviewed by|referred by|seen by|accompanied by"
_LABEL: Final = (
    f"{_OWNER}|next of kin|emergency contact|contact person|attending|signed|pcp|primary care physician|"
    f"referring physician|{_BY}"
)
_SOMEONE: Final = (
    f"man|woman|boy|girl|baby|infant|patient|lady|gentleman|male|female|person|student|teacher|{_RELATIVE}"
)
_UNIT: Final = r"(?:years?|yrs?|months?|weeks?|days?)"
_AGE: Final = (  # "Costa Rica 7 weeks ago" is no age
    rf"(?:,? is (?:an? )?\d{{1,3}}[ -]?{_UNIT}|,?(?: was)?(?: an?)?(?: aged?)? \d{{1,3}}[ -]?{_UNIT}[ -]old|"
    rf",?(?: is| was)?(?: an?)? \d{{1,3}} ?(?:yo|y/o)|,? aged \d{{1,3}}| \(\d{{1,3}} ?(?:{_UNIT}|y)\))(?!\w)"
)
_DEGREE: Final = r"(?:M\.D\.|D\.O\.|Ph\.D\.|R\.N\.|(?:MD|DO|RN|PhD|NP|PA-C|DDS|LPN|MBBS|FRCS|FRCP)(?!\w))(?! \d{5})"
_LINE_END: Final = r"(?= ?(?:[,;.|\n(]|$))"
_OWNED: Final = rf"(?i:{_OWNER})(?:['\u2019]s)?"


def cased(phrases: str) -> str:
    """Alternatives in every usual case, spelt out: a search skips to their first letters, as it cannot where it ignores
    case."""
    forms = (str.lower, str.capitalize, str.title, str.upper)
    every = (form(phrase) for phrase in phrases.split("|") for form in forms)
    return "|".join(dict.fromkeys(every))


_COMMAS: Final = "|".join(f"{someone}, " for someone in _SOMEONE.split("|"))
_ENDS: Final = "|".join(f"{label}:" for label in _LABEL.split("|"))


class _Cue(NamedTuple):
    """What tells a name; a text without any of `needs`, in lower case, is not searched."""

    needs: tuple[str, ...]
    regex: re.Pattern[str]


def _cue(needs: str, pattern: str) -> _Cue:
    return _Cue(tuple(needs.split("|")), re.compile(pattern))


_CUES: Final = (
    _cue(
        "mr|ms |ms.|mx |miss |dr.|dr |prof|doctor |nurse ",
        rf"(?:Mr|Mrs|Ms|Mx|Miss|Dr|Prof|Professor|Doctor|Nurse)(?!\w)\.?[ \t]{{1,2}}(?P<it>{_FULL})",
    ),
    _cue("mr.|mrs.|dr.", rf"(?:MR|MRS|DR)\.[ \t]{{1,2}}(?P<it>{_CAPITALS}(?: {_CAPITALS}){{0,2}})(?!\w)"),
    _cue(
        "name:|name =|name=|name -|name-|name :",
        rf"(?:{cased('name|surname')})[ \t]{{0,2}}[:=-][ \t]{{0,3}}"
        rf"(?P<it>{_LISTED}|[a-z]{{2,24}} [a-z]{{2,24}}{_LINE_END})",
    ),
    _cue(
        "name of",
        rf"(?:{cased('name of')}) (?:(?i:the|your|this) )?{_OWNED}[ \t]{{0,2}}[:=-]?[ \t]{{0,3}}(?P<it>{_LISTED})",
    ),
    _cue(
        "name is |name was |name's |name\u2019s ",
        rf"(?:{cased('my|his|her|their|whose|' + _OWNER)})(?:['\u2019]s)? (?:(?:full|first|last|given|family) )?"
        rf"(?i:name)(?:['\u2019]s| is| was) (?P<it>{_FULL})",
    ),
    _cue(
        "named |called |name of |goes by",
        rf"(?:{cased(_SOMEONE)}) (?:named|called|by the name of|goes by) (?P<it>{_FULL})",
    ),
    _cue("mr. |mrs. ", r"(?:mr|mrs)\. (?P<it>[a-z]{3,24}(?: [a-z]{3,24}(?= (?:is|was|has|had)(?!\w)))?)(?!\w)"),
    _cue("baby boy |baby girl |pt ", rf"(?:{cased('baby boy|baby girl')}|Pt) (?P<it>{_FULL})"),
    _cue(_COMMAS, rf"(?:{cased(_SOMEONE)}), (?P<it>{_TWO})(?=[,.;)])"),
    _cue("i am |i'm |i\u2019m |this is ", rf"(?:I am|I'm|I\u2019m|This is|this is) (?P<it>{_TWO})"),
    _cue(_ENDS, rf"(?:{cased(_LABEL)}):[ \t]{{0,3}}(?P<it>{_TWO})"),
    _cue("d by |n by ", rf"(?:{cased(_BY)}) (?P<it>{_TWO})"),
    _cue("old| is | yo|y/o|aged |years)| y)", rf"(?P<it>{_TWO}){_AGE}"),
    _cue(" md| m.d|, do| d.o| rn| r.n| phd| ph.d| np| pa-c| dds| lpn| mbbs| frc", rf"(?P<it>{_TWO}),? {_DEGREE}"),
    _cue(
        "sincerely|regards|thank",
        rf"(?:{cased('sincerely|regards|thank you|thanks')}),?\s{{1,3}}(?P<it>{_FULL})",
    ),
)

_THINGS_LIST: Final = """
hospital clinic institute center centre university foundation school college medical general memorial department unit
practitioner practitioners anesthetist midwife manager specialist educator emeritus registered association society
disease syndrome dystrophy degeneration disorder depression deficiency dysfunction score scale criteria index test
sclerosis carcinoma lymphoma anemia injury failure infection arthritis stenosis fibrosis palsy cancer
"""
_OPENERS_LIST: Final = """
the this that an in on at our we patient patients case cases here after before during for from by with history he she
his her their it its age aged question mean median over under about only both all each no not male female man woman
boy girl child infant baby caucasian african american hispanic asian white black january february march april may june
july august september october november december monday tuesday wednesday thursday friday saturday sunday unknown none
same and unavailable withheld redacted yes consultation admission examination physical what which who when alert
mr mrs ms mx miss dr prof professor doctor nurse
"""
_THINGS: Final = frozenset(_THINGS_LIST.split())  # a phrase with one of them names no person
_OPENERS: Final = frozenset(_OPENERS_LIST.split())  # nor does one that begins with one of them
_EPONYM: Final = re.compile(
    r"(?:['\u2019]s?)? (?:disease|syndrome|sign|test|catheter|score|scale|criteri|classification|man[oe]|reflex|law|"
    r"phenomenon|node|lymphoma|tumou?r|palsy|formula|equation|index|stain|procedure|operation|incision|forceps|"
    r"hospital|clinic|institute|university|medical|foundation)",
    re.IGNORECASE,
)


PATTERNS: Final = tuple(cue.regex for cue in _CUES)


def names(text: str) -> Iterator[tuple[int, int]]:
    """Where names stand; a span may be found twice."""
    lower = text.lower()
    for cue in _CUES:
        if any(need in lower for need in cue.needs):
            yield from (found.span("it") for found in cue.regex.finditer(text) if _is_person(found))


def _is_person(found: re.Match[str]) -> bool:
    text, parts = found.string, re.findall(r"[^\W\d_]+", found["it"].lower())
    inside = found.start() > 0 and (text[found.start() - 1].isalnum() or text[found.start() - 1] == "-")
    is_thing = parts[0] in _OPENERS or not _THINGS.isdisjoint(parts)
    return not (inside or is_thing or _EPONYM.match(text, found.end("it")))
