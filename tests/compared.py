"""Registered versions with stored evaluations, made by the functions that store them and without a model."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medu1 import record
from medu1.evaluate import verdicts
from medu1.evaluate.verdicts import JudgedAnswer
from medu1.register import trail
from medu1.report import NAME, Role
from medu1.stage import Output, Stage, produce
from medu1.tracking import Tracking

SETS = {"test/cards": "c" * 64, "test/sums": "5" * 64, "ood/odd": "0" * 64}
SCORING = {"preset": "recommended"}
MODEL = "medu1"


def answer(number: int, correct: bool | None, source: str = "cards", **changes: Any) -> JudgedAnswer:
    """One verdict; questions come in pairs that share a group."""
    fields: dict[str, Any] = {
        "question_id": f"{source}/{number}",
        "split": "ood" if source == "odd" else "test",
        "source": source,
        "family": "open",
        "group": f"{source}/{number // 2}",
        "topic": "",
        "gold": "aspirin",
        "completion": f"<think> so </think><answer> {'aspirin' if correct else 'water'} </answer>",
        "tokens": 9,
        "finish": "stop",
        "format_ok": True,
        "answer": "aspirin" if correct else "water",
        "correct": correct,
        "similarity": None,
        "reason": "right" if correct else "below_threshold",
    }
    return JudgedAnswer(**(fields | changes))


def answers(cards: str, sums: str = "++--", odd: str = "+-") -> list[JudgedAnswer]:
    """A verdict a character: + right, - wrong, ? unscorable."""
    told = {"+": True, "-": False, "?": None}
    named = {"cards": cards, "sums": sums, "odd": odd}
    return [answer(n, told[mark], source) for source, marks in named.items() for n, mark in enumerate(marks)]


def evaluation(
    judged: Mapping[Role, tuple[str, Sequence[JudgedAnswer]]],
    *,
    sets: Mapping[str, str] = SETS,
    scoring: Mapping[str, Any] = SCORING,
    code: str = "code",
    facts: Mapping[str, Any] | None = None,
    **report: Any,
) -> Output:
    """A stored evaluation of models by role: their weights and verdicts; `report` changes what the report says."""
    models = [
        {"role": role, "weights": weights, "base": "builtin", "revision": ""} for role, (weights, _) in judged.items()
    ]
    described = {
        "models": models,
        "frozen": record.digest(dict(sets)),
        "sets": [{"name": name, "questions": 4, "digest": digest} for name, digest in sets.items()],
        "confidence": 0.95,
        "max_completion_tokens": 80,
        "batch": 8,
        "protocol": {"backend": "transformers", "strategy": "method", "decoding": "greedy"},
        **report,
    }

    def make(stage: Stage, folder: Path) -> Mapping[str, Any]:
        record.write_text(folder / NAME, json.dumps(described))
        verdicts.write(folder / verdicts.NAME, {role: list(rows) for role, (_, rows) in judged.items()})
        for name in (NAME, verdicts.NAME):
            stage.tracking.artifact(stage.run, folder / name)
        return dict(facts or {})

    params = {"evaluate": {"batch": described["batch"]}, "scoring": dict(scoring)}
    rows = {role: [row.model_dump() for row in answered] for role, (_, answered) in judged.items()}
    told = {"judged": record.digest([described, rows, dict(facts or {})])}
    return produce("evaluate", params, told, code, make)


def digest(output: Output) -> str:
    """As the evaluation's manifest has it."""
    return record.digest({name: entry.sha256 for name, entry in output.record.outputs.items()})


def version(tracking: Tracking, weights: str, output: Output | None, key: bool = True, **tags: str) -> str:
    """A version of these weights that was accepted on the evaluation; with `key` it names its folder in the store."""
    told = {"medu1.weights": weights, **{name.replace("__", "."): value for name, value in tags.items()}}
    if output:
        told |= {"medu1.evaluation": digest(output), "medu1.evaluate_run": output.record.mlflow_run}
        told |= {"medu1.evaluation_key": output.key} if key else {}
    trail.ensure(tracking, MODEL, "")
    return str(tracking.client.create_model_version(MODEL, "file:///nowhere", None, told).version)
