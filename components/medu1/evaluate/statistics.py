"""The evaluation's statistics: Wilson intervals, exact McNemar, intervals that keep groups whole, Holm's correction.

Models are compared on the same questions, so every test is paired. What decides is a cluster-robust t interval, since
its quantile widens where groups are few and it has a bound at whatever level is left to spend (`benchmarks/power.py`
measures the decision). The clustered bootstrap stands beside it as a second opinion, from `FEW_GROUPS` on: with fewer
its percentiles are too narrow. Tail sums are exact integers; scipy serves for Student's quantiles alone.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from medu1.judging import Spending

RESAMPLES = 10_000
SEED = 0
FEW_GROUPS = 20  # below, an interval rests on few independent draws: it is wide, and a warning is due
POWER = 0.8  # chance with which a difference counts as detectable


class Interval(NamedTuple):
    """Two-sided limits of a share or of a difference of shares."""

    low: float
    high: float


class Spread(NamedTuple):
    """How sure a mean change is when questions of one group share their luck."""

    groups: int
    error: float  # standard error of the mean
    freedom: float  # Student's degrees of freedom; 0 with one group, which tells nothing of the spread


class PairedTest(NamedTuple):
    """One model against another on `n` questions both answered."""

    n: int
    gained: int  # wrong before, right after
    lost: int  # right before, wrong after
    difference: float  # (gained - lost) / n
    spread: Spread
    interval: Interval  # of the difference, cluster-robust
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
    difference, found = (gained - lost) / len(changes), spread(changes, groups)
    return PairedTest(
        n=len(changes),
        gained=gained,
        lost=lost,
        difference=difference,
        spread=found,
        interval=limits(difference, found, confidence),
        p=mcnemar(gained, lost),
    )


def spread(changes: Sequence[int], groups: Sequence[str]) -> Spread:
    """Cluster-robust standard error of the mean change, corrected for few and unequal groups (CR2), with its freedom.

    With e_g the sum of a group's deviations from the mean, n_g its size and p_g = n_g / n its share, the variance is
    sum(e_g^2 / (1 - p_g)) / n^2, and 1 / freedom = sum(p_g^2) + (sum q_g)^2 - sum(q_g^2) where q_g = p_g^2 / (1 - p_g):
    groups - 1 where all are equal, less where a few hold most questions.
    Source: Bell, R. M. and McCaffrey, D. F. (2002). Bias reduction in standard errors for linear regression with
    multi-stage samples. Survey Methodology 28, 169, for a regression on the constant alone; Imbens, G. W. and
    Kolesár, M. (2016). Robust standard errors in small samples. Rev. Econ. Stat. 98, 701.
    """
    found = _groups(changes, groups)
    if len(found) < 2:
        return Spread(len(found), 0.0, 0.0)
    sums, sizes = np.array([(sum(group), len(group)) for group in found], dtype=float).T
    n, shares = sizes.sum(), sizes / sizes.sum()
    deviations = sums - sizes * sums.sum() / n
    leverage = shares**2 / (1 - shares)
    error = np.sqrt((deviations**2 / (1 - shares)).sum()) / n
    freedom = 1 / ((shares**2).sum() + leverage.sum() ** 2 - (leverage**2).sum())
    return Spread(len(found), float(error), float(freedom))


def limits(difference: float, spread: Spread, confidence: float) -> Interval:
    """Student's interval of a difference of shares; [-1, 1] where one group tells nothing of the spread."""
    if not spread.freedom:
        return Interval(-1.0, 1.0)
    half = student(spread.freedom, (1 + confidence) / 2) * spread.error
    return Interval(max(-1.0, difference - half), min(1.0, difference + half))


def student(freedom: float, share: float) -> float:
    """Student's t below which this share lies; degrees of freedom need not be whole."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, share))


def design_effect(n: int, gained: int, lost: int, spread: Spread) -> float:
    """The variance of the mean change over what it would be were every question a group of its own.

    1 where that is not known: one group, or a change that is the same everywhere.
    Source: Kish, L. (1965). Survey Sampling, section 5.4.
    """
    independent = ((gained + lost) / n - ((gained - lost) / n) ** 2) / max(1, n - 1)
    return spread.error**2 / independent if spread.freedom and independent > 0 else 1.0


def detectable(
    n: int, discordance: float, design: float, alpha: float, freedom: float = math.inf, power: float = POWER
) -> float:
    """The smallest true difference, a share, that a two-sided test at `alpha` finds with this power.

    (t + z) sqrt(discordance x design / n), as in Connor, R. J. (1987). Sample size for testing differences in
    proportions for the paired-sample design. Biometrics 43, 207, with the variance under no difference on both sides,
    which errs on the safe side; Student's quantile stands for the normal one where groups are few.
    """
    critical = student(freedom, 1 - alpha / 2) if math.isfinite(freedom) else NormalDist().inv_cdf(1 - alpha / 2)
    return float((critical + NormalDist().inv_cdf(power)) * (discordance * design / n) ** 0.5)


def _groups(changes: Sequence[int], groups: Sequence[str]) -> list[list[int]]:
    members: dict[str, list[int]] = defaultdict(list)
    for change, group in zip(changes, groups, strict=True):
        members[group].append(change)
    return list(members.values())


def clustered_bootstrap(changes: Sequence[int], groups: Sequence[str], confidence: float) -> Interval:
    """Percentile interval of the mean change when whole groups are drawn again with replacement.

    Too narrow with few groups: `benchmarks/power.py` measures by how much. Drawing groups is a multinomial draw over
    their distinct (sum, size) pairs, which are few: exact, and fast.
    Source: Efron, B. and Tibshirani, R. J. (1993). An Introduction to the Bootstrap, chapters 8 and 13; Field, C. A.
    and Welsh, A. H. (2007). Bootstrapping clustered data. JRSS B 69, 369.
    """
    members = _groups(changes, groups)
    kinds = sorted(Counter((sum(group), len(group)) for group in members).items())
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


def spent(alpha: float, spending: Spending, earlier: int) -> float:
    """The level that is left to the next decision on questions on which `earlier` ones were taken.

    none: all of it each time, so that chance promotes one in 2 / alpha. halving: alpha / 2^k for the k-th; series:
    alpha x 6 / (pi k)^2, more of it at first and from the sixth on. Both sum to alpha over any number of decisions, so
    the chance that any of them is a false promotion stays below it.
    Source: alpha-spending, the online form of Bonferroni's correction: Javanmard, A. and Montanari, A. (2018). Online
    rules for control of false discovery rate and false discovery exceedance. Ann. Statist. 46, 526.
    """
    match spending:
        case "none":
            return alpha
        case "halving":
            return alpha * 0.5 ** (earlier + 1)
        case "series":
            return alpha * 6 / (math.pi * (earlier + 1)) ** 2
