"""Whole scores: a decimal is right when it rounds to the gold, and "4/5" or "4 out of 5" is 4."""

from medu1.question import Integer
from medu1.scoring.number import read_number
from medu1.scoring.verdict import Judgement, Reason, right, wrong


def judge_integer(answer: str, gold: Integer) -> Judgement:
    """Right where the number given rounds to the gold (Python's `round`, as the benchmark's evaluator has it)."""
    values = read_number(answer, whole=True)
    if isinstance(values, Reason):
        return wrong(values)
    return right() if gold.value in map(round, values) else wrong(Reason.WRONG_VALUE)
