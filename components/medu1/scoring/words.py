"""A text as the grader compares it: folded words, and which of them carry content."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from medu1.scoring.numerals import FIGURES, JOINING, joined

_STOP_LIST: Final = """
a an the of in on at to for from by with as and or but if then than so is are was were be been being am do does did
have has had having can could will would shall should may might must it its this that these those there here he she
they we you i his her their our your my him them us me who whom whose which what when where why how also very just
about into over under up down out off between through during before after above below again further once both each
other some such only own same too now because while until against any all more most few
"""
STOP_WORDS: Final = frozenset(_STOP_LIST.split())
_GREEK_NAMES: Final = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu"
_GREEK: Final = {chr(0x3B1 + place): f" {name} " for place, name in enumerate(_GREEK_NAMES.split())}
_TABLE: Final = str.maketrans(
    {"\u2019": "'", "\u2018": "'", "\u02bc": "'", "\u2212": "-", "\u2013": "-", "\u2014": " ", "\u2044": "/"}
    | {"\u2264": "<=", "\u2265": ">="}
)
_CONTRACTION = re.compile(r"\b(ca|wo|sha)?n't\b|(?<=[a-z])n't\b|\bcannot\b")
_POSSESSIVE = re.compile(r"(?<=[a-z])'s?\b")
_GROUPING = re.compile(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))")
_BOUND = re.compile(r"(?<!-)[<>](?==?\s?[0-9])")
_SIGN = re.compile(r"(?<=[a-z0-9])(\+|-)(?![\w+-])")
_WORD = re.compile(r"[0-9]+\.[0-9]+|[^\W_]+")
_LETTERED_LIST: Final = """
vitamin hepatitis type group influenza factor class grade stage protein haemophilia hemophilia immunoglobulin
apolipoprotein streptococcus streptococci strain subtype category botulinum toxin
"""
_LETTERED: Final = frozenset(_LETTERED_LIST.split())  # nouns after which "a" is a letter, not an article


def words(text: str) -> tuple[str, ...]:
    """Lower-case words without accents, plural endings or grouping commas; numbers are figures.

    A final + or -, a < or > before a figure and % are words too.
    """
    found = _WORD.findall(_folded(text))
    return tuple(map(_singular, found if JOINING.isdisjoint(found) else joined(found)))


def content(text_words: Sequence[str]) -> list[str]:
    """The words that carry meaning; "a" is one of them at the end of a text and after a noun that takes a letter."""
    last = len(text_words) - 1
    return [
        word
        for place, word in enumerate(text_words)
        if word not in STOP_WORDS
        or (word == "a" and place > 0 and (place == last or text_words[place - 1] in _LETTERED))
    ]


def _folded(text: str) -> str:
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text.translate(_TABLE))
        text = "".join(_GREEK.get(mark, mark) for mark in text.casefold() if not unicodedata.combining(mark))
    text = text.lower()
    if "n't" in text or "cannot" in text:
        text = _CONTRACTION.sub(" not", text)
    if "'" in text:
        text = _POSSESSIVE.sub("", text)
    if "," in text:
        text = _GROUPING.sub("", text)
    if "+" in text or "-" in text:
        text = _SIGN.sub(lambda found: " positive " if found.group(1) == "+" else " negative ", text)
    if "<" in text or ">" in text:
        text = _BOUND.sub(lambda found: " less " if found.group() == "<" else " more ", text)
    text = text.replace("at least ", "more ").replace("at most ", "less ")
    return text.replace("%", " percent ")


@lru_cache(maxsize=65536)
def _singular(word: str) -> str:
    if word in FIGURES:
        return FIGURES[word]
    if len(word) > 3 and word[-1] == "s" and word[-2] not in "sui":
        return word[:-3] + "y" if len(word) > 4 and word.endswith("ies") else word[:-1]
    return word
