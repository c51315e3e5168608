"""Words, runs of words and whole texts as 64-bit integers: many texts at a time in numpy, alike in every process.

Hashes are polynomials over running sums, so a run costs the same whatever its length, and no dictionary grows with the
vocabulary. Equal texts have equal hashes; different ones may collide, so what a hash finds is confirmed on the words.
"""

from collections.abc import Collection, Sequence
from functools import lru_cache
from itertools import chain
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medu1.prepare.contamination.prose import FOLDING, SEPARATOR

Hashes = NDArray[np.uint64]
Shorts = NDArray[np.uint32]
Places = NDArray[np.int64]

BASE: Final = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2^64
INVERSE: Final = pow(BASE, -1, 1 << 64)
MIXER: Final = np.uint64(0xBF58476D1CE4E5B9)  # of splitmix64
TOGETHER: Final = 1 << 10  # sets hashed at once: arrays that fit in a processor's cache
LEAST: Final = 1 << 19  # powers kept ready

_IN_WORD: Final = bytes(code != SEPARATOR for code in FOLDING)


class Powers(NamedTuple):
    """Powers 0, 1, 2... of the base and of its inverse, modulo 2^64."""

    up: Hashes
    down: Hashes
    short_up: Shorts  # the lower half of each: words are told apart by 32 bits, runs of words by 64
    short_down: Shorts
    scratch: Shorts  # [2, one more than the powers], written anew by every use


class Spans(NamedTuple):
    """Runs of words by the texts they begin in."""

    texts: Places
    starts: Places  # words before it in its text
    inside: NDArray[np.bool_]  # whether it ends in that text too


class Hashed(NamedTuple):
    """The words of several texts, one after the other."""

    sums: Hashes  # the running sum before each word, and after the last
    down: Hashes
    first: Places  # index of each text's first word, and the number of words

    def runs(self, length: int) -> Hashes:
        """Every run of so many words, by the index of its first word: also those that reach into the next text."""
        count = max(0, len(self.sums) - length)
        return _mixed((self.sums[length:] - self.sums[:count]) * self.down[:count])

    def wholes(self) -> Hashes:
        """One a text; 0 where it has no word."""
        begin = self.first[:-1]
        return _mixed((self.sums[self.first[1:]] - self.sums[begin]) * self.down[begin])

    def counts(self) -> Places:
        """Words in each text."""
        return np.diff(self.first)

    def spans(self, starts: Places, length: int) -> "Spans":
        """Where runs of `length` words lie, given the index of each one's first word."""
        texts = np.searchsorted(self.first, starts, side="right") - 1
        return Spans(texts, starts - self.first[texts], starts + length <= self.first[texts + 1])


def hashed(texts: Sequence[bytes]) -> Hashed:
    """The words of folded texts."""
    block = b"\n".join([b"", *texts, b""])
    joined, inside = np.frombuffer(block, np.uint8), np.frombuffer(block.translate(_IN_WORD), np.bool_)
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    starts, ends = edges[::2], edges[1::2]
    powers = _powers(max(LEAST, 1 << len(joined).bit_length()))
    values, sums = powers.scratch[:, : len(joined) + 1]
    values, sums[0] = values[1:], 0
    np.cumsum(np.multiply(joined, powers.short_up[: len(joined)], out=values), out=sums[1:])
    words = _mixed(((sums[ends] - sums[starts]) * powers.short_down[starts]) * MIXER)
    begins = 1 + np.cumsum([0, *(len(text) + 1 for text in texts)])
    return Hashed(_running(words * powers.up[: len(words)]), powers.down, np.searchsorted(starts, begins))


def hashed_sets(sets: Sequence[Collection[bytes]]) -> Hashes:
    """One a set of folded texts, whatever their order; 0 for the empty set."""
    parts = [_hashed_sets(sets[start : start + TOGETHER]) for start in range(0, len(sets), TOGETHER)]
    return np.concatenate(parts) if parts else np.empty(0, np.uint64)


def _hashed_sets(sets: Sequence[Collection[bytes]]) -> Hashes:
    ends = np.cumsum([0, *map(len, sets)])
    sums = _running(_mixed(hashed(list(chain.from_iterable(sets))).wholes() + MIXER))
    return _mixed(sums[ends[1:]] - sums[ends[:-1]])


def _running(values: Hashes) -> Hashes:
    """Sums before each value and after the last, modulo 2^64."""
    sums = np.empty(len(values) + 1, np.uint64)
    sums[0] = 0
    np.cumsum(values, out=sums[1:])
    return sums


def _mixed(values: Hashes) -> Hashes:
    """Every bit spread over all of them; 0 stays 0."""
    values = (values ^ (values >> np.uint64(32))) * MIXER
    return values ^ (values >> np.uint64(29))


@lru_cache(maxsize=1)
def _powers(count: int) -> Powers:
    up, down = np.full((2, count), 1, np.uint64)
    up[1:], down[1:] = BASE, INVERSE
    up, down = np.cumprod(up, dtype=np.uint64), np.cumprod(down, dtype=np.uint64)
    return Powers(up, down, up.astype(np.uint32), down.astype(np.uint32), np.empty((2, count + 1), np.uint32))
