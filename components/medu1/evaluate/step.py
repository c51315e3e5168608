"""The steps `evaluate` and `decide`: manifests and parameters in, verdicts, report and one yes or no out.

A champion with the base's or the candidate's weights is not judged a second time, and is no input of the evaluation:
running again after a promotion changes nothing. `decide` hears of it from the evaluation's manifest.
"""

import shutil
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from medu1 import record, result
from medu1.code import SHAPING, versions
from medu1.errors import Stop
from medu1.evaluate import evaluation, logged, report, sets, tabulation, verdicts
from medu1.evaluate.decision import MET, audits
from medu1.evaluate.decision import decide as judge
from medu1.evaluate.evaluation import Subject
from medu1.evaluate.sets import Asked
from medu1.evaluate.tabulation import Verdicts
from medu1.manifest import DatasetManifest, EvaluationManifest, ModelManifest
from medu1.params import Decide, Evaluate, Scoring
from medu1.question import Question
from medu1.report import NAME, Decision, Judged, Protocol, Report, Role
from medu1.result import RunResult
from medu1.stage import Output, Stage, fetch, produce, tracked
from medu1.tracking import FROZEN, JUDGED


def evaluate(
    evaluate: str,
    scoring: str,
    dataset: str,
    base: str,
    candidate: str,
    champion_weights: str,
    champion_key: str,
    code: str,
    page: str,
) -> str:
    """The evaluation's manifest, and its report for people at the path `page`.

    Raises Stop where there is nothing to judge on.
    """
    params, grading = Evaluate.parse(evaluate), Scoring.parse(scoring)
    data = DatasetManifest.model_validate_json(dataset)
    models = _models(base, candidate, champion_weights, champion_key)
    output = produce(
        "evaluate",
        {"evaluate": params.model_dump(mode="json"), "scoring": grading.model_dump(mode="json")},
        {"frozen": data.frozen, **{role: manifest.digest for role, manifest in models.items()}},
        code,
        lambda stage, folder: _evaluate(stage, folder, params, grading, data, models),
    )
    shutil.copyfile(output.folder / report.NAME, page)  # also where the output was there before
    return EvaluationManifest(
        key=output.key,
        digest=record.digest({name: entry.sha256 for name, entry in output.record.outputs.items()}),
        candidate=models["candidate"].digest,
        champion=champion_weights,
        frozen=data.frozen,
    ).text()


def _models(base: str, candidate: str, champion_weights: str, champion_key: str) -> dict[Role, ModelManifest]:
    """The models to judge, each role with its own weights."""
    models: dict[Role, ModelManifest] = {
        "base": ModelManifest.model_validate_json(base),
        "candidate": ModelManifest.model_validate_json(candidate),
    }
    if champion_weights in {"", *(manifest.digest for manifest in models.values())}:
        return models
    if not champion_key:
        raise Stop(
            f"The champion's weights {champion_weights[:12]} are named without a place in the store.",
            "A candidate is compared with the champion on the same questions, so its model is needed.",
            "Promote a version that this project registered, or take the alias champion away.",
        )
    champion = ModelManifest(key=champion_key, digest=champion_weights, base="", revision="")
    return {**models, "champion": champion}


def _evaluate(
    stage: Stage,
    folder: Path,
    params: Evaluate,
    scoring: Scoring,
    data: DatasetManifest,
    models: Mapping[Role, ModelManifest],
) -> dict[str, Any]:
    """Read, answer, tabulate, write, log."""
    asked = sets.read(data, stage.workspace)
    bench = evaluation.bench(stage, params, scoring)
    answers: Verdicts = {
        role: evaluation.judged(bench, Subject(role=role, weights=manifest.digest, key=manifest.key), asked.sets)
        for role, manifest in models.items()
    }
    found = _report(params, data, models, asked, answers)
    record.write_text(folder / NAME, found.model_dump_json(indent=1))
    verdicts.write(folder / verdicts.NAME, {role: [*own["test"], *own["ood"]] for role, own in answers.items()})
    questions = {question.id: question for question in asked.sets["test"]}
    record.write_text(folder / report.NAME, report.render(found, answers, questions, params.completions_shown))
    _log(stage, folder, data, found, answers, questions, params)
    return {"questions": found.questions, "models": {role: manifest.digest for role, manifest in models.items()}}


def _report(
    params: Evaluate, data: DatasetManifest, models: Mapping[Role, ModelManifest], asked: Asked, answers: Verdicts
) -> Report:
    return Report(
        models=tuple(
            Judged(role=role, weights=manifest.digest, base=manifest.base, revision=manifest.revision)
            for role, manifest in models.items()
        ),
        frozen=data.frozen,
        questions={name: len(questions) for name, questions in asked.sets.items()},
        sets=asked.frozen,
        confidence=params.confidence,
        max_completion_tokens=params.max_completion_tokens,
        batch=params.batch,
        protocol=_protocol(params),
        versions=versions(SHAPING),
        rows=tabulation.rows(answers, params.confidence, tabulation.chances(chain(*asked.sets.values()))),
        comparisons=tabulation.comparisons(answers, params.confidence),
        conduct=tabulation.conduct(answers),
    )


def _protocol(params: Evaluate) -> Protocol:
    decoding = f"greedy, at most {params.max_completion_tokens:,} new tokens, batches of {params.batch:,}"
    return Protocol(backend=params.backend, strategy=params.strategy, decoding=decoding)


def _log(
    stage: Stage,
    folder: Path,
    data: DatasetManifest,
    found: Report,
    answers: Verdicts,
    questions: Mapping[str, Question],
    params: Evaluate,
) -> None:
    rows: dict[str, int] = {name: len(of) for name, of in answers["candidate"].items()}
    stage.tracking.dataset(stage.run, "medu1", data.frozen, data.key, rows, "evaluation")
    stage.metrics(logged.metrics(found))
    stage.tracking.table(
        stage.run, "completions.json", logged.completions(answers, questions, params.completions_shown)
    )
    for name in (NAME, report.NAME, verdicts.NAME):
        stage.tracking.artifact(stage.run, folder / name)


def decide(decide: str, evaluation: str, dataset: str, base: str, candidate: str, champion_version: str) -> bool:
    """Judge the report, tell every reader, and link the steps whose output another run made.

    Raises Stop where the evaluation's frozen questions are not the dataset's.
    """
    params = Decide.parse(decide)
    judged, data = EvaluationManifest.model_validate_json(evaluation), DatasetManifest.model_validate_json(dataset)
    start, model = ModelManifest.model_validate_json(base), ModelManifest.model_validate_json(candidate)
    with tracked("decide", {"decide": params.model_dump(mode="json")}) as stage:
        outputs = [fetch(key, stage.workspace) for key in (data.key, start.key, model.key, judged.key)]
        trained, evaluated = outputs[-2:]
        found = Report.read(evaluated.folder)
        _require_frozen(found, judged, data)
        passed_audits = audits(trained.record.inputs, data)
        decision = judge(found, params, champion_version, judged.champion, _earlier(stage, judged), [passed_audits])
        _tell(stage, decision, judged, evaluated, champion_version)
        _link_reused(stage, outputs)
    return decision.passed


def _require_frozen(found: Report, judged: EvaluationManifest, data: DatasetManifest) -> None:
    if not found.frozen == judged.frozen == data.frozen:
        raise Stop(
            f"The evaluation {judged.key} is of other frozen questions than the dataset {data.key}.",
            f"Judged on {found.frozen[:12]}, named {judged.frozen[:12]}, prepared {data.frozen[:12]}: "
            "figures on other questions say nothing about this candidate.",
            "Evaluate the candidate on the questions of this dataset.",
        )


def _earlier(stage: Stage, judged: EvaluationManifest) -> int:
    """How many others were judged on these frozen questions before; who is judged again keeps the place it had."""
    decided = stage.tracking.decided(judged.frozen)
    return decided.index(_identity(judged)) if _identity(judged) in decided else len(decided)


def _identity(judged: EvaluationManifest) -> str:
    return f"{judged.candidate} {judged.digest}"


def _tell(stage: Stage, decision: Decision, judged: EvaluationManifest, output: Output, champion_version: str) -> None:
    verdict = "passed" if decision.passed else "not passed"
    unmet = [reason for reason in decision.reasons if not reason.startswith(MET)]
    stage.note(" ".join([f"{verdict} against {decision.incumbent}.", *unmet]))
    stage.metrics({"passed": float(decision.passed)})
    tags = {"medu1.decision": verdict, "medu1.incumbent": decision.incumbent}
    for run in (stage.run, stage.tracking.parent()):
        stage.tracking.tags(run, tags)
    if decision.conditions:  # a champion judged against itself takes nothing from alpha
        stage.tracking.tags(stage.run, {JUDGED: _identity(judged), FROZEN: judged.frozen})
    with TemporaryDirectory() as folder:
        path = Path(folder) / "decision.json"
        record.write_text(path, decision.model_dump_json(indent=1))
        stage.tracking.artifact(stage.run, path)
    version = champion_version if judged.champion == judged.candidate else None
    page = str(output.folder / report.NAME)
    result.write(stage.workspace, RunResult(evaluation=output.key, report=page, decision=decision, version=version))


def _link_reused(stage: Stage, outputs: Sequence[Output]) -> None:
    """Tag the parent run with the MLflow run of every step that an earlier pipeline run executed."""
    records = [output.record for output in outputs if output.record.run != stage.workspace.run]
    tags = {f"medu1.reused.{made.step}": made.mlflow_run for made in records}
    stage.tracking.tags(stage.tracking.parent(), tags)
