"""Every statistic against a published value, an enumeration, or an independent implementation."""

import itertools
import random

import pytest
from scipy import stats

from medu1.evaluate.statistics import clustered_bootstrap, fall, holm, mcnemar, paired_test, wilson


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
    assert test.interval.low <= test.difference <= test.interval.high


def test_a_paired_test_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one question"):
        paired_test([], [], [], 0.95)


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
