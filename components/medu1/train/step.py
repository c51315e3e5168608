"""The step train: base and audited questions in, a candidate model out, by GRPO.

A training has a folder of its own, named by its fingerprint, for checkpoints and history; whoever is asked for the same
training goes on from the newest complete checkpoint there or in the object store. The candidate is the checkpoint with
the best greedy validation accuracy. Processes and how they divide memory are no part of the fingerprint, but of what an
exact resume must share: how many there are in all, not on how many nodes.
"""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from medu1 import dataset as prepared
from medu1 import record
from medu1.bucket import Bucket
from medu1.code import SHAPING, versions
from medu1.errors import Interrupted, Stop
from medu1.manifest import DatasetManifest, Manifest, ModelManifest
from medu1.params import Scoring, Train
from medu1.placements import TrainJobPlan
from medu1.question import Question
from medu1.stage import Stage, fetch, produce
from medu1.train import (
    alarms,
    candidate,
    checkpoints,
    disk,
    fleet,
    launch,
    options,
    origin,
    prefilter,
    restoration,
    trainjob,
    validation,
)
from medu1.train.checkpoints import Found
from medu1.train.history import History
from medu1.train.job import Job, Outcome
from medu1.train.mixture import check_sources
from medu1.train.recorder import Recorder

PLACEMENT = frozenset({"base_model", "revision", "processes", "nodes", "sharding", "micro_batch", "keep", "save_every"})
WATCH_SECONDS = 0.3


def run(train: str, scoring: str, base: str, dataset: str, audited: str, code: str) -> str:
    """The step as the chain calls it: JSON in, JSON out."""
    start = ModelManifest.model_validate_json(base)
    data = DatasetManifest.model_validate_json(dataset)
    audit = Manifest.model_validate_json(audited)
    return trained(Train.parse(train), Scoring.parse(scoring), start, data, audit, code).text()


def trained(
    params: Train, scoring: Scoring, base: ModelManifest, data: DatasetManifest, audit: Manifest, code: str
) -> ModelManifest:
    """The candidate of these parameters, made once.

    Raises Stop where a family has no question or an option is none of TRL's; Interrupted after SIGTERM, once a
    checkpoint is saved.
    """
    start = _warmed(params, base, data, code)
    sections = {
        "train": params.model_dump(mode="json", exclude=set(PLACEMENT)),
        "scoring": scoring.model_dump(mode="json"),
    }
    inputs = {"base": start.digest, "dataset": data.digest, "audit": audit.digest}
    identity = record.fingerprint("train", sections, inputs, code)

    def make(stage: Stage, folder: Path) -> Mapping[str, Any]:
        options.check(params)
        plan = trainjob.planned(params, stage.workspace)
        if plan is None:
            launch.check_devices(params.processes)
        key = f"checkpoints/{identity}"
        job = Job(
            params=params,
            scoring=scoring,
            base=fetch(start.key, stage.workspace).folder,
            dataset=fetch(data.key, stage.workspace).folder,
            shares=prefilter.shares(params, scoring, start, data, code),
            root=stage.workspace.home / "store" / key,
            store=stage.workspace.store,
            key=key,
            configuration=_configuration(params, scoring, inputs, code),
            resume=None,
        )
        stage.tracking.dataset(stage.run, "train", data.digest, data.key, data.rows, "training")
        with disk.explained(job.root):
            outcome = _conducted(stage, job, plan)
            return _candidate(stage, job, outcome, folder)

    output = produce("train", sections, inputs, code, make)
    return ModelManifest(key=output.key, digest=output.record.facts["digest"], base=base.base, revision=base.revision)


def _warmed(params: Train, base: ModelManifest, data: DatasetManifest, code: str) -> ModelManifest:
    """The model GRPO starts from: the base, or what supervised steps made of it."""
    if not params.warm_start.steps:
        return base
    from medu1.train import demonstrated

    return demonstrated.started(params, base, data, code)


def _configuration(params: Train, scoring: Scoring, inputs: Mapping[str, str], code: str) -> dict[str, str]:
    """What an exact resume must share, flat: the fingerprint's fields and how processes divide the work."""
    free = {"base_model", "revision", "nodes", "keep", "save_every"}
    divided = params.model_copy(update={"processes": params.world, "micro_batch": params.rows_at_once})
    sections = {"train": divided.model_dump(mode="json", exclude=free), "scoring": scoring.model_dump(mode="json")}
    return {**_flat(sections), **inputs, "code": code, **versions(SHAPING)}


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        flat |= _flat(value, f"{name}.") if isinstance(value, Mapping) else {name: json.dumps(value)}
    return flat


def _conducted(stage: Stage, job: Job, plan: TrainJobPlan | None) -> Outcome:
    """Train to the end, from the newest checkpoint. Raises Interrupted where it was told to end before."""
    found = origin.told(job) if plan else origin.found(job, stage.note)
    history = History(job.root / checkpoints.HISTORY)
    if found is None:
        _begin(stage, job)
    else:
        stage.note(f"going on from step {found.marker.step}, {found.folder}")
        stage.tracking.tags(stage.run, {"medu1.resumed_from": found.folder.name})
    with Recorder(stage.tracking, stage.run, history) as recorder, _watched(stage, job.params, history):
        outcome = _ended(found, job.params, history) or _trained(
            stage, job.model_copy(update={"resume": found and found.folder}), plan
        )
    for note in outcome.notes:
        stage.note(note)
    if outcome.end == "interrupted":
        place = f"{job.store}/{job.key}" if plan else job.root
        raise Interrupted(f"step {outcome.step} of {job.params.steps} is saved in {place}")
    if left := recorder.status().left:
        raise Stop(
            f"MLflow did not take the last {left} values ({recorder.status().error}).",
            f"They are kept in {history.path}, and so is every checkpoint.",
            "Run again when the server answers: the training is done, its figures are sent and the model is written.",
        )
    return outcome


def _begin(stage: Stage, job: Job) -> None:
    """What is trained on; the history starts with it."""
    params, held = job.params, job.questions()
    _check(params, prepared.read(job.dataset, "train"), prepared.read(job.dataset, "validation"))
    plan = origin.begin(job, held)
    stage.note(f"GRPO on {len(held):,} questions, {params.prompts_per_step} x {params.group_size} a step")
    stage.note(plan.summary())


def _check(params: Train, held: Sequence[Question], validation: Sequence[Question]) -> None:
    """Raises Stop where a family has no question to train on, a weight names no source, or nothing validates."""
    for family in params.families:
        if not any(each.family == family for each in held):
            present = ", ".join(sorted({each.family for each in held})) or "none"
            raise Stop(
                f"train.families names {family}, and no training question is of it.",
                f"The prepared training questions are of {present}; prepare's report says what was left out.",
                f"Take {family} out of train.families, or add a source to prepare.sources.",
            )
    check_sources(params.mixture.weights, held)
    if params.validation.every and not any(each.family in params.families for each in validation):
        raise Stop(
            "There is no validation question of train.families.",
            "The best checkpoint is chosen by accuracy on validation questions, never on those of the test.",
            "Set prepare.validation above 0, or train.validation.every to 0 to take the last step.",
        )


def _ended(found: Found | None, params: Train, history: History) -> Outcome | None:
    """How the training ended, where its last checkpoint is already its end."""
    if found is None:
        return None
    if found.marker.step >= params.steps:
        return Outcome(end="finished", step=found.marker.step)
    if any(validation.STOPPED in line.metrics for line in history.lines() if line.step == found.marker.step):
        return Outcome(end="stopped", step=found.marker.step, message="it had stopped there before")
    return None


def _trained(stage: Stage, job: Job, plan: TrainJobPlan | None) -> Outcome:
    """In this process, in several of their own, or on several nodes."""
    if plan:
        return fleet.start(stage, job, plan)
    if job.params.processes > 1:
        return launch.start(job)
    if job.params.sharding != "none":
        raise Stop(
            f"train.sharding is {job.params.sharding} and train.processes is 1.",
            "There is no second process to divide weights with.",
            "Set train.processes to the number of GPUs, or train.sharding to none.",
        )
    from medu1.train.grpo import train

    job.write()
    return train(job)


def _candidate(stage: Stage, job: Job, outcome: Outcome, folder: Path) -> dict[str, Any]:
    """Write the best checkpoint's model and say what it is."""
    found = _best(job)
    digest = candidate.write(job, found, folder)
    early = f", stopped at step {outcome.step}: {outcome.message}" if outcome.end == "stopped" else ""
    stage.note(f"the candidate is step {found.marker.step}{early}")
    stage.tracking.tags(stage.run, {"medu1.best_step": str(found.marker.step), "medu1.checkpoints": str(job.root)})
    return {
        "digest": digest,
        "seed": job.params.seed,
        "step": found.marker.step,
        "steps": outcome.step,
        "stopped": outcome.message,
    }


def _best(job: Job) -> Found:
    """The checkpoint with the best validation accuracy, or the last where none was measured."""
    history = History(job.root / checkpoints.HISTORY)
    leader = validation.best(validation.points((line.step, line.metrics) for line in history.lines()))
    is_here = (job.root / checkpoints.name(leader.step)).exists() if leader else job.params.nodes == 1
    if job.store and not is_here:
        restoration.restore(Bucket(job.store), job.key, job.root, leader.step if leader else None)
    held = [found for found in checkpoints.held(job.root) if checkpoints.is_sound(found)]
    for found in held:
        if leader and found.marker.step == leader.step:
            return found
    if leader or not held:
        raise Stop(
            f"The checkpoint of step {leader.step if leader else 'any'} is not in {_places(job)}, or damaged.",
            "It was removed or changed after it was saved.",
            f"Remove {_places(job)} and run again: the training is done anew.",
        )
    return held[0]


def _places(job: Job) -> str:
    return f"{job.root} and {job.store}/{job.key}" if job.store else str(job.root)


@contextmanager
def _watched(stage: Stage, params: Train, history: History) -> Iterator[None]:
    """While it lasts, a thread turns the history's new lines into progress and warnings for people."""
    done = threading.Event()

    def watch() -> None:
        lines, offset, told = list[tuple[int, Mapping[str, float]]](), 0, set[str]()
        while True:
            ended = done.wait(WATCH_SECONDS)
            for line, after in history.read(offset):
                offset = after
                lines.append((line.step, line.metrics))
                with suppress(OSError):  # the history has it; a full disk is told where a checkpoint meets it
                    _tell(stage, params, lines, told)
            if ended:
                return

    thread = threading.Thread(target=watch, name="watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _tell(stage: Stage, params: Train, lines: Sequence[tuple[int, Mapping[str, float]]], told: set[str]) -> None:
    """The newest line's progress; an alarm when it is first raised."""
    step, metrics = lines[-1]
    words = [f"reward {metrics['reward']:.2f}"] if "reward" in metrics else []
    if validation.ACCURACY in metrics:
        words.append(f"validation {metrics[validation.ACCURACY]:.1%}")
    if step:
        stage.progress(step, params.steps, ", ".join(words))
    for alarm in alarms.raised(lines, params.alarms):
        if alarm.name not in told:
            told.add(alarm.name)
            stage.note(f"warning: {alarm}")
