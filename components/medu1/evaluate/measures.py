"""Measures of several answers to one question, of answers under permuted options and of lengths that were asked for."""

from collections import Counter
from collections.abc import Sequence
from math import comb
from typing import NamedTuple

from medu1.budget import LengthBudget

TOLERANCE = 0.1  # share of an exact budget by which a response may miss it and still keep it


class Vote(NamedTuple):
    """One of several answers to a question."""

    answer: str | None  # equal for answers that mean the same; None: no vote, since there is no answer
    is_right: bool


def sizes(samples: int) -> list[int]:
    """The k of pass@k and maj@k: powers of two up to the number of samples, and that number."""
    return sorted({samples, *(2**power for power in range(samples.bit_length()))})


def pass_at(samples: int, right: int, k: int) -> float:
    """The chance that one of k answers drawn without replacement is right, 1 - C(n - c, k) / C(n, k): unbiased.

    Source: Chen, M. et al. (2021). Evaluating large language models trained on code. arXiv 2107.03374, equation 1.
    """
    return 1 - comb(samples - right, k) / comb(samples, k)


def majority_at(votes: Sequence[Vote], ks: Sequence[int]) -> dict[int, float]:
    """By k, the chance that the most frequent answer among k drawn without replacement is right.

    Answers that tie for the most votes win with equal chances; a draw without any vote is not right. Exact: every draw
    in which a right answer has `most` votes and no other has more is counted, by how many others have as many.
    Source of the measure: Wang, X. et al. (2023). Self-consistency improves chain of thought reasoning in language
    models. arXiv 2203.11171, section 2, here in expectation over subsets.
    """
    named = [vote for vote in votes if vote.answer is not None]
    counts = Counter(vote.answer for vote in named)
    right = {vote.answer for vote in named if vote.is_right}
    silent = len(votes) - len(named)
    won = dict.fromkeys(ks, 0.0)
    for answer in right:
        others = [count for other, count in counts.items() if other != answer]
        for most in range(1, counts[answer] + 1):
            for (drawn, tied), ways in _draws(others, most).items():
                for k in ks:
                    if 0 <= (rest := k - most - drawn) <= silent:
                        won[k] += comb(counts[answer], most) * ways * comb(silent, rest) / (tied + 1)
    return {k: won[k] / comb(len(votes), k) for k in ks}


def _draws(counts: Sequence[int], most: int) -> dict[tuple[int, int], int]:
    """Ways of drawing from answers with these counts, none more than `most` times, by votes drawn and answers tied."""
    found = {(0, 0): 1}
    for count in counts:
        added: Counter[tuple[int, int]] = Counter()
        for (drawn, tied), ways in found.items():
            for more in range(min(count, most) + 1):
                added[drawn + more, tied + (more == most)] += ways * comb(count, more)
        found = added
    return found


def keeps(tokens: int, is_whole: bool, budget: LengthBudget) -> bool:
    """Whether a response of so many tokens keeps its budget: at most that many, or within a tenth of it where exact.

    One that was cut off by the token limit keeps none: how long it would be is not known.
    """
    if not is_whole:
        return False
    if budget.mode == "exact":
        return abs(tokens - budget.tokens) <= TOLERANCE * budget.tokens
    return tokens <= budget.tokens
