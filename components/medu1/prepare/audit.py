"""The step audit: the grader scores every training gold and a battery of degenerate answers before anything is trained.

A reward that a lone stop word can earn teaches a model to write it, and a gold its own grader rejects can never be
learnt. Where either happens more often than the parameters allow, training is refused and the rows are named.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medu1 import dataset, record
from medu1.errors import Stop
from medu1.manifest import DatasetManifest, Manifest
from medu1.params import Audit, Scoring
from medu1.question import Question
from medu1.scoring.audit import AuditReport
from medu1.scoring.audit import audit as battery
from medu1.stage import Stage, fetch, produce

NAME = "audit.json"
SHOWN = 5  # ids named in a fault


def run(audit: str, scoring: str, dataset: str, code: str) -> str:
    """The step as the chain calls it: JSON in, JSON out."""
    manifest = DatasetManifest.model_validate_json(dataset)
    return audited(Audit.parse(audit), Scoring.parse(scoring), manifest, code).text()


def audited(params: Audit, scoring: Scoring, data: DatasetManifest, code: str) -> Manifest:
    """The audit of a dataset's training questions. Raises Stop where training on them must be refused."""
    sections = {"audit": params.model_dump(mode="json"), "scoring": scoring.model_dump(mode="json")}

    def make(stage: Stage, folder: Path) -> Mapping[str, Any]:
        questions = dataset.read(fetch(data.key, stage.workspace).folder, "train")
        report = battery(questions, scoring)
        rejects = reject_rates(report, questions)
        _log(stage, folder, report, rejects)
        if faults := [*_accepted(report, params.max_false_accept), *_rejected(report, questions, rejects, params)]:
            raise Stop(
                f"The reward audit refuses to train: {'; '.join(faults)}.",
                "A model would learn to earn the reward without the answer, or could not earn it with the answer.",
                "Correct or drop these rows, or state a higher limit in the section audit.",
            )
        stage.note(f"{report.golds:,} golds accepted by their own grader; {_worst(report)}")
        return {"golds": report.golds}

    output = produce("audit", sections, {"dataset": data.digest}, code, make)
    entries = {name: entry.sha256 for name, entry in output.record.outputs.items()}
    return Manifest(key=output.key, digest=record.digest(entries))


def reject_rates(report: AuditReport, questions: Sequence[Question]) -> dict[str, float]:
    """Share of the questions, by source, whose golds their own grader rejects."""
    asked = Counter(question.source for question in questions)
    rejected = set(report.false_rejects)
    failed = Counter(question.source for question in questions if question.id in rejected)
    return {source: failed[source] / count for source, count in sorted(asked.items())}


def _log(stage: Stage, folder: Path, report: AuditReport, rejects: Mapping[str, float]) -> None:
    """Before any refusal, so that the rates and the rows stay on the run."""
    record.write_text(folder / NAME, report.model_dump_json(indent=1) + "\n")
    stage.tracking.artifact(stage.run, folder / NAME)
    accepts = {f"false_accept/{rate.source}/{rate.probe}": rate.rate for rate in report.rates}
    stage.metrics({**accepts, **{f"false_reject/{source}": rate for source, rate in rejects.items()}})


def _accepted(report: AuditReport, most: float) -> list[str]:
    return [
        f"{rate.accepted} of {rate.tried} answers of the kind {rate.probe} are accepted on {rate.source} "
        f"({rate.rate:.1%}, at most {most:.1%}), such as on {', '.join(rate.ids[:SHOWN])}"
        for rate in report.rates
        if rate.rate > most
    ]


def _rejected(
    report: AuditReport, questions: Sequence[Question], rates: Mapping[str, float], params: Audit
) -> list[str]:
    sources = {question.id: question.source for question in questions}
    return [
        f"{rate:.1%} of the golds of {source} fail their own grader (at most {params.max_false_reject:.1%}), such as "
        + ", ".join([failed for failed in report.false_rejects if sources[failed] == source][:SHOWN])
        for source, rate in rates.items()
        if rate > params.max_false_reject
    ]


def _worst(report: AuditReport) -> str:
    worst = report.worst()
    return f"worst probe {worst.probe} on {worst.source}: {worst.rate:.1%}" if worst else "no probe tried"
