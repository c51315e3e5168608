"""How many rows of a source go on: whole groups in the order of a hash, as long as they fit under the cap."""

import difflib
from collections.abc import Collection, Sequence

import numpy as np

from medu1.errors import Stop
from medu1.params import Prepare
from medu1.prepare.rows.block import Bits
from medu1.prepare.rows.ledger import Ledger


def over_cap(ledger: Ledger, params: Prepare) -> Bits:
    """The rows that are left out; a group that does not fit is passed over for the next one.

    Raises Stop where a cap names a source that has no row.
    """
    _check(params.caps, ledger.names)
    over = np.zeros(len(ledger), np.bool_)
    for number, name in enumerate(ledger.names):
        most = params.caps.get(name, params.max_rows_per_source)
        if most is not None:
            rows = np.flatnonzero(ledger.kept & (ledger.marks.source == number))
            over[rows] = ~_fitting(ledger, rows, most)
    return over


def _check(caps: Collection[str], known: Sequence[str]) -> None:
    for name in sorted(set(caps) - set(known)):
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
        raise Stop(
            f"prepare.caps names {name}; the nearest source with rows is {', '.join(nearest)}.",
            f"There are rows of {', '.join(sorted(known))}.",
            "Correct the name, or take it out.",
        )


def _fitting(ledger: Ledger, rows: np.ndarray, most: int) -> Bits:
    """Which of a source's rows are of a group that fits."""
    marks = ledger.marks
    groups, first, which, sizes = np.unique(
        marks.group[rows], return_index=True, return_inverse=True, return_counts=True
    )
    fits, room = np.zeros(len(groups), np.bool_), most
    for group in np.lexsort((groups, marks.cap[rows[first]])).tolist():
        fits[group] = sizes[group] <= room
        room -= int(sizes[group]) * bool(fits[group])
        if not room:
            break
    bits: Bits = fits[which]
    return bits
