"""GRPO by TRL's trainer: prompts in, groups of sampled completions scored by the one grader, a better policy out.

What a reader would question: no KL term by default (beta 0), rewards centred on their group but not divided by its
standard deviation (scale_rewards none), DAPO's token-mean loss with a higher upper clip, temperature 1. Checkpoints are
plain Hugging Face folders of safetensors; the trainer's own, which hold pickles, are off.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, concatenate_datasets
from transformers import (
    AutoModelForCausalLM,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from medu1.budget import LengthBudget
from medu1.completion import Completion
from medu1.generation.tokenizer import load_tokenizer
from medu1.params import Scoring, Train
from medu1.prompt import messages
from medu1.question import Question
from medu1.train.budgets import assigned
from medu1.train.mixture import Plan
from medu1.train.rewards import Judged, judged
from medu1.train.telemetry import Telemetry

PART = 4096  # rows that are Python objects at once: 160,000 of 3 kB took 2.7 GB together, 0.7 GB in parts

OnStep = Callable[[int, Mapping[str, float]], None]


def train(
    base: Path,
    plan: Plan,
    params: Train,
    scoring: Scoring,
    folder: Path,
    checkpoints: Path,
    on_step: OnStep,
) -> Telemetry:
    """Train from `base` and write the candidate into `folder`; `on_step` receives the steps done and their metrics."""
    tokenizer = load_tokenizer(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype="auto", use_safetensors=True, trust_remote_code=False)
    telemetry = Telemetry()
    trainer = GRPOTrainer(
        model=model,
        processing_class=tokenizer,
        args=config(params, checkpoints),
        train_dataset=rows(plan, params),
        reward_funcs=grader(params, scoring, int(tokenizer.eos_token_id), telemetry),
        callbacks=[_Watch(telemetry, on_step, params, checkpoints)],
    )
    trainer.remove_callback(ProgressCallback)
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return telemetry


def rows(plan: Plan, params: Train) -> Dataset:
    """One row a draw, in the plan's order: the conversation TRL renders with the model's own chat template, the
    question, its budget. A question drawn again is held once and pointed to twice.
    """
    asked = sorted(set(plan.places))
    parts = [_held(plan, asked[start : start + PART], params) for start in range(0, len(asked), PART)]
    row_of = {place: row for row, place in enumerate(asked)}
    return concatenate_datasets(parts).select([row_of[place] for place in plan.places])


def _held(plan: Plan, places: Sequence[int], params: Train) -> Dataset:
    questions = [plan.questions[place] for place in places]
    return Dataset.from_list([_row(each, assigned(each, params.budgets, params.seed)) for each in questions])


def _row(question: Question, budget: LengthBudget | None) -> dict[str, Any]:
    return {
        "prompt": messages(question, budget),
        "question": question.canonical(),
        "budget": budget.model_dump_json() if budget else "",
    }


def config(params: Train, checkpoints: Path) -> GRPOConfig:
    """TRL's options; one optimizer step a generation, so that every update is on-policy; the plan orders the rows."""
    return GRPOConfig(
        output_dir=str(checkpoints),
        seed=params.seed,
        max_steps=params.steps,
        per_device_train_batch_size=params.prompts_per_step * params.group_size,
        shuffle_dataset=False,
        num_generations=params.group_size,
        max_completion_length=params.max_completion_tokens,
        temperature=params.temperature,
        learning_rate=params.learning_rate,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=min(5, params.steps // 10),
        beta=params.beta,
        epsilon_high=params.epsilon_high,
        loss_type=params.loss_type,
        scale_rewards=params.scale_rewards,
        mask_truncated_completions=True,
        max_grad_norm=1.0,
        bf16=torch.cuda.is_available(),
        activation_checkpointing=False,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_num_workers=0,
        dataloader_pin_memory=torch.cuda.is_available(),
    )


def grader(params: Train, scoring: Scoring, end: int, telemetry: Telemetry) -> Callable[..., list[float | None]]:
    """TRL's reward function: conversational completions in, one total or None each out."""

    def reward(
        completions: Any, completion_ids: Any, question: Sequence[str], budget: Sequence[str], **_: object
    ) -> list[float | None]:
        batch = [
            _judged(row, asked, turns[-1]["content"], ids, params, scoring, end)
            for row, asked, turns, ids in zip(question, budget, completions, completion_ids, strict=True)
        ]
        telemetry.record(batch, params.group_size)
        return [each.reward for each in batch]

    return reward


def _judged(row: str, asked: str, text: str, ids: Sequence[int], params: Train, scoring: Scoring, end: int) -> Judged:
    question = Question.model_validate_json(row)
    budget = LengthBudget.model_validate_json(asked) if asked else None
    completion = Completion(
        question_id=question.id, text=text, tokens=len(ids), finish="stop" if end in ids else "length"
    )
    return judged(question, completion, budget, scoring, params.rewards, params.max_completion_tokens)


class _Watch(TrainerCallback):
    """Hands each step's figures on, and writes a checkpoint every few steps."""

    def __init__(self, telemetry: Telemetry, on_step: OnStep, params: Train, checkpoints: Path) -> None:
        self.telemetry, self.on_step, self.params, self.checkpoints = telemetry, on_step, params, checkpoints

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **_: object,
    ) -> None:
        """TRL's scalars beside the grader's."""
        numbers = {key: float(value) for key, value in (logs or {}).items() if isinstance(value, int | float)}
        self.on_step(state.global_step, {**numbers, **self.telemetry.metrics()})

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **_: object
    ) -> None:
        """A plain Hugging Face folder; the last step's weights are the candidate itself."""
        if state.global_step % self.params.save_every == 0 and state.global_step < self.params.steps:
            model.save_pretrained(self.checkpoints / f"step-{state.global_step}")
