"""Greedy evaluation here beside lm-evaluation-harness's Hugging Face backend: questions a second, and equal answers.

    .venv/bin/pip install -c constraints.txt -e '.[bench]'
    .venv/bin/python -m benchmarks.evaluation --home .medu1 --out benchmarks/results/evaluation.json

`--home` is one that `make run` has filled: its candidate answers 1,000 of its questions, of mixed length, with the same
prompts, token ids, token limit and stop string on every side. Sides run in turn in processes of their own, the order
turned every round; loading is not timed. The harness runs at batch sizes 16, 64 and 256 and is given the best of them.
A reference of one prompt at a time, by transformers' `generate`, says how many greedy answers each side writes
identically.
"""

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from medu1 import dataset, record
from medu1.question import Question

BATCHES = (16, 64, 256)
SIDES = ("medu1", *(f"lm-eval {batch}" for batch in BATCHES))
QUESTIONS, TOKENS, BATCH = 1000, 80, 128  # the last two as in params.yaml

Answers = tuple[list[str], float]  # texts in the questions' order, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, default=Path(".medu1"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/evaluation.json"))
    parser.add_argument("--side", help="one process of the benchmark")
    options = parser.parse_args()
    if options.side:
        texts, seconds = _answered(options.side, options.home)
        print(json.dumps({"texts": texts, "seconds": seconds}))
        return
    reference = _run("reference", options.home)["texts"]
    rounds = [_round(options.home, number) for number in range(options.rounds)]
    found = {"machine": machine("torch", "transformers", "lm-eval"), **_figures(reference, rounds)}
    record.write_text(options.out, json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


def _round(home: Path, number: int) -> dict[str, dict[str, Any]]:
    """Every side once."""
    turned = SIDES[number % len(SIDES) :] + SIDES[: number % len(SIDES)]
    return {side: _run(side, home) for side in turned}


def _run(side: str, home: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.evaluation", "--side", side, "--home", str(home)]
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode:
        raise SystemExit(ended.stderr)
    return dict(json.loads(ended.stdout.splitlines()[-1]))


def _figures(reference: Sequence[str], rounds: Sequence[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """Medians, the ratio to the harness's best batch size of each round, and shares of identical answers."""
    speeds = {side: [QUESTIONS / each[side]["seconds"] for each in rounds] for side in SIDES}
    ratios = [own / max(peers) for own, *peers in zip(*speeds.values(), strict=True)]
    texts = {side: rounds[0][side]["texts"] for side in SIDES}
    return {
        "questions": QUESTIONS,
        "max_tokens": TOKENS,
        "rounds": len(rounds),
        "questions_per_second": {side: round(statistics.median(each), 1) for side, each in speeds.items()},
        "times_the_best": {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)},
        "identical_to_one_at_a_time": {
            side: sum(own == other for own, other in zip(found, reference, strict=True)) / len(reference)
            for side, found in texts.items()
        },
    }


# One process


def _answered(side: str, home: Path) -> Answers:
    folder, questions = _candidate(home), _questions(home)
    name, _, batch = side.partition(" ")
    sides: dict[str, Callable[[], Answers]] = {
        "medu1": lambda: _medu1(folder, questions),
        "lm-eval": lambda: _lm_eval(folder, questions, int(batch)),
        "reference": lambda: _reference(folder, questions),
    }
    return sides[name]()


def _medu1(folder: Path, questions: Sequence[Question]) -> Answers:
    """As `evaluate` does it."""
    from medu1.generation import greedy, local

    model = local.load(folder)
    if reason := local.obstacle(model):
        raise SystemExit(f"the plain loop does not decode this model: {reason}")
    began = time.perf_counter()
    found = greedy.complete(model, questions, max_tokens=TOKENS, batch=BATCH)
    return [each.text for each in found], time.perf_counter() - began


def _reference(folder: Path, questions: Sequence[Question]) -> Answers:
    """One prompt at a time by transformers' own loop."""
    from medu1.generation import greedy, local

    model = local.load(folder)
    local.PLAIN = frozenset()  # nothing is plain: `generate` decodes
    began = time.perf_counter()
    found = greedy.complete(model, questions, max_tokens=TOKENS, batch=1)
    return [each.text for each in found], time.perf_counter() - began


def _lm_eval(folder: Path, questions: Sequence[Question], batch: int) -> Answers:
    """The harness's backend, asked as a `generate_until` task asks it.

    It is given the tokenizer: on its own it reads Qwen2's class beside this model, which splits digits differently.
    """
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    from medu1.generation.tokenizer import load_tokenizer
    from medu1.prompt import messages

    tokenizer = load_tokenizer(folder)
    model = HFLM(pretrained=str(folder), tokenizer=tokenizer, device="cpu", dtype="float32", batch_size=batch)
    prompts = [
        model.tokenizer.apply_chat_template(messages(each), tokenize=False, add_generation_prompt=True)
        for each in questions
    ]
    asked = {"until": [model.tokenizer.eos_token], "max_gen_toks": TOKENS, "do_sample": False}
    requests = [Instance("generate_until", {}, (prompt, dict(asked)), index) for index, prompt in enumerate(prompts)]
    began = time.perf_counter()
    texts = model.generate_until(requests, disable_tqdm=True)
    return texts, time.perf_counter() - began


def _candidate(home: Path) -> Path:
    found = sorted((home / "store" / "train").glob("*/record.json"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise SystemExit(f"{home} holds no candidate: run `medu1 run --home {home}` first.")
    return found[-1].parent


def _questions(home: Path) -> list[Question]:
    """As many of the test and validation questions, in the order of a hash."""
    (data,) = (home / "store" / "prepare").glob("*")
    held = [each for split in ("test", "validation") for each in dataset.read(data, split)]
    return sorted(held, key=lambda each: hashlib.sha256(each.id.encode()).digest())[:QUESTIONS]


if __name__ == "__main__":
    main()
