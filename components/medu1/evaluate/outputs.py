"""What evaluate and decide leave for people: the page, the Markdown, and what KFP's user interface shows of both.

KFP keeps metrics as an artifact's metadata, so their names are lower-case words and their values finite numbers. Each
artifact is a file too: kfp answers a task from its cache only where all its files are still there.
"""

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from medu1 import record
from medu1.evaluate import logged, markdown, report
from medu1.evaluate.component import HTML, ClassificationMetrics, Markdown, Metrics
from medu1.evaluate.confusion import NAME as LETTERS
from medu1.evaluate.confusion import Confusion, confusion
from medu1.evaluate.tabulation import Verdicts
from medu1.question import Question
from medu1.report import Decision, Report

FILES: Final = (report.NAME, markdown.NAME, LETTERS)
JUDGED: Final = ("difference", "low", "earlier", "level")  # figures of the condition `gain`


def write(folder: Path, found: Report, verdicts: Verdicts, questions: Mapping[str, Question], shown: int) -> None:
    """What people read of an evaluation, into its folder; `questions` are the test questions by id."""
    letters = confusion(verdicts["candidate"]["test"], questions)
    record.write_text(folder / report.NAME, report.render(found, verdicts, questions, shown))
    record.write_text(folder / markdown.NAME, markdown.render(found))
    record.write_text(folder / LETTERS, letters.model_dump_json() if letters else "null")


def show_evaluation(folder: Path, page: HTML, metrics: Metrics, letters: ClassificationMetrics) -> None:
    """Hand kfp what an evaluation's folder holds."""
    shutil.copyfile(folder / report.NAME, page.path)
    _show(metrics, {name.replace(".", "_"): value for name, value in logged.metrics(Report.read(folder)).items()})
    _show_letters(letters, json.loads((folder / LETTERS).read_bytes()))


class Told(NamedTuple):
    """A decision as people read it."""

    page: str  # HTML: the evaluation's, the decision on top
    document: str  # Markdown


def told(folder: Path, found: Report, decision: Decision) -> Told:
    """The decision with the evaluation of a folder. Raises Stop where its page has no place for one."""
    page = (folder / report.NAME).read_bytes().decode()  # a reader of text would change line ends
    return Told(report.decided(page, decision), markdown.render(found, decision))


def show_decision(said: Told, decision: Decision, page: HTML, document: Markdown, metrics: Metrics) -> None:
    """Hand kfp a decision."""
    record.write_text(Path(page.path), said.page)
    record.write_text(Path(document.path), said.document)
    gain = next((each.figures for each in decision.conditions if each.name == "gain"), {})
    _show(metrics, {"passed": float(decision.passed), **{name: gain[name] for name in gain if name in JUDGED}})


def _show(metrics: Metrics, figures: Mapping[str, float]) -> None:
    finite = {name: float(value) for name, value in figures.items() if math.isfinite(value)}
    for name, value in finite.items():
        metrics.log_metric(name, value)
    _write_json(metrics.path, finite)


def _show_letters(letters: ClassificationMetrics, found: Any) -> None:
    if found:
        counted = Confusion.model_validate(found)
        letters.log_confusion_matrix(list(counted.categories), [list(row) for row in counted.matrix])
    _write_json(letters.path, found)


def _write_json(path: str, value: object) -> None:
    record.write_text(Path(path), json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")
