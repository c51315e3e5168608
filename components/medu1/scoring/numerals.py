"""Numbers written as words, read as figures: "twenty-five" and "25" are the same word to the grader."""

from collections.abc import Sequence
from typing import Final

_LIST: Final = """
one two three four five six seven eight nine
ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen
twenty thirty forty fifty sixty seventy eighty ninety
"""
_ONES, _TEENS, _TENS = (line.split() for line in _LIST.strip().split("\n"))
_UNITS: Final = {name: str(value) for value, name in enumerate(_ONES, start=1)}
_ROUND: Final = {name: str(value) for value, name in zip(range(20, 100, 10), _TENS, strict=True)}
_SCALES: Final = {"hundred": "00", "thousand": "000", "million": "000000"}

FIGURES: Final = {**_UNITS, **{name: str(value) for value, name in enumerate(_TEENS, start=10)}, **_ROUND}
JOINING: Final = frozenset({*_ROUND, *_SCALES})  # words that may belong to one figure with a neighbour


def joined(text_words: Sequence[str]) -> list[str]:
    """The words with "twenty five" as 25 and "two hundred" or "2 hundred" as 200."""
    told: list[str] = []
    for word in text_words:
        last = told[-1] if told else ""
        if word in _UNITS and last in _ROUND:
            told[-1] = _ROUND[last][0] + _UNITS[word]
        elif word in _SCALES and (last in FIGURES or last.isdecimal()) and len(last) <= 12:
            told[-1] = FIGURES.get(last, last) + _SCALES[word]
        else:
            told.append(word)
    return told
