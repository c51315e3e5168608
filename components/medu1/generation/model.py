"""Loading a policy and what reads its text, from a folder of the store.

A vision-language model is loaded by its own class; its folder holds the processor that the step base saved beside it,
and a language model's folder holds none. Questions stay text, so nothing here reads an image.
"""

from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor, ProcessorMixin

from medu1.generation.tokenizer import load_tokenizer

PROCESSOR = ("processor_config.json", "preprocessor_config.json")  # either tells a vision-language model's folder


def policy(folder: Path | str, *, quantization: Any = None, **options: Any) -> Any:
    """The model in its own precision unless `dtype` says otherwise: safetensors, no code from the folder.

    `quantization` is transformers' quantization config, or None to leave the weights as they are.
    """
    kind = AutoModelForImageTextToText if sees(folder) else AutoModelForCausalLM
    if quantization is not None:
        options["quantization_config"] = quantization
    return kind.from_pretrained(folder, use_safetensors=True, trust_remote_code=False, **{"dtype": "auto", **options})


def processor(folder: Path | str) -> Any:
    """What TRL calls the processing class: a vision-language model's processor, any other model's tokenizer."""
    tokenizer = load_tokenizer(folder)
    if not sees(folder):
        return tokenizer
    found = AutoProcessor.from_pretrained(folder, trust_remote_code=False)
    found.tokenizer = tokenizer
    return found


def tokenizer_of(reader: Any) -> Any:
    """The tokenizer of what `processor` gives."""
    return reader.tokenizer if isinstance(reader, ProcessorMixin) else reader


def sees(folder: Path | str) -> bool:
    """Whether the folder's model is a vision-language one."""
    return any((Path(folder) / name).exists() for name in PROCESSOR)
