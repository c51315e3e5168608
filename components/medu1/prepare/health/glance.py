"""Which texts can hold an identifier at all: one look at many texts, so that few are searched pattern by pattern.

Every pattern is loosened to one that RE2 reads (no look-around, no back-reference, no long counts), and all of them
together are matched in linear time over texts in which each foreign letter is its ASCII kind. A loosened pattern finds
whatever the strict one does, and more: what is passed over holds nothing, what is found is still to be searched.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

TOGETHER: Final = 6  # pattern groups: one automaton for all patterns outgrows RE2's memory, many read a text many times

_SMALL: Final = 2  # counts up to this are kept: each state of a count is one of the automaton's
_LOOK: Final = ("(?<!", "(?<=", "(?!", "(?=")
_FOREIGN_RANGE: Final = re.compile(r"[^\x00-\x7f]-[^\x00-\x7f]")
_TOKEN: Final = re.compile(
    r"(?P<escape>\\u2019|\\.)|(?P<named>\(\?P<\w+>)|(?P<same>\(\?P=\w+\))|\{(?P<low>\d+),(?P<high>\d+)\}"
)
_ALIKE: Final = {"\u2019": "'", "\u212a": "K", "\u017f": "s", "\u0130": "i", "\u0131": "i"}  # to Python's IGNORECASE


class Glance:
    """A set of patterns, loosened."""

    def __init__(self, patterns: Sequence[re.Pattern[str]]) -> None:
        loose = [f"(?:{loosened(pattern)})" for pattern in patterns]
        self._groups = ["|".join(loose[start::TOGETHER]) for start in range(min(TOGETHER, len(loose)))]

    def likely(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text can hold a match of any pattern; False is certain."""
        import pyarrow as pa
        import pyarrow.compute as pc

        column = pa.array([plain(text) for text in texts], pa.string())
        found: Any = pa.array([False] * len(texts), pa.bool_())
        for group in self._groups:
            found = pc.or_(found, pc.match_substring_regex(column, group))
        flags: list[bool] = found.to_pylist()
        return flags


def loosened(pattern: re.Pattern[str]) -> str:
    """A pattern for RE2 that matches, in `plain` text, wherever this one matches in the text itself."""
    source, made, place = pattern.pattern, "", 0
    while place < len(source):
        if source.startswith(_LOOK, place):
            place = _after_group(source, place)
            place += source.startswith("?", place)
        elif token := _TOKEN.match(source, place):
            made += _loose(token)
            place = token.end()
        else:
            made += source[place]
            place += 1
    made = _FOREIGN_RANGE.sub("", made)
    return f"(?i:{made})" if pattern.flags & re.IGNORECASE else made


def _loose(token: re.Match[str]) -> str:
    """One part of a pattern: groups lose their names, a back-reference may be any mark, long counts have no end."""
    match token.lastgroup:
        case "escape":
            return "'" if token["escape"] == r"\u2019" else token["escape"]
        case "named":
            return "(?:"
        case "same":
            return "[/.-]"
    low, high = int(token["low"]), int(token["high"])
    if high <= _SMALL:
        return token[0]
    return {0: "*", 1: "+"}.get(low, f"{{{low},}}")


def _after_group(source: str, place: int) -> int:
    """Where the group that opens at a place has ended."""
    depth, in_set = 0, False
    while True:
        match source[place]:
            case "\\":
                place += 1
            case "[" if not in_set:
                in_set = True
            case "]":
                in_set = False
            case "(" if not in_set:
                depth += 1
            case ")" if not in_set:
                depth -= 1
        place += 1
        if depth == 0:
            return place


class _Stand(dict[int, str]):
    """What stands for a character: itself where it is ASCII, else a letter, digit, space or mark of its kind."""

    def __missing__(self, code: int) -> str:
        self[code] = stand = _stand(chr(code))
        return stand


def _stand(character: str) -> str:
    if character.isascii():
        return character
    if known := _ALIKE.get(character):
        return known
    kinds = ((str.isupper, "A"), (str.isdigit, "0"), (str.isalnum, "a"), (str.isspace, " "))
    return next((stand for holds, stand in kinds if holds(character)), "~")


_STAND: Final = _Stand()


def plain(text: str) -> str:
    """A text of ASCII characters of the same kinds, one for one."""
    return text if text.isascii() else text.translate(_STAND)
