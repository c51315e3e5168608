"""What a verdict earns: the grader's words turned into one number, the only place where that is done.

Ranges: recommended [-overlong, correct + format + length], by default [-0.5, 1.3]; paper [-3, 3].
"""

from typing import NamedTuple

from medu1.params import Preset, Rewards
from medu1.scoring.length import overlong_penalty
from medu1.scoring.verdict import Verdict

DEFAULT_REWARDS = Rewards(correct=1.0, format=0.1, length=0.2, length_gated=True, overlong=0.5, overlong_cache=0.2)


class Bounds(NamedTuple):
    """The least and the most a completion can earn."""

    low: float
    high: float


def bounds(weights: Rewards, preset: Preset) -> Bounds:
    """The reward's range."""
    match preset:
        case "recommended":
            return Bounds(-weights.overlong, weights.correct + weights.format + weights.length)
        case "paper":
            return Bounds(-3.0, 3.0)


def reward(
    verdict: Verdict, tokens: int | None, weights: Rewards, preset: Preset, limit: int | None = None
) -> float | None:
    """The total; None where the question is unscorable: neither reward nor punishment.

    `tokens` counts the whole response and `limit` is the most it may have; without either no length is punished.
    """
    if verdict.correct is None:
        return None
    match preset:
        case "recommended":
            return _weighed(verdict, weights) + weights.overlong * _overlong(tokens, limit, weights.overlong_cache)
        case "paper":
            return _as_the_authors(verdict)


def _weighed(verdict: Verdict, weights: Rewards) -> float:
    earned = weights.correct * bool(verdict.correct) + weights.format * verdict.format_ok
    if verdict.length is not None and (verdict.correct or not weights.length_gated):
        earned += weights.length * verdict.length
    return earned


def _overlong(tokens: int | None, limit: int | None, share: float) -> float:
    if tokens is None or limit is None:
        return 0.0
    return overlong_penalty(tokens, limit, round(share * limit))


def _as_the_authors(verdict: Verdict) -> float:
    """Format, answer and length summed: a wrong, well-formed answer of perfect length earns +1."""
    form = 1.0 if verdict.format_ok else -1.0
    if verdict.answer is None:
        return form - 2.0
    return form + (1.0 if verdict.correct else -1.0) + (verdict.length or 0.0)
