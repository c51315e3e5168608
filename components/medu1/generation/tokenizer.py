"""Reading a model's tokenizer as its folder describes it."""

import json
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerFast

PLAIN = ("TokenizersBackend", "PreTrainedTokenizerFast")  # tokenizer.json says everything


def load_tokenizer(folder: Path | str) -> Any:
    """Padding on the left, a padding token where the model has none; no code from the folder.

    Beside a `qwen2` configuration AutoTokenizer takes Qwen2's own class whatever the folder names, with another
    pre-tokenizer and one token more than the embedding has; so a plain tokenizer is read as one.
    """
    described = Path(folder) / "tokenizer_config.json"
    named = json.loads(described.read_text(encoding="utf-8")).get("tokenizer_class") if described.exists() else None
    reader = PreTrainedTokenizerFast if named in PLAIN else AutoTokenizer
    tokenizer: Any = reader.from_pretrained(folder, padding_side="left", trust_remote_code=False)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer
