"""What prepare did with every row, by source: the dataset's report.json."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from pydantic import Field

from medu1.params import Prepare
from medu1.prepare.contamination.leaks import ContaminationReport, Leak
from medu1.prepare.contamination.leaks import report as contamination
from medu1.prepare.formats.row import Malformed
from medu1.prepare.health.phi import PhiReport
from medu1.prepare.labels.labels import LabelReport
from medu1.prepare.rawdata import Digests
from medu1.prepare.repeats.duplicate_report import DuplicateReport
from medu1.prepare.rows.fate import Fate
from medu1.prepare.rows.ledger import Counted
from medu1.prepare.rows.sifting import Read
from medu1.prepare.rows.strata import Stratum, strata
from medu1.prepare.rows.writing import first_left_out
from medu1.prepare.selection import Selection
from medu1.question import Frozen

NO_LEAKS = contamination([])

Kept = dict[str, dict[str, dict[str, int]]]


class SourceRows(Frozen):
    """One entry of prepare.sources."""

    entry: str
    digest: str  # MD5 of the file, or of the raw directory for the built-in questions
    read: int  # rows, malformed ones included
    malformed: int


class LongPrompt(Frozen):
    """A question left out because its prompt is too long."""

    id: str
    source: str
    tokens: int


class PrepareReport(Frozen):
    """Every row that was read is malformed, dropped for its label or an identifier, asked again or in another split,
    contaminated, too long, over the cap, or kept."""

    sources: tuple[SourceRows, ...]
    seed: int
    max_prompt_tokens: int
    max_rows_per_source: int | None
    caps: dict[str, int] = Field(default_factory=dict)  # source -> rows, in place of max_rows_per_source
    malformed: tuple[Malformed, ...] = ()
    licences: dict[str, str] = Field(default_factory=dict)  # by question source; "" where none is known
    duplicates: tuple[str, ...] = ()  # the first ids left out of a split because a stricter one asks the same
    asked_elsewhere: dict[str, int] = Field(default_factory=dict)  # source -> all of them
    labels: dict[str, LabelReport] = Field(default_factory=dict)  # entry of a MedCalc source -> its label audit
    labels_policy: str = "keep"
    labels_dropped: dict[str, int] = Field(default_factory=dict)  # source -> questions
    phi: PhiReport | None = None
    repeats: DuplicateReport | None = None  # questions of the sources that are asked twice
    contamination: ContaminationReport = NO_LEAKS
    contaminated: dict[str, int] = Field(default_factory=dict)  # source -> questions of the groups dropped for it
    leaks: tuple[Leak, ...] = ()  # the first
    too_long: dict[str, int] = Field(default_factory=dict)  # source -> questions
    too_long_rows: tuple[LongPrompt, ...] = ()  # the first
    over_cap: dict[str, int] = Field(default_factory=dict)  # source -> questions
    kept: Kept = Field(default_factory=dict)  # source -> split -> family -> questions
    strata: tuple[Stratum, ...] = ()
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
            "duplicates": sum(self.asked_elsewhere.values()),
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

    def after(self, selection: Selection, found: Read) -> "PrepareReport":
        """A copy that says what was selected."""
        ledger, spool = found.ledger, found.spool
        lost, kept = _fates(ledger.counts())
        asked = first_left_out(ledger, spool, Fate.ASKED)
        long = first_left_out(ledger, spool, Fate.TOO_LONG)
        return self.model_copy(
            update={
                "repeats": selection.repeats,
                "contamination": selection.leaks.report(),
                "leaks": tuple(selection.leaks.first),
                "labels_dropped": lost[Fate.LABEL],
                "duplicates": tuple(row.id for row in asked),
                "asked_elsewhere": lost[Fate.ASKED],
                "contaminated": lost[Fate.CONTAMINATED],
                "too_long": lost[Fate.TOO_LONG],
                "too_long_rows": tuple(
                    LongPrompt(id=row.id, source=row.source, tokens=selection.tokens[row.place]) for row in long
                ),
                "over_cap": lost[Fate.OVER_CAP],
                "kept": kept,
                "strata": strata(ledger, spool),
                "demonstrations": int(ledger.demonstrations.sum()),
            }
        )


def begun(params: Prepare, found: Read, data: Digests) -> PrepareReport:
    """What is known before rows are compared with each other."""
    return PrepareReport(
        sources=tuple(
            SourceRows(
                entry=str(source),
                digest=data.files[source.path] if source.path else data.pin,
                read=read,
                malformed=malformed,
            )
            for source, read, malformed in found.counts
        ),
        seed=params.seed,
        max_prompt_tokens=params.max_prompt_tokens,
        max_rows_per_source=params.max_rows_per_source,
        caps=params.caps,
        malformed=found.malformed,
        licences=found.licences,
        labels=found.labels,
        labels_policy=params.labels,
        phi=found.phi,
    )


def _fates(counts: Iterable[Counted]) -> tuple[Mapping[Fate, dict[str, int]], Kept]:
    """Rows by fate and source, and those kept by source, split and family."""
    lost: defaultdict[Fate, Counter[str]] = defaultdict(Counter)
    kept: Kept = {}
    for counted in counts:
        if counted.fate is Fate.KEPT:
            families = kept.setdefault(counted.source, {}).setdefault(counted.split, {})
            families[counted.family] = counted.rows
        else:
            lost[counted.fate][counted.source] += counted.rows
    return defaultdict(dict, {fate: dict(sorted(rows.items())) for fate, rows in lost.items()}), kept
