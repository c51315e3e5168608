"""What GRPO adds to the base it starts from, on held-out questions, for several seeds: whole runs in fresh homes.

    .venv/bin/python -m benchmarks.learning --seeds 0 1 2 --out benchmarks/results/learning.json

A seed sets the warm start and the training alike. Written are the paired test accuracies, their interval and exact
McNemar p by family, how long the chain took, its peak memory, and the machine. Nothing is averaged away.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from medu1 import record
from medu1.report import Report, Slice

FAMILIES = ("all", "choice", "open", "calculation")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/learning.json"))
    options = parser.parse_args()
    runs: list[dict[str, Any]] = []
    for seed in options.seeds:
        runs.append(run(seed))
        told = {**machine("torch", "transformers", "trl", "kfp", "mlflow"), "peak_process_mib": peak_process_mib()}
        record.write_text(options.out, json.dumps({"machine": told, "runs": runs}, indent=1) + "\n")
    print(json.dumps(runs, indent=1))


def run(seed: int) -> dict[str, Any]:
    """One whole run in a home of its own."""
    with tempfile.TemporaryDirectory(prefix="medu1-learning-") as home:
        settings = ["--set", f"base.seed={seed}", "--set", f"train.seed={seed}"]
        command = [sys.executable, "-m", "pipelines.cli", "run", "--home", home, *settings]
        began = time.monotonic()
        subprocess.run(command, check=True)
        seconds = time.monotonic() - began
        folder = next(path.parent for path in Path(home, "store", "evaluate").glob("*/report.json"))
        return {"seed": seed, "chain_seconds": round(seconds), **figures(Report.read(folder))}


def figures(report: Report) -> dict[str, Any]:
    """Accuracy of base and candidate and their paired difference on the test split, by family."""
    found: dict[str, Any] = {}
    for name in FAMILIES:
        part: tuple[Slice, str] = ("all", "all") if name == "all" else ("family", name)
        base, candidate = (report.row(role, "test", *part) for role in ("base", "candidate"))
        paired = report.comparison("base", "test", *part)
        assert base is not None and candidate is not None and paired is not None, name  # noqa: PT018
        found[name] = {
            "n": base.n,
            "base": base.accuracy,
            "candidate": candidate.accuracy,
            "difference": paired.difference,
            "interval": [paired.low, paired.high],
            "mcnemar_p": paired.p,
        }
    return found


def peak_process_mib() -> int:
    """The largest single process of all runs."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024


if __name__ == "__main__":
    main()
