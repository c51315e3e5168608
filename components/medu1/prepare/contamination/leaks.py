"""What contamination was found: pairs of questions, the groups that leave training, counts by pair of sources."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final, Literal

from medu1.question import Frozen
from medu1.section import Fraction

Kind = Literal["text", "options"]

SHOWN: Final = 200  # leaks listed; all are counted


class Leak(Frozen):
    """One training question and one evaluation question it gives away."""

    id: str
    group: str
    source: str
    evaluation: str  # id
    evaluation_source: str
    share: Fraction  # kind text: of the runs of words; kind options: of the words
    kind: Kind


class SourcePair(Frozen):
    """What one training source gives away of one evaluation source."""

    source: str
    evaluation_source: str
    text: int  # training questions found by their words
    options: int  # training questions found by their options only
    groups: int  # of training questions
    evaluation: int  # evaluation questions given away


class ContaminationReport(Frozen):
    """Counts by pair of sources; a training question may be in several, and counts once in all."""

    questions: int
    groups: int
    pairs: tuple[SourcePair, ...]


class Leaks:
    """An accumulator: `add` every leak with the place of its training row, then ask."""

    def __init__(self) -> None:
        self.first: list[Leak] = []
        self.reasons: dict[int, str] = {}  # training row -> an evaluation question that it gives away
        self._ids, self._groups = set[str](), set[str]()
        self._pairs: defaultdict[tuple[str, str], _Pair] = defaultdict(_Pair)

    def add(self, leak: Leak, row: int) -> None:
        """Count one."""
        if len(self.first) < SHOWN:
            self.first.append(leak)
        self.reasons.setdefault(row, leak.evaluation)
        self._ids.add(leak.id)
        self._groups.add(leak.group)
        self._pairs[leak.source, leak.evaluation_source].add(leak)

    def report(self) -> ContaminationReport:
        """Counts, in all and by pair of sources in alphabetical order."""
        return ContaminationReport(
            questions=len(self._ids),
            groups=len(self._groups),
            pairs=tuple(pair.counted(*sources) for sources, pair in sorted(self._pairs.items())),
        )


class _Pair:
    """What one source gives away of another."""

    def __init__(self) -> None:
        self.ids, self.by_words = set[str](), set[str]()
        self.groups, self.evaluation = set[str](), set[str]()

    def add(self, leak: Leak) -> None:
        self.ids.add(leak.id)
        self.groups.add(leak.group)
        self.evaluation.add(leak.evaluation)
        if leak.kind == "text":
            self.by_words.add(leak.id)

    def counted(self, source: str, evaluation_source: str) -> SourcePair:
        return SourcePair(
            source=source,
            evaluation_source=evaluation_source,
            text=len(self.by_words),
            options=len(self.ids - self.by_words),
            groups=len(self.groups),
            evaluation=len(self.evaluation),
        )


def dropped_groups(leaks: Iterable[Leak]) -> frozenset[str]:
    """The groups that leave the training split whole."""
    return frozenset(leak.group for leak in leaks)


def report(leaks: Iterable[Leak]) -> ContaminationReport:
    """Counts of some leaks, in all and by pair of sources."""
    found = Leaks()
    for row, leak in enumerate(leaks):
        found.add(leak, row)
    return found.report()
