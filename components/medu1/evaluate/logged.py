"""What an evaluation leaves in MLflow besides its files: metrics under stable names, and a table of completions.

Metric names: `accuracy.<set>.<role>`, `accuracy.<set>.<family>.<role>`; of the candidate over the base `gain.<set>`
with `.low` and `.high`, `gain.<set>.<family>` and `mcnemar_p.<set>`; over the champion the same below `over_champion.`;
`truncated`, `malformed`, `unanswered` and `unscorable` as shares, `.<set>.<role>`. Gains are shares, not points.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256

from medu1.evaluate.tabulation import Verdicts
from medu1.prompt import user_text
from medu1.question import Question
from medu1.report import Comparison, Conduct, Report, Row


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
