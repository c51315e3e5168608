"""The step audit: the grader scores every training gold and a battery of degenerate answers before anything is trained.

A reward that a lone stop word can earn teaches a model to write it, and a gold its own grader rejects can never be
learnt. Where either happens more often than the parameters allow, training is refused and the rows are named.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medu1 import dataset, record
from medu1.errors import Stop
from medu1.manifest import DatasetManifest, Manifest
from medu1.params import Audit, Scoring
from medu1.prepare import audit_page
from medu1.scoring.audit import AuditReport
from medu1.scoring.audit import audit as battery
from medu1.stage import Stage, fetch, produce

NAME = "audit.json"
SHOWN = 5  # ids named in a refusal


def run(audit: str, scoring: str, dataset: str, code: str, page: str) -> str:
    """The step as the chain calls it: JSON in, JSON out, and the report for people at the path `page`."""
    manifest = DatasetManifest.model_validate_json(dataset)
    return audited(Audit.parse(audit), Scoring.parse(scoring), manifest, code, Path(page)).text()


def audited(params: Audit, scoring: Scoring, data: DatasetManifest, code: str, page: Path) -> Manifest:
    """The audit of a dataset's training questions, and its report for people at `page`.

    Raises Stop where training on them must be refused.
    """
    sections = {"audit": params.model_dump(mode="json"), "scoring": scoring.model_dump(mode="json")}

    def make(stage: Stage, folder: Path) -> Mapping[str, Any]:
        report = battery(dataset.read(fetch(data.key, stage.workspace).folder, "train"), scoring)
        _log(stage, folder, report, params)
        if faults := refusals(report, params):
            shutil.copyfile(folder / audit_page.NAME, page)
            raise refusal(faults)
        stage.note(f"{report.questions:,} golds accepted by their own grader; {_worst(report)}")
        return {"golds": report.questions}

    output = produce("audit", sections, {"dataset": data.digest}, code, make)
    shutil.copyfile(output.folder / audit_page.NAME, page)  # also where the output was there before
    entries = {name: entry.sha256 for name, entry in output.record.outputs.items()}
    return Manifest(key=output.key, digest=record.digest(entries))


def refusal(faults: Sequence[str]) -> Stop:
    """The error that names every rate beyond its limit, and the rows."""
    return Stop(
        f"The reward audit refuses to train: {'; '.join(faults)}.",
        "A model would learn to earn the reward without the answer, or could not earn it with the answer.",
        "Correct or drop these rows, or state a higher limit in the section audit.",
    )


def refusals(report: AuditReport, params: Audit) -> list[str]:
    """What is beyond the limits, a line each; nothing: training may start."""
    accepted = [
        f"{rate.accepted:,} of {rate.tried:,} answers of the kind {rate.probe} are accepted on {rate.source} "
        f"({rate.rate:.2%}, at most {params.max_false_accept:.2%}), such as on {', '.join(rate.ids[:SHOWN])}"
        for rate in report.rates
        if rate.probe.blocks and rate.rate > params.max_false_accept
    ]
    rejected = [
        f"{len(rate.rejected):,} of {rate.golds:,} golds of {rate.source} fail their own grader "
        f"({rate.rate:.2%}, at most {params.max_false_reject:.2%}), such as {', '.join(rate.rejected[:SHOWN])}"
        for rate in report.golds
        if rate.rate > params.max_false_reject
    ]
    return [*accepted, *rejected]


def _log(stage: Stage, folder: Path, report: AuditReport, params: Audit) -> None:
    """Before any refusal, so that the rates and the rows stay on the run."""
    write(report, params, folder)
    for path in sorted(folder.iterdir()):
        stage.tracking.artifact(stage.run, path)
    accepts = {f"false_accept/{rate.source}/{rate.probe}": rate.rate for rate in report.rates}
    stage.metrics({**accepts, **{f"false_reject/{rate.source}": rate.rate for rate in report.golds}})


def write(report: AuditReport, params: Audit, folder: Path) -> None:
    """The report for machines and for people."""
    record.write_text(folder / NAME, report.model_dump_json(indent=1) + "\n")
    record.write_text(folder / audit_page.NAME, audit_page.render(report, params, refusals(report, params)))


def _worst(report: AuditReport) -> str:
    worst = report.worst()
    if worst is None or not worst.accepted:
        return "no degenerate answer is"
    return f"the degenerate answer accepted most often is {worst.probe} on {worst.source}, {worst.rate:.1%}"
