"""Whether the disk holds a run of this base model.

With W bytes of weights in the model's own files and P weights in them, a run keeps at its home

    2 W            the base in the store, and the champion it is judged against
    W              the hub's own copy, where the model comes from the hub
    4 P            the candidate, while float32 weights are rounded to the base's precision
    (keep + 2) 12 P s   checkpoints: `train.keep` newest, the best, and the one being written, each with float32 weights
                   and AdamW's two float32 moments; s is 1, or 0.05 where only an adapter is trained
    1/4 GiB        questions, verdicts, reports and the database

Sharding changes none of it: a checkpoint holds all parts. The built-in model is a few MB, and so counts for nothing.
"""

import shutil
from pathlib import Path
from typing import Final

from medu1.errors import Stop
from medu1.run.asked import Asked
from medu1.run.finding import Checks, Unsure
from medu1.run.weights import Files, files

GIB: Final = 2**30
OTHER: Final = GIB // 4
STATE: Final = 12  # bytes a weight of a checkpoint
ADAPTER: Final = 0.05  # weights of an adapter, at most as a rule, of the model's


def checks(asked: Asked) -> Checks:
    """One of the home's disk."""
    return {"disk": lambda: _check(asked)}


def need(found: Files, keep: int, is_adapter: bool) -> int:
    """Bytes that a run keeps at once, by the formula above."""
    weights = found.weights
    count = weights // found.bytes_a_weight
    copies = weights * (2 if found.where == "folder" else 3)
    checkpoints = (keep + 2) * STATE * count * (ADAPTER if is_adapter else 1.0)
    return int(copies + 4 * count + checkpoints) + OTHER


def _check(asked: Asked) -> str:
    try:
        found = files(asked.base_model, asked.revision)
    except Stop:
        raise Unsure("how large the base model is cannot be told; see base model.") from None
    needed = need(found, asked.train.keep, bool(asked.train.adapter.rank)) if found else OTHER
    if asked.placed.scratch_gib:
        there, place = asked.placed.scratch_gib * GIB, f"the placement {asked.placed.name} gives a training pod"
    elif asked.is_packaged:
        raise Unsure(
            f"a run needs about {_gib(needed)} at its home, and the placement {asked.placed.name} states no disk.",
            "Give its steps a scratch volume.",
        )
    else:
        folder = _existing(asked.workspace.home)
        there, place = shutil.disk_usage(folder).free, f"{folder} has free"
    if there < needed:
        raise Stop(
            f"A run of this base model needs about {_gib(needed)} at its home, and {place} {_gib(there)}.",
            "Weights, optimizer states and checkpoints lie there at once.",
            "Give it more room, name another --home, or lower train.keep.",
        )
    return f"a run needs about {_gib(needed)}, and {place} {_gib(there)}."


def _existing(home: Path) -> Path:
    return next(folder for folder in (home, *home.parents) if folder.exists())


def _gib(size: float) -> str:
    return f"{size / GIB:.2f} GiB"
