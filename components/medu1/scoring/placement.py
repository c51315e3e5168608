"""Which words figures, opposites, directions and negators stand with: what a bag of words does not tell apart.

"High calcium and low phosphate" and "low calcium and high phosphate" are the same bag. A pole stands with the words
behind it in its clause, or with those before it where it ends the clause ("calcium is high"); a negator with the words
behind it. Two words that trade their poles make another statement; one word with another pole may be a paraphrase.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import groupby
from typing import Final, NamedTuple

from medu1.scoring.denial import NEGATORS
from medu1.scoring.opposites import QUALITIES, Pole, pole_table
from medu1.scoring.words import STOP_WORDS

Sentences = Sequence[Sequence[str]]

_PLACED: Final = QUALITIES | pole_table("from out | to into") | dict.fromkeys(NEGATORS, ("denied", "denied"))
_AFFIRMED: Final = ("denied", "affirmed")  # the pole of every word that no negator precedes in its clause
_FIGURE: Final = "figure"
_JOINTS: Final = frozenset({"and", "or", "but", "with", "while", "whereas"})


class Placement(NamedTuple):
    """Of the families of which a reference names several poles."""

    named: Counter[Pole]  # how often each pole is named
    beside: Mapping[tuple[str, str], AbstractSet[str]]  # by family and word: the poles the word stands with


def placement(sentences: Sentences) -> Placement | None:
    """A reference's placement; None where no family has two poles to exchange."""
    counts = _named(sentences)
    several = {family for family, poles in Counter(family for family, _ in counts).items() if poles > 1}
    several |= {family for family, _ in counts if family == _AFFIRMED[0]}
    if not several:
        return None
    beside = {key: poles for key, poles in _beside(sentences).items() if key[0] in several}
    return Placement(Counter({pole: count for pole, count in counts.items() if pole[0] in several}), beside)


def is_exchanged(reference: Placement, sentences: Sentences) -> bool:
    """True where two words trade their poles, of a family of which the answer drops no pole."""
    dropped = {family for family, _ in reference.named - _named(sentences)}
    said = _beside(sentences)
    moves = {
        (key[0], old, new)
        for key, poles in reference.beside.items()
        if key[0] not in dropped and key in said and poles.isdisjoint(said[key])
        for old in poles
        for new in said[key]
    }
    return any((family, new, old) in moves for family, old, new in moves)


def _named(sentences: Sentences) -> Counter[Pole]:
    return Counter(pole for sentence in sentences for word in sentence if (pole := _pole(word)))


def _beside(sentences: Sentences) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for sentence in sentences:
        for is_joint, clause in groupby(sentence, key=_JOINTS.__contains__):
            for (family, pole), word in () if is_joint else _pairs(clause):
                found.setdefault((family, word), set()).add(pole)
    return found


def _pairs(clause: Iterable[str]) -> Iterator[tuple[Pole, str]]:
    """Every pole of a clause with each word it stands with."""
    kept = [(pole, word) for word in clause if (pole := _pole(word)) or word not in STOP_WORDS]
    runs = [list(run) for _, run in groupby(kept, key=lambda item: item[0] is not None)]
    for place, run in enumerate(runs):
        near = runs[place + 1] if place + 1 < len(runs) else runs[place - 1] if place else []
        yield from ((pole, word) for pole, _ in run if pole and pole[0] != _AFFIRMED[0] for _, word in near)
    stands = _AFFIRMED
    for pole, word in kept:
        stands = pole if pole and pole[0] == _AFFIRMED[0] else stands
        yield stands, word


def _pole(word: str) -> Pole | None:
    return (_FIGURE, word) if "0" <= word[0] <= "9" else _PLACED.get(word)
