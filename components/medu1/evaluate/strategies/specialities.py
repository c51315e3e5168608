"""The specialities a general practitioner asks for, read from a reply that is not trusted.

A name goes into a system turn, so it is a few words of letters that end as specialities and specialists do: neither an
instruction nor the wrong answer of a model that does not know what it is asked.
"""

import re
from typing import Final

from medu1.evaluate.strategies.answers import after_thought, is_tagged, stated
from medu1.generation.backend import Reply

FALLBACK: Final = ("internal medicine", "clinical pharmacology", "pathology", "emergency medicine", "surgery")

_READ: Final = 2000  # characters of a reply
_LONGEST: Final = 40  # of a name
_BETWEEN = re.compile(r"[\n\r,;|/\u2022]")
_LEADING = re.compile(r"[\s*_`#>(\[-]{0,8}(?:[0-9]{1,2}[.):]{1,2})?[\s*_`-]{0,8}")
_EXPLAINED = re.compile(r"[:(\u2013\u2014]| - ")
_NAME = re.compile(r"[a-z]+(?:[ -][a-z]+){0,3}")
_ENDING = re.compile(
    r"(?:(?:olog|iatr)(?:y|ist)|iatrics|ician|medicine|surg(?:ery|eon)|specialist|physician|genetic(?:s|ist)"
    r"|an(?:a)?esthesia|obstetrics|orthop(?:a)?edics|pharmac(?:y|ist)|dentist(?:ry)?|nutrition|dietetics|rehabilitation"
    r"|(?:intensive|critical|palliative|primary|emergency) care|public health)$"
)


def specialities(reply: Reply, most: int) -> tuple[str, ...]:
    """At most `most` different names in lower case, in the reply's order; the fallback's where none is legible."""
    text = after_thought(reply.text)
    if is_tagged(text):
        text = stated(reply) or ""
    names = (_name(part) for part in _BETWEEN.split(text[:_READ].lower()))
    found = tuple(dict.fromkeys(name for name in names if name))
    return (found or FALLBACK)[:most]


def _name(part: str) -> str:
    """The name in one item of a list, without number, bullet and explanation; empty where it is none."""
    rest = _LEADING.sub("", part, count=1)
    name = " ".join(_EXPLAINED.split(rest, maxsplit=1)[0].strip(" .*_`\"')]").split())
    if len(name) > _LONGEST or not _NAME.fullmatch(name):
        return ""
    return name if _ENDING.search(name) else ""
