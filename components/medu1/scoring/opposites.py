"""Words that exclude each other, in whatever form: what turns a near copy of a gold into its contrary.

A family is one line; its poles stand between bars, each a few words that say the same. A text contradicts a reference
where it names one pole less often and another of the family more often, or puts a word under the opposite prefix.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Final

Pole = tuple[str, str]  # the family and the pole, each by its first word

_QUALITIES: Final = """
dominant | recessive
autosomal | linked
high higher upper raise elevate elevation increase rise | low lower reduce reduction decrease decline suppress
more above over exceed greater | less fewer below under
before prior | after
start begin continue | stop discontinue cease quit
positive | negative
left | right
acute | chronic
benign | malignant
common frequent often usual | rare uncommon seldom infrequent
anterior | posterior
proximal | distal
medial | lateral
superior | inferior
ventral | dorsal
internal | external
superficial | deep
central | peripheral
ascending | descending
unilateral | bilateral
ipsilateral | contralateral
afferent | efferent
activate stimulate activation stimulation | inhibit inhibition
dilate dilation vasodilation | constrict constriction vasoconstriction
systolic | diastolic
arterial | venous
sensitive | resistant
present | absent
congenital | acquire
safe | dangerous harmful
empty | full
together | apart
early | late
fast rapid quick | slow
fasting | fed postprandial
hot | cold
large big | small
young | old
thick | thin
strong | weak
open | close
inside | outside
improve | worsen
confirm | exclude refute
treat prevent cure | cause
homozygous | heterozygous
1 single | both
once | twice | time
oral mouth | intravenous iv | intramuscular | subcutaneous | rectal | intrathecal | topical
"""
_THINGS: Final = """
agonist | antagonist
flexion | extension
abduction | adduction
male man men boy | female woman women girl
mother maternal | father paternal
child children childhood pediatric infant newborn | adult adulthood
artery | vein
acidosis | alkalosis
gain | loss
excess | deficiency
bacterial bacteria | viral virus | fungal fungus fungi
morning | evening
minute | hour hourly | day daily | week weekly | month monthly | year yearly annual
mcg microgram | mg milligram | g gram | kg kilogram
nmol | umol | mmol | mol
ml milliliter millilitre | l liter litre
"""
_PREFIXES: Final = "hyper hypo|tachy brady|macro micro|intra extra|pre post|endo exo|poly oligo|pro anti"
_DENYING: Final = ("un", "non", "in", "im", "ir", "a")
_STEM: Final = 5  # letters left of a word without its denying prefix


def pole_table(families: str) -> dict[str, Pole]:
    """The pole of every word of some families, and of its inflected forms."""
    table: dict[str, Pole] = {}
    for line in families.strip().split("\n"):
        poles = [pole.split() for pole in line.split("|")]
        table |= {form: (poles[0][0], pole[0]) for pole in poles for word in pole for form in forms(word)}
    return table


def forms(word: str) -> set[str]:
    """The word and what inflection and "-ly" make of it, made-up forms among them."""
    stem, double = word[:-1] if word[-1] in "ey" else word, word + word[-1]
    inflected = {part + ending for part in (stem, double) for ending in ("ed", "ing", "er")}
    return inflected | {word, f"{word}ly", f"{stem}ily", f"{stem}ier"}


QUALITIES: Final = pole_table(_QUALITIES)
POLES: Final = QUALITIES | pole_table(_THINGS)


def named(text_words: Iterable[str]) -> Counter[Pole]:
    """How often a text names each pole."""
    return Counter(filter(None, map(POLES.get, text_words)))


def gives_way(reference: Counter[Pole], said: Counter[Pole]) -> bool:
    """True where a pole of the reference is replaced by another of its family."""
    gone = {family for family, _ in reference - said} if reference else set()
    return bool(gone) and any(family in gone for family, _ in said - reference)


def without_denied(text_words: Sequence[str], reference: Counter[Pole]) -> tuple[str, ...]:
    """The words without "not dominant" where the reference says recessive: it affirms the reference."""
    if "not" not in text_words:
        return tuple(text_words)
    families, kept = {family for family, _ in reference}, list(text_words)
    for place in range(len(kept) - 2, -1, -1):
        pole = POLES.get(kept[place + 1]) if kept[place] == "not" and place + 1 < len(kept) else None
        if pole and pole[0] in families and pole not in reference:
            del kept[place : place + 2]
    return tuple(kept)


def is_reversed(missing: AbstractSet[str], new: Iterable[str]) -> bool:
    """True where a new word is a missing one under the opposite prefix (hyper-, hypo-) or a denying one (un-, in-)."""
    return bool(missing) and any(not missing.isdisjoint(_contraries(word)) for word in new)


@lru_cache(maxsize=65536)
def _contraries(word: str) -> frozenset[str]:
    found = {prefix + word for prefix in _DENYING} if len(word) >= _STEM else set()
    found |= {word.removeprefix(p) for p in _DENYING if word.startswith(p) and len(word) - len(p) >= _STEM}
    for pair in _PREFIXES.split("|"):
        one, other = pair.split()
        found |= {new + word.removeprefix(old) for old, new in ((one, other), (other, one)) if word.startswith(old)}
    return frozenset(found)
