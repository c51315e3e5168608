"""Which training prompts ask for a reasoning length, and which length: drawn once a question, by a hash of its id.

Every completion of a group answers one prompt, so the budget belongs to the question; a question that is drawn again
asks for the same length. The authors draw whole numbers from 100 to 2,000 uniformly (arXiv 2506.12307, their code).
"""

import hashlib
import math
from typing import NamedTuple

from medu1.budget import LengthBudget
from medu1.params import Budgets
from medu1.question import Question


class Draws(NamedTuple):
    """Two numbers in [0, 1), fixed by a seed and a question."""

    controlled: float
    length: float


def assigned(question: Question, params: Budgets, seed: int) -> LengthBudget | None:
    """The question's budget; None where its length is free."""
    draws = _draws(question.id, seed)
    if params.mode == "none" or draws.controlled >= params.controlled:
        return None
    return LengthBudget(tokens=_tokens(draws.length, params), mode=params.mode)


def _tokens(draw: float, params: Budgets) -> int:
    match params.spread:
        case "fixed":
            return params.high
        case "uniform":
            return params.low + int(draw * (params.high - params.low + 1))
        case "log_uniform":
            return round(params.low * math.exp(draw * math.log(params.high / params.low)))


def _draws(name: str, seed: int) -> Draws:
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return Draws(*(int.from_bytes(digest[start : start + 8], "big") / 2**64 for start in (0, 8)))
