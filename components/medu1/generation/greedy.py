"""Greedy completions of a local model, for evaluation and for the accuracy that picks a checkpoint.

Prompts are sorted by length, so that a batch wastes little on padding; the answers come back in the order asked. The
plain loop of `sampling` decodes where it fits the model, transformers' `generate` elsewhere.
Temperature 0 is not the same at every batch size, so the batch is a stated parameter of whoever calls.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from medu1.budget import LengthBudget
from medu1.completion import Completion
from medu1.generation import sampling
from medu1.generation.model import policy
from medu1.generation.tokenizer import load_tokenizer
from medu1.prompt import messages
from medu1.question import Question

PLAIN = frozenset(  # what a model may state about decoding without changing a greedy answer; all else is transformers'
    (
        *("bos_token_id", "eos_token_id", "pad_token_id", "transformers_version", "_from_model_config"),
        *("do_sample", "temperature", "top_p", "top_k", "max_length", "max_new_tokens", "use_cache"),
    )
)


@dataclass(frozen=True)
class LocalModel:
    """A language model, or a vision-language one, and its tokenizer, padding on the left."""

    model: Any  # transformers.PreTrainedModel: its stubs do not type generate
    tokenizer: Any


def load(folder: Path | str) -> LocalModel:
    """Read a model in Hugging Face layout: safetensors, no code from the folder; on a GPU where there is one."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    return LocalModel(policy(folder, dtype=dtype).eval().to(device), load_tokenizer(folder))


def complete(
    local: LocalModel,
    questions: Sequence[Question],
    *,
    max_tokens: int,
    batch: int,
    budget: LengthBudget | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Completion]:
    """One greedy completion a question, in order; `finish` is `length` where `max_tokens` cut it off."""
    prompts = [_prompt(local, question, budget) for question in questions]
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    completions: dict[int, Completion] = {}
    for start in range(0, len(order), batch):
        indices = order[start : start + batch]
        for index, tokens in zip(indices, _generate(local, [prompts[i] for i in indices], max_tokens), strict=True):
            completions[index] = _completion(local, questions[index], tokens, max_tokens)
        on_progress(len(completions), len(prompts))
    return [completions[index] for index in range(len(prompts))]


def _prompt(local: LocalModel, question: Question, budget: LengthBudget | None) -> str:
    return str(
        local.tokenizer.apply_chat_template(messages(question, budget), tokenize=False, add_generation_prompt=True)
    )


def _generate(local: LocalModel, prompts: list[str], max_tokens: int) -> list[list[int]]:
    """New token ids of each prompt, cut after the end of sequence."""
    if sampling.obstacle(local.model) or local.model.generation_config.to_diff_dict().keys() - PLAIN:
        return _by_transformers(local, prompts, max_tokens)
    ids = local.tokenizer(prompts, add_special_tokens=False)["input_ids"]
    return sampling.decode(local.model, ids, max_tokens=max_tokens, ends=ends(local), choose=sampling.greedy)


@torch.no_grad()  # FSDP gathers weights into tensors it keeps, which inference_mode would close to the next update
def _by_transformers(local: LocalModel, prompts: list[str], max_tokens: int) -> list[list[int]]:
    """The same by transformers, for models the plain loop does not fit."""
    encoded = local.tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
    encoded = encoded.to(local.model.device)
    output = local.model.generate(
        **encoded, max_new_tokens=max_tokens, do_sample=False, pad_token_id=local.tokenizer.pad_token_id
    )
    found = ends(local)
    return [_until_end(row, found) for row in output[:, encoded["input_ids"].shape[1] :].tolist()]


def ends(local: LocalModel) -> frozenset[int]:
    """The tokens that end a completion: those the model states and the tokenizer's own."""
    stated = local.model.generation_config.eos_token_id
    listed = stated if isinstance(stated, list) else [stated]
    return frozenset(token for token in [*listed, local.tokenizer.eos_token_id] if token is not None)


def _until_end(tokens: list[int], found: frozenset[int]) -> list[int]:
    for index, token in enumerate(tokens):
        if token in found:
            return tokens[: index + 1]
    return tokens


def _completion(local: LocalModel, question: Question, tokens: list[int], max_tokens: int) -> Completion:
    ended = bool(tokens) and tokens[-1] in ends(local)
    text = local.tokenizer.decode(tokens, skip_special_tokens=True)
    return Completion(question_id=question.id, text=text, tokens=len(tokens), finish="stop" if ended else "length")
