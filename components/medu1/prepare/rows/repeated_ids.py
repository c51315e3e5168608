"""Rows that bear the id of an earlier row: an id names one question through training and evaluation."""

import numpy as np

from medu1.prepare.formats.row import Malformed
from medu1.prepare.rows.intake import Fault
from medu1.prepare.rows.ledger import Ledger
from medu1.prepare.rows.spool import Spool


def repeated_ids(ledger: Ledger, spool: Spool) -> list[Fault]:
    """Every such row, in order."""
    order = np.argsort(ledger.marks.identity, kind="stable")
    identities = ledger.marks.identity[order]
    same = np.zeros(len(order), np.bool_)
    same[1:] = identities[1:] == identities[:-1]
    first = order[np.maximum.accumulate(np.where(same, 0, np.arange(len(order))))]
    pairs = sorted(zip(order[same].tolist(), first[same].tolist(), strict=True))
    return [_fault(ledger, spool, row, one) for row, one in pairs if spool.text(row, "id") == spool.text(one, "id")]


def _fault(ledger: Ledger, spool: Spool, row: int, first: int) -> Fault:
    file, _, place = spool.text(row, "place").rpartition(", ")
    reason = f"{spool.text(row, 'id')} is the id of {spool.text(first, 'place')} too"
    return Fault(int(ledger.marks.entry[row]), 0, Malformed(file=file, place=place, field="id", reason=reason))
