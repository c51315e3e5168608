"""The supervised warm start: a base learns from worked answers how to answer, before GRPO rewards it.

A demonstration is the question's prompt and the method's own form around its rationale and gold. Those that the one
grader would not pay are left out. TRL renders them with the model's chat template; the loss is on what the model itself
is to write, the end of its turn included. Weights are trained in float32: in bfloat16 a step of 1e-5 rounds away (20
AdamW steps move weights of scale 0.02 by 18% of what they ask for, 3% at 1e-6).
"""

import gc
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from datasets import Dataset
from datasets.utils.logging import disable_progress_bar
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from transformers.utils import logging
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from medu1 import dataset, record
from medu1.completion import Completion
from medu1.errors import Stop
from medu1.generation.local import LocalModel, ends
from medu1.generation.model import policy, processor, tokenizer_of
from medu1.manifest import DatasetManifest, ModelManifest
from medu1.params import Adapter, Train, WarmStart
from medu1.prompt import messages
from medu1.question import Question, gold_text
from medu1.scoring.score import score
from medu1.stage import Stage, fetch, produce
from medu1.train.adapter import check_targets, merged, peft_config, quantization

STEP = "warm_start"
IGNORED = -100  # the label of a token without a loss
WARM_UP = 0.1  # share of the steps over which the learning rate rises

OnStep = Callable[[int, float], None]


class Demonstrated(NamedTuple):
    """The questions that are demonstrated, and how many with a rationale are not."""

    questions: list[Question]
    left_out: int


def started(params: Train, base: ModelManifest, data: DatasetManifest, code: str) -> ModelManifest:
    """The base after its warm start, made once.

    Raises Stop where no training question of the families has a worked answer.
    """

    def make(stage: Stage, folder: Path) -> Mapping[str, Any]:
        held = dataset.read(fetch(data.key, stage.workspace).folder, "train")
        found = demonstrated([each for each in held if each.family in params.families])
        refused = f"; {found.left_out:,} that the grader refuses are left out" if found.left_out else ""
        stage.note(f"warm start on {len(found.questions):,} worked answers{refused}")
        stage.tracking.dataset(stage.run, "train", data.digest, data.key, data.rows, "training")

        def on_step(step: int, loss: float) -> None:
            stage.progress(step, params.warm_start.steps, f"loss {loss:.2f}")
            stage.metrics({"loss": loss}, step)

        start = fetch(base.key, stage.workspace).folder
        warm_start(start, found.questions, params.warm_start, params.seed, folder, on_step, adapter=params.adapter)
        gc.collect()
        torch.cuda.empty_cache()  # GRPO's processes need the room
        return {"digest": record.content_digest(folder), "demonstrations": len(found.questions), "seed": params.seed}

    identity: dict[str, Any] = {
        "warm_start": params.warm_start.model_dump(mode="json"),
        "families": sorted(params.families),
        "seed": params.seed,
    }
    if params.adapter.rank:
        identity["adapter"] = params.adapter.model_dump(mode="json")
    output = produce(STEP, identity, {"base": base.digest, "dataset": data.digest}, code, make, is_phase=True)
    return ModelManifest(key=output.key, digest=output.record.facts["digest"], base=base.base, revision=base.revision)


def demonstrated(questions: Sequence[Question]) -> Demonstrated:
    """Those with a worked answer that the grader takes. Raises Stop naming the sources where there is none."""
    worked = [each for each in questions if each.rationale.strip()]
    right = [each for each in worked if _is_taken(each, worked_answer(each))]
    if not right:
        sources = ", ".join(sorted({each.source for each in questions})) or "none"
        raise Stop(
            f"No training question has a worked answer to start from (sources: {sources}).",
            f"{len(worked):,} of {len(questions):,} state a rationale, and the grader takes none of them."
            if worked
            else "None of them states a rationale.",
            "Add a source with rationales to prepare.sources, or set train.warm_start.steps to 0.",
        )
    return Demonstrated(right, len(worked) - len(right))


def worked_answer(question: Question) -> str:
    """The completion that is demonstrated, in the form the prompt asks for."""
    return f"<think>{question.rationale.strip()}</think><answer>{gold_text(question)}</answer>"


def warm_start(
    base: Path,
    questions: Sequence[Question],
    params: WarmStart,
    seed: int,
    folder: Path,
    on_step: OnStep = lambda step, loss: None,
    *,
    adapter: Adapter | None = None,
) -> None:
    """Train on the worked answers of `questions` and write the model; `on_step` gets steps done and nats a token.

    Deterministic in the seed. With an adapter that alone is trained, and merged at the end. Raises Stop where the chat
    template changes an assistant's turn, or the loss is no number.
    """
    logging.disable_progress_bar()
    disable_progress_bar()
    lora = peft_config(adapter) if adapter else None
    model = policy(base, quantization=quantization(adapter) if adapter else None)
    precision = model.dtype
    if adapter:
        check_targets(adapter, model)
    with TemporaryDirectory() as scratch:
        options = config(params, seed, Path(scratch))
        trainer = _trainer(model if lora else model.float(), processor(base), questions, options, lora, on_step)
        trainer.train()
        if lora:
            trainer.model.save_pretrained(scratch)
            merged(base, Path(scratch), folder)
        else:
            trainer.model.to(precision).save_pretrained(folder)
            trainer.processing_class.save_pretrained(folder)


def _trainer(
    model: Any, reader: Any, questions: Sequence[Question], options: SFTConfig, lora: Any, on_step: OnStep
) -> Any:
    """TRL's trainer on checked rows."""
    trainer: Any = SFTTrainer(
        model=model,
        processing_class=reader,
        args=options,
        train_dataset=rows(questions),
        peft_config=lora,
        callbacks=[_Watch(on_step)],
    )
    trainer.remove_callback(ProgressCallback)
    trainer.remove_callback(PrinterCallback)
    local = LocalModel(model, tokenizer_of(reader))
    trainer.train_dataset = _ended(trainer.train_dataset, ends(local))
    _check_turn(local, questions[0], trainer.train_dataset[0])
    return trainer


def rows(questions: Sequence[Question]) -> Dataset:
    """One conversation a question: TRL renders it with the model's own chat template, once."""
    return Dataset.from_list(
        [
            {"prompt": messages(each), "completion": [{"role": "assistant", "content": worked_answer(each)}]}
            for each in questions
        ]
    )


def config(params: WarmStart, seed: int, scratch: Path) -> SFTConfig:
    """TRL's options; nothing is cut off or packed, and nothing but the model is kept."""
    accelerated = torch.cuda.is_available()
    options = SFTConfig(
        output_dir=str(scratch),
        seed=seed,
        max_steps=params.steps,
        per_device_train_batch_size=params.batch,
        learning_rate=params.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=int(params.steps * WARM_UP),
        max_grad_norm=1.0,
        completion_only_loss=True,
        max_length=None,
        packing=False,
        bf16=accelerated,
        activation_checkpointing=accelerated,
        dataloader_pin_memory=accelerated,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    options._n_gpu = min(1, options.n_gpu)  # else transformers copies the model to every GPU it sees, which TRL refuses
    return options


def _ended(rendered: Dataset, ends: frozenset[int]) -> Dataset:
    """No loss after the token that ends the turn: Qwen's template writes a line break there that no model ever does."""

    def cut(row: Mapping[str, list[int]]) -> dict[str, list[int]]:
        labels = row["labels"]
        end = max((place for place, token in enumerate(labels) if token in ends), default=len(labels) - 1)
        return {"labels": [*labels[: end + 1], *[IGNORED] * (len(labels) - end - 1)]}

    return rendered.map(cut)


def _check_turn(local: LocalModel, question: Question, row: Mapping[str, list[int]]) -> None:
    """Some chat templates rewrite an assistant's turn, such as those that drop the thought of earlier turns."""
    prompt = local.tokenizer.apply_chat_template(
        messages(question), tokenize=True, add_generation_prompt=True, return_dict=True
    )["input_ids"]
    taught = [label for label in row["labels"] if label != IGNORED]
    text = local.tokenizer.decode(taught, skip_special_tokens=True)
    if row["input_ids"][: len(prompt)] != prompt or row["labels"][: len(prompt)] != [IGNORED] * len(prompt):
        raise _rewritten("renders a prompt with its answer differently from the prompt alone")
    if not _is_taken(question, text):
        raise _rewritten(f"makes of a worked answer one that the grader does not take: {text!r}")
    if not taught or taught[-1] not in ends(local):
        raise _rewritten("does not end an assistant's turn with the model's end token, so it would never stop")


def _rewritten(how: str) -> Stop:
    return Stop(
        f"The base model's chat template {how}.",
        "The warm start would teach another form than GRPO rewards.",
        "Put a chat_template.jinja that leaves an assistant's turn as it is into a copy of the model (and eos_token "
        "into its tokenizer_config.json), or set train.warm_start.steps to 0.",
    )


def _is_taken(question: Question, text: str) -> bool:
    verdict = score(question, Completion(question_id=question.id, text=text))
    return verdict.format_ok and verdict.correct is True


class _Watch(TrainerCallback):
    """Hands each step's loss on."""

    def __init__(self, on_step: OnStep) -> None:
        self.on_step = on_step

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **_: object,
    ) -> None:
        """The closing summary of Trainer has no loss of its own. Raises Stop where a loss is no number."""
        if not logs or "loss" not in logs:
            return
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            raise Stop(
                f"The loss of the warm start is {loss} at step {state.global_step}.",
                "The learning rate is too high for this model.",
                "Lower train.warm_start.learning_rate.",
            )
        self.on_step(state.global_step, loss)
