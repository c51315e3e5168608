"""The real chain at its smallest, through the command line."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TINY: dict[str, object] = {
    "base.hidden": 32,
    "base.layers": 1,
    "base.heads": 2,
    "base.steps": 4,
    "base.batch": 4,
    "prepare.max_rows_per_source": 60,
    "train.steps": 2,
    "train.prompts_per_step": 2,
    "train.group_size": 2,
    "train.save_every": 1,
    "train.max_completion_tokens": 8,
    "evaluate.max_completion_tokens": 8,
    "evaluate.completions_shown": 5,
}
FOREIGN = ("MLFLOW_", "MEDU1_")


def command(name: str, home: Path, **settings: object) -> list[str]:
    """`medu1 NAME` on the tiny parameters; settings are written with `__` for a dot."""
    changed = TINY | {key.replace("__", "."): value for key, value in settings.items()}
    words = [word for key, value in changed.items() for word in ("--set", f"{key}={value}")]
    return [sys.executable, "-m", "pipelines.cli", name, "--home", str(home), *words]


def environment() -> dict[str, str]:
    """This process's, without what would send a run elsewhere."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
    return {**kept, "PYTHONPATH": os.pathsep.join([str(ROOT / "components"), str(ROOT)])}


def medu1(name: str, home: Path, *words: str, **settings: object) -> "subprocess.CompletedProcess[str]":
    """Run it in the repository, to its end."""
    return subprocess.run(
        [*command(name, home, **settings), *words],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=400,
    )
