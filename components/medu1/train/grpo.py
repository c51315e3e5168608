"""GRPO by TRL's trainer: prompts in, groups of sampled completions scored by the one grader, a better policy out.

One process of a training. It goes on from the job's checkpoint, which holds weights, optimizer, scheduler, the random
state of every process and the place in the data; the plan of draws is a function of the questions and parameters, so
the same draws follow. Under torchrun every process runs this, and the first one writes.
"""

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from accelerate.utils import gather_object
from datasets import Dataset, concatenate_datasets
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from transformers.utils import logging

from medu1 import dataset as prepared
from medu1.bucket import Bucket
from medu1.budget import LengthBudget
from medu1.completion import Completion, Finish
from medu1.errors import Stop
from medu1.generation.local import LocalModel, ends
from medu1.generation.model import policy, processor, sees, tokenizer_of
from medu1.params import Scoring, Train
from medu1.prompt import messages
from medu1.question import Question
from medu1.train import checkpoints, disk, options, validation
from medu1.train.adapter import check_targets, peft_config, quantization
from medu1.train.budgets import assigned
from medu1.train.ending import asked_to_end
from medu1.train.history import History
from medu1.train.job import Job, Outcome
from medu1.train.mirror import Mirror
from medu1.train.mixture import Plan, planned
from medu1.train.publisher import Publisher
from medu1.train.rewards import Judged, judged
from medu1.train.telemetry import Telemetry
from medu1.train.trainer import Conduct, Trainer

PART = 4096  # rows that are Python objects at once: 160,000 of 3 kB took 2.7 GB together, 0.7 GB in parts
FLUSH_SECONDS = 120.0  # for the last checkpoints' copies in the store
HASTE_SECONDS = 15.0  # for them after SIGTERM: a pod has 30 in all
ONLY_SECONDS, ONLY_HASTE_SECONDS = 3600.0, 600.0  # the same where the store has the only copy; see deploy/trainer


def train(job: Job) -> Outcome:
    """Run or go on with the job to its end, early or not; the first process writes the outcome."""
    with asked_to_end() as ending, disk.explained(job.root):
        trainer, conduct = _built(job)
        conduct.ending = ending
        _check_together(trainer)
        _check_same_start(job)
        _check_divided(trainer, job.params.sharding)
        if trainer.is_world_process_zero():
            trainer.publisher = _publisher(job, conduct)
        trainer.train(resume_from_checkpoint=str(job.resume) if job.resume else None)
        outcome = _outcome(trainer, conduct)
        if trainer.publisher:
            left = trainer.publisher.close(_patience(job, outcome))
            outcome = outcome.model_copy(update={"notes": left})
        if trainer.is_local_process_zero():  # every node has a disk of its own
            outcome.write(job.root)
    return outcome


def _patience(job: Job, outcome: Outcome) -> float:
    """Seconds for the last checkpoints' copies to reach the store."""
    if outcome.end == "interrupted":
        return HASTE_SECONDS if job.lasting else ONLY_HASTE_SECONDS
    return FLUSH_SECONDS if job.lasting else ONLY_SECONDS


def _publisher(job: Job, conduct: Conduct) -> Publisher:
    """What makes checkpoints complete and copies them, those an earlier process saved and could not copy first."""
    mirror = Mirror(Bucket(job.store), job.key) if job.store else None
    if mirror:
        for found in checkpoints.held(job.root):
            mirror.offer(found.folder)
    return Publisher(job.root, job.configuration, partial(_kept, conduct, job.params), mirror)


def _built(job: Job) -> tuple[Trainer, Conduct]:
    """The trainer of one process and what watches it."""
    logging.disable_progress_bar()
    params, history, telemetry = job.params, History(job.root / checkpoints.HISTORY), Telemetry()
    asked = validation.asked(prepared.read(job.dataset, "validation"), params) if params.validation.every else []
    conduct = Conduct(params, job.scoring, telemetry, history, asked)
    tokenizer = processor(job.base)
    arguments = options.config(params, job.root / checkpoints.SAVING)  # first: it takes this process's GPU
    model = _policy(job)
    if arguments.ddp_find_unused_parameters is None and not sees(job.base):
        arguments.ddp_find_unused_parameters = False  # a text leaves only a vision tower without gradients
    trainer = Trainer(
        history=history,
        model=model,
        processing_class=tokenizer,
        args=arguments,
        train_dataset=rows(planned(job.questions(), params), params),
        reward_funcs=grader(params, job.scoring, ends(LocalModel(model, tokenizer_of(tokenizer))), telemetry),
        peft_config=peft_config(params.adapter),
        callbacks=[conduct],
    )
    conduct.trainer = trainer
    trainer.remove_callback(ProgressCallback)
    trainer.remove_callback(PrinterCallback)
    return trainer, conduct


def _policy(job: Job) -> Any:
    """The base to train. All weights are trained in float32: an update of 1e-6 is lost on half precision's rounding."""
    adapter = job.params.adapter
    model = policy(job.base, quantization=quantization(adapter))
    if adapter.rank:
        check_targets(adapter, model)
        return model
    return model.float() if model.dtype in (torch.bfloat16, torch.float16) else model


def _check_together(trainer: Trainer) -> None:
    """Raises Stop where the started processes each train alone, as accelerate lets them where it finds no backend."""
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if trainer.accelerator.num_processes != started:
        raise Stop(
            f"{started} processes were started, and {trainer.accelerator.num_processes} train together.",
            "PyTorch found no backend between them.",
            "Look at the run's log; on GPUs it is nccl, on cores gloo.",
        )


def _check_same_start(job: Job) -> None:
    """Raises Stop where processes would go on from different checkpoints, as nodes that look at the store may."""
    starts = set(gather_object([job.resume.name if job.resume else "the beginning"]))
    if len(starts) > 1:
        raise Stop(
            f"The nodes would go on from {' and '.join(sorted(starts))}.",
            "A checkpoint reached the object store, or left it, while they looked.",
            "Run again: they look anew.",
        )


def _check_divided(trainer: Trainer, sharding: str) -> None:
    """Raises Stop where processes would each hold everything, as accelerate lets them where it finds no accelerator."""
    if sharding != "none" and not (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        raise Stop(
            f"train.sharding is {sharding}, and this machine has no accelerator.",
            "On cores accelerate leaves it out, and every process holds all weights and optimizer state.",
            "Set train.sharding to none, or place the step on a node with GPUs.",
        )


def _kept(conduct: Conduct, params: Train) -> set[int]:
    """Steps whose checkpoints stay: the newest ones and the best."""
    leader = validation.best(conduct.points())
    newest = range(conduct.trainer.state.global_step, 0, -params.save_every)[: params.keep]
    return {*newest, *([leader.step] if leader else [])}


def _outcome(trainer: Trainer, conduct: Conduct) -> Outcome:
    step = int(trainer.state.global_step)
    if step >= conduct.params.steps:
        return Outcome(end="finished", step=step)
    if conduct.interrupted:
        return Outcome(end="interrupted", step=step)
    return Outcome(end="stopped", step=step, message=conduct.reason)


def rows(plan: Plan, params: Train) -> Dataset:
    """One row a draw, in the plan's order: the conversation TRL renders with the model's own chat template, the
    question, its budget. A question drawn again is held once and pointed to twice.
    """
    asked = sorted(set(plan.places))
    parts = [_held(plan, asked[start : start + PART], params) for start in range(0, len(asked), PART)]
    row_of = {place: row for row, place in enumerate(asked)}
    return concatenate_datasets(parts).select([row_of[place] for place in plan.places])


def _held(plan: Plan, places: Sequence[int], params: Train) -> Dataset:
    held = [plan.questions[place] for place in places]
    return Dataset.from_list([_row(each, assigned(each, params.budgets, params.seed)) for each in held])


def _row(question: Question, budget: LengthBudget | None) -> dict[str, Any]:
    return {
        "prompt": messages(question, budget),
        "question": question.canonical(),
        "budget": budget.model_dump_json() if budget else "",
    }


def grader(
    params: Train, scoring: Scoring, ends: frozenset[int], telemetry: Telemetry
) -> Callable[..., list[float | None]]:
    """TRL's reward function: conversational completions in, one total or None each out."""

    def reward(
        completions: Any, completion_ids: Any, question: Sequence[str], budget: Sequence[str], **_: object
    ) -> list[float | None]:
        batch = [
            _judged(row, asked, turns[-1]["content"], ids, params, scoring, ends)
            for row, asked, turns, ids in zip(question, budget, completions, completion_ids, strict=True)
        ]
        telemetry.record(batch, params.group_size)
        return [each.reward for each in batch]

    return reward


def _judged(
    row: str, asked: str, text: str, ids: Sequence[int], params: Train, scoring: Scoring, ends: frozenset[int]
) -> Judged:
    question = Question.model_validate_json(row)
    budget = LengthBudget.model_validate_json(asked) if asked else None
    finish: Finish = "stop" if ids and ids[-1] in ends else "length"
    completion = Completion(question_id=question.id, text=text, tokens=len(ids), finish=finish)
    return judged(question, completion, budget, scoring, params.rewards, params.max_completion_tokens)
