"""Hashes that point at possible duplicates: cheap ones of every row, so that only a few pairs of rows are compared.

Three kinds, each coarser than the relation it points at: the whole prompt; the words that carry something, whatever
their order, with options and numbers; and MinHash bands of the 3-word shingles, with options and numbers, of texts long
enough for a changed word to be no other subject. Numbers are in the last two because templates filled with numbers
would all point at each other.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medu1.prepare.contamination.ngrams import Hashes, Places, hashed, hashed_sets
from medu1.prepare.contamination.prose import FOLDING, folded
from medu1.prepare.repeats.wording import SHINGLE
from medu1.prompt import user_text
from medu1.question import Question
from medu1.scoring.words import STOP_WORDS

PORTION: Final = 1 << 18  # characters hashed at a time: arrays of a few megabytes
BANDS: Final = 12
ROWS: Final = 4  # a band: pairs of similarity 0.8 share one of twelve with probability 0.998, of 0.5 with 0.54
SKETCH: Final = BANDS * ROWS  # hash functions; each agrees on two rows with the probability of their similarity

Bands = NDArray[np.uint32]  # [row, BANDS]
Sketches = NDArray[np.uint8]  # [row, SKETCH]

_ODD: Final = np.uint64(0x9E3779B97F4A7C15)
_FIGURE: Final = re.compile(rb"\d+")


class Hints(NamedTuple):
    """Of some rows; the last four hold the long ones among them only."""

    prompts: Hashes
    gists: Hashes
    long: Places  # which of the rows
    bands: Bands
    sketches: Sketches  # 8 bits of each hash function's minimum


def hints(questions: Sequence[Question], least_words: int) -> Hints:
    """Of one or more questions."""
    bodies = [_singular(_body(question)) for question in questions]
    every = hashed(bodies)
    facts = hashed_sets([list(question.options.values()) for question in questions]) * _ODD + _numbers(bodies)
    long = np.flatnonzero(every.counts() >= max(SHINGLE, least_words))
    minima = _minima([bodies[row] for row in long])
    bands = (_mixed(_keys(minima) + facts[long, None]) >> np.uint64(32)).astype(np.uint32)
    sketches = (_mixed(minima) >> np.uint64(56)).astype(np.uint8)
    return Hints(_prompts(questions), _mixed(_sums(every.runs(1), every.first) + facts), long, bands, sketches)


def portions(questions: Iterable[Question]) -> Iterator[list[Question]]:
    """The questions in order, about `PORTION` characters at a time."""
    portion: list[Question] = []
    room = PORTION
    for question in questions:
        portion.append(question)
        room -= len(question.context) + len(question.text)
        if room <= 0:
            yield portion
            portion, room = [], PORTION
    if portion:
        yield portion


def joined(found: Sequence[Hints]) -> Hints:
    """Of all the rows, whose numbers in `long` are those they have together."""
    return Hints(*map(np.concatenate, zip(*found, strict=True)))


def _prompts(questions: Sequence[Question]) -> Hashes:
    asked = (b" ".join(_plain(user_text(question)).split()) for question in questions)
    return np.array([_hash(text) for text in asked], np.uint64)


def _numbers(bodies: Sequence[bytes]) -> Hashes:
    return np.array([_hash(b" ".join(_FIGURE.findall(body))) for body in bodies], np.uint64)


def _hash(text: bytes) -> int:
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")


def _body(question: Question) -> str:
    """Context, text and options, these whatever their letters."""
    return "\n".join((question.context, question.text, *sorted(map(str.casefold, question.options.values()))))


def _plain(text: str) -> bytes:
    return folded(text).translate(FOLDING)


def _singular(text: str) -> bytes:
    """The words without a final s, whatever it stands for: a key may be too coarse, never too fine."""
    return (_plain(text) + b" ").replace(b"s ", b" ")


def _sums(words: Hashes, first: Places) -> Hashes:
    """A sum a text of its words, but for those that carry nothing."""
    words = np.where(np.isin(words, _STOP), np.uint64(0), words)
    sums = np.zeros(len(words) + 1, np.uint64)
    np.cumsum(words, out=sums[1:])
    return sums[first[1:]] - sums[first[:-1]]


def _minima(bodies: Sequence[bytes]) -> Hashes:
    """The least value of every hash function over each text's shingles: [text, SKETCH]. Texts have three words."""
    if not bodies:
        return np.zeros((0, SKETCH), np.uint64)
    every = hashed(bodies)
    runs, first = every.runs(SHINGLE), every.first
    ends = first[1:] - (SHINGLE - 1)  # runs from here on reach into the next text
    edges = np.stack([first[:-1], np.minimum(ends, len(runs))], axis=1).ravel()[:-1]
    functions = (np.minimum.reduceat(_mixed(runs ^ seed), edges)[::2] for seed in _SEEDS)
    return np.stack(list(functions), axis=1)


def _keys(minima: Hashes) -> Hashes:
    """One key a band, from the minima of its hash functions."""
    parts = minima.reshape(-1, BANDS, ROWS)
    keys = np.zeros(parts.shape[:2], np.uint64)
    for row in range(ROWS):
        keys = _mixed(keys * _ODD + parts[:, :, row])
    return keys


def _mixed(values: Hashes) -> Hashes:
    values = (values ^ (values >> np.uint64(31))) * _ODD
    return values ^ (values >> np.uint64(29))


_SEEDS: Final = _mixed(np.arange(1, SKETCH + 1, dtype=np.uint64) * _ODD)
_STOP: Final = np.unique(hashed([_singular(" ".join(sorted(STOP_WORDS)))]).runs(1))
