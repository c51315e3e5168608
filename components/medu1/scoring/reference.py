"""The accepted texts of a free-text gold, each prepared once: what an answer is held against."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from medu1.scoring.denial import NEGATORS
from medu1.scoring.opposites import Pole, named
from medu1.scoring.placement import Placement, placement
from medu1.scoring.retraction import Denials, denials, sentences
from medu1.scoring.words import content, words

_ALTERNATIVE = re.compile(r"\b(?:or|and|vs|versus|either|maybe|possibly|alternatively)\b|[/,;&|+]|\n")
_DIGIT = re.compile("[0-9]")
_ROMAN: Final = frozenset({"ii", "iii", "iv", "vi", "vii", "viii", "ix", "xi", "xii"})
_FILLER_WORDS: Final = """
answer likely probably diagnosis condition called known name named term referred give given use used usually commonly
typically generally based patient would think thu therefore hence yes mean final correct case please consult doctor
physician healthcare provider professional information advice medical note important see ask talk discus contact
question detail individual hope help educational purpose general receive take administer administered treated treatment
therapy drug medication cause caused due present indicate suggest suggested consistent recommended appropriate best
next step choice first line vary
"""
FILLER: Final = frozenset(_FILLER_WORDS.split())  # as `words` folds them
_MODE_NOUNS: Final = frozenset({"inheritance", "inherited", "pattern", "manner", "mode"})  # they add nothing
_CLASS_NOUNS: Final = frozenset({"disease", "disorder", "trait"})  # they add nothing to an adjective
_ADJECTIVE: Final = ("ive", "ant", "al", "ic", "ed")


class Reference(NamedTuple):
    """One accepted text, prepared once."""

    words: tuple[str, ...]
    counts: Counter[str]  # of its content words
    size: int  # number of its content words
    telling: frozenset[str]  # its content words that are no filler and no negator
    figures: Counter[str]
    prints_figures: bool  # whether it has digits, not only numbers in words
    poles: Counter[Pole]
    placement: Placement | None
    deniable: frozenset[str]  # the words beside which a negator denies the reference
    denials: Denials
    offers: int  # how often it joins things: "or", "and", a comma


class References(NamedTuple):
    """The gold and its aliases."""

    all: tuple[Reference, ...]
    known: frozenset[str]  # content words of any of them, and nouns that add nothing to them


@lru_cache(maxsize=8192)
def references(texts: tuple[str, ...]) -> References:
    """The texts that hold a word."""
    found = tuple(_reference(text, told) for text in texts if (told := words(text)))
    known = _MODE_NOUNS.union(*(reference.counts for reference in found))
    return References(found, known | _CLASS_NOUNS if any(map(_ends_in_adjective, found)) else known)


def figures(text_words: Sequence[str]) -> Counter[str]:
    """Digits, single letters and Roman numerals: what two texts must share to be alike."""
    return Counter(word for word in text_words if len(word) == 1 or word in _ROMAN or _DIGIT.search(word))


def offers(text: str) -> int:
    """How often a text joins things: "or", "and", a comma."""
    return len(_ALTERNATIVE.findall(text.casefold().rstrip(" .,;")))


def _ends_in_adjective(reference: Reference) -> bool:
    return reference.words[-1].endswith(_ADJECTIVE)


def _reference(text: str, told: tuple[str, ...]) -> Reference:
    spoken, split = content(told), sentences(text)
    telling = frozenset(spoken) - FILLER - NEGATORS or frozenset(spoken)
    deniable = telling if denials(split, telling) == denials(split, frozenset(told)) else frozenset(told) - NEGATORS
    return Reference(
        words=told,
        counts=Counter(spoken),
        size=len(spoken),
        telling=telling,
        figures=figures(spoken),
        prints_figures=_DIGIT.search(text) is not None,
        poles=named(told),
        placement=placement(split),
        deniable=deniable,
        denials=denials(split, deniable),
        offers=offers(text),
    )
