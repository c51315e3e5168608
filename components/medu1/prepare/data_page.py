"""The data report a person reads: how many rows are kept, where every other row went, and on which evidence.

`report.json` beside it holds the same figures for machines. Ids, entries, sources and labels come from data and are
hostile: the frame's policy and escaping hold for them. Lists are cut to what a person looks at; counts never are.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from medu1 import record
from medu1.drawing import page
from medu1.errors import Stop
from medu1.prepare.data_bars import bars
from medu1.prepare.fates import Accounts, accounts
from medu1.prepare.labels.labels import CalculatorLabels, Disagreement, LabelReport
from medu1.prepare.publication import Publication
from medu1.prepare.repeats.duplicate_report import DuplicateReport, Found
from medu1.prepare.report import PrepareReport, SourceRows
from medu1.prepare.rows.fate import Fate
from medu1.prepare.sources import parse, publication_of
from medu1.question import Choice, Date, FreeText, Gold, Integer, Number, WeeksDays

REPORT: Final = "report.json"
NAME: Final = "data.html"
TEMPLATE: Final = "data.html.jinja"
SHOWN: Final = 200  # ids in a folded list
SHOWN_LABELS: Final = 50  # disagreements listed, of one calculator
SPLITS: Final = ("train", "validation", "test", "ood")

POLICIES: Final[Mapping[str, str]] = {
    "keep": "Labels that differ are kept as published.",
    "relabel": "The recomputed value takes the place of a label that differs.",
    "drop": "Questions whose label differs are left out.",
}
ACTIONS: Final[Mapping[str, str]] = {
    "report": "They are counted and stay.",
    "redact": "A mark takes the identifier's place, and rows that cannot be marked are left out.",
    "drop": "They are left out.",
}


class Entry(NamedTuple):
    """One entry of prepare.sources and its publisher."""

    rows: SourceRows
    publication: Publication | None  # None: the parameters state it, and it stands by question source


class Placed(NamedTuple):
    """Questions kept of one source and family, in the order of `SPLITS`."""

    source: str
    family: str
    counts: tuple[int, ...]


class Audited(NamedTuple):
    """One calculator's labels, and those of them that differ."""

    labels: CalculatorLabels
    disagreements: Sequence[Disagreement]

    @property
    def is_whole(self) -> bool:
        """Whether every label is reproduced."""
        return self.labels.agree == self.labels.rows

    @property
    def name(self) -> str:
        """As a person names it."""
        return self.labels.title or "no calculator of MedCalc-Bench"


def write(report: PrepareReport, folder: Path) -> tuple[Path, Path]:
    """The report for machines and for people, below a folder; where they lie."""
    paths = folder / REPORT, folder / NAME
    record.write_text(paths[0], report.model_dump_json(indent=1) + "\n")
    record.write_text(paths[1], render(report))
    return paths


def render(report: PrepareReport) -> str:
    """The page."""
    environment = page.environment(Path(__file__).parent)
    environment.filters |= {"gold": gold, "share": share}
    told = accounts(report)
    return environment.get_template(TEMPLATE).render(
        report=report,
        accounts=told,
        fates=fates(report),
        kept=Fate.KEPT,
        plot=bars(told.sources) if told.sources else None,
        entries=[Entry(rows, publication(rows.entry)) for rows in report.sources],
        splits=SPLITS,
        placed=placed(report),
        untested=untested(report),
        audited=audited,
        policies=POLICIES,
        actions=ACTIONS,
        repeating=repeating(report.repeats) if report.repeats else [],
        losses=losses(told),
        shown=SHOWN,
        shown_labels=SHOWN_LABELS,
    )


def fates(report: PrepareReport) -> list[Fate]:
    """The columns of the account: a gate that is not asked has none."""
    absent = {Fate.REPEATED: report.repeats is None, Fate.IDENTIFIED: report.phi is None}
    return [fate for fate in Fate if not absent.get(fate)]


def losses(told: Accounts) -> list[tuple[Fate, int]]:
    """Where rows went that are not kept, the most first."""
    lost = [(fate, rows) for fate, rows in told.whole.rows.items() if rows and fate is not Fate.KEPT]
    return sorted(lost, key=lambda each: -each[1])


def publication(entry: str) -> Publication | None:
    """Who published an entry's data; None where its format does not say, or the entry is none."""
    try:
        source = parse(entry)
        return None if source.format == "table" else publication_of(source)
    except Stop:
        return None


def placed(report: PrepareReport) -> list[Placed]:
    """What is kept, alphabetically."""
    return [
        Placed(source, family, tuple(splits.get(split, {}).get(family, 0) for split in SPLITS))
        for source, splits in sorted(report.kept.items())
        for family in sorted({family for families in splits.values() for family in families})
    ]


def untested(report: PrepareReport) -> list[str]:
    """Strata to train on that no test or out-of-distribution question judges, task and topic."""
    return [
        f"{stratum.family}, {stratum.topic or 'no topic'}"
        for stratum in report.strata
        if stratum.rows.get("train") and not (stratum.rows.get("test") or stratum.rows.get("ood"))
    ]


def audited(report: LabelReport) -> list[Audited]:
    """Every calculator with its disagreements, those that differ most first, then those recomputed least."""
    found = defaultdict[int | None, list[Disagreement]](list)
    for each in report.disagreements:
        found[each.calculator].append(each)
    table = [Audited(labels, found[labels.id]) for labels in report.calculators]
    return sorted(table, key=lambda each: (-each.labels.disagree, -each.labels.not_recomputable))


def repeating(repeats: DuplicateReport) -> list[tuple[str, Found]]:
    """The kinds of pairs, in words."""
    return [
        ("asked again in the same words", repeats.exact),
        ("asked again in nearly the same words", repeats.near),
        ("asked again with another gold", repeats.conflicts),
    ]


def share(part: int, whole: int) -> str:
    """A width in CSS."""
    return f"{100 * part / whole:.1f}%" if whole else "0%"


def gold(value: Gold) -> str:
    """A gold as a person writes it."""
    match value:
        case Choice(letter=letter):
            return letter
        case Number(value=number, lower=None):
            return f"{number:g}"
        case Number(value=number, lower=lower, upper=upper):
            return f"{number:g} ({lower:g} to {upper:g})"
        case Integer(value=number):
            return f"{number:,}"
        case Date(value=day):
            return day
        case WeeksDays(weeks=weeks, days=days):
            return f"{weeks} weeks, {days} days"
        case FreeText(text=text):
            return text
