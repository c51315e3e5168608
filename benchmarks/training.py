"""A training step here beside plain TRL's GRPOTrainer: overhead, speed, and equal learning.

    .venv/bin/python -m benchmarks.training --home .medu1 --out benchmarks/results/training.json

`--home` is one that `make run` has filled: its base and its questions are trained on, with the default parameters.
Three sides run in turn, each in a process of its own, the order turned every round:

- `trl`: a plain script around GRPOTrainer, a reward that costs nothing, no figures kept, no checkpoints;
- `watched`: medu1's trainer with TRL's own decoding and update, the grader, telemetry to MLflow, validation off,
  checkpoints every 10 steps, copied to an S3 server on this machine: what all that costs a step;
- `medu1`: the same with its own rollouts and update, as the chain runs it.

Steps are timed from the third on; the learning rate is next to 0 there, so that all sides write completions of equal
length. `learning` trains plain TRL with the grader and medu1 for several seeds at the default learning rate, and asks
both last steps every validation question greedily.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from medu1 import record

SIDES = ("trl", "watched", "medu1")
SKIPPED = 2  # steps at the start that are not timed
STILL = 1e-12  # learning rate at which nothing moves


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, default=Path(".medu1"))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/training.json"))
    parser.add_argument(
        "--side", choices=(*SIDES, "trl-learning", "medu1-learning"), help="one process of the benchmark"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.side:
        print(json.dumps(_one(options)))
        return
    parts = {"speed": _speed if options.rounds else None, "learning": _learning if options.seeds else None}
    found: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {}
    for name, measure in parts.items():
        if measure:
            found[name] = {"machine": machine("torch", "transformers", "trl", "mlflow"), **measure(options)}
            record.write_text(options.out, json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


def _speed(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds a step by side and round, and ratios to plain TRL within a round."""
    rounds: list[dict[str, Any]] = []
    with _s3() as endpoint:
        for number in range(options.rounds):
            order = [*SIDES[number % 3 :], *SIDES[: number % 3]]
            rounds.append({side: _run(options, side, 0, endpoint) for side in order})
            print(f"round {number + 1}: " + ", ".join(f"{s} {rounds[-1][s]['step']:.3f} s" for s in SIDES), flush=True)
    ratios = {side: [each[side]["step"] / each["trl"]["step"] for each in rounds] for side in ("watched", "medu1")}
    return {
        "rounds": rounds,
        "median_step_seconds": {side: statistics.median(each[side]["step"] for each in rounds) for side in SIDES},
        "watched_to_trl": _interval(ratios["watched"]),
        "trl_to_medu1": _interval([1 / ratio for ratio in ratios["medu1"]]),
    }


def _interval(ratios: Sequence[float]) -> dict[str, float]:
    """The median with the distribution-free interval of order statistics: 96% for nine."""
    ordered = sorted(ratios)
    cut = max(0, len(ordered) // 2 - 3)
    return {"median": statistics.median(ordered), "low": ordered[cut], "high": ordered[-1 - cut]}


def _learning(options: argparse.Namespace) -> dict[str, Any]:
    runs = []
    for seed in options.seeds:
        pair = {side: _run(options, f"{side}-learning", seed, "") for side in ("trl", "medu1")}
        print(
            f"seed {seed}: " + ", ".join(f"{side} {found['accuracy']:.1%}" for side, found in pair.items()), flush=True
        )
        runs.append({"seed": seed, **pair})
    means = {side: statistics.fmean(run[side]["accuracy"] for run in runs) for side in ("trl", "medu1")}
    return {"runs": runs, "mean_accuracy": means, "difference": means["medu1"] - means["trl"]}


def _run(options: argparse.Namespace, side: str, seed: int, endpoint: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.training", "--side", side, "--seed", str(seed)]
    command += ["--home", str(options.home.resolve()), "--steps", str(options.steps)]
    keys = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_DEFAULT_REGION": "us-east-1"}
    environment = {**os.environ, **keys, **({"AWS_ENDPOINT_URL": endpoint} if endpoint else {})}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    if ended.returncode:
        raise SystemExit(ended.stderr)
    return dict(json.loads(ended.stdout.splitlines()[-1]))


class _s3:
    """An S3 server on this machine with one bucket."""

    def __enter__(self) -> str:
        import boto3

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        self.server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        endpoint = f"http://127.0.0.1:{port}"
        for _ in range(100):
            try:
                keys = {"aws_access_key_id": "bench", "aws_secret_access_key": "bench", "region_name": "us-east-1"}
                boto3.client("s3", endpoint_url=endpoint, **keys).create_bucket(Bucket="bench")
                return endpoint
            except Exception:
                time.sleep(0.2)
        raise SystemExit("the S3 server does not answer")

    def __exit__(self, *_: object) -> None:
        self.server.kill()
        self.server.wait()


# One process


def _one(options: argparse.Namespace) -> dict[str, Any]:
    from pipelines.request import read_params

    params = read_params(Path("params.yaml"), [])
    train = params.train.model_copy(update={"seed": options.seed})
    base, data = (_newest(options.home, step) for step in ("base", "prepare"))
    learning = options.side.endswith("-learning")
    last = params.train.validation.model_copy(update={"every": 0})  # the last step counts, not the best one
    train = train.model_copy(update={"validation": last})
    if not learning:
        train = train.model_copy(update={"steps": options.steps, "learning_rate": STILL})
    with tempfile.TemporaryDirectory(prefix="medu1-training-") as folder:
        os.environ |= {"MEDU1_HOME": folder, "MEDU1_RUN": "bench"}
        if options.side.startswith("trl"):
            return _trl(train, params.scoring, base, data, Path(folder), learning)
        return _medu1(train, params.scoring, base, data, Path(folder), options.side == "watched", learning)


def _newest(home: Path, step: str) -> Path:
    found = sorted((home / "store" / step).glob("*/record.json"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise SystemExit(f"{home} holds no {step}: run `medu1 run --home {home}` first.")
    return found[-1].parent


def _trl(train: Any, scoring: Any, base: Path, data: Path, folder: Path, learning: bool) -> dict[str, Any]:
    """GRPOTrainer as its documentation has it."""
    from transformers import AutoModelForCausalLM
    from transformers.trainer_callback import PrinterCallback
    from trl.trainer.grpo_trainer import GRPOTrainer

    from medu1 import dataset
    from medu1.generation.local import LocalModel, ends
    from medu1.generation.tokenizer import load_tokenizer
    from medu1.train import grpo, options
    from medu1.train.mixture import planned
    from medu1.train.telemetry import Telemetry

    held = [each for each in dataset.read(data, "train") if each.family in train.families]
    model, tokenizer = AutoModelForCausalLM.from_pretrained(base, dtype="auto"), load_tokenizer(base)
    grading = grpo.grader(train, scoring, ends(LocalModel(model, tokenizer)), Telemetry())
    arguments = options.config(train, folder)
    arguments.save_strategy = "no"
    clock = _Clock()
    trainer = GRPOTrainer(
        model=model,
        processing_class=tokenizer,
        args=arguments,
        train_dataset=grpo.rows(planned(held, train), train),
        reward_funcs=grading if learning else _nothing,
        callbacks=[clock.callback()],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    if learning:
        return {"accuracy": _accuracy(model, tokenizer, data, train, scoring), "train_seconds": clock.total()}
    return clock.figures(train)


def _nothing(completions: Sequence[object], **_: object) -> list[float]:
    return [0.0] * len(completions)


def _medu1(
    train: Any, scoring: Any, base: Path, data: Path, folder: Path, watched: bool, learning: bool
) -> dict[str, Any]:
    """The step's own training, in a store that copies checkpoints to S3."""
    from medu1.generation.local import load
    from medu1.stage import tracked
    from medu1.train import candidate, checkpoints, grpo
    from medu1.train.history import History
    from medu1.train.job import Job
    from medu1.train.recorder import Recorder
    from medu1.train.rollouts import Rollouts
    from medu1.train.step import _best

    Rollouts.plain = watched
    root = folder / "checkpoints"
    store = "" if learning else "s3://bench/store"
    job = Job(
        params=train,
        scoring=scoring,
        base=base,
        dataset=data,
        shares=None,
        root=root,
        store=store,
        key=f"checkpoints/{folder.name}",
        configuration={},
        resume=None,
    )
    job.write()
    history = History(root / checkpoints.HISTORY)
    clock = _Clock()
    grpo.Conduct = _timed(clock)  # type: ignore[misc]
    with tracked("train") as stage, Recorder(stage.tracking, stage.run, history):
        grpo.train(job)
    if not learning:
        return clock.figures(train)
    model = folder / "model"
    model.mkdir()
    candidate.write(job, _best(job), model)
    local = load(model)
    return {
        "accuracy": _accuracy(local.model, local.tokenizer, data, train, scoring),
        "train_seconds": clock.total(),
    }


class _Clock:
    """When each step ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def tick(self) -> None:
        """A step is over."""
        self.ends.append(time.perf_counter())

    def callback(self) -> Any:
        from transformers import TrainerCallback

        clock = self

        class Callback(TrainerCallback):
            def on_step_end(self, *_: object, **__: object) -> None:
                clock.tick()

        return Callback()

    def total(self) -> float:
        return self.ends[-1] - self.ends[0]

    def figures(self, train: Any) -> dict[str, float]:
        """The mean over the timed steps, which holds whatever happens between two of them."""
        step = (self.ends[-1] - self.ends[SKIPPED - 1]) / (len(self.ends) - SKIPPED)
        return {"step": step, "completions_per_second": train.prompts_per_step * train.group_size / step}


def _timed(clock: _Clock) -> Any:
    """What watches medu1's training, with a clock."""
    from medu1.train.trainer import Conduct

    class Timed(Conduct):
        def on_step_end(self, *arguments: Any, **named: Any) -> None:
            super().on_step_end(*arguments, **named)
            clock.tick()

    return Timed


def _accuracy(model: Any, tokenizer: Any, data: Path, train: Any, scoring: Any) -> float:
    """Greedy accuracy on every validation question."""
    from medu1 import dataset
    from medu1.train import validation
    from medu1.train.telemetry import means

    questions = [each for each in dataset.read(data, "validation") if each.family in train.families]
    model.eval()
    found: Mapping[str, float] = means(validation.shares(model, tokenizer, questions, train, scoring))
    return found[validation.ACCURACY]


if __name__ == "__main__":
    main()
