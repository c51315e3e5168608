"""The base model can be had, at its revision, and is one that the step base reads: a configuration and safetensors."""

import json
from typing import Final

from medu1.errors import Stop
from medu1.run.asked import Asked
from medu1.run.finding import Checks
from medu1.run.weights import CONFIG, INDEX, Files, files, is_weights

SAID: Final = {"folder": "lies in its folder", "cache": "lies in the cache", "hub": "is given by the hub"}
GIB: Final = 2**30


def checks(asked: Asked) -> Checks:
    """One of the base model."""
    return {"base model": lambda: check(asked.base_model, asked.revision)}


def check(name: str, revision: str) -> str:
    """Raises Stop that says what is missing, and whether it is gated, private or not there."""
    found = files(name, revision)
    if found is None:
        return "the built-in one, made by the step base."
    absent = _absent(found)
    if absent:
        raise Stop(
            f"train.base_model {name} has no {' and no '.join(absent)}.",
            "A model comes as config.json, tokenizer and safetensors weights; pickles are not read.",
            "Name a model whose files are whole, or convert the weights to safetensors.",
        )
    return f"{name} {SAID[found.where]}, with {found.weights / GIB:.2f} GiB of weights."


def _absent(found: Files) -> list[str]:
    names = [CONFIG] if CONFIG not in found.sizes else []
    if not any(map(is_weights, found.sizes)):
        names.append("model.safetensors")
    return [*names, *_shards(found)]


def _shards(found: Files) -> list[str]:
    """Files that the index of divided weights names and that are not there."""
    if found.folder is None or INDEX not in found.sizes:
        return []
    named = json.loads((found.folder / INDEX).read_bytes())["weight_map"].values()
    return sorted(set(named) - found.sizes.keys())
