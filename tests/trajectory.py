"""Twenty steps of GRPO whose rewards and losses any machine reproduces; as a script it records them anew:

    PYTHONPATH=components:.:tests .venv/bin/python tests/trajectory.py

Everything is in float64, from first weights drawn by `random.Random`: processors round differently, and in float32 that
soon flips a sampled token.
"""

import json
import math
import os
import random
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from medu1 import record
from medu1.base.demonstrations import completion_text
from medu1.base.tokenizer import fit
from medu1.base.warmstart import untrained, warm_start
from medu1.code import SHAPING, versions
from medu1.prompt import user_text
from medu1.question import gold_text
from medu1.scoring.grading import DEFAULT_SCORING
from medu1.train import checkpoints, grpo
from medu1.train.history import History
from medu1.train.job import Job
from training import CHOICES, PARAMS, TINY, write_data

GOLDEN = Path(__file__).parent / "golden" / "trajectory.json"
STEPS = 20
BASE = TINY.model_copy(update={"steps": 20})  # writes answers half of the time
LOGGED = ("reward", "loss", "entropy", "grad_norm")


def trajectory(folder: Path) -> list[dict[str, float]]:
    """Rewards, losses, entropies and gradient norms of each step."""
    base, data, root = (folder / name for name in ("base", "data", "training"))
    for each in (base, data, root):
        each.mkdir()
    _write_base(base)
    write_data(data)
    job = Job(
        params=PARAMS.model_copy(update={"steps": STEPS, "save_every": STEPS}),
        scoring=DEFAULT_SCORING,
        base=base,
        dataset=data,
        shares=None,
        root=root,
        store="",
        key="",
        configuration={},
        resume=None,
    )
    grpo.train(job)
    lines = [line for line in History(root / checkpoints.HISTORY).lines() if line.step]
    return [{name: line.metrics[name] for name in LOGGED} for line in lines]


def _write_base(folder: Path) -> None:
    texts = [user_text(row) + completion_text(row.rationale, gold_text(row)) for row in CHOICES]
    tokenizer = fit(texts, BASE.vocabulary)
    model = untrained(BASE, tokenizer).double()
    draws = random.Random(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                bound = 1 / math.sqrt(parameter.shape[1])
                drawn = [bound * (2 * draws.random() - 1) for _ in range(parameter.numel())]
                parameter.copy_(torch.tensor(drawn, dtype=torch.float64).view_as(parameter))
    warm_start(model, tokenizer, CHOICES, BASE)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        steps = trajectory(Path(folder))
    environment: Mapping[str, Any] = {
        **versions(SHAPING),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "flags": {name: os.environ[name] for name in ("ATEN_CPU_CAPABILITY",) if name in os.environ},
    }
    record.write_text(GOLDEN, json.dumps({"environment": environment, "steps": steps}, indent=1) + "\n")


if __name__ == "__main__":
    main()
