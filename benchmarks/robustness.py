"""The longest the grader takes on hostile texts: CPU seconds of every call, and whether any call fails.

    .venv/bin/python -m benchmarks.robustness --out benchmarks/results/robustness.json

The texts are those of `tests.adversarial`, each asked of one gold kind in turn; one in ten is judged by the preset
`paper`. Every gold is well-formed, so an unscorable verdict is a fault of the grader. The time is the thread's CPU
time, which a busy machine stretches little. The exit code is 1 above 50 ms or after any fault.
"""

import argparse
import gc
import json
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.machine import machine
from medu1 import record
from medu1.completion import Completion
from medu1.scoring.grading import DEFAULT_SCORING
from medu1.scoring.score import score
from tests.adversarial import QUESTIONS, case

TARGET_MS: Final = 50.0
SHOWN: Final = 10  # slowest calls and faults named
_PART: Final = 1000  # texts a process takes at a time
_PAPER: Final = DEFAULT_SCORING.model_copy(update={"preset": "paper"})


class Call(NamedTuple):
    """One verdict's cost."""

    ms: float  # CPU
    text: int  # its index
    size: int  # bytes
    question: str
    preset: str
    reason: str
    failed: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=200_000)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/robustness.json"))
    options = parser.parse_args()
    with multiprocessing.Pool(options.processes, gc.freeze) as pool:  # else a collection walks every module, in 30 ms
        starts = range(0, options.texts, _PART)
        parts = pool.imap_unordered(part, [range(start, min(start + _PART, options.texts)) for start in starts])
        calls = sorted((call for calls in parts for call in calls), reverse=True)
    figures = {"machine": machine("medu1", "pydantic"), **summary(calls)}
    record.write_text(options.out, json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))
    print(f"slowest call {calls[0].ms:.1f} ms, target at most {TARGET_MS:.0f}; faults {figures['faults']}, target 0")
    sys.exit(1 if calls[0].ms > TARGET_MS or figures["faults"] else 0)


def part(indices: range) -> list[Call]:
    """The calls of a range of texts."""
    return [call(index) for index in indices]


def call(index: int) -> Call:
    """Grade one text and time it."""
    question, text = case(index)
    settings = _PAPER if index // len(QUESTIONS) % 10 == 0 else DEFAULT_SCORING
    completion = Completion(question_id=question.id, text=text)
    began = time.thread_time()
    verdict = score(question, completion, settings=settings)
    ms = 1000 * (time.thread_time() - began)
    size = len(text.encode())
    return Call(ms, index, size, question.id, settings.preset, verdict.reason, verdict.correct is None)


def summary(calls: Sequence[Call]) -> dict[str, Any]:
    """Of calls sorted from the slowest to the fastest."""
    slowest: dict[str, float] = {}
    for each in calls:
        slowest.setdefault(f"{each.question} {each.preset}", round(each.ms, 3))
    faults = [each for each in calls if each.failed]
    return {
        "texts": len(calls),
        "megabytes": round(sum(each.size for each in calls) / 1e6),
        "largest_bytes": max(each.size for each in calls),
        "ms": {
            "median": round(statistics.median(each.ms for each in calls), 4),
            "p99_9": round(calls[len(calls) // 1000].ms, 3),
            "max": round(calls[0].ms, 3),
        },
        "max_ms_by_question": dict(sorted(slowest.items())),
        "slowest": [shown(each) for each in calls[:SHOWN]],
        "faults": len(faults),
        "faults_shown": [shown(each) for each in faults[:SHOWN]],
    }


def shown(call: Call) -> dict[str, Any]:
    """One call for a reader."""
    return {**call._asdict(), "ms": round(call.ms, 3)}


if __name__ == "__main__":
    main()
