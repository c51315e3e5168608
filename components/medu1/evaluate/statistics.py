"""The evaluation's statistics: Wilson intervals, exact McNemar, a clustered paired bootstrap, Holm's correction.

Models are compared on the same questions, so every test is paired. Tail sums are exact integers, as importing a
statistics package would take longer than the tests; the bootstrap draws from a fixed seed.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

RESAMPLES = 10_000
SEED = 0


class Interval(NamedTuple):
    """Two-sided limits of a share or of a difference of shares."""

    low: float
    high: float


class PairedTest(NamedTuple):
    """One model against another on `n` questions both answered."""

    n: int
    gained: int  # wrong before, right after
    lost: int  # right before, wrong after
    difference: float  # (gained - lost) / n
    interval: Interval  # bootstrap clustered by group
    p: float  # exact McNemar, two-sided


def wilson(correct: int, n: int, confidence: float) -> Interval:
    """Score interval of a proportion; [0, 1] where nothing is known.

    Source: Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference. JASA 22, 209.
    """
    if n == 0:
        return Interval(0.0, 1.0)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, spread = correct / n, z * z / n
    centre = (share + spread / 2) / (1 + spread)
    half = z * (share * (1 - share) / n + spread / (4 * n)) ** 0.5 / (1 + spread)
    low = 0.0 if correct == 0 else centre - half
    high = 1.0 if correct == n else centre + half
    return Interval(low, high)


def mcnemar(gained: int, lost: int) -> float:
    """Two-sided p of the exact test on discordant pairs: binomial with probability one half.

    Source: McNemar, Q. (1947). Note on the sampling error of the difference between correlated proportions or
    percentages. Psychometrika 12, 153; exact form as in Fay, M. P. (2010), Biostatistics 11, 373.
    """
    return min(1.0, 2 * _upper_tail(max(gained, lost), gained + lost))


def fall(gained: int, lost: int) -> float:
    """One-sided p that a model falls: as many losses or more among the discordant pairs, by chance alone."""
    return _upper_tail(lost, gained + lost)


def _upper_tail(least: int, n: int) -> float:
    """P(X >= least) for X ~ Binomial(n, 1/2), summed from the far end in exact integers."""
    term, total = 1, 0  # comb(n, n)
    for successes in range(n, least - 1, -1):
        total += term
        term = term * successes // (n - successes + 1)
    return float(total / 2**n)


def paired_test(before: Sequence[bool], after: Sequence[bool], groups: Sequence[str], confidence: float) -> PairedTest:
    """Compare two models question by question; raises ValueError where the lists differ in length or are empty."""
    changes = [int(now) - int(then) for then, now in zip(before, after, strict=True)]
    if not changes:
        raise ValueError("a paired test needs at least one question")
    gained, lost = changes.count(1), changes.count(-1)
    return PairedTest(
        n=len(changes),
        gained=gained,
        lost=lost,
        difference=(gained - lost) / len(changes),
        interval=clustered_bootstrap(changes, groups, confidence),
        p=mcnemar(gained, lost),
    )


def clustered_bootstrap(changes: Sequence[int], groups: Sequence[str], confidence: float) -> Interval:
    """Percentile interval of the mean change when whole groups are drawn again with replacement.

    Drawing groups is a multinomial draw over their distinct (sum, size) pairs, which are few: exact, and fast.
    Source: Efron, B. and Tibshirani, R. J. (1993). An Introduction to the Bootstrap, chapters 8 and 13; Field, C. A.
    and Welsh, A. H. (2007). Bootstrapping clustered data. JRSS B 69, 369.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for change, group in zip(changes, groups, strict=True):
        members[group].append(change)
    kinds = sorted(Counter((sum(group), len(group)) for group in members.values()).items())
    shares = np.array([count for _, count in kinds]) / len(members)
    draws = np.random.default_rng(SEED).multinomial(len(members), shares, size=RESAMPLES)
    totals = draws @ np.array([kind for kind, _ in kinds])  # (RESAMPLES, 2): sum of changes, questions
    low, high = np.quantile(totals[:, 0] / totals[:, 1], [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))


def holm(p_values: Sequence[float]) -> list[float]:
    """Step-down adjusted p-values, in the order given.

    Source: Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scand. J. Statist. 6, 65.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
