"""The steps `evaluate` and `decide`: manifests and parameters in, verdicts, report and one yes or no out.

A champion with the base's or the candidate's weights is not judged a second time, and is no input of the evaluation:
running again after a promotion changes nothing. `decide` hears of it from the evaluation's manifest.
"""

from collections.abc import Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from medu1 import record, result
from medu1.code import SHAPING, versions
from medu1.drawing.markdown import shortened
from medu1.errors import Stop
from medu1.evaluate import evaluation, logged, markdown, outputs, probing, report, sets, suites, tabulation, verdicts
from medu1.evaluate.asking import plain
from medu1.evaluate.component import HTML, ClassificationMetrics, Markdown, Metrics
from medu1.evaluate.decision import MET, audits
from medu1.evaluate.decision import decide as judge
from medu1.evaluate.evaluation import Bench, Subject
from medu1.evaluate.outputs import Told
from medu1.evaluate.probing import Answers
from medu1.evaluate.sets import Asked
from medu1.evaluate.strategies.conduct import needs_cases
from medu1.evaluate.suites import Sheets
from medu1.evaluate.tabulation import Verdicts
from medu1.evaluate.verdicts import JudgedAnswer
from medu1.judging import Decide, Evaluate
from medu1.manifest import DatasetManifest, EvaluationManifest, ModelManifest
from medu1.params import Scoring
from medu1.question import Question
from medu1.report import NAME, Decision, Judged, Probes, Protocol, Report, Role, SetName
from medu1.result import RunResult
from medu1.stage import Output, Stage, fetch, produce, tracked
from medu1.tracking import FROZEN, JUDGED

NOTE = "mlflow.note.content"  # what MLflow shows as a run's description
LONGEST_NOTE = 7000  # characters; of a tag of more than 8,000 MLflow cuts off the end


def evaluate(
    evaluate: str,
    scoring: str,
    dataset: str,
    base: str,
    candidate: str,
    champion_weights: str,
    champion_key: str,
    code: str,
    page: HTML,
    metrics: Metrics,
    letters: ClassificationMetrics,
) -> str:
    """The evaluation's manifest, and for people its page, its figures and which letters the candidate answered.

    Raises Stop where there is nothing to judge on.
    """
    params, grading = Evaluate.parse(evaluate), Scoring.parse(scoring)
    data = DatasetManifest.model_validate_json(dataset)
    models = _models(base, candidate, champion_weights, champion_key)
    output = produce(
        "evaluate",
        {"evaluate": params.model_dump(mode="json"), "scoring": grading.model_dump(mode="json")},
        _inputs(params, data, models),
        code,
        lambda stage, folder: _evaluate(stage, folder, params, grading, data, models),
    )
    outputs.show_evaluation(output.folder, page, metrics, letters)  # also where the output was there before
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


def _inputs(params: Evaluate, data: DatasetManifest, models: Mapping[Role, ModelManifest]) -> dict[str, str]:
    """Digests of what is judged and on what; of the training questions too where a strategy shows some."""
    asked = [params.strategy, *(name for suite in params.suites.values() for name in suite.strategies)]
    cases = {"cases": data.digest} if any(map(needs_cases, asked)) else {}
    return {"frozen": data.frozen, **cases, **{role: manifest.digest for role, manifest in models.items()}}


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
    probed = suites.asked(params.suites, asked.sets)
    bench = evaluation.bench(stage, params, scoring, sets.cases(data, stage.workspace))
    answered = {role: _answered(bench, role, manifest, asked, probed) for role, manifest in models.items()}
    answers: Verdicts = {role: own.sets for role, own in answered.items()}
    probes = {role: own.suites for role, own in answered.items()}
    found = _report(
        params, data, models, asked, answers, probing.probes(params.suites, probed, probes, params.confidence)
    )
    record.write_text(folder / NAME, found.model_dump_json(indent=1))
    verdicts.write(folder / verdicts.NAME, {role: [*own["test"], *own["ood"]] for role, own in answers.items()})
    verdicts.write_probes(folder / verdicts.PROBES, _flat(probes))
    questions = {question.id: question for question in asked.sets["test"]}
    outputs.write(folder, found, answers, questions, params.completions_shown)
    _log(stage, folder, data, found, answers, questions, params)
    return {
        "questions": found.questions,
        "models": {role: manifest.digest for role, manifest in models.items()},
        "decoding": bench.decoding(plain("test", (), params.strategy)),
        "grader": bench.grader,
    }


class _Answered(NamedTuple):
    """One model's verdicts."""

    sets: Mapping[SetName, Sequence[JudgedAnswer]]
    suites: Mapping[str, Sequence[Sequence[JudgedAnswer]]]  # of each sheet


def _answered(bench: Bench, role: Role, manifest: ModelManifest, asked: Asked, probed: Sheets) -> _Answered:
    """The sets first: they are what decides."""
    whole = [plain(name, questions, bench.params.strategy) for name, questions in asked.sets.items()]
    subject = Subject(role=role, weights=manifest.digest, key=manifest.key)
    rows = iter(evaluation.judged(bench, subject, [*whole, *chain(*probed.values())]))
    of_sets = dict(zip(asked.sets, islice(rows, len(whole)), strict=True))
    return _Answered(of_sets, {name: list(islice(rows, len(sheets))) for name, sheets in probed.items()})


def _flat(probes: Answers) -> dict[Role, dict[str, list[JudgedAnswer]]]:
    """Every suite's verdicts in one list."""
    return {role: {name: list(chain(*sheets)) for name, sheets in own.items()} for role, own in probes.items()}


def _report(
    params: Evaluate,
    data: DatasetManifest,
    models: Mapping[Role, ModelManifest],
    asked: Asked,
    answers: Verdicts,
    probes: Probes,
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
        probes=probes,
    )


def _protocol(params: Evaluate) -> Protocol:
    batches = "" if params.backend == "endpoint" else f", batches of {params.batch:,}"
    decoding = f"greedy, at most {params.max_completion_tokens:,} new tokens{batches}"
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
    for step, figures in logged.points(found).items():
        stage.metrics(figures, step)
    stage.tracking.table(
        stage.run, "completions.json", logged.completions(answers, questions, params.completions_shown)
    )
    for name in (NAME, *outputs.FILES, verdicts.NAME, verdicts.PROBES):
        stage.tracking.artifact(stage.run, folder / name)


def decide(
    decide: str,
    evaluation: str,
    dataset: str,
    base: str,
    candidate: str,
    champion_version: str,
    page: HTML,
    document: Markdown,
    metrics: Metrics,
) -> bool:
    """Judge the report, tell every reader, and link the steps whose output another run made.

    Raises Stop where the evaluation's frozen questions are not the dataset's.
    """
    params = Decide.parse(decide)
    judged, data = EvaluationManifest.model_validate_json(evaluation), DatasetManifest.model_validate_json(dataset)
    start, model = ModelManifest.model_validate_json(base), ModelManifest.model_validate_json(candidate)
    with tracked("decide", {"decide": params.model_dump(mode="json")}) as stage:
        made = [fetch(key, stage.workspace) for key in (data.key, start.key, model.key, judged.key)]
        trained, evaluated = made[-2:]
        found = Report.read(evaluated.folder)
        _require_frozen(found, judged, data)
        passed_audits = audits(trained.record.inputs, data)
        decision = judge(found, params, champion_version, judged.champion, _earlier(stage, judged), [passed_audits])
        said = outputs.told(evaluated.folder, found, decision)
        outputs.show_decision(said, decision, page, document, metrics)
        _tell(stage, decision, said, judged, champion_version)
        _sum_up(stage, found, decision, made)
        _link_reused(stage, made)
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


def _tell(stage: Stage, decision: Decision, said: Told, judged: EvaluationManifest, champion_version: str) -> None:
    verdict = "passed" if decision.passed else "not passed"
    unmet = [reason for reason in decision.reasons if not reason.startswith(MET)]
    stage.note(" ".join([f"{verdict} against {decision.incumbent}.", *unmet]))
    stage.metrics({"passed": float(decision.passed)})
    tags = {"medu1.decision": verdict, "medu1.incumbent": decision.incumbent}
    for run in (stage.run, stage.tracking.parent()):
        stage.tracking.tags(run, tags)
    if decision.conditions:  # a champion judged against itself takes nothing from alpha
        stage.tracking.tags(stage.run, {JUDGED: _identity(judged), FROZEN: judged.frozen})
    _log_decision(stage, decision, said)
    version = champion_version if judged.champion == judged.candidate else None
    page = str(result.page(stage.workspace))
    result.write(stage.workspace, RunResult(evaluation=judged.key, report=page, decision=decision, version=version))


def _log_decision(stage: Stage, decision: Decision, said: Told) -> None:
    """The page beside the run's journal; all of it to MLflow, where the run's description is the Markdown."""
    record.write_text(result.page(stage.workspace), said.page)
    parent = stage.tracking.parent()
    with TemporaryDirectory() as folder:
        texts = {report.NAME: said.page, markdown.NAME: said.document}
        for name, text in {**texts, "decision.json": decision.model_dump_json(indent=1)}.items():
            record.write_text(Path(folder) / name, text)
            stage.tracking.artifact(stage.run, Path(folder) / name)
        for name in texts:
            stage.tracking.artifact(parent, Path(folder) / name)
    stage.tracking.tags(parent, {NOTE: shortened(said.document, LONGEST_NOTE)})


def _sum_up(stage: Stage, found: Report, decision: Decision, made: Sequence[Output]) -> None:
    """Parameters and figures on the parent run, where whole experiments are compared; also of steps that are reused."""
    parent = stage.tracking.parent()
    stage.tracking.metrics(parent, {**logged.metrics(found), "passed": float(decision.passed)})
    data, start, trained, evaluated = (output.record.params for output in made)
    stage.tracking.further_params(parent, {"prepare": data, "base": start, **trained, **evaluated})


def _link_reused(stage: Stage, outputs: Sequence[Output]) -> None:
    """Tag the parent run with the MLflow run of every step that an earlier pipeline run executed."""
    records = [output.record for output in outputs if output.record.run != stage.workspace.run]
    tags = {f"medu1.reused.{made.step}": made.mlflow_run for made in records}
    stage.tracking.tags(stage.tracking.parent(), tags)
