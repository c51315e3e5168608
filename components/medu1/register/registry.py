"""An accepted candidate becomes a version of the registered model, with its lineage as tags.

The same weights with the same evaluation are the same version, however often it is asked for. All tags are part of the
one call that creates the version, so a version without lineage never exists; a run that dies before the aliases are set
is completed by the next one. MLflow keeps no history of promotions: aliases move, the tags say what a version is.
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
from medu1.register.card import SETS, card
from medu1.stage import Output, Stage
from medu1.tracking import KEY, WEIGHTS

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

EVALUATION = "medu1.evaluation"


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
        _aliases(running.tracking.client, section.name, version)
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
        "medu1.commit": trained.commit + ("-dirty" if trained.dirty else ""),
        "medu1.params": record.digest({step: found.params for step, found in made.items()}),
        **{f"medu1.{step}_run": found.mlflow_run for step, found in made.items()},
    }


def _version(running: Stage, name: str, trained: Output, tags: Mapping[str, str]) -> tuple[str, bool]:
    """The version with these weights and this evaluation, and whether it was there before."""
    client = running.tracking.client
    _ensure(client, name)
    if found := _find(client, name, tags):
        return str(found.version), True
    created = client.create_model_version(
        name,
        source=_source(running, trained),
        run_id=trained.record.mlflow_run,
        tags=dict(tags),
        description=card(name, tags),
    )
    return str(created.version), False


def _ensure(client: "MlflowClient", name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, description="Medical reasoning models that medu1 trained and accepted.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _find(client: "MlflowClient", name: str, tags: Mapping[str, str]) -> "ModelVersion | None":
    query = " and ".join(
        [f"name = '{name}'", f"tags.`{WEIGHTS}` = '{tags[WEIGHTS]}'", f"tags.`{EVALUATION}` = '{tags[EVALUATION]}'"]
    )
    found = list(client.search_model_versions(query))
    return found[0] if found else None


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


def _aliases(client: "MlflowClient", name: str, version: str) -> None:
    """The newest accepted version challenges; the first one has nobody to challenge."""
    client.set_registered_model_alias(name, "challenger", version)
    if "champion" not in client.get_registered_model(name).aliases:
        client.set_registered_model_alias(name, "champion", version)


def _tell(running: Stage, version: str, known: bool) -> None:
    if decided := result.read(running.workspace):
        updated = decided.model_copy(update={"version": version, "registered": not known})
        result.write(running.workspace, updated)
