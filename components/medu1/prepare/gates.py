"""The gates that the sources' rows pass before they are split: labels, health information, duplicates.

Each tells what it found; what it changes is a parameter's choice. The built-in questions are generated: they name
nobody, and their groups say what they have in common, so these gates are for the others.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from medu1.params import Prepare
from medu1.prepare.health.phi import PhiReport, PhiScreen
from medu1.prepare.labels.labels import Agrees, LabelReport, applied, audit_labels, label_rows
from medu1.prepare.location import fetched
from medu1.prepare.readings import Readings
from medu1.prepare.repeats.duplicate_report import DuplicateReport
from medu1.prepare.repeats.duplicates import Duplicates
from medu1.prepare.sources import BUILTIN, Source
from medu1.question import Question


class Gated(NamedTuple):
    """The questions that are left, and what was found."""

    questions: list[Question]
    labels: dict[str, LabelReport]  # by entry, of the MedCalc sources
    labels_dropped: dict[str, int]  # source -> questions
    phi: PhiReport
    repeats: DuplicateReport


def gated(found: Readings, sources: Sequence[Source], params: Prepare, cache: Path) -> Gated:
    """Every source's questions, in order, without those that the gates keep out."""
    reports: dict[str, LabelReport] = {}
    dropped = Counter[str]()
    screen = PhiScreen(params.phi)
    repeats = Duplicates(params.duplicates)
    questions: list[Question] = []
    for source in dict.fromkeys(sources):
        asked = [row.question for row in found[source].asked]
        if source != BUILTIN:
            if report := _labels(source, cache):
                reports[str(source)] = report
                kept = _under_policy(asked, report, params)
                dropped += _by_source(asked) - _by_source(kept)
                asked = kept
            asked = screen.passed(asked)
            repeats.add(asked)
        questions += asked
    repeated = repeats.dropped
    return Gated(
        questions=[question for question in questions if question.id not in repeated],
        labels=reports,
        labels_dropped=dict(dropped),
        phi=screen.report(),
        repeats=repeats.report(),
    )


def _by_source(questions: Sequence[Question]) -> Counter[str]:
    return Counter(question.source for question in questions)


def _labels(source: Source, cache: Path) -> LabelReport | None:
    """The label audit of a MedCalc file; None of any other."""
    match source.format:
        case "medcalc" | "medcalc-v1.2" | "medcalc-verified" as version:
            return audit_labels(label_rows(fetched(source.path, cache), source.split, version))
        case _:
            return None


def _under_policy(asked: Sequence[Question], report: LabelReport, params: Prepare) -> list[Question]:
    verdicts = report.verdicts()
    kept = (applied(question, verdicts.get(question.id, Agrees()), params.labels) for question in asked)
    return [question for question in kept if question]
