"""The reward of a completion: the one grader's verdict, weighed. Training adds weights, never a second opinion.

One total is returned, not one reward a part: TRL leaves a row out only when every reward function gives None for it,
and an unscorable verdict must earn nothing at all, neither reward nor punishment. The parts go to telemetry.
"""

from typing import NamedTuple

from medu1.budget import LengthBudget
from medu1.completion import Completion
from medu1.params import Rewards, Scoring
from medu1.question import Question
from medu1.scoring.reward import Parts, parts
from medu1.scoring.score import score
from medu1.scoring.verdict import Verdict


class Judged(NamedTuple):
    """A completion with its verdict and what it earns."""

    question: Question
    completion: Completion
    budget: LengthBudget | None  # that the prompt asked for
    verdict: Verdict
    parts: Parts | None  # of the reward; None where the question is unscorable

    @property
    def reward(self) -> float | None:
        """The total of the parts; None where the question is unscorable."""
        return None if self.parts is None else self.parts.total


def judged(
    question: Question,
    completion: Completion,
    budget: LengthBudget | None,
    scoring: Scoring,
    weights: Rewards,
    limit: int,
) -> Judged:
    """Score and weigh one completion; `limit` is the most tokens a response may have."""
    verdict = score(question, completion, budget, scoring)
    earned = parts(verdict, completion.tokens or 0, weights, scoring.preset, limit)
    return Judged(question, completion, budget, verdict, earned)
