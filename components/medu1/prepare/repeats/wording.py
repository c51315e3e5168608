"""What a question says, in the forms in which two questions are held to be one.

Words are the grader's, so that "1.2", "< 5", "isn't" and "ER+" stay what they are. `marks` is what two versions of one
question always share: its numbers, its negations and the words that have an opposite, its options whatever their
letters, and the kind of its answer. `gist` leaves out words that carry nothing, never the subject: "symptoms of
silicosis" and "symptoms of shingles" differ in one word and are two questions.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from medu1.prepare.split import prompt_of
from medu1.question import Question
from medu1.scoring.denial import NEGATORS
from medu1.scoring.opposites import POLES, forms
from medu1.scoring.words import STOP_WORDS, content, words

Words = tuple[str, ...]

SHINGLE: Final = 3  # words

_TELLING_LIST: Final = """
who whom whose when where why how do
all any only both same from into out off up down must or most few through between
"""
_TELLING: Final = frozenset(_TELLING_LIST.split())  # among the grader's stop words, yet two questions differ in them
_TURNING: Final = (POLES.keys() | NEGATORS | {"most", "least"}) - forms("present")  # patients present with a cough
_MINUS: Final = re.compile(r"(?<![\w)\]])[-\u2212\u2013] ?(?=\.?\d)")

assert _TELLING <= STOP_WORDS


class Wording(NamedTuple):
    """One question's words."""

    prompt: str  # as a model is asked, normalised
    context: Words
    text: Words
    options: Words  # of all options, in an order that does not depend on their letters
    marks: str

    @classmethod
    def of(cls, question: Question) -> "Wording":
        """The question in every form."""
        context, text = words(question.context), words(question.text)
        options = sorted(" ".join(words(option)) + _signs(option) for option in question.options.values())
        marks = (question.gold.kind, _minuses(question), *filter(_turns, context + text), "", *options)
        return cls(prompt_of(question), context, text, tuple(" ".join(options).split()), "\x1f".join(marks))

    def is_same(self, other: "Wording") -> bool:
        """True for one prompt in another typography."""
        return self.prompt == other.prompt and self.marks == other.marks

    def says_the_same(self, other: "Wording") -> bool:
        """True where at most light words, plurals and the order of options differ."""
        alike = self.marks == other.marks and _gist(self.text) == _gist(other.text)
        return alike and _gist(self.context) == _gist(other.context)

    def similarity(self, other: "Wording") -> float:
        """Jaccard similarity of the less similar part, in [0, 1]; 0 for questions with other marks.

        The context is a part of its own: two questions on one long note are not alike for the note's sake.
        """
        if self.marks != other.marks:
            return 0.0
        asked = jaccard(self.text + self.options, other.text + other.options)
        return asked if self.context == other.context else min(asked, jaccard(self.context, other.context))

    def least_words(self, other: "Wording") -> int:
        """Words of the shortest part in which the two differ: text with options, or context."""
        shortest = min(len(self.text), len(other.text)) + len(self.options)
        return shortest if self.context == other.context else min(shortest, len(self.context), len(other.context))


def jaccard(one: Words, other: Words) -> float:
    """Of the sets of 3-word shingles, in [0, 1]."""
    mine, theirs = _shingles(one), _shingles(other)
    return len(mine & theirs) / len(mine | theirs)


def _shingles(text: Words) -> set[Words]:
    """A text of fewer than three words is one shingle."""
    return {text[start : start + SHINGLE] for start in range(max(1, len(text) - SHINGLE + 1))}


def _gist(text: Words) -> list[str]:
    return content(text) + [word for word in text if word in _TELLING]


def _minuses(question: Question) -> str:
    return "-" * sum(len(_MINUS.findall(text)) for text in (question.context, question.text))


def _signs(option: str) -> str:
    """What the words of an option leave out: minus signs, or all of an option such as "++"."""
    return "-" * len(_MINUS.findall(option)) if any(map(str.isalnum, option)) else option.strip()


@lru_cache(maxsize=65536)
def _turns(word: str) -> bool:
    """Whether another word in its place turns the question: a number, a negation, one of two opposites."""
    return word in _TURNING or any(map(str.isdigit, word))
