"""What prepare did with every row, by source: the dataset's report.json."""

from collections import Counter
from collections.abc import Iterable

from pydantic import Field

from medu1.prepare.row import Malformed
from medu1.prepare.selection import LongPrompt, Selection
from medu1.question import Frozen, Question

Kept = dict[str, dict[str, dict[str, int]]]


class SourceRows(Frozen):
    """One entry of prepare.sources."""

    entry: str
    digest: str  # MD5 of the file, or of the raw directory for the built-in questions
    read: int  # rows, malformed ones included
    malformed: int


class PrepareReport(Frozen):
    """Every row that was read is malformed, a duplicate, too long, over the cap, or kept."""

    sources: tuple[SourceRows, ...]
    seed: int
    max_prompt_tokens: int
    max_rows_per_source: int | None
    malformed: tuple[Malformed, ...] = ()
    licences: dict[str, str] = Field(default_factory=dict)  # by question source; "" where none is known
    duplicates: tuple[str, ...] = ()  # ids left out of a split because a stricter one asks the same
    too_long: dict[str, int] = Field(default_factory=dict)  # source -> questions
    too_long_rows: tuple[LongPrompt, ...] = ()
    over_cap: dict[str, int] = Field(default_factory=dict)  # source -> questions
    kept: Kept = Field(default_factory=dict)  # source -> split -> family -> questions
    demonstrations: int = 0  # built-in training questions with a worked answer, whatever the sources and their cap

    @property
    def read(self) -> int:
        """Rows read."""
        return sum(source.read for source in self.sources)

    def rows(self) -> dict[str, int]:
        """Questions kept, by split."""
        total: Counter[str] = Counter()
        for splits in self.kept.values():
            total.update({split: sum(families.values()) for split, families in splits.items()})
        return dict(sorted(total.items()))

    def after(self, selection: Selection) -> "PrepareReport":
        """A copy that says what was selected."""
        return self.model_copy(
            update={
                "licences": {question.source: question.licence for question in selection.kept},
                "duplicates": tuple(question.id for question in selection.duplicates),
                "too_long": _by_source(selection.too_long),
                "too_long_rows": tuple(selection.too_long),
                "over_cap": _by_source(selection.over_cap),
                "kept": _tally(selection.kept),
                "demonstrations": len(selection.demonstrations),
            }
        )


def _by_source(questions: Iterable[Question | LongPrompt]) -> dict[str, int]:
    return dict(sorted(Counter(question.source for question in questions).items()))


def _tally(questions: Iterable[Question]) -> Kept:
    counts: Kept = {}
    for question in questions:
        families = counts.setdefault(question.source, {}).setdefault(str(question.split), {})
        families[question.family] = families.get(question.family, 0) + 1
    return counts
