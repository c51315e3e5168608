"""What a question says, as words and options in no order: the form in which contamination is looked for.

The words are those of `medu1.prompt.normalised` (case, typography, punctuation and spacing folded away), found several
times faster, as UTF-8; a character of a script written without spaces is a word of its own.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, compress, pairwise
from typing import Final, NamedTuple

from medu1.question import Question
from medu1.scoring.words import STOP_WORDS

SEPARATOR: Final = 32  # what every ASCII character that is in no word becomes
FOLDING: Final = bytes(code if code > 127 or chr(code).isalnum() else SEPARATOR for code in range(256))

TOGETHER: Final = 1 << 10  # questions folded at once: texts that fit in a processor's cache

_END: Final = "\x1e"  # stands between texts that are folded together
_ENDED: Final = _END.encode()
_FOLDING_TOGETHER: Final = FOLDING[: ord(_END)] + _ENDED + FOLDING[ord(_END) + 1 :]

_ASCII: Final = bytes(range(128))
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
    encoded = unicodedata.normalize("NFKC", text).encode(errors="surrogatepass").lower()
    for character in set(encoded.translate(None, _ASCII).decode(errors="surrogatepass")):
        own, stand = _stand(character)
        encoded = encoded if own == stand else encoded.replace(own, stand)
    return encoded


@lru_cache(maxsize=4096)
def _stand(character: str) -> tuple[bytes, bytes]:
    """A character outside ASCII, and what stands for it: a table of bytes cannot tell which of them are in words."""
    parts = (
        " " if not each.isalnum() else f" {each} " if _UNSPACED.match(each) else each for each in character.casefold()
    )
    return character.encode(errors="surrogatepass"), "".join(parts).encode(errors="surrogatepass")


def folded_all(texts: Sequence[str]) -> list[bytes]:
    """Each text folded: those of ASCII all together, which is twice as fast."""
    plain = [text if text.isascii() else "" for text in texts]
    block = "".join(plain).lower().encode()
    together = [block[start:end] for start, end in pairwise(accumulate(map(len, plain), initial=0))]
    return [part or folded(text) for part, text in zip(together, texts, strict=True)]


def words(text: str) -> list[bytes]:
    """The words in order."""
    return folded(text).translate(FOLDING).split()


def asked(questions: Sequence[Question]) -> list[bytes]:
    """Context and text of each, folded."""
    return folded_all([f"{each.context}\n{each.text}" if each.context else each.text for each in questions])


class Said(NamedTuple):
    """What a question says, folded once for whoever compares."""

    context: bytes  # words, a space between them
    text: bytes
    options: list[bytes]  # in the order of their letters

    @classmethod
    def of(cls, question: Question) -> "Said":
        """The question's words."""
        return cls.all([question])[0]

    @classmethod
    def all(cls, questions: Sequence[Question]) -> list["Said"]:
        """Of many questions at once, which is several times faster."""
        some = (questions[start : start + TOGETHER] for start in range(0, len(questions), TOGETHER))
        return [said for portion in some for said in cls._together(portion)]

    @classmethod
    def _together(cls, questions: Sequence[Question]) -> Iterator["Said"]:
        told = iter(spaced([part for question in questions for part in _parts(question)]))
        for question in questions:
            yield cls(next(told), next(told), [next(told) for _ in question.options])

    @property
    def packed(self) -> bytes:
        """Context, text and the options in order, a line each: one value for a question, since an index holds
        thousands."""
        return b"\n".join([self.context, self.text, *sorted(self.options)])


def _parts(question: Question) -> list[str]:
    return [question.context, question.text, *(option for _, option in sorted(question.options.items()))]


def spaced(texts: Sequence[str]) -> list[bytes]:
    """The words of each text, a space between them: of ASCII texts all together, of others one by one."""
    plain = [text.isascii() and _END not in text for text in texts]
    block = _END.join(compress(texts, plain)).lower().encode()
    block = block.translate(_FOLDING_TOGETHER)
    while b"  " in block:
        block = block.replace(b"  ", b" ")
    together = iter(block.split(_ENDED))
    return [
        next(together).strip() if is_plain else b" ".join(words(text))
        for text, is_plain in zip(texts, plain, strict=True)
    ]


def telling_options(options: bytes) -> int:
    """How many different options, a packed line each, say something: not yes, no, all of the above, a letter or a
    number."""
    return sum(not _says_nothing(option) for option in set(options.split(b"\n")))


class Prose(NamedTuple):
    """A question's words, and its options in an order that does not depend on their letters."""

    context: list[bytes]
    text: list[bytes]
    options: list[bytes]  # an option's words, a space between them

    @classmethod
    def of(cls, question: Question) -> "Prose":
        """The words of a question."""
        options = sorted(b" ".join(words(option)) for option in question.options.values())
        return cls(words(question.context), words(question.text), options)

    @classmethod
    def parse(cls, packed: bytes) -> "Prose":
        """The words that `Said.packed` holds."""
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
        known = {tuple(theirs[start : start + length]) for start in range(len(theirs) - length + 1)}
        found = sum(tuple(mine[start : start + length]) in known for start in starts)
        return min(1.0, found / runs)

    def share_of_words(self, other: "Prose") -> float:
        """Share of the different telling words of the one with fewer that the other has as well."""
        mine, theirs = set(self.asked) - _OF_ANY_QUESTION, set(other.asked) - _OF_ANY_QUESTION
        fewer = min(len(mine), len(theirs))
        return len(mine & theirs) / fewer if fewer else float(mine == theirs)


def _says_nothing(option: bytes) -> bool:
    return option in _SAYS_NOTHING or all(len(word) == 1 or word.isdigit() for word in option.split())
