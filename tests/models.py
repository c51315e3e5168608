"""Small models that tests make themselves, and the one thread they run on."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig
from transformers.utils import logging

from medu1.base.tokenizer import fit
from medu1.base.warmstart import untrained
from medu1.params import Base


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Threads that wait for each other make a model this small many times slower on a busy machine."""
    logging.disable_progress_bar()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    logging.enable_progress_bar()


def random_config(kind: str, vocabulary: int, spread: float, **changes: Any) -> Any:
    """Two layers; weights drawn from it after `torch.manual_seed` lie `spread` around 0, far from uniform logits."""
    torch.manual_seed(0)
    shape: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "initializer_range": spread,
        "pad_token_id": 0,
        "bos_token_id": None,
        "eos_token_id": 1,
        "sliding_window": None,
    }
    return AutoConfig.for_model(kind, **{**shape, **changes})


def write_tiny(folder: Path, texts: Sequence[str], params: Base) -> Path:
    """A tiny Qwen2 with random weights, a tied embedding and the built-in chat template, as a person has it on disk."""
    tokenizer = fit(texts, params.vocabulary)
    untrained(params, tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
