"""The step train: base and audited questions in, a candidate model out, by GRPO."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medu1 import dataset as prepared
from medu1 import record
from medu1.errors import Stop
from medu1.manifest import DatasetManifest, Manifest, ModelManifest
from medu1.params import Scoring, Train
from medu1.question import Question
from medu1.stage import Stage, fetch, produce
from medu1.train.mixture import Plan, check_sources, planned

SHOWN = 64  # rows of the completions table


def run(train: str, scoring: str, base: str, dataset: str, audited: str, code: str) -> str:
    """The step as the chain calls it: JSON in, JSON out."""
    start = ModelManifest.model_validate_json(base)
    data = DatasetManifest.model_validate_json(dataset)
    audit = Manifest.model_validate_json(audited)
    return trained(Train.parse(train), Scoring.parse(scoring), start, data, audit, code).text()


def trained(
    params: Train, scoring: Scoring, base: ModelManifest, data: DatasetManifest, audit: Manifest, code: str
) -> ModelManifest:
    """The candidate of these parameters, made once. Raises Stop where no question of the wanted families is left."""
    sections = {
        "train": params.model_dump(mode="json", exclude={"base_model", "revision"}),
        "scoring": scoring.model_dump(mode="json"),
    }
    inputs = {"base": base.digest, "dataset": data.digest, "audit": audit.digest}
    identity = record.fingerprint("train", sections, inputs, code)

    def make(stage: Stage, folder: Path) -> Mapping[str, Any]:
        questions = _questions(fetch(data.key, stage.workspace).folder, params)
        stage.note(f"GRPO on {len(questions):,} questions, {params.prompts_per_step} x {params.group_size} a step")
        plan = planned(questions, params)
        stage.note(plan.summary())
        stage.metrics(plan.metrics())
        stage.tracking.dataset(stage.run, "train", data.digest, data.key, data.rows, "training")
        checkpoints = stage.workspace.home / "store" / "checkpoints" / identity
        _train(stage, params, scoring, fetch(base.key, stage.workspace).folder, plan, folder, checkpoints)
        return {"digest": record.content_digest(folder), "seed": params.seed}

    output = produce("train", sections, inputs, code, make)
    return ModelManifest(key=output.key, digest=output.record.facts["digest"], base=base.base, revision=base.revision)


def _train(
    stage: Stage,
    params: Train,
    scoring: Scoring,
    base: Path,
    plan: Plan,
    folder: Path,
    checkpoints: Path,
) -> None:
    from medu1.train.grpo import train

    def on_step(step: int, metrics: Mapping[str, float]) -> None:
        reward = f"reward {metrics['reward']:.2f}" if "reward" in metrics else ""
        stage.progress(min(step, params.steps), params.steps, reward)
        stage.metrics(metrics, step)

    telemetry = train(base, plan, params, scoring, folder, checkpoints, on_step)
    stage.tracking.table(stage.run, "completions.json", telemetry.table(SHOWN))


def _questions(folder: Path, params: Train) -> list[Question]:
    held = prepared.read(folder, "train")
    questions = [each for each in held if each.family in params.families]
    if not questions:
        raise Stop(
            f"No training question is of the families {', '.join(params.families)}.",
            "The sources hold none, or prepare left all of them out.",
            "Widen train.families or prepare.sources, and look at prepare's report.json.",
        )
    check_sources(params.mixture.weights, held)
    return questions
