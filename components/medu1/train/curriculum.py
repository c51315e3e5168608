"""In which order the questions of one stratum (a task family and a source) are drawn: pass after pass, each by hash.

In a pass every question is drawn once before any is drawn again. Under `easy_first` each pass goes from the easiest to
the hardest, questions of equal difficulty by hash. A pass with fewer draws than questions (the last one, which is the
only one of a short run) cuts that order into as many slices as it has draws and draws one of each by hash: it begins
among the easiest and ends among the hardest all the same, and another seed draws other questions.

Difficulty is what the source states, and is compared within a stratum only. A question that states none counts as the
median of those that do. Where no question of a stratum states any, the number of words of its prompt stands for it: a
stand-in that knows nothing of medicine.
"""

import hashlib
from collections.abc import Iterator, Sequence
from statistics import median
from typing import NamedTuple

from medu1.params import Mixture
from medu1.prompt import user_text
from medu1.question import Question


class Ranked(NamedTuple):
    """A question as a pass orders it."""

    place: int  # in the stratum
    id: str
    difficulty: float  # 0 for all: the hash alone orders them


def order(stratum: Sequence[Question], draws: int, params: Mixture, seed: int) -> Iterator[int]:
    """Which question of the stratum each of its draws is, by its place."""
    questions = _ranked(stratum, params)
    for number, start in enumerate(range(0, draws, len(questions))):
        yield from _pass(questions, min(len(questions), draws - start), f"mixture/{seed}/{number}")


def difficulties(stratum: Sequence[Question]) -> list[float]:
    """How hard each question is beside the others; the module says how that is known."""
    stated = [each.difficulty for each in stratum if each.difficulty is not None]
    if not stated:
        return [float(len(user_text(each).split())) for each in stratum]
    middle = median(stated)
    return [middle if each.difficulty is None else each.difficulty for each in stratum]


def _ranked(stratum: Sequence[Question], params: Mixture) -> list[Ranked]:
    ranks = difficulties(stratum) if params.curriculum == "easy_first" else [0.0] * len(stratum)
    return [Ranked(place, each.id, rank) for place, (each, rank) in enumerate(zip(stratum, ranks, strict=True))]


def _pass(questions: Sequence[Ranked], draws: int, key: str) -> Iterator[int]:
    """Different questions, easier ones first: one of each of `draws` slices of the order."""
    ordered = sorted(questions, key=lambda each: (each.difficulty, _hashed(key, each.id), each.place))
    for number in range(draws):
        first, end = (bound * len(ordered) // draws for bound in (number, number + 1))
        yield ordered[first + _hashed(key, number) % (end - first)].place


def _hashed(*key: object) -> int:
    """A whole number that depends on the key alone, on every machine and Python version."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, key)).encode()).digest()[:8], "big")
