"""What became of every row, by question source, so that whoever reads the data report can add it up.

Rows are read by entry and told of by question source, and one entry can hold several: a source's own rows are therefore
the sum of its fates, and the check is made over all sources, against the rows that the entries read.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from medu1.prepare.report import PrepareReport
from medu1.prepare.rows.fate import Fate

Counts = Mapping[str, int]  # source -> rows


class Account(NamedTuple):
    """The rows of one source."""

    source: str
    rows: Mapping[Fate, int]

    @property
    def total(self) -> int:
        """Rows that make a question."""
        return sum(self.rows.values())


class Accounts(NamedTuple):
    """All sources, alphabetically, and what they must add up to."""

    read: int
    malformed: int
    sources: tuple[Account, ...]

    @property
    def whole(self) -> Account:
        """Every source in one."""
        return Account("all sources", {fate: sum(each.rows[fate] for each in self.sources) for fate in Fate})

    @property
    def adds_up(self) -> bool:
        """Whether every row that was read is told of once."""
        return self.read == self.malformed + self.whole.total


def accounts(report: PrepareReport) -> Accounts:
    """Every row's fate."""
    ends = _ends(report)
    names = sorted({source for counts in ends.values() for source, rows in counts.items() if rows})
    return Accounts(
        read=report.read,
        malformed=sum(source.malformed for source in report.sources),
        sources=tuple(Account(name, {fate: ends[fate].get(name, 0) for fate in Fate}) for name in names),
    )


def _ends(report: PrepareReport) -> dict[Fate, Counts]:
    """Rows by fate and source."""
    return {
        Fate.LABEL: report.labels_dropped,
        Fate.IDENTIFIED: report.phi.dropped if report.phi else {},
        Fate.REPEATED: report.repeats.dropped if report.repeats else {},
        Fate.ASKED: report.asked_elsewhere,
        Fate.CONTAMINATED: report.contaminated,
        Fate.TOO_LONG: report.too_long,
        Fate.OVER_CAP: report.over_cap,
        Fate.KEPT: {source: sum(_sizes(splits)) for source, splits in report.kept.items()},
    }


def _sizes(splits: Mapping[str, Mapping[str, int]]) -> Iterable[int]:
    return (sum(families.values()) for families in splits.values())
