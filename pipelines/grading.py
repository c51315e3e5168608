"""`medu1 score` on the command line: which rules grade, and what is told of rows that are not in order."""

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from medu1.errors import Stop
from medu1.params import Preset, Rewards, Scoring
from medu1.scoring.grading import DEFAULT_SCORING
from medu1.scoring.reward import DEFAULT_REWARDS
from medu1.scoring.stream import Tally


def rules(params: Path | None, preset: str) -> tuple[Scoring, Rewards]:
    """Settings and weights of a parameter file, or those medu1 ships; `preset` wins where it is given."""
    scoring, weights = DEFAULT_SCORING, DEFAULT_REWARDS
    if params:
        from pipelines import request

        read = request.read_params(params, [])
        scoring, weights = read.scoring, read.train.rewards
    return scoring.model_copy(update={"preset": _known(preset)}) if preset else scoring, weights


def _known(preset: str) -> Preset:
    for known in get_args(Preset):
        if preset == known:
            return known  # type: ignore[no-any-return]
    nearest = difflib.get_close_matches(preset, get_args(Preset), n=1, cutoff=0.0)[0]
    raise Stop(
        f"There is no preset {preset!r}; the nearest is {nearest}.", next_step=f"Use {' or '.join(get_args(Preset))}."
    )


def lines(tally: Tally) -> Iterator[str]:
    """The rows that are not as they should be, then the count of all."""
    for fault in tally.shown:
        yield str(fault)
    if (more := tally.faults - len(tally.shown)) > 0:
        yield f"... and {more:,} more such rows"
    right, wrong, unscored = (tally.correct[value] for value in (True, False, None))
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(tally.reasons.items()))
    total = tally.reasons.total()
    yield f"{total:,} completions: {right:,} right, {wrong:,} wrong, {unscored:,} not scored ({reasons})"


def summary(tally: Tally) -> dict[str, Any]:
    """The same for a machine."""
    return {
        "completions": tally.reasons.total(),
        "right": tally.correct[True],
        "wrong": tally.correct[False],
        "not_scored": tally.correct[None],
        "reasons": dict(sorted(tally.reasons.items())),
        "faults": tally.faults,
        "shown": [fault._asdict() for fault in tally.shown],
    }
