"""The step train: base and audited questions in, a candidate model out, by GRPO.

A training has a folder of its own, named by its fingerprint, for checkpoints and history; whoever is asked for the same
training goes on from the newest complete checkpoint there or in the object store. The candidate is the checkpoint with
the best greedy validation accuracy. Processes and how they divide memory are no part of the fingerprint, but of what an
exact resume must share.
"""

import json
import shutil
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
from medu1.question import Question
from medu1.stage import Stage, fetch, produce
from medu1.train import alarms, candidate, checkpoints, disk, launch, options, prefilter, restoration, validation
from medu1.train.checkpoints import Found
from medu1.train.history import History
from medu1.train.job import Job, Outcome
from medu1.train.mixture import check_sources, planned
from medu1.train.recorder import TABLES, Recorder

PLACEMENT = frozenset({"base_model", "revision", "processes", "sharding", "micro_batch", "keep", "save_every"})
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
            outcome = _conducted(stage, job)
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
    free = {"base_model", "revision", "keep", "save_every"}
    divided = params.model_copy(update={"micro_batch": params.rows_at_once})
    sections = {"train": divided.model_dump(mode="json", exclude=free), "scoring": scoring.model_dump(mode="json")}
    return {**_flat(sections), **inputs, "code": code, **versions(SHAPING)}


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        flat |= _flat(value, f"{name}.") if isinstance(value, Mapping) else {name: json.dumps(value)}
    return flat


def _conducted(stage: Stage, job: Job) -> Outcome:
    """Train to the end, from the newest checkpoint. Raises Interrupted where it was told to end before."""
    found = _found(stage, job)
    history = History(job.root / checkpoints.HISTORY)
    if found is None:
        _begin(stage, job, history)
    else:
        stage.note(f"going on from step {found.marker.step}, {found.folder}")
        stage.tracking.tags(stage.run, {"medu1.resumed_from": found.folder.name})
    with Recorder(stage.tracking, stage.run, history) as recorder, _watched(stage, job.params, history):
        outcome = _ended(found, job.params, history) or _trained(
            job.model_copy(update={"resume": found and found.folder})
        )
    for note in outcome.notes:
        stage.note(note)
    if outcome.end == "interrupted":
        raise Interrupted(f"step {outcome.step} of {job.params.steps} is saved in {job.root}")
    if left := recorder.status().left:
        raise Stop(
            f"MLflow did not take the last {left} values ({recorder.status().error}).",
            f"They are kept in {history.path}, and so is every checkpoint.",
            "Run again when the server answers: the training is done, its figures are sent and the model is written.",
        )
    return outcome


def _found(stage: Stage, job: Job) -> Found | None:
    """The newest complete checkpoint, here or in the object store, and the history up to it."""
    shutil.rmtree(job.root / checkpoints.SAVING, ignore_errors=True)  # of a process that was killed
    job.root.mkdir(parents=True, exist_ok=True)
    found = checkpoints.newest(job.root)
    if job.store and (restoration.newest(Bucket(job.store), job.key) or 0) > (found.marker.step if found else 0):
        restored = restoration.restore(Bucket(job.store), job.key, job.root)
        for note in restored.notes:
            stage.note(note)
        found = checkpoints.newest(job.root)
    if found:
        checkpoints.check_same(found, job.configuration)
        record.write_text(job.root / checkpoints.HISTORY, (found.folder / checkpoints.HISTORY).read_text("utf-8"))
    return found


def _begin(stage: Stage, job: Job, history: History) -> None:
    """What is trained on; the history starts with it."""
    history.path.unlink(missing_ok=True)
    shutil.rmtree(job.root / TABLES, ignore_errors=True)
    params, held = job.params, job.questions()
    _check(params, prepared.read(job.dataset, "train"), prepared.read(job.dataset, "validation"))
    plan = planned(held, params)
    stage.note(f"GRPO on {len(held):,} questions, {params.prompts_per_step} x {params.group_size} a step")
    stage.note(plan.summary())
    history.append(0, plan.metrics())


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


def _trained(job: Job) -> Outcome:
    """In this process, or in several of their own."""
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
    if leader and job.store and not (job.root / checkpoints.name(leader.step)).exists():
        restoration.restore(Bucket(job.store), job.key, job.root, leader.step)
    held = [found for found in checkpoints.held(job.root) if checkpoints.is_sound(found)]
    for found in held:
        if leader and found.marker.step == leader.step:
            return found
    if leader or not held:
        raise Stop(
            f"The checkpoint of step {leader.step if leader else 'any'} is not in {job.root}, or damaged.",
            "It was removed or changed after it was saved.",
            f"Remove {job.root} and run again: the training is done anew.",
        )
    return held[0]


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
