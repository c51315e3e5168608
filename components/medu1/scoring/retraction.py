"""How a text denies what it says: negators beside a gold's words, and sentences that take the rest back.

A sentence without a word of the gold denies nothing ("do not hesitate to call"), unless it speaks of the answer itself.
"""

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Final, NamedTuple

from medu1.scoring.denial import NEGATORS
from medu1.scoring.words import words

_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|\n+|\s(?=(?:Or|Alternatively|This|That|It|Do|Never|Ignore|Avoid)\b)")
_DISCLAIMER = re.compile(r"\b(?:this|it) is not (?:\w+ ){0,4}advice\b", re.IGNORECASE)
_TAKES_BACK = re.compile(
    r"\b(?:not|never) (?:\w+ ){0,3}(?:true|correct|case|right|so)\b"
    r"|\b(?:false|untrue|incorrect|wrong|opposite|myth|misconception|joke|joking|kidding)\b"
    r"|\b(?:(?:not|never) (?:do|follow|believe|trust|try)|(?<!not )(?<!never )(?:avoid|ignore|disregard|refuse|forget))"
    r" (?:\w+ ){0,2}(?:this|that|these|it|following|above|advice|answer)\b"
    r"|\b(?:this|that|above|such) (?:advice|answer|statement) (?:\w+ ){1,2}(?:dangerous|harmful|bad|outdated|deadly)\b"
)
_HALTS: Final = frozenset({"stop", "discontinue", "quit", "cease"})
_BEFORE_ADVICE: Final = frozenset({"please", "should", "must", "but", "then"})
_TURNS: Final = frozenset({"or", "alternatively"})  # as a sentence's first word: another answer follows


class Denials(NamedTuple):
    """What a text denies; an answer that denies more or less than the reference says something else."""

    negators: int  # beside the reference's own words
    retractions: int  # sentences that take the others back, or offer something else


def without_disclaimer(text: str) -> str:
    """The text without the remark that this is no medical advice."""
    return _DISCLAIMER.sub(" ", text) if "advice" in text else text


@lru_cache(maxsize=64)  # an answer is held against each alias
def sentences(text: str) -> tuple[tuple[str, ...], ...]:
    """The words of each sentence, without the remark that this is no medical advice."""
    return tuple(told for part in _SENTENCE_END.split(without_disclaimer(text)) if (told := words(part)))


def denials(told: Sequence[tuple[str, ...]], gold_words: AbstractSet[str]) -> Denials:
    """The denials of a text's sentences, seen from the words a gold consists of."""
    negators = retractions = 0
    for sentence in told:
        retractions += sentence[0] in _TURNS
        if not gold_words.isdisjoint(sentence):
            negators += _negators(sentence)
        elif _TAKES_BACK.search(" ".join(sentence)):
            retractions += 1
    return Denials(negators, retractions)


def _negators(sentence: tuple[str, ...]) -> int:
    count = 0 if NEGATORS.isdisjoint(sentence) else sum(word in NEGATORS for word in sentence)
    if _HALTS.isdisjoint(sentence):
        return count
    return count + sum(
        word in _HALTS and (place == 0 or sentence[place - 1] in _BEFORE_ADVICE) for place, word in enumerate(sentence)
    )
