"""Words that deny what they stand with: one list for every gold kind."""

import re
from typing import Final

from medu1.scoring.opposites import forms

_NEGATORS: Final = """
not no never neither nor none nothing nobody without non unlikely false incorrect untrue wrong except unless instead
rather myth misconception opposite
"""
_REFUSALS: Final = "avoid ignore disregard refuse skip omit withhold contraindicate"
NEGATORS: Final = frozenset(_NEGATORS.split()).union(*map(forms, _REFUSALS.split()))
_DENIES = re.compile(
    r"\b(?:not|never|neither|cannot|unlikely|false|incorrect|untrue|wrong|except|(?:is|was|does|can|do|are)n['\u2019]?t)\b",
    re.IGNORECASE,
)


def denies(answer: str) -> bool:
    """True where a figure or a date is given only to be denied ("not 12", "it is false that ...")."""
    return _DENIES.search(answer) is not None
