"""Pairs of rows worth comparing, from their hints: a few a row, whatever the data."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from medu1.prepare.contamination.ngrams import Hashes, Places
from medu1.prepare.repeats.hints import Bands, Sketches

Pairs = NDArray[np.int64]  # [pair, 2]: the row that comes first in the order, and another one
Ranks = NDArray[np.uint64]  # a row's place in the order

SLICE: Final = 1 << 16  # pairs whose sketches are compared at once


def repeats(keys: Hashes, rows: Places, ranks: Ranks) -> Pairs:
    """Among some rows, each one beside the first that has its key."""
    order = rows[np.lexsort((ranks[rows], keys[rows]))]
    new = _starts(keys[order])
    first = order[np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))]
    return _in_order(np.stack([first[~new], order[~new]], axis=1), ranks)


def neighbours(bands: Bands, rows: Places, ranks: Ranks, most: int) -> Pairs:
    """All pairs of rows that share a band, but for rows with a band that more than `most` share; `rows` holds the row
    of each line of `bands`."""
    crowded = np.zeros(len(rows), np.bool_)
    for keys in bands.T:
        _, runs, sizes = np.unique(keys, return_inverse=True, return_counts=True)
        crowded |= sizes[runs] > most
    codes = [_band_pairs(keys, rows[~crowded], ranks, most) for keys in bands[~crowded].T]
    pairs = np.unique(np.concatenate(codes))
    return _in_order(np.stack([pairs >> 32, pairs & 0xFFFFFFFF], axis=1), ranks)


def alike(pairs: Pairs, sketches: Sketches, rows: Places, least: float) -> Pairs:
    """The pairs whose sketches agree in a share of `least` or more; `rows` is sorted and holds each sketch's row."""
    kept = []
    for start in range(0, len(pairs), SLICE):
        part = pairs[start : start + SLICE]
        one, other = sketches[np.searchsorted(rows, part)].swapaxes(0, 1)
        kept.append(part[np.mean(one == other, axis=1) >= least])
    return np.concatenate(kept) if kept else pairs


def _band_pairs(keys: NDArray[np.uint32], rows: Places, ranks: Ranks, most: int) -> Places:
    """One number a pair; no key has more than `most` rows."""
    order = np.argsort(keys, kind="stable")
    keys, order = keys[order], rows[order]
    near = [np.flatnonzero(keys[step:] == keys[:-step]) for step in range(1, most)]
    one = np.concatenate([order[place] for place in near])
    other = np.concatenate([order[place + step] for step, place in enumerate(near, start=1)])
    swapped = ranks[one] > ranks[other]
    return np.where(swapped, other, one) << 32 | np.where(swapped, one, other)


def _starts(keys: NDArray[np.unsignedinteger]) -> NDArray[np.bool_]:
    """Whether a key differs from the one before it, of sorted keys."""
    new = np.ones(len(keys), np.bool_)
    new[1:] = keys[1:] != keys[:-1]
    return new


def _in_order(pairs: Pairs, ranks: Ranks) -> Pairs:
    """By the later row, then by the first: when a pair is looked at, what becomes of its first row is known."""
    return pairs[np.lexsort((ranks[pairs[:, 0]], ranks[pairs[:, 1]]))]
