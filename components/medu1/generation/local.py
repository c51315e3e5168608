"""A model in this process, by transformers: greedy or sampled replies, for evaluation and while training.

Prompts are sorted by length, so that a batch wastes little on padding; the replies come back in the order asked. The
plain loop of `sampling` decodes where it fits the model, transformers' `generate` elsewhere: `obstacle` says why.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from medu1.generation import rendering, sampling
from medu1.generation.backend import Conversation, Decoding, Progress, Reply, silent
from medu1.generation.model import policy
from medu1.generation.tokenizer import load_tokenizer

PLAIN = frozenset(  # what a model may state about decoding without changing a reply; all else is transformers' to obey
    (
        *("bos_token_id", "eos_token_id", "pad_token_id", "transformers_version", "_from_model_config"),
        *("do_sample", "temperature", "top_p", "top_k", "max_length", "max_new_tokens", "use_cache"),
        *("output_attentions", "output_hidden_states", "output_scores", "output_logits", "return_dict_in_generate"),
    )
)


class Prompt(NamedTuple):
    """A conversation as the model reads it."""

    text: str
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class LocalModel:
    """A language model, or a vision-language one, and its tokenizer, padding on the left: a `Backend`."""

    model: Any  # transformers.PreTrainedModel: its stubs do not type generate
    tokenizer: Any

    def replies(
        self, conversations: Sequence[Conversation], decoding: Decoding, on_progress: Progress = silent
    ) -> list[Reply]:
        """One reply a conversation, in order; sampled ones hang on the seed and on what shares a batch.

        Equal conversations share the reading of their prompt and are sampled apart. PyTorch's random state is left as
        it was. Raises Stop where a conversation and its reply do not fit the model's context.
        """
        prompts = self._prompts(conversations)
        rendering.require_room(
            max((len(each.tokens) for each in prompts), default=0),
            decoding.max_tokens,
            rendering.context(self.model.config),
        )
        order = sorted(range(len(prompts)), key=lambda index: (len(prompts[index].tokens), prompts[index].tokens))
        with _seeded(self.model.device, decoding):
            rows = _written(self, [prompts[index] for index in order], decoding, on_progress)
        found = dict(zip(order, map(self._reply, rows), strict=True))
        return [found[index] for index in range(len(prompts))]

    def _prompts(self, conversations: Sequence[Conversation]) -> list[Prompt]:
        if not conversations:
            return []
        texts = rendering.rendered(self.tokenizer, conversations)
        rows = self.tokenizer(texts, add_special_tokens=False)["input_ids"]
        return [Prompt(text, tuple(row)) for text, row in zip(texts, rows, strict=True)]

    def _reply(self, tokens: list[int]) -> Reply:
        ended = bool(tokens) and tokens[-1] in ends(self)
        text = self.tokenizer.decode(tokens, skip_special_tokens=True)
        return Reply(text=text, tokens=len(tokens), finish="stop" if ended else "length")


def load(folder: Path | str) -> LocalModel:
    """Read a model in Hugging Face layout: safetensors, no code from the folder; on a GPU where there is one."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    return LocalModel(policy(folder, dtype=dtype).eval().to(device), load_tokenizer(folder))


def ends(local: LocalModel) -> frozenset[int]:
    """The tokens that end a reply: those the model states and the tokenizer's own."""
    stated = local.model.generation_config.eos_token_id
    listed = stated if isinstance(stated, list) else [stated]
    return frozenset(token for token in [*listed, local.tokenizer.eos_token_id] if token is not None)


def obstacle(local: LocalModel) -> str | None:
    """Why transformers' `generate` decodes and not the plain loop; None where the loop does."""
    stated = local.model.generation_config.to_diff_dict().keys() - PLAIN
    return sampling.obstacle(local.model) or (f"the model states {', '.join(sorted(stated))}" if stated else None)


@contextmanager
def _seeded(device: torch.device, decoding: Decoding) -> Iterator[None]:
    """Random numbers of the seed's own; greedily nothing is drawn."""
    if not decoding.temperature:
        yield
        return
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(decoding.seed)
        yield


def _written(
    local: LocalModel, prompts: Sequence[Prompt], decoding: Decoding, on_progress: Progress
) -> list[list[int]]:
    """New token ids of each prompt, cut after the end of sequence."""
    if not prompts:
        return []
    if obstacle(local):
        return _by_transformers(local, [each.text for each in prompts], decoding, on_progress)
    return sampling.decode(
        local.model,
        [each.tokens for each in prompts],
        max_tokens=decoding.max_tokens,
        ends=ends(local),
        choose=sampling.Sampled(len(prompts), decoding.temperature) if decoding.temperature else sampling.greedy,
        rows=decoding.batch,
        tell=lambda done: on_progress(done, len(prompts)),
    )


@torch.no_grad()  # FSDP gathers weights into tensors it keeps, which inference_mode would close to the next update
def _by_transformers(
    local: LocalModel, prompts: Sequence[str], decoding: Decoding, on_progress: Progress
) -> list[list[int]]:
    """The same by transformers, for models the plain loop does not fit."""
    rows: list[list[int]] = []
    for start in range(0, len(prompts), decoding.batch):
        rows += _batch_by_transformers(local, list(prompts[start : start + decoding.batch]), decoding)
        on_progress(len(rows), len(prompts))
    return rows


def _batch_by_transformers(local: LocalModel, prompts: list[str], decoding: Decoding) -> list[list[int]]:
    encoded = local.tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
    encoded = encoded.to(local.model.device)
    output = local.model.generate(
        **encoded,
        max_new_tokens=decoding.max_tokens,
        pad_token_id=local.tokenizer.pad_token_id,
        return_dict_in_generate=False,
        **_choice(decoding.temperature),
    )
    found = ends(local)
    return [_until_end(row, found) for row in output[:, encoded["input_ids"].shape[1] :].tolist()]


def _choice(temperature: float) -> dict[str, Any]:
    """Greedy, or from the whole distribution, whatever the model states about its tail."""
    if not temperature:
        return {"do_sample": False}
    return {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}


def _until_end(tokens: list[int], found: frozenset[int]) -> list[int]:
    for index, token in enumerate(tokens):
        if token in found:
            return tokens[: index + 1]
    return tokens
