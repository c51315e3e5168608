"""Every statistic against a published value, an enumeration, or an independent implementation."""

import itertools
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg, stats

from medu1.evaluate.statistics import (
    Interval,
    Spread,
    clustered_bootstrap,
    design_effect,
    detectable,
    fall,
    holm,
    limits,
    mcnemar,
    paired_test,
    spent,
    spread,
    student,
    wilson,
)
from medu1.judging import Spending

GROUPED = st.lists(st.tuples(st.sampled_from((-1, 0, 1)), st.sampled_from("abcdefg")), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),  # Newcombe (1998), Statistics in Medicine 17, table I, method 3
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_limits(correct: int, n: int, low: float, high: float) -> None:
    interval = wilson(correct, n, 0.95)
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)


def test_wilson_agrees_with_scipy_at_every_count_and_confidence() -> None:
    for n, confidence in itertools.product((1, 7, 40), (0.8, 0.95, 0.99)):
        for correct in range(n + 1):
            other = stats.binomtest(correct, n).proportion_ci(confidence, "wilson")
            assert wilson(correct, n, confidence) == pytest.approx((other.low, other.high), abs=1e-12)


def test_nothing_asked_is_nothing_known() -> None:
    assert wilson(0, 0, 0.95) == (0.0, 1.0)


def test_limits_never_leave_the_unit_interval_and_hold_the_share() -> None:
    for n in range(1, 60):
        for correct in range(n + 1):
            interval = wilson(correct, n, 0.95)
            assert 0.0 <= interval.low <= correct / n <= interval.high <= 1.0


def test_mcnemar_and_fall_agree_with_scipys_binomial_test() -> None:
    for gained, lost in itertools.product(range(0, 40, 3), repeat=2):
        if gained + lost:
            assert mcnemar(gained, lost) == pytest.approx(stats.binomtest(gained, gained + lost).pvalue)
            one_sided = stats.binomtest(lost, gained + lost, alternative="greater").pvalue
            assert fall(gained, lost) == pytest.approx(one_sided)


def test_mcnemar_equals_the_enumeration_of_every_outcome() -> None:
    gained, lost = 9, 2
    outcomes = [sum(outcome) for outcome in itertools.product((0, 1), repeat=gained + lost)]
    as_far = sum(abs(2 * wins - len(range(gained + lost))) >= gained - lost for wins in outcomes)
    assert mcnemar(gained, lost) == as_far / len(outcomes)


def test_equal_models_are_not_told_apart() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 5) == 1.0
    assert fall(0, 0) == 1.0


def test_thousands_of_discordant_pairs_stay_exact() -> None:
    assert mcnemar(5200, 4800) == pytest.approx(stats.binomtest(5200, 10_000).pvalue, rel=1e-9)


def test_paired_test_counts_gains_and_losses() -> None:
    before = [False, False, True, True, False, True]
    after = [True, True, False, True, False, True]
    test = paired_test(before, after, list("abcdef"), 0.95)
    assert (test.n, test.gained, test.lost) == (6, 2, 1)
    assert test.difference == pytest.approx(1 / 6)
    assert test.p == mcnemar(2, 1)
    assert test.spread.groups == 6
    assert test.interval.low <= test.difference <= test.interval.high


def test_a_paired_test_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one question"):
        paired_test([], [], [], 0.95)


def test_the_interval_of_single_questions_is_students() -> None:
    draw = random.Random(3)
    changes = [draw.choice((-1, 0, 0, 1)) for _ in range(37)]
    other = stats.ttest_1samp(changes, 0).confidence_interval(0.9)
    found = spread(changes, [str(index) for index in range(37)])
    assert found.freedom == pytest.approx(36)
    assert limits(sum(changes) / 37, found, 0.9) == pytest.approx((other.low, other.high))


def test_the_interval_of_equal_groups_is_students_on_their_means() -> None:
    draw = random.Random(4)
    groups = [[draw.choice((-1, 0, 1, 1)) for _ in range(5)] for _ in range(8)]
    other = stats.ttest_1samp([sum(group) / 5 for group in groups], 0).confidence_interval(0.95)
    changes = [change for group in groups for change in group]
    found = spread(changes, [str(index // 5) for index in range(40)])
    assert found.freedom == pytest.approx(7)
    assert limits(sum(changes) / 40, found, 0.95) == pytest.approx((other.low, other.high))


def by_matrices(changes: list[int], sizes: list[int]) -> tuple[float, float]:
    """CR2 error and Satterthwaite freedom of a regression on a constant, as Bell and McCaffrey define them."""
    n = len(changes)
    groups = np.repeat(np.arange(len(sizes)), sizes)
    residuals_of = np.eye(n) - np.ones((n, n)) / n
    rows = []
    for group in range(len(sizes)):
        inside = groups == group
        corrected = np.zeros(n)
        corrected[inside] = linalg.inv(linalg.sqrtm(residuals_of[np.ix_(inside, inside)])).real @ np.ones(inside.sum())
        rows.append(residuals_of @ corrected / n)
    linear: Any = np.array(rows)  # a row: what a group adds to the mean, as a function of the independent changes
    weights = np.linalg.eigvalsh(linear @ linear.T)
    return float(np.linalg.norm(linear @ changes)), float(weights.sum() ** 2 / (weights**2).sum())


def test_the_spread_of_unequal_groups_equals_the_definition_by_matrices() -> None:
    draw = random.Random(5)
    for sizes in ([1, 2, 9], [4, 1, 1, 1, 6], [3, 3, 2, 8, 1, 1]):
        changes = [draw.choice((-1, 0, 1)) for _ in range(sum(sizes))]
        names = [str(group) for group, size in enumerate(sizes) for _ in range(size)]
        found = spread(changes, names)
        assert (found.error, found.freedom) == pytest.approx(by_matrices(changes, sizes))


def test_the_interval_agrees_with_drawing_groups_one_by_one() -> None:
    draw = random.Random(6)
    groups = [[draw.choice((-1, 0, 1, 1)) for _ in range(draw.randint(1, 6))] for _ in range(150)]
    means = []
    for _ in range(4000):
        drawn = draw.choices(groups, k=len(groups))
        means.append(sum(map(sum, drawn)) / sum(map(len, drawn)))
    means.sort()
    changes = [change for group in groups for change in group]
    names = [str(index) for index, group in enumerate(groups) for _ in group]
    found = limits(sum(changes) / len(changes), spread(changes, names), 0.95)
    assert found == pytest.approx((means[100], means[3900]), abs=0.015)


@given(GROUPED)
def test_the_interval_holds_the_difference_and_stays_a_difference_of_shares(rows: list[tuple[int, str]]) -> None:
    changes, groups = [change for change, _ in rows], [group for _, group in rows]
    difference = sum(changes) / len(changes)
    found = limits(difference, spread(changes, groups), 0.95)
    assert -1 <= found.low <= difference <= found.high <= 1


@given(GROUPED, st.randoms())
def test_the_spread_heeds_neither_the_order_nor_which_model_came_first(
    rows: list[tuple[int, str]], draw: random.Random
) -> None:
    once = spread([change for change, _ in rows], [group for _, group in rows])
    draw.shuffle(rows)
    assert spread([-change for change, _ in rows], [group for _, group in rows]) == pytest.approx(once)


def test_one_group_tells_nothing_of_the_spread() -> None:
    found = spread([1] * 50, ["a"] * 50)
    assert found == Spread(1, 0.0, 0.0)
    assert limits(1.0, found, 0.95) == Interval(-1.0, 1.0)


@pytest.mark.parametrize("groups", [3, 10, 20])
def test_chance_rarely_lifts_the_lower_bound_however_few_the_groups(groups: int) -> None:
    draw = np.random.default_rng(7)
    names = [str(index % groups) for index in range(120)]
    lifted = 0
    for _ in range(600):
        shared = np.resize(draw.choice((-1, 0, 0, 1), groups), 120)
        changes = np.where(draw.random(120) < 0.5, shared, draw.choice((-1, 0, 0, 1), 120)).tolist()
        lifted += limits(sum(changes) / 120, spread(changes, names), 0.95).low > 0
    assert lifted / 600 <= 0.04  # 2.5% of the draws, with three standard errors beside


def test_students_quantiles_are_scipys() -> None:
    for freedom, share in itertools.product((1.0, 2.5, 30.0), (0.9, 0.975, 0.9999)):
        assert student(freedom, share) == pytest.approx(stats.t.ppf(share, freedom))


def test_questions_alone_have_no_design_effect_and_copies_have_their_number() -> None:
    changes = [1] * 30 + [-1] * 20 + [0] * 50
    assert design_effect(100, 30, 20, spread(changes, [str(index) for index in range(100)])) == pytest.approx(1)
    copied = [change for change in changes for _ in range(4)]
    found = spread(copied, [str(index // 4) for index in range(400)])
    assert design_effect(400, 120, 80, found) == pytest.approx(4, rel=0.02)


def test_a_thousand_questions_can_see_three_points() -> None:
    assert detectable(1000, 0.115, 1.0, 0.05) == pytest.approx(0.030, abs=0.0005)


def test_a_detectable_difference_is_found_four_times_in_five() -> None:
    n, discordance = 800, 0.3
    difference = detectable(n, discordance, 1.0, 0.05)
    draw = np.random.default_rng(8)
    shares = [(discordance + difference) / 2, (discordance - difference) / 2, 1 - discordance]
    gained, lost, _ = draw.multinomial(n, shares, size=20_000).T
    mean = (gained - lost) / n
    error = np.sqrt(((gained + lost) / n - mean**2) / n)
    assert np.mean(mean - stats.norm.ppf(0.975) * error > 0) == pytest.approx(0.8, abs=0.015)


def test_few_groups_and_a_smaller_level_see_less() -> None:
    plain = detectable(600, 0.3, 1.0, 0.05)
    assert detectable(600, 0.3, 1.0, 0.05, freedom=9) > plain
    assert detectable(600, 0.3, 1.0, 0.01) > plain
    assert detectable(600, 0.3, 4.0, 0.05) == pytest.approx(2 * plain)


@pytest.mark.parametrize("spending", ["halving", "series"])
def test_what_is_spent_never_exceeds_alpha(spending: Spending) -> None:
    levels = [spent(0.05, spending, earlier) for earlier in range(1000)]
    assert levels == sorted(levels, reverse=True)
    assert 0.0499 < sum(levels) <= 0.05


def test_the_first_levels_are_as_published() -> None:
    assert [spent(0.05, "none", earlier) for earlier in (0, 9)] == [0.05, 0.05]
    assert [spent(0.05, "halving", earlier) for earlier in (0, 1, 2)] == [0.025, 0.0125, 0.00625]
    assert [spent(0.05, "series", earlier) for earlier in (0, 1)] == pytest.approx([0.0303964, 0.0075991], abs=1e-7)


def test_bootstrap_agrees_with_the_normal_interval_on_many_single_questions() -> None:
    changes = [1] * 300 + [-1] * 100 + [0] * 600
    mean, deviation = stats.tmean(changes), stats.tstd(changes)
    half = stats.norm.ppf(0.975) * deviation / len(changes) ** 0.5
    interval = clustered_bootstrap(changes, [str(index) for index in range(1000)], 0.95)
    assert interval == pytest.approx((mean - half, mean + half), abs=0.004)


def test_bootstrap_agrees_with_drawing_groups_one_by_one() -> None:
    draw = random.Random(1)
    groups = {name: [draw.choice((-1, 0, 1, 1)) for _ in range(draw.randint(1, 6))] for name in "abcdefghijkl"}
    means = []
    for _ in range(20_000):
        drawn = [groups[name] for name in draw.choices(list(groups), k=len(groups))]
        means.append(sum(map(sum, drawn)) / sum(map(len, drawn)))
    means.sort()
    changes = [change for members in groups.values() for change in members]
    names = [name for name, members in groups.items() for _ in members]
    expected = (means[500], means[19_500])
    assert clustered_bootstrap(changes, names, 0.95) == pytest.approx(expected, abs=0.02)


def test_questions_of_one_group_widen_the_interval() -> None:
    changes = ([1] * 5 + [0] * 5) * 20
    alone = clustered_bootstrap(changes, [str(index) for index in range(200)], 0.95)
    together = clustered_bootstrap(changes, [str(index // 5) for index in range(200)], 0.95)
    assert together.high - together.low > 1.8 * (alone.high - alone.low)


def test_bootstrap_is_the_same_every_time_and_in_any_order() -> None:
    changes, groups = [1, -1, 0, 1, 1, 0], ["a", "a", "b", "c", "d", "e"]
    once = clustered_bootstrap(changes, groups, 0.9)
    assert clustered_bootstrap(changes, groups, 0.9) == once
    assert clustered_bootstrap(changes[::-1], groups[::-1], 0.9) == once


def test_holm_gives_the_published_adjustment() -> None:
    adjusted = holm([0.01, 0.04, 0.03, 0.005])  # the worked example of Wikipedia's article, alpha 0.05: two rejected
    assert adjusted == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_never_lowers_a_p_nor_passes_one() -> None:
    draw = random.Random(2)
    for size in range(6):
        values = [draw.random() for _ in range(size)]
        assert all(value <= adjusted <= 1 for value, adjusted in zip(values, holm(values), strict=True))


@given(st.lists(st.floats(0, 1), max_size=6))
def test_holm_is_the_closure_of_bonferroni(values: list[float]) -> None:
    """A hypothesis falls where every intersection that holds it falls to Bonferroni's test of that intersection."""
    places = range(len(values))
    subsets = [part for size in places for part in itertools.combinations(places, size + 1)]
    expected = [
        max(min(1.0, len(part) * min(values[other] for other in part)) for part in subsets if place in part)
        for place in places
    ]
    assert holm(values) == pytest.approx(expected)
