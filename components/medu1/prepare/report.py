"""What prepare did with every row, by source: the dataset's report.json."""

from collections import Counter
from collections.abc import Iterable

from pydantic import Field

from medu1.prepare.contamination.leaks import ContaminationReport, Leak
from medu1.prepare.contamination.leaks import report as contamination
from medu1.prepare.formats.row import Malformed
from medu1.prepare.gates import Gated
from medu1.prepare.health.phi import PhiReport
from medu1.prepare.labels.labels import LabelReport
from medu1.prepare.repeats.duplicate_report import DuplicateReport
from medu1.prepare.selection import LongPrompt, Selection
from medu1.question import Frozen, Question

SHOWN = 200  # leaks listed; all are counted
NO_LEAKS = contamination([])

Kept = dict[str, dict[str, dict[str, int]]]


class SourceRows(Frozen):
    """One entry of prepare.sources."""

    entry: str
    digest: str  # MD5 of the file, or of the raw directory for the built-in questions
    read: int  # rows, malformed ones included
    malformed: int


class PrepareReport(Frozen):
    """Every row that was read is malformed, dropped for its label or an identifier, asked again or in another split,
    contaminated, too long, over the cap, or kept."""

    sources: tuple[SourceRows, ...]
    seed: int
    max_prompt_tokens: int
    max_rows_per_source: int | None
    malformed: tuple[Malformed, ...] = ()
    licences: dict[str, str] = Field(default_factory=dict)  # by question source; "" where none is known
    duplicates: tuple[str, ...] = ()  # ids left out of a split because a stricter one asks the same
    asked_elsewhere: dict[str, int] = Field(default_factory=dict)  # the same by source
    labels: dict[str, LabelReport] = Field(default_factory=dict)  # entry of a MedCalc source -> its label audit
    labels_policy: str = "keep"
    labels_dropped: dict[str, int] = Field(default_factory=dict)  # source -> questions
    phi: PhiReport | None = None
    repeats: DuplicateReport | None = None  # questions of the sources that are asked twice
    contamination: ContaminationReport = NO_LEAKS
    contaminated: dict[str, int] = Field(default_factory=dict)  # source -> questions of the groups dropped for it
    leaks: tuple[Leak, ...] = ()  # the first
    too_long: dict[str, int] = Field(default_factory=dict)  # source -> questions
    too_long_rows: tuple[LongPrompt, ...] = ()
    over_cap: dict[str, int] = Field(default_factory=dict)  # source -> questions
    kept: Kept = Field(default_factory=dict)  # source -> split -> family -> questions
    demonstrations: int = 0  # built-in training questions with a worked answer, whatever the sources and their cap

    @property
    def read(self) -> int:
        """Rows read."""
        return sum(source.read for source in self.sources)

    def left_out(self) -> dict[str, int]:
        """Questions that are not kept, by reason; with those kept they are all that were read and not malformed."""
        return {
            "labels": sum(self.labels_dropped.values()),
            "phi": sum(self.phi.dropped.values()) if self.phi else 0,
            "repeated": sum(self.repeats.dropped.values()) if self.repeats else 0,
            "duplicates": len(self.duplicates),
            "contaminated": sum(self.contaminated.values()),
            "too_long": sum(self.too_long.values()),
            "over_cap": sum(self.over_cap.values()),
        }

    def rows(self) -> dict[str, int]:
        """Questions kept, by split."""
        total: Counter[str] = Counter()
        for splits in self.kept.values():
            total.update({split: sum(families.values()) for split, families in splits.items()})
        return dict(sorted(total.items()))

    def of_gates(self, gates: Gated, labels_policy: str) -> "PrepareReport":
        """A copy that says what the gates found."""
        return self.model_copy(
            update={
                "labels": gates.labels,
                "labels_policy": labels_policy,
                "labels_dropped": gates.labels_dropped,
                "phi": gates.phi,
                "repeats": gates.repeats,
            }
        )

    def after(self, selection: Selection) -> "PrepareReport":
        """A copy that says what was selected."""
        return self.model_copy(
            update={
                "licences": {question.source: question.licence for question in selection.kept},
                "duplicates": tuple(question.id for question in selection.duplicates),
                "contamination": contamination(selection.leaks),
                "contaminated": _by_source(selection.contaminated),
                "asked_elsewhere": _by_source(selection.duplicates),
                "leaks": tuple(selection.leaks[:SHOWN]),
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
