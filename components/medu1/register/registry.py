"""An accepted candidate becomes a version of the registered model, with its lineage as tags and its model card.

The version points at the folder that train wrote, which MLflow loads as it lies (`train/flavor.py`): nothing is copied
but behind a server that cannot see the store. The same weights with the same evaluation are the same version, however
often it is asked for. All tags are part of the one call that creates the version, so a version without lineage never
exists; a run that dies before the aliases are set is completed by the next one. The first accepted version becomes
champion by the promotion log, as every later one does.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from medu1 import record, result, stage
from medu1.errors import Stop
from medu1.manifest import DatasetManifest, EvaluationManifest, ModelManifest
from medu1.params import Registry
from medu1.register import card, hook, lineage, trail
from medu1.register.lineage import Evidence
from medu1.register.promotion import CHAMPION
from medu1.register.trail import EVALUATION
from medu1.registered_models import WEIGHTS, once
from medu1.stage import Output, Stage
from medu1.tracking import Tracking

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
        held, known = _version(running, section, Evidence(verdicts, questions, start, model, made))
        version = str(held.version)
        _challenge(running.tracking, section.name, held)
        _call(running, section.name)
        running.tracking.tags(running.run, {"medu1.version": version, "medu1.model": section.name})
        running.note(
            f"already version {version} of {section.name}" if known else f"version {version} of {section.name}"
        )
        _tell(running, version, known)
    return json.dumps({"name": section.name, "version": version})


def _version(running: Stage, section: Registry, found: Evidence) -> tuple["ModelVersion", bool]:
    """The version with these weights and this evaluation, and whether it was there before.

    Its card and lineage are in the run before it is made, so a version without them never exists.
    """
    from mlflow.exceptions import MlflowException

    name, tracking = section.name, running.tracking
    trail.ensure(tracking, name, "Medical reasoning models that medu1 trained and accepted.")
    parent = lineage.parent(tracking, name, found.evaluation.champion)
    tags = lineage.tags(found, parent, running.run)
    if held := _find(tracking, name, tags):
        return held, True
    document = _written(running, section, found, tags, parent)
    source, run = _source(running, found.made["train"]), found.record("train").mlflow_run
    try:
        with once():
            created = tracking.client.create_model_version(
                name, source, run, tags=tags, description=card.description(document), await_creation_for=0
            )
    except MlflowException:  # the answer may be all that was lost
        if (again := _find(tracking, name, tags)) is None:
            raise
        created = again
    return created, False


def _written(running: Stage, section: Registry, found: Evidence, tags: Mapping[str, str], parent: str) -> str:
    """Put the model card and the files of the lineage into the run; the card."""
    decided = lineage.decided(running.tracking)
    document = card.card(section.name, found, tags, parent, decided.decision)
    with TemporaryDirectory() as folder:
        record.write_text(Path(folder) / card.NAME, document)
        paths = lineage.write(Path(folder), found, parent, lineage.sections(found, section, decided))
        for path in (Path(folder) / card.NAME, *paths):
            running.tracking.artifact(running.run, path)
    return document


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


def _challenge(tracking: Tracking, name: str, made: "ModelVersion") -> None:
    """The newest accepted version challenges; the first one has nobody to challenge, and is champion."""
    state, version, tags = tracking.models.settle(name), str(made.version), made.tags
    if not state.champion:
        state = trail.enter(tracking, name, trail.FIRST, version, tags, replaces="")
    if state.champion != version:
        tracking.client.set_registered_model_alias(name, "challenger", version)


def _call(running: Stage, name: str) -> None:
    """Tell the hook of a first champion; a version that is registered is no failure where nobody can be told."""
    try:
        hook.deliver(running.tracking, name)
    except Stop as stop:
        running.note(f"warning: {stop}")


def _tell(running: Stage, version: str, known: bool) -> None:
    if decided := result.read(running.workspace):
        updated = decided.model_copy(update={"version": version, "registered": not known})
        result.write(running.workspace, updated)
