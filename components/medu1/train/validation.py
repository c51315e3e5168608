"""Greedy task accuracy on validation questions while training: which checkpoint is the best, and when to stop.

Decoding is greedy and draws nothing, so a training with and without it is the same. Test questions are never asked.
Which checkpoint is best is read off the history, which a resume restores; nothing is remembered beside it.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from medu1.params import Scoring, Train
from medu1.question import Question
from medu1.scoring.score import score
from medu1.scoring.verdict import Verdict
from medu1.train.telemetry import Share

STOPPED = "train/stopped"  # of the last step of a training that ended before its steps were done
ACCURACY, QUESTIONS, SECONDS = "validation/accuracy", "validation/questions", "validation/seconds"


class Point(NamedTuple):
    """The accuracy at a step."""

    step: int
    accuracy: float


def asked(questions: Sequence[Question], params: Train) -> list[Question]:
    """Those of the trained families that are asked, at most `validation.questions`: fixed by seed and ids alone."""
    held = [each for each in questions if each.family in params.families]
    held.sort(key=lambda each: hashlib.sha256(f"validation/{params.seed}/{each.id}".encode()).digest())
    return held[: params.validation.questions]


def shares(
    model: Any, tokenizer: Any, questions: Sequence[Question], params: Train, scoring: Scoring
) -> dict[str, Share]:
    """Accuracy, by family too, format and truncation of greedy answers; empty without questions."""
    if not questions:
        return {}
    from medu1.generation.greedy import complete
    from medu1.generation.local import LocalModel

    completions = complete(
        LocalModel(model, tokenizer), questions, max_tokens=params.max_completion_tokens, batch=params.rows_at_once
    )
    verdicts = [score(*pair, None, scoring) for pair in zip(questions, completions, strict=True)]
    found = {
        ACCURACY: _right(verdicts),
        "validation/format": Share(sum(each.format_ok for each in verdicts), len(verdicts)),
        "validation/truncated": Share(sum(each.finish == "length" for each in completions), len(completions)),
    }
    for family in sorted({each.family for each in questions}):
        own = [verdict for question, verdict in zip(questions, verdicts, strict=True) if question.family == family]
        found[f"{ACCURACY}/{family}"] = _right(own)
    return {name: share for name, share in found.items() if share.count}


def points(history: Iterable[tuple[int, Mapping[str, float]]]) -> list[Point]:
    """Accuracies of a history's steps and metrics in order, that of the base at step 0 included."""
    return [Point(step, metrics[ACCURACY]) for step, metrics in history if ACCURACY in metrics]


def best(found: Sequence[Point]) -> Point | None:
    """The highest accuracy after training began, the earliest of equals; None where nothing was asked."""
    return max((each for each in found if each.step), key=lambda each: (each.accuracy, -each.step), default=None)


def is_exhausted(found: Sequence[Point], patience: int) -> bool:
    """Whether the last `patience` accuracies brought none that is better than all before."""
    leader = best(found)
    return bool(patience and leader) and sum(each.step > leader.step for each in found if leader) >= patience


def _right(verdicts: Sequence[Verdict]) -> Share:
    scored = [each for each in verdicts if each.correct is not None]
    return Share(sum(bool(each.correct) for each in scored), len(scored))
