"""TRL's GRPO trainer with each prompt computed once a group: in the rollouts, and in the update's forward and backward.

The mathematics are TRL's own up to the order of rounding: the same distribution is sampled, the same log-probabilities
and entropies enter TRL's loss, and gradients reach a prompt through all its completions. What is left out is waste: a
prompt read once a completion, rows that decode after their end, padding, logits of positions that predict nothing.

Where a model or an option does not fit, TRL's own path runs; `obstacles` names the reason.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from trl.models.utils import unwrap_model_for_generation
from trl.trainer.grpo_trainer import GRPOTrainer

from medu1.generation import sampling
from medu1.train.likelihood import likelihood

HARMLESS = frozenset(  # what a model's generation settings may state beside what TRL's options replace
    (
        "_from_model_config",
        "transformers_version",
        "max_length",
        "use_cache",
        "output_attentions",
        "output_hidden_states",
    )
)


class Rollouts(GRPOTrainer):
    """Made like GRPOTrainer."""

    plain = False  # True: TRL's own paths everywhere, which tests and benchmarks compare with

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._clock = _Clock(step=0)

    def obstacles(self) -> Mapping[str, str]:
        """Why TRL's own path runs, for `generate` and `update`; a part that shares prompts is not in it."""
        found = {"generate": self._against_decoding(), "update": self._against_sharing(self.model)}
        return {part: reason for part, reason in found.items() if reason}

    def seconds(self) -> Mapping[str, float]:
        """Wall-clock seconds of the newest step: `generate` and `score` (0 where it trains on earlier completions),
        `update` (forward and backward, without the optimizer). A GPU's work counts where it is waited for.
        """
        return self._clock.seconds()

    def training_step(self, *arguments: Any, **options: Any) -> Any:
        """TRL's, timed."""
        trl: Any = super()
        if self._clock.step != self.state.global_step:
            self._clock = _Clock(self.state.global_step)
        with self._clock.timing("step"):
            return trl.training_step(*arguments, **options)

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        trl: Any = super()
        with self._clock.timing("prepare"):
            return trl._prepare_inputs(generation_batch)

    def _calculate_rewards(self, *arguments: Any, **options: Any) -> Any:
        trl: Any = super()
        with self._clock.timing("score"):
            return trl._calculate_rewards(*arguments, **options)

    def _generate_single_turn(
        self, prompt_ids: Any, images: Any, multimodal_fields: Any, num_generations: Any, has_tool_images: Any = False
    ) -> Any:
        trl: Any = super()
        with self._clock.timing("generate"):
            if images or multimodal_fields or self._against_decoding():
                return trl._generate_single_turn(
                    prompt_ids, images, multimodal_fields, num_generations, has_tool_images
                )
            options: Any = self.args
            with unwrap_model_for_generation(  # which lays activation checkpointing aside
                self.model_wrapped,
                self.accelerator,
                gradient_checkpointing_kwargs=options.gradient_checkpointing_kwargs,
            ) as model:
                completion_ids = sampling.decode(
                    model,
                    prompt_ids,
                    max_tokens=self.generation_kwargs["max_new_tokens"],
                    ends=self.eos_token_ids,
                    choose=sampling.Sampled(len(prompt_ids), self.temperature),
                )
            return completion_ids, None  # no log-probabilities of another engine

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        compute_aux_loss: bool = False,
        **fields: Any,
    ) -> Any:
        trl: Any = super()
        given = {name: each for name, each in fields.items() if each is not None}
        masks = attention_mask.split(batch_size or len(input_ids))  # type: ignore[no-untyped-call]
        if given or compute_aux_loss or self._against_sharing(model) or not _is_scorable(masks, logits_to_keep):
            return trl._get_per_token_logps_and_entropies(
                model,
                input_ids,
                attention_mask,
                logits_to_keep,
                batch_size,
                compute_entropy,
                compute_aux_loss,
                **given,
            )
        backbone = _inner(self.accelerator.unwrap_model(model)).base_model
        ids = input_ids.split(len(masks[0]))  # type: ignore[no-untyped-call]
        with self.accelerator.autocast():
            found = [
                likelihood(model, backbone, *part, logits_to_keep, self.temperature)
                for part in zip(ids, masks, strict=True)
            ]
        log_probs, entropies = zip(*found, strict=True)
        return torch.cat(log_probs), torch.cat(entropies) if compute_entropy else None, None

    def _against_decoding(self) -> str | None:
        """Why TRL generates."""
        if self.use_vllm:
            return "vLLM"
        if self.use_transformers_continuous_batching:
            return "continuous batching"
        if self.top_p != 1 or self.top_k or self.min_p or self.repetition_penalty != 1:
            return "a distribution that is cut or bent"
        options: Any = self.args
        if options.generation_kwargs or options.cache_implementation:
            return "generation options"
        model = _inner(self.accelerator.unwrap_model(self.model_wrapped))
        stated = set(model.generation_config.to_diff_dict()) - HARMLESS - set(self.generation_kwargs)
        if stated:
            return f"the model's generation settings {', '.join(sorted(stated))}"
        return self._against_sharing(self.model)

    def _against_sharing(self, model: Any) -> str | None:
        """Why a model, the policy or the reference, runs as TRL has it."""
        if self.plain:
            return "asked for"
        if self.is_fsdp_enabled or self.is_deepspeed_enabled or self.is_model_parallel:
            return "weights in parts"
        if self.args.torch_compile:
            return "a compiled model"
        unwrapped = self.accelerator.unwrap_model(model)
        if hasattr(unwrapped, "peft_config") and any(
            each.peft_type != "LORA" for each in unwrapped.peft_config.values()
        ):
            return "an adapter other than LoRA"
        if _drops(_inner(unwrapped)):
            return "dropout"
        return sampling.obstacle(_inner(unwrapped))


class _Clock:
    """Seconds spent in the parts of one step, over all its micro-batches."""

    def __init__(self, step: int) -> None:
        self.step = step
        self._spent: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def timing(self, part: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self._spent[part] += time.perf_counter() - start

    def seconds(self) -> dict[str, float]:
        update = self._spent["step"] - self._spent["prepare"]
        return {"generate": self._spent["generate"], "score": self._spent["score"], "update": update}


def _inner(model: Any) -> Any:
    """The causal language model below an adapter."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _is_scorable(masks: Sequence[torch.Tensor], length: int) -> bool:
    """Whether each part of a batch has a token to score, and each row a prompt; the rare others are TRL's."""
    return all(mask[:, -length:].any() and mask[:, -length - 1].all() for mask in masks)


def _drops(model: Any) -> bool:
    """Whether dropout is drawn, which for a shared prompt would be once."""
    return bool(getattr(model.config, "attention_dropout", 0.0)) or any(
        isinstance(module, torch.nn.Dropout) and module.p for module in model.modules()
    )
