"""An accepted candidate becomes a version of the registered model, with its lineage as tags.

The same weights with the same evaluation are the same version, however often it is asked for. All tags are part of the
one call that creates the version, so a version without lineage never exists; a run that dies before the aliases are set
is completed by the next one. The first accepted version becomes champion by the promotion log, as every later one does.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from medu1 import record, result, stage
from medu1.frozen import JUDGED
from medu1.manifest import DatasetManifest, EvaluationManifest, ModelManifest
from medu1.params import Registry
from medu1.record import StepRecord
from medu1.register import files, trail
from medu1.register.card import SETS, card
from medu1.register.files import FILES
from medu1.register.promotion import CHAMPION
from medu1.register.trail import EVALUATION
from medu1.stage import Output, Stage
from medu1.tracking import KEY, WEIGHTS, Tracking, once

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


def register(registry: str, evaluation: str, dataset: str, base: str, candidate: str) -> str:
    """The step: {"name", "version"} of the version that holds the candidate."""
    section = Registry.parse(registry)
    verdicts, questions = (
        EvaluationManifest.model_validate_json(evaluation),
        DatasetManifest.model_validate_json(dataset),
    )
    start, model = ModelManifest.model_validate_json(base), ModelManifest.model_validate_json(candidate)
    with stage.tracked("register", section.model_dump(mode="json")) as running:
        workspace = running.workspace
        made = {
            "train": stage.fetch(model.key, workspace),
            "evaluate": stage.fetch(verdicts.key, workspace),
            "prepare": stage.fetch(questions.key, workspace),
            "base": stage.fetch(start.key, workspace),
        }
        tags = _lineage(verdicts, questions, model, {step: output.record for step, output in made.items()})
        version, known = _version(running, section.name, made["train"], tags)
        _challenge(running.tracking, section.name, version, tags)
        running.tracking.tags(running.run, {"medu1.version": version, "medu1.model": section.name})
        running.note(
            f"already version {version} of {section.name}" if known else f"version {version} of {section.name}"
        )
        _tell(running, version, known)
    return json.dumps({"name": section.name, "version": version})


def _lineage(
    verdicts: EvaluationManifest,
    questions: DatasetManifest,
    model: ModelManifest,
    made: Mapping[str, StepRecord],
) -> dict[str, str]:
    """What a version is made of; every value is a digest, a name or a run id."""
    trained = made["train"]
    return {
        WEIGHTS: model.digest,
        KEY: model.key,
        "medu1.base": f"{model.base}@{model.revision}" if model.revision else model.base,
        "medu1.data": questions.data,
        "medu1.frozen": verdicts.frozen,
        SETS: json.dumps(questions.sets_of(*JUDGED), sort_keys=True),
        EVALUATION: verdicts.digest,
        CHAMPION: verdicts.champion,
        FILES: files.digest(trained.outputs),
        "medu1.commit": trained.commit + ("-dirty" if trained.dirty else ""),
        "medu1.params": record.digest({step: found.params for step, found in made.items()}),
        **{f"medu1.{step}_run": found.mlflow_run for step, found in made.items()},
    }


def _version(running: Stage, name: str, trained: Output, tags: Mapping[str, str]) -> tuple[str, bool]:
    """The version with these weights and this evaluation, and whether it was there before."""
    from mlflow.exceptions import MlflowException

    trail.ensure(running.tracking, name, "Medical reasoning models that medu1 trained and accepted.")
    if found := _find(running.tracking, name, tags):
        return str(found.version), True
    source, run = _source(running, trained), trained.record.mlflow_run
    try:
        with once():
            created = running.tracking.client.create_model_version(
                name, source, run, tags=dict(tags), description=card(name, tags), await_creation_for=0
            )
    except MlflowException:  # the answer may be all that was lost
        found = _find(running.tracking, name, tags)
        if found is None:
            raise
        created = found
    return str(created.version), False


def _find(tracking: Tracking, name: str, tags: Mapping[str, str]) -> "ModelVersion | None":
    """The oldest version of the same weights, evaluation and champion."""
    query = " and ".join(
        [f"name = '{name}'", f"tags.`{WEIGHTS}` = '{tags[WEIGHTS]}'", f"tags.`{EVALUATION}` = '{tags[EVALUATION]}'"]
    )
    found = [each for each in tracking.client.search_model_versions(query) if each.tags.get(CHAMPION) == tags[CHAMPION]]
    return min(found, key=lambda version: int(version.version), default=None)


def _source(running: Stage, trained: Output) -> str:
    """Where the model's files are: the object store, this machine, or, behind a server, artifacts of the train run."""
    workspace = running.workspace
    if workspace.store:
        return f"{workspace.store.rstrip('/')}/{trained.key}"
    if workspace.tracking_uri.startswith("sqlite:"):
        return Path(trained.folder).as_uri()
    client = running.tracking.client  # a server refuses a path of this machine
    client.log_artifacts(trained.record.mlflow_run, str(trained.folder), "model")
    return f"{client.get_run(trained.record.mlflow_run).info.artifact_uri}/model"


def _challenge(tracking: Tracking, name: str, version: str, tags: Mapping[str, str]) -> None:
    """The newest accepted version challenges; the first one has nobody to challenge, and is champion."""
    state = tracking.settle(name)
    if not state.champion:
        state = trail.enter(tracking, name, trail.FIRST, version, tags, replaces="")
    if state.champion != version:
        tracking.client.set_registered_model_alias(name, "challenger", version)


def _tell(running: Stage, version: str, known: bool) -> None:
    if decided := result.read(running.workspace):
        updated = decided.model_copy(update={"version": version, "registered": not known})
        result.write(running.workspace, updated)
