"""What an evaluation leaves in MLflow besides its files: metrics under stable names, and a table of completions.

Metric names: `accuracy.<set>.<role>`, `accuracy.<set>.<family>.<role>`; of the candidate over the base `gain.<set>`
with `.low` and `.high`, `gain.<set>.<family>` and `mcnemar_p.<set>`; over the champion the same below `over_champion.`;
`truncated`, `malformed`, `unanswered` and `unscorable` as shares, `.<set>.<role>`. Gains are shares, not points.

Of the suites, `.<suite>.<role>`: `length`, `length_tokens`, `length_kept` and `length_closeness` with the budget as
the step, so that the MLflow UI draws accuracy against length; `pass_at` and `majority_at` with k as the step;
`consistent`, `always_right` and `order_accuracy`; and `.<suite>.<strategy>.<role>`: `strategy`, `strategy_tokens`,
`strategy_calls`, `strategy_complete` and `strategy_gain`.
"""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

from medu1.evaluate.tabulation import Verdicts
from medu1.prompt import user_text
from medu1.question import Question
from medu1.report import Comparison, Conduct, Consistency, LengthPoint, Report, Row, Sampling, Strategic


class Figure(NamedTuple):
    """One value of a metric; None: there is none."""

    step: int
    name: str
    value: float | None


def metrics(report: Report) -> dict[str, float]:
    """Every figure worth a chart over runs."""
    found: dict[str, float] = {}
    for row in report.rows:
        found |= _accuracy(row)
    for comparison in report.comparisons:
        found |= _gain(comparison)
    for conduct in report.conduct:
        found |= _conduct(conduct)
    return found


def points(report: Report) -> dict[int, dict[str, float]]:
    """The figures of the suites, by MLflow's step."""
    found: dict[int, dict[str, float]] = {}
    for figure in _figures(report):
        if figure.value is not None:
            found.setdefault(figure.step, {})[figure.name] = figure.value
    return dict(sorted(found.items()))


def _figures(report: Report) -> Iterator[Figure]:
    for length in report.probes.lengths:
        yield from _length(length)
    for consistency in report.probes.consistency:
        yield from _consistency(consistency)
    for sampling in report.probes.sampling:
        yield from _sampling(sampling)
    for strategic in report.probes.strategies:
        yield from _strategic(strategic)


def _length(asked: LengthPoint) -> Iterator[Figure]:
    end = f"{asked.suite}.{asked.role}"
    yield Figure(asked.budget, f"length.{end}", asked.accuracy)
    yield Figure(asked.budget, f"length_tokens.{end}", asked.tokens)
    if asked.tokens is not None:  # else nobody knows how a length is kept
        yield Figure(asked.budget, f"length_kept.{end}", asked.kept)
        yield Figure(asked.budget, f"length_closeness.{end}", asked.closeness)


def _consistency(asked: Consistency) -> Iterator[Figure]:
    end = f"{asked.suite}.{asked.role}"
    yield Figure(0, f"consistent.{end}", asked.consistent)
    yield Figure(0, f"always_right.{end}", asked.always_right)
    yield Figure(0, f"order_accuracy.{end}", asked.accuracy)


def _sampling(asked: Sampling) -> Iterator[Figure]:
    end = f"{asked.suite}.{asked.role}"
    for k, share in asked.pass_at.items():
        yield Figure(k, f"pass_at.{end}", share)
    for k, share in asked.majority_at.items():
        yield Figure(k, f"majority_at.{end}", share)


def _strategic(asked: Strategic) -> Iterator[Figure]:
    end = f"{asked.suite}.{asked.strategy}.{asked.role}"
    yield Figure(0, f"strategy.{end}", asked.accuracy)
    yield Figure(0, f"strategy_tokens.{end}", asked.tokens)
    yield Figure(0, f"strategy_calls.{end}", asked.calls)
    yield Figure(0, f"strategy_complete.{end}", asked.complete)
    yield Figure(0, f"strategy_gain.{end}", asked.difference)


def _accuracy(row: Row) -> dict[str, float]:
    match row.slice, row.accuracy:
        case "all", float(share):
            return {f"accuracy.{row.set}.{row.role}": share}
        case "family", float(share):
            return {f"accuracy.{row.set}.{row.name}.{row.role}": share}
        case _:
            return {}


def _gain(comparison: Comparison) -> dict[str, float]:
    over = "" if comparison.against == "base" else "over_champion."
    name = f"{over}gain.{comparison.set}"
    match comparison.slice:
        case "all":
            limits = {name: comparison.difference, f"{name}.low": comparison.low, f"{name}.high": comparison.high}
            return {**limits, f"{over}mcnemar_p.{comparison.set}": comparison.p}
        case "family":
            return {f"{name}.{comparison.name}": comparison.difference}
        case _:
            return {}


def _conduct(conduct: Conduct) -> dict[str, float]:
    counts = {
        "truncated": conduct.truncated,
        "malformed": conduct.malformed,
        "unanswered": conduct.unanswered,
        "unscorable": conduct.unscorable,
    }
    return {f"{name}.{conduct.set}.{conduct.role}": count / conduct.n for name, count in counts.items()}


def completions(verdicts: Verdicts, questions: Mapping[str, Question], shown: int) -> dict[str, Sequence[object]]:
    """Test questions spread over the set by a hash of the id, one a row, every model's answer in its own columns."""
    candidate = verdicts["candidate"]["test"]
    places = sorted(range(len(candidate)), key=lambda place: sha256(candidate[place].question_id.encode()).digest())
    picked = places[:shown]
    asked = [candidate[place] for place in picked]
    columns: dict[str, Sequence[object]] = {
        "question": [user_text(questions[row.question_id]) for row in asked],
        "source": [row.source for row in asked],
        "topic": [row.topic for row in asked],
        "gold": [row.gold for row in asked],
    }
    for role, sets in verdicts.items():
        answers = [sets["test"][place] for place in picked]
        columns[f"{role} completion"] = [row.completion for row in answers]
        columns[f"{role} correct"] = [row.correct for row in answers]
        columns[f"{role} reason"] = [row.reason for row in answers]
    return columns
