"""What a verdict earns: the grader's words turned into numbers, the only place where that is done.

Ranges: recommended [-overlong, correct + format + length], by default [-0.5, 1.3]; paper [-3, 3]. Under recommended the
shape `continuous` pays a free text that differs from the gold in degree alone (right, or below the threshold) its
similarity in place of 1 or 0; a denial, an opposite or another figure earns nothing, however many words it shares.
"""

from typing import Final, NamedTuple

from medu1.params import Preset, Rewards
from medu1.scoring.length import overlong_penalty
from medu1.scoring.verdict import Reason, Verdict

DEFAULT_REWARDS = Rewards(
    correct=1.0, format=0.1, length=0.2, length_gated=True, overlong=0.5, overlong_cache=0.2, shape="binary"
)
_BY_SIMILARITY: Final = frozenset({Reason.RIGHT, Reason.BELOW_THRESHOLD})  # the others break a rule, or are no text
_Four = tuple[float, float, float, float]  # `Parts` as a bare tuple, which costs a twentieth to make


class Bounds(NamedTuple):
    """The least and the most a completion can earn."""

    low: float
    high: float


class Parts(NamedTuple):
    """What a completion earns, by what for; the fields are part of metric names."""

    correct: float  # the answer; under paper 1, -1, or -2 where there is none
    format: float
    length: float  # closeness to the length budget; 0 without one, and where a gate is closed
    overlong: float  # soft overlong punishment, at most 0; under paper 0

    @property
    def total(self) -> float:
        """The reward."""
        return _total(self)


def bounds(weights: Rewards, preset: Preset) -> Bounds:
    """The reward's range, of either shape."""
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
    found = _parts(verdict, tokens, weights, preset, limit)
    return None if found is None else _total(found)


def parts(
    verdict: Verdict, tokens: int | None, weights: Rewards, preset: Preset, limit: int | None = None
) -> Parts | None:
    """What `reward` is the sum of; None where the question is unscorable."""
    found = _parts(verdict, tokens, weights, preset, limit)
    return None if found is None else Parts(*found)


def _total(parts: _Four) -> float:
    correct, form, length, overlong = parts
    return correct + form + length + overlong


def _parts(verdict: Verdict, tokens: int | None, weights: Rewards, preset: Preset, limit: int | None) -> _Four | None:
    if verdict.correct is None:
        return None
    match preset:
        case "recommended":
            return _weighed(verdict, tokens, weights, limit)
        case "paper":
            return _as_the_authors(verdict)


def _weighed(verdict: Verdict, tokens: int | None, weights: Rewards, limit: int | None) -> _Four:
    is_graded = weights.shape == "continuous" and verdict.reason in _BY_SIMILARITY and verdict.similarity is not None
    right = verdict.similarity if is_graded else verdict.correct
    closeness = verdict.length if verdict.correct or not weights.length_gated else None
    return (
        weights.correct * (right or 0.0),
        weights.format * verdict.format_ok,
        weights.length * (closeness or 0.0),
        weights.overlong * _overlong(tokens, limit, weights.overlong_cache),
    )


def _overlong(tokens: int | None, limit: int | None, share: float) -> float:
    if tokens is None or limit is None:
        return 0.0
    return overlong_penalty(tokens, limit, round(share * limit))


def _as_the_authors(verdict: Verdict) -> _Four:
    """Format, answer and length: a wrong, well-formed answer of perfect length earns +1."""
    form = 1.0 if verdict.format_ok else -1.0
    if verdict.answer is None:
        return -2.0, form, 0.0, 0.0
    return 1.0 if verdict.correct else -1.0, form, verdict.length or 0.0, 0.0
