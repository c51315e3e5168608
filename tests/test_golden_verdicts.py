"""What the grader must say, row by row: expectations written by hand from the reward's specification, one reason each.

A row holds a question, a completion, the fields of its verdict and why. A row without `preset` is judged under the
recommended one. Non-ASCII characters are escaped in the file, so that a look-alike shows in review.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from medu1.budget import LengthBudget
from medu1.completion import Completion
from medu1.question import Question
from medu1.scoring.grading import DEFAULT_SCORING
from medu1.scoring.score import score
from medu1.scoring.verdict import Reason, Verdict

GOLDEN = Path(__file__).parent / "golden" / "verdicts.jsonl"
APPROXIMATE = {"length", "similarity"}
OF_A_FILE = {Reason.MALFORMED_QUESTION, Reason.UNKNOWN_QUESTION, Reason.UNREADABLE_ROW}  # no answer was read

Row = dict[str, Any]  # one JSON object

ROWS: list[Row] = [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines()]


def judged(row: Row) -> Verdict:
    """The grader's verdict on the row's completion, under the row's preset and budget."""
    question = Question.model_validate(row["question"])
    stated = dict(row["completion"])
    budget = stated.pop("budget", None)
    return score(
        question,
        Completion(question_id=question.id, **stated),
        LengthBudget.model_validate(budget) if budget else None,
        DEFAULT_SCORING.model_copy(update={"preset": row.get("preset", "recommended")}),
    )


def label(number: int, row: Row) -> str:
    return "-".join((str(number), row["question"]["source"], *filter(None, [row.get("preset")])))


@pytest.mark.parametrize("row", [pytest.param(row, id=label(number, row)) for number, row in enumerate(ROWS, start=1)])
def test_verdict_is_the_golden_one(row: Row) -> None:
    verdict = judged(row)._asdict()
    for field, expected in row["verdict"].items():
        wanted = pytest.approx(expected) if field in APPROXIMATE else expected
        assert verdict[field] == wanted, f"{field}: {row['why']}"


def test_file_holds_at_least_two_hundred_rows() -> None:
    assert len(ROWS) >= 200


def test_every_row_says_why() -> None:
    assert [number for number, row in enumerate(ROWS, start=1) if not row["why"].strip()] == []


def test_every_row_states_judgement_reason_and_format() -> None:
    needed = {"correct", "reason", "format_ok"}
    assert [number for number, row in enumerate(ROWS, start=1) if not needed <= row["verdict"].keys()] == []


def test_every_reason_an_answer_can_have_is_used() -> None:
    assert {reason.value for reason in set(Reason) - OF_A_FILE} == {row["verdict"]["reason"] for row in ROWS}


def test_no_two_rows_are_the_same() -> None:
    asked = Counter(json.dumps([row["question"], row["completion"], row.get("preset")], sort_keys=True) for row in ROWS)
    assert [text for text, times in asked.items() if times > 1] == []


def test_one_question_id_is_one_question() -> None:
    texts = {(row["question"]["id"], json.dumps(row["question"], sort_keys=True)) for row in ROWS}
    assert len(texts) == len({name for name, _ in texts})
