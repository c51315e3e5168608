"""A model in this process, by vLLM's offline engine, which schedules its own batches.

It reads the same token ids as `local` does: conversations are rendered here, by the model's own template. Its reduced
precision and its kernels are its own, so replies are not those of transformers token for token.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medu1.errors import Stop
from medu1.generation import rendering
from medu1.generation.backend import Conversation, Decoding, Progress, Reply, silent
from medu1.generation.seeds import seeds
from medu1.generation.tokenizer import load_tokenizer


class Engine:
    """A model of the store on this machine's GPUs."""

    def __init__(self, folder: Path, batch: int) -> None:
        """`batch` conversations at most at once. Raises Stop where vLLM is not installed."""
        llm = _vllm().LLM
        self._tokenizer = load_tokenizer(folder)
        self._engine = llm(model=str(folder), load_format="safetensors", trust_remote_code=False, max_num_seqs=batch)

    def replies(
        self, conversations: Sequence[Conversation], decoding: Decoding, on_progress: Progress = silent
    ) -> list[Reply]:
        """One reply a conversation, in order. Raises Stop where one does not fit the model's context."""
        if not conversations:
            return []
        texts = rendering.rendered(self._tokenizer, conversations)
        prompts = self._tokenizer(texts, add_special_tokens=False)["input_ids"]
        context = self._engine.model_config.max_model_len
        rendering.require_room(max(map(len, prompts)), decoding.max_tokens, context)
        outputs = self._engine.generate(
            [{"prompt_token_ids": prompt} for prompt in prompts],
            [self._sampling(decoding, seed) for seed in seeds(conversations, decoding.seed)],
            use_tqdm=False,
        )
        on_progress(len(outputs), len(prompts))
        return [_reply(output.outputs[0]) for output in outputs]

    def _sampling(self, decoding: Decoding, seed: int) -> Any:
        """What the model states about decoding, such as a repetition penalty, but from the whole distribution."""
        stated = self._engine.get_default_sampling_params()
        return _vllm().SamplingParams(
            temperature=decoding.temperature,
            max_tokens=decoding.max_tokens,
            seed=seed,
            repetition_penalty=stated.repetition_penalty,
        )


def _reply(written: Any) -> Reply:
    return Reply(
        text=written.text,
        tokens=len(written.token_ids),
        finish="length" if written.finish_reason == "length" else "stop",
    )


def _vllm() -> Any:
    try:
        import vllm  # type: ignore[import-not-found, unused-ignore]
    except ModuleNotFoundError:
        raise Stop(
            "evaluate.backend is vllm, and vLLM is not installed here.",
            "It needs a GPU and versions of its own, so no extra of this package installs it.",
            "Run evaluate in an image that holds it, or set evaluate.backend to transformers, or to endpoint with a "
            "server that vLLM runs elsewhere.",
        ) from None
    return vllm
