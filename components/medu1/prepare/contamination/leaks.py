"""What contamination was found: pairs of questions, the groups that leave training, counts by pair of sources."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal

from medu1.params import Fraction
from medu1.question import Frozen

Kind = Literal["text", "options"]


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


def dropped_groups(leaks: Iterable[Leak]) -> frozenset[str]:
    """The groups that leave the training split whole."""
    return frozenset(leak.group for leak in leaks)


def report(leaks: Iterable[Leak]) -> ContaminationReport:
    """Counts, in all and by pair of sources in alphabetical order."""
    pairs = defaultdict[tuple[str, str], list[Leak]](list)
    for leak in leaks:
        pairs[leak.source, leak.evaluation_source].append(leak)
    every = [leak for found in pairs.values() for leak in found]
    return ContaminationReport(
        questions=len({leak.id for leak in every}),
        groups=len(dropped_groups(every)),
        pairs=tuple(_counted(*sources, found) for sources, found in sorted(pairs.items())),
    )


def _counted(source: str, evaluation_source: str, leaks: Sequence[Leak]) -> SourcePair:
    by_words = {leak.id for leak in leaks if leak.kind == "text"}
    return SourcePair(
        source=source,
        evaluation_source=evaluation_source,
        text=len(by_words),
        options=len({leak.id for leak in leaks} - by_words),
        groups=len(dropped_groups(leaks)),
        evaluation=len({leak.evaluation for leak in leaks}),
    )
