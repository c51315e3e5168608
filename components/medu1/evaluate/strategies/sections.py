"""Named sections of a reply: finding them whatever Markdown they wear, and how many of them are there, in order.

A heading is the name on a line of its own, or at the beginning of one before a colon or a dash; it may be numbered,
bold, or marked as a Markdown heading. Only the beginning of a line is looked at, by bounded patterns: linear on any
text.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from medu1.scoring.answer import TAGS

NAMES: Final = ("Findings", "Knowledge", "Reasoning", "Check", "Answer")

_HEAD: Final = 160  # characters of a line in which a heading may stand
_HEADING = re.compile(
    r"[\s#>*_`\[(\u2022-]{0,12}"  # list and heading marks, bold, brackets
    r"(?:(?:step|section) ?)?(?:[0-9]{1,2} ?[.):]{0,2}[\s*_`-]{0,4})?"  # a number
    r"(?:(?:key|main|clinical|relevant|medical|final) )?"
    r"(finding|knowledge|reasoning|check|answer)s?"
    r"[\s*_`\])]{0,6}"
    r"(?:[:\uff1a]|[\u2013\u2014-](?=\s|$)|(?=[.*_`\s#]{0,12}$))"
    r"[*_`]{0,4}",
    re.IGNORECASE,
)
_TAG = re.compile("|".join(map(re.escape, TAGS)))
_MARKS: Final = "*_`# \t\r\n"


class Section(NamedTuple):
    """A heading's name and what stands below it, up to the next heading."""

    name: str  # one of NAMES
    body: str


def sections(text: str) -> list[Section]:
    """Every section of a text in order, empty and repeated ones included; tags of the method stand between lines."""
    found: list[tuple[str, list[str]]] = []
    for line in _TAG.sub("\n", text).splitlines():
        heading = _HEADING.match(line[:_HEAD])
        if heading:
            found.append((_name(heading.group(1)), [line[heading.end() :]]))
        elif found:
            found[-1][1].append(line)
    return [Section(name, "\n".join(lines).strip(_MARKS)) for name, lines in found]


def completeness(found: Sequence[Section]) -> float:
    """The share of NAMES that have a section with something in it, counted along the longest run in their order."""
    longest = [0] * len(NAMES)  # of a run that ends with each name
    for section in found:
        if section.body:
            place = NAMES.index(section.name)
            longest[place] = max(longest[place], 1 + max(longest[:place], default=0))
    return max(longest) / len(NAMES)


def _name(word: str) -> str:
    return next(name for name in NAMES if name.lower().startswith(word.lower()))
