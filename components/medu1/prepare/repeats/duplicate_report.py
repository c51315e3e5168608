"""What the search for duplicates tells: limits, counts by source, the first pairs."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

from pydantic import Field

from medu1.question import Frozen
from medu1.section import Fraction

Kind = Literal["exact", "near"]

ROOM: Final = 50  # pairs kept before the first are chosen, as a multiple of those shown


class Pair(Frozen):
    """Two rows that ask the same."""

    first: str  # id; this row stays, but for a conflict
    first_source: str
    again: str  # id
    source: str
    similarity: Fraction  # 1: at most light words and typography differ


class Found(Frozen):
    """All pairs of one kind."""

    rows: dict[str, int] = Field(default_factory=dict)  # by source of the row that asks again
    pairs: tuple[Pair, ...] = ()  # the first, by id

    @property
    def total(self) -> int:
        """Rows that ask again."""
        return sum(self.rows.values())


class DuplicateReport(Frozen):
    """A row that asks again is exact or near, and a conflict besides where its gold disagrees with the first row's."""

    read: int
    exact: Found
    near: Found
    conflicts: Found
    dropped: dict[str, int]  # by source
    declared: dict[str, int]  # by source: rows of a declared test or out-of-distribution set that ask again, and stay


class Again(NamedTuple):
    """A confirmed pair."""

    kind: Kind
    pair: Pair
    agree: bool  # the golds
    declared: bool  # whether the row that asks again is of a declared test or out-of-distribution set
    goes: bool  # whether that row is dropped
    first_goes: bool  # and the first one with it


class Tally:
    """Counts as pairs are confirmed."""

    def __init__(self, shown: int) -> None:
        self._shown = shown
        self._rows: dict[str, Counter[str]] = defaultdict(Counter)
        self._pairs: dict[str, list[Pair]] = defaultdict(list)
        self._dropped: dict[str, str] = {}  # id -> source

    def count(self, again: Again) -> None:
        """Take in a pair."""
        pair = again.pair
        for name in [
            again.kind,
            *(["conflicts"] if not again.agree else []),
            *(["declared"] if again.declared else []),
        ]:
            self._rows[name][pair.source] += 1
            self._list(self._pairs[name], pair)
        self._dropped |= {pair.again: pair.source} if again.goes else {}
        self._dropped |= {pair.first: pair.first_source} if again.first_goes else {}

    def report(self, read: int) -> DuplicateReport:
        """What was found among so many rows."""
        return DuplicateReport(
            read=read,
            exact=self._found("exact"),
            near=self._found("near"),
            conflicts=self._found("conflicts"),
            dropped=_by_source(Counter(self._dropped.values())),
            declared=_by_source(self._rows["declared"]),
        )

    def _found(self, name: str) -> Found:
        return Found(rows=_by_source(self._rows[name]), pairs=tuple(_first(self._pairs[name], self._shown)))

    def _list(self, pairs: list[Pair], pair: Pair) -> None:
        """Keep the first by id, and no more than some."""
        pairs.append(pair)
        if len(pairs) > ROOM * self._shown:
            pairs[:] = _first(pairs, self._shown)


def _first(pairs: Iterable[Pair], shown: int) -> list[Pair]:
    return sorted(pairs, key=lambda pair: (pair.first, pair.again))[:shown]


def _by_source(rows: Counter[str]) -> dict[str, int]:
    return dict(sorted(rows.items()))
