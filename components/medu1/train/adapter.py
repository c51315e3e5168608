"""LoRA and QLoRA by PEFT: what is trained beside the frozen weights, and one plain model of both at the end.

A QLoRA's weights are in 4 bits only while it trains: the adapter is merged into the base's own weights, so what is
written is a whole model again. PEFT and bitsandbytes are imported only where an adapter is asked for.
"""

import difflib
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import BitsAndBytesConfig
from transformers.pytorch_utils import Conv1D

from medu1.errors import Stop
from medu1.generation.model import policy, processor
from medu1.params import Adapter

ALL = "all-linear"  # PEFT's word for every linear module but the head
HEAD = "lm_head"
WEIGHTS = "adapter_model.safetensors"
NEAREST = 3  # names told in place of one that is unknown


def peft_config(params: Adapter) -> Any:
    """PEFT's LoraConfig; None where all weights are trained. Raises Stop where a target cannot be trained."""
    if not params.rank:
        return None
    _require("peft", "train.adapter.rank is above 0", "Install peft, or set train.adapter.rank to 0.")
    from peft import LoraConfig, TaskType

    if HEAD in params.targets:
        raise _refused_head(HEAD)
    if ALL in params.targets and len(params.targets) > 1:
        raise Stop(
            f"train.adapter.targets names {ALL} beside others.",
            f"{ALL} is every linear module but the head already.",
            f"Name {ALL} alone, or leave it out.",
        )
    return LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        r=params.rank,
        lora_alpha=params.alpha,
        lora_dropout=params.dropout,
        target_modules=ALL if ALL in params.targets else list(params.targets),
        bias="none",
    )


def check_targets(params: Adapter, model: Any) -> None:
    """Raises Stop where a target names no linear module of this model, or its head."""
    if not params.rank or ALL in params.targets:
        return
    head = model.get_output_embeddings()
    linear = dict(_linear(model))
    for target in params.targets:
        found = [module for name, module in linear.items() if f".{name}".endswith(f".{target}")]
        if any(module is head for module in found):
            raise _refused_head(target)
        if not found:
            raise _unknown(target, {name: module for name, module in linear.items() if module is not head})


def quantization(params: Adapter) -> BitsAndBytesConfig | None:
    """4-bit NF4 weights, computed with in bfloat16 (arXiv 2305.14314); None where they stay as they are.

    Raises Stop where there is no GPU or no bitsandbytes, or nothing beside the frozen weights to train.
    """
    if not params.quantized:
        return None
    asked = "train.adapter.quantized is set"
    if not params.rank:
        raise Stop(
            f"{asked} and train.adapter.rank is 0.",
            "Weights in 4 bits are frozen, so nothing would be trained.",
            "Set train.adapter.rank above 0, or train.adapter.quantized to false.",
        )
    if not torch.cuda.is_available():
        raise Stop(
            f"{asked} and there is no GPU.",
            "Training on weights in 4 bits runs on one.",
            "Place the step on a node with a GPU, or set train.adapter.quantized to false: LoRA runs anywhere.",
        )
    _require("bitsandbytes", asked, "Install bitsandbytes, or set train.adapter.quantized to false.")
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def merged(base: Path, adapter: Path, folder: Path) -> None:
    """Write base and adapter as one plain model with its tokenizer or processor, in the base's own precision.

    They are added in float32 and rounded once. Raises Stop where the adapter's weights are not there.
    """
    from peft import PeftModel

    if not (adapter / WEIGHTS).exists():
        raise Stop(
            f"{adapter} has no {WEIGHTS}.",
            "It holds no adapter, or one that is a pickle, which is not read.",
            "Train again, or name a folder that holds one.",
        )
    model = policy(base)
    precision = model.dtype
    whole = PeftModel.from_pretrained(model.float(), str(adapter)).merge_and_unload(safe_merge=True)
    whole.to(precision).save_pretrained(folder)
    processor(base).save_pretrained(folder)


def _linear(model: Any) -> Iterator[tuple[str, Any]]:
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear | Conv1D):
            yield name, module


def _refused_head(target: str) -> Stop:
    return Stop(
        f"train.adapter.targets names {target}, the model's head.",
        "TRL multiplies by the head's own weights, so an adapter on it would never be trained.",
        f"Take it out of train.adapter.targets, or name {ALL}, which leaves it out.",
    )


def _unknown(target: str, linear: Mapping[str, Any]) -> Stop:
    names = sorted({name.rpartition(".")[2] for name in linear})
    nearest = difflib.get_close_matches(target, names, n=NEAREST, cutoff=0.0)
    return Stop(
        f"train.adapter.targets names {target}, and no linear module of this model is called that.",
        f"The nearest are {', '.join(nearest)}.",
        f"Correct train.adapter.targets, or name {ALL}.",
    )


def _require(package: str, asked: str, next_step: str) -> None:
    if find_spec(package) is None:
        raise Stop(f"{asked} and {package} is not installed.", next_step=next_step)
