"""The tiny base: a Qwen2-configuration model after a short supervised warm start on worked and guessed answers.

Random weights never earn a reward, so the base first learns the form of an answer, the facts, and how to work one out.
Its last steps demonstrate mostly blind guesses, so that greedily it guesses: GRPO is left something honest to find,
namely that working the answer out pays.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from medu1.base.demonstrations import Demonstrations, Example
from medu1.base.muon import Muon
from medu1.params import Base
from medu1.question import Question

IGNORED = -100  # the label of a token without a loss
MUON = 0.02  # learning rate of the hidden matrices (Jordan et al. 2024); the rest takes params.learning_rate
SETTLING = 0.12  # share of the steps, the last ones, that guess


def untrained(params: Base, tokenizer: PreTrainedTokenizerFast) -> Qwen2ForCausalLM:
    """Random weights of the parameters' shape."""
    torch.manual_seed(params.seed)
    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=params.hidden,
            intermediate_size=2 * params.hidden,
            num_hidden_layers=params.layers,
            num_attention_heads=params.heads,
            num_key_value_heads=params.heads,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
        )
    )


def warm_start(
    model: Qwen2ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    questions: Sequence[Question],
    params: Base,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> None:
    """Train in place; `on_step` receives the steps done and the loss in nats a token. Deterministic in the seed."""
    demonstrations = Demonstrations(tokenizer, questions, params)
    settled = round(params.steps * (1 - SETTLING))
    streams = demonstrations.batches(guesses=0), demonstrations.batches(params.guesses)
    optimizers = _optimizers(model, params)
    schedules = [torch.optim.lr_scheduler.LambdaLR(each, lambda at: _rate(at, params.steps)) for each in optimizers]
    model.train()
    for step in range(params.steps):
        loss = _loss(model, next(streams[step >= settled]), tokenizer.pad_token_id)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
        model.zero_grad(set_to_none=True)
        on_step(step + 1, loss.item())


def _optimizers(model: Qwen2ForCausalLM, params: Base) -> list[torch.optim.Optimizer]:
    """Muon for the hidden matrices, AdamW for embeddings, biases and norms."""
    hidden = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    return [
        Muon(hidden, lr=MUON),
        torch.optim.AdamW(others, lr=params.learning_rate, betas=(0.9, 0.98), weight_decay=0.01),
    ]


def _rate(step: int, steps: int) -> float:
    """Linear warm-up over a twentieth of the steps, then a cosine to a quarter of the peak."""
    ramp = max(1, steps // 20)
    if step < ramp:
        return (step + 1) / ramp
    return 0.25 + 0.375 * (1 + math.cos(math.pi * (step - ramp) / max(1, steps - ramp)))


def _loss(model: Qwen2ForCausalLM, batch: Sequence[Example], pad: int) -> torch.Tensor:
    """Mean cross-entropy of the completions' tokens; logits are formed at those positions only."""
    longest = max(len(example.prompt) + len(example.completion) for example in batch)
    tokens = torch.full((len(batch), longest), pad)
    labels = torch.full((len(batch), longest), IGNORED)
    for row, example in enumerate(batch):
        end = len(example.prompt) + len(example.completion)
        tokens[row, :end] = torch.tensor(example.prompt + example.completion)
        labels[row, len(example.prompt) : end] = torch.tensor(example.completion)
    hidden = model.model(input_ids=tokens).last_hidden_state[:, :-1]
    counted = labels[:, 1:] != IGNORED
    return cross_entropy(model.lm_head(hidden[counted]), labels[:, 1:][counted])
