"""Strata: a task and a calculator or topic, and how its questions fell to the splits."""

from collections import Counter

from medu1.dataset import SPLITS
from medu1.prepare.rows.ledger import Ledger
from medu1.prepare.rows.spool import Spool
from medu1.prepare.split import STRICTEST
from medu1.question import Frozen


class Stratum(Frozen):
    """What is kept of one stratum."""

    family: str
    topic: str  # calculator, relation or subject; "" where none is stated
    rows: dict[str, int]  # split -> questions


def strata(ledger: Ledger, spool: Spool) -> tuple[Stratum, ...]:
    """Every stratum of the rows that are kept, alphabetically."""
    counted = Counter[tuple[str, str, str]]()
    for rows, table in spool.portions(ledger.kept, ["family", "topic"]):
        splits = [STRICTEST[code] for code in ledger.marks.split[rows].tolist()]
        counted.update(zip(*(column.to_pylist() for column in table.columns), splits, strict=True))
    names = sorted({(family, topic) for family, topic, _ in counted})
    return tuple(Stratum(family=family, topic=topic, rows=_by_split(counted, family, topic)) for family, topic in names)


def _by_split(counted: Counter[tuple[str, str, str]], family: str, topic: str) -> dict[str, int]:
    return {split: rows for split in SPLITS if (rows := counted[family, topic, split])}
