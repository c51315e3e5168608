"""A base model from the Hugging Face hub or a local folder, copied into the store in Hugging Face layout."""

from pathlib import Path
from typing import Any

from medu1.errors import Stop


def copy_tokenizer(name: str, revision: str, folder: Path) -> int:
    """Write the tokenizer's files, chat template included, and give its size. Raises Stop where it cannot be read."""
    from transformers import AutoTokenizer

    tokenizer = _read(AutoTokenizer, name, revision)
    tokenizer.save_pretrained(folder)
    return len(tokenizer)


def copy_model(name: str, revision: str, folder: Path) -> None:
    """Write weights as safetensors beside configuration and tokenizer. Raises Stop where they cannot be read."""
    from transformers import AutoModelForCausalLM

    model = _read(AutoModelForCausalLM, name, revision, use_safetensors=True, dtype="auto")
    model.save_pretrained(folder)
    copy_tokenizer(name, revision, folder)


def _read(kind: Any, name: str, revision: str, **options: object) -> Any:
    """No code from the model's repository runs."""
    where = {} if Path(name).is_dir() else {"revision": revision}
    try:
        return kind.from_pretrained(name, trust_remote_code=False, **where, **options)
    except (OSError, ValueError) as error:
        raise Stop(
            f"train.base_model {name} cannot be loaded ({str(error).splitlines()[0]}).",
            "A model comes as a Hugging Face id or a folder with config.json, tokenizer and safetensors weights.",
            "Correct train.base_model, or convert the weights to safetensors.",
        ) from None
