"""Which evaluation questions hold a hash: two sorted arrays, and a table that turns almost every other hash away."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medu1.prepare.contamination.ngrams import Hashes, Places

SPARSENESS: Final = 32  # bits a hash, at least: one foreign hash in 32 needs a search, or fewer
SMALLEST: Final = 16  # bits of the table's index

Owners = NDArray[np.int32]


class Found(NamedTuple):
    """Pairs, in the order of their hashes."""

    asked: Places  # which of the hashes
    owners: Places


class Postings(NamedTuple):
    """Hash -> owners."""

    hashes: Hashes  # sorted
    owners: Owners
    table: NDArray[np.uint8]  # a bit by a hash's upper bits: may it be here?
    shift: np.uint64

    @classmethod
    def of(cls, hashes: Hashes, owners: Owners) -> "Postings":
        """From pairs in the order of their owners, repeated ones left out."""
        order = np.argsort(hashes, kind="stable")
        hashes, owners = hashes[order], owners[order]
        new = _changes(hashes) | _changes(owners)
        return cls._of_sorted(hashes[new], owners[new])

    @classmethod
    def _of_sorted(cls, hashes: Hashes, owners: Owners) -> "Postings":
        bits = max(SMALLEST, (SPARSENESS * len(hashes)).bit_length())
        shift, table = np.uint64(64 - bits), np.zeros(1 << (bits - 3), np.uint8)
        places = (hashes >> shift).view(np.int64)  # sorted, as the hashes are
        starts = np.flatnonzero(_changes(places >> 3)) if len(places) else places
        ones = np.left_shift(1, places & 7).astype(np.uint8)
        table[places[starts] >> 3] = np.bitwise_or.reduceat(ones, starts) if len(places) else ones
        return cls(hashes, owners, table, shift)

    def find(self, asked: Hashes) -> Found:
        """Every owner of every hash."""
        places = (asked >> self.shift).view(np.int64)
        likely = np.flatnonzero((self.table.take(places >> 3) >> (places & 7).astype(np.uint8)) & 1)
        likely = likely[np.argsort(asked[likely])]  # a search that follows its predecessor stays in the cache
        begin = np.searchsorted(self.hashes, asked[likely])
        here = self.hashes[np.minimum(begin, len(self.hashes) - 1)] == asked[likely]
        likely, begin = likely[here], begin[here]
        counts = np.searchsorted(self.hashes, asked[likely], side="right") - begin
        steps = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return Found(np.repeat(likely, counts), self.owners[np.repeat(begin, counts) + steps].astype(np.int64))

    def without_common(self, groups: Sequence[int], most: int) -> "Postings":
        """A copy without the hashes whose owners lie in more than `most` groups; `groups` holds one an owner."""
        keys = np.cumsum(_changes(self.hashes)) - 1
        often = np.flatnonzero((np.bincount(keys) > most)[keys])
        pairs = np.unique(np.stack([keys[often], np.asarray(groups, np.int64)[self.owners[often]]]), axis=1)
        rare = (np.bincount(pairs[0], minlength=len(keys)) <= most)[keys]
        return self._of_sorted(self.hashes[rare], self.owners[rare])


def _changes(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a value differs from the one before it."""
    new = np.ones(len(values), np.bool_)
    new[1:] = values[1:] != values[:-1]
    return new
