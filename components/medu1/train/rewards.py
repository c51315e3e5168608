"""The reward of a completion: the one grader's verdict, weighed. Training adds weights, never a second opinion.

One total is returned, not one reward a part: TRL leaves a row out only when every reward function gives None for it,
and an unscorable verdict must earn nothing at all, neither reward nor punishment.
"""

from typing import NamedTuple

from medu1.budget import LengthBudget
from medu1.completion import Completion
from medu1.params import Rewards
from medu1.question import Question
from medu1.scoring.grading import Grading
from medu1.scoring.length import overlong_penalty
from medu1.scoring.score import score
from medu1.scoring.verdict import Verdict

CACHE = 0.2  # share of the token limit over which the soft overlong punishment rises


class Judged(NamedTuple):
    """A completion with its verdict and what it earns; None where the question is unscorable."""

    question: Question
    completion: Completion
    verdict: Verdict
    reward: float | None


def judged(
    question: Question,
    completion: Completion,
    budget: LengthBudget | None,
    grading: Grading,
    weights: Rewards,
    limit: int,
) -> Judged:
    """Score and weigh one completion; `limit` is the most tokens a response may have."""
    verdict = score(question, completion, budget, grading)
    return Judged(question, completion, verdict, reward(verdict, completion.tokens or 0, weights, limit))


def reward(verdict: Verdict, tokens: int, weights: Rewards, limit: int) -> float | None:
    """In [-overlong, correct + format + length]; closeness to a length budget pays only when the answer is right."""
    if verdict.correct is None:
        return None
    earned = weights.correct * verdict.correct + weights.format * verdict.format_ok
    if verdict.correct and verdict.length is not None:
        earned += weights.length * verdict.length
    return earned + weights.overlong * overlong_penalty(tokens, limit, round(CACHE * limit))
