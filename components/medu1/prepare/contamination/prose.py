"""What a question says, as words and options in no order: the form in which contamination is looked for.

The words are those of `medu1.prompt.normalised` (case, typography, punctuation and spacing folded away), found several
times faster, as UTF-8; a character of a script written without spaces is a word of its own.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from medu1.question import Question
from medu1.scoring.words import STOP_WORDS

SEPARATOR: Final = 32  # what every ASCII character that is in no word becomes
FOLDING: Final = bytes(code if code > 127 or chr(code).isalnum() else SEPARATOR for code in range(256))

_FOREIGN = re.compile(r"[^\x00-\x7f]")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")  # kana and Han
_SAYS_NOTHING: Final = frozenset(
    b"yes|no|maybe|true|false|all|none|both|neither|all of the above|none of the above|all of these|none of these|"
    b"both of the above|any of the above|not sure|uncertain|cannot be determined|other".split(b"|")
)
_OF_ANY_QUESTION: Final = frozenset(word.encode() for word in STOP_WORDS) | {b"following"}


def folded(text: str) -> bytes:
    """A text whose words are its runs of ASCII letters, ASCII digits and bytes above 127."""
    if text.isascii():
        return text.lower().encode()
    text = unicodedata.normalize("NFKC", text).casefold()
    for character in set(_FOREIGN.findall(text)):  # a table of bytes tells ASCII apart, no more
        if not character.isalnum():
            text = text.replace(character, " ")
        elif _UNSPACED.match(character):
            text = text.replace(character, f" {character} ")
    return text.encode(errors="surrogatepass")


def words(text: str) -> list[bytes]:
    """The words in order."""
    return folded(text).translate(FOLDING).split()


def asked(question: Question) -> bytes:
    """Context and text, folded."""
    return folded(f"{question.context}\n{question.text}" if question.context else question.text)


def packed(question: Question) -> bytes:
    """Context, text and the options in order, a line each: one value for a question, since an index holds thousands."""
    prose = (folded(part).translate(FOLDING) for part in (question.context, question.text))
    return b"\n".join([*prose, *sorted(b" ".join(words(option)) for option in question.options.values())])


def telling_options(question: Question) -> int:
    """How many different options say something: not yes, no, all of the above, a letter or a number."""
    options = {b" ".join(words(option)) for option in question.options.values()}
    return sum(not _says_nothing(option) for option in options)


class Prose(NamedTuple):
    """A question's words, and its options in an order that does not depend on their letters."""

    context: list[bytes]
    text: list[bytes]
    options: list[bytes]  # an option's words, a space between them

    @classmethod
    def of(cls, question: Question) -> "Prose":
        """The words of a question."""
        return cls.parse(packed(question))

    @classmethod
    def parse(cls, packed: bytes) -> "Prose":
        """The words that `packed` holds."""
        context, text, *options = packed.split(b"\n")
        return cls(context.split(), text.split(), options)

    @property
    def asked(self) -> list[bytes]:
        """Every word but those of the options."""
        return self.context + self.text

    def is_same(self, other: "Prose") -> bool:
        """The same words; of two choice questions the same options too, for short stems recur."""
        return self.asked == other.asked and (not self.options or not other.options or self.options == other.options)

    def share_of_runs(self, other: "Prose", starts: Iterable[int], length: int) -> float:
        """Share, in the shorter of the two, of the runs of words that begin at `starts` here and occur in both.

        Of two different contexts the contexts alone are compared: a calculation is asked of many notes in one wording.
        """
        noted = self.context and other.context and self.context != other.context
        mine, theirs = (self.context, other.context) if noted else (self.asked, other.asked)
        runs = min(len(mine), len(theirs)) - length + 1
        if runs < 1:
            return 0.0
        last, places = len(mine) - length, _places(theirs)
        found = 0
        for start in starts:
            run = mine[start : start + length]
            found += start <= last and any(run == theirs[place : place + length] for place in places[run[0]])
        return min(1.0, found / runs)

    def share_of_words(self, other: "Prose") -> float:
        """Share of the different telling words of the one with fewer that the other has as well."""
        mine, theirs = set(self.asked) - _OF_ANY_QUESTION, set(other.asked) - _OF_ANY_QUESTION
        fewer = min(len(mine), len(theirs))
        return len(mine & theirs) / fewer if fewer else float(mine == theirs)


def _places(of: Sequence[bytes]) -> defaultdict[bytes, list[int]]:
    places = defaultdict[bytes, list[int]](list)
    for place, word in enumerate(of):
        places[word].append(place)
    return places


def _says_nothing(option: bytes) -> bool:
    return option in _SAYS_NOTHING or all(len(word) == 1 or word.isdigit() for word in option.split())
