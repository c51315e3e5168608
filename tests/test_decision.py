"""The gate: what a candidate must show, against whom, and in which words it is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medu1.evaluate import decision as gate
from medu1.evaluate.statistics import fall, limits, paired_test, spent, wilson
from medu1.evaluate.tabulation import comparison
from medu1.judging import Decide
from medu1.manifest import DatasetManifest
from medu1.report import Comparison, Condition, Conduct, Decision, Incumbent, Judged, Protocol, Report, Role, Row, Slice

PARAMS = Decide(
    min_gain=0.0,
    alpha=0.05,
    spending="none",
    veto=0.05,
    above_chance=False,
    max_truncated=None,
    max_malformed=None,
)
Counts = dict[str, tuple[int, int, int, int]]  # family -> right both times, gained, lost, wrong both times


def decide(report: Report, params: Decide = PARAMS, version: str = "", weights: str = "", earlier: int = 0) -> Decision:
    return gate.decide(report, params, version, weights, earlier)


def changed(**settings: Any) -> Decide:
    return Decide(**{**PARAMS.model_dump(), **settings})


def condition(decision: Decision, name: str) -> Condition:
    return next(each for each in decision.conditions if each.name == name)


def row(role: Role, slice_: Slice, name: str, correct: int, n: int, unscorable: int = 0) -> Row:
    interval = wilson(correct, n, 0.95)
    return Row(
        role=role,
        set="test",
        slice=slice_,
        name=name,
        n=n,
        correct=correct,
        unscorable=unscorable,
        accuracy=correct / n,
        low=interval.low,
        high=interval.high,
        chance=0.25 if name == "choice" else None,
    )


def compared(
    against: Incumbent, slice_: Slice, name: str, counts: tuple[int, int, int, int], groups: int | None
) -> Comparison:
    kept, gained, lost, missed = counts
    before = [True] * kept + [False] * gained + [True] * lost + [False] * missed
    after = [True] * kept + [True] * gained + [False] * lost + [False] * missed
    names = [str(index % groups if groups else index) for index in range(len(before))]
    test = paired_test(before, after, names, 0.95)
    return comparison(against, "test", slice_, name, test, test.p, None)


def conduct(n: int, truncated: int, malformed: int) -> Conduct:
    return Conduct(
        role="candidate",
        set="test",
        n=n,
        truncated=truncated,
        malformed=malformed,
        unanswered=0,
        unscorable=0,
        tokens_right=None,
        tokens_wrong=None,
    )


def report(
    families: Counts,
    against: Incumbent = "base",
    unscorable: int = 0,
    groups: int | None = None,
    truncated: int = 0,
    malformed: int = 0,
) -> Report:
    kept, gained, lost, missed = (sum(counts[place] for counts in families.values()) for place in range(4))
    n = kept + gained + lost + missed
    roles: list[Role] = ["base", "candidate", *(["champion"] if against == "champion" else [])]  # type: ignore[list-item]
    rows = [row(role, "all", "all", kept + lost, n) for role in roles if role != "candidate"]
    rows.append(row("candidate", "all", "all", kept + gained, n, unscorable))
    rows += [row("candidate", "family", name, counts[0] + counts[1], sum(counts)) for name, counts in families.items()]
    whole = compared(against, "all", "all", (kept, gained, lost, missed), groups)
    return Report(
        models=tuple(Judged(role=role, weights=f"{role}-weights", base="builtin", revision="") for role in roles),
        frozen="frozen",
        questions={"test": n, "ood": 0},
        sets=(),
        confidence=0.95,
        max_completion_tokens=80,
        protocol=Protocol(backend="transformers", strategy="method", decoding="greedy"),
        batch=8,
        versions={},
        rows=tuple(rows),
        comparisons=(whole, *(compared(against, "family", name, each, groups) for name, each in families.items())),
        conduct=(conduct(n, truncated, malformed),),
    )


BETTER: Counts = {"choice": (40, 30, 2, 28), "open": (30, 40, 5, 25), "calculation": (10, 20, 4, 66)}


def test_a_clear_gain_without_a_falling_family_passes() -> None:
    decision = decide(report(BETTER))
    assert decision.passed
    assert decision.incumbent == "base"
    assert all(reason.startswith("Met: ") for reason in decision.reasons)


def test_reasons_carry_the_numbers() -> None:
    words = " ".join(decide(report(BETTER)).reasons)
    assert "56.7% against 30.3% of base on the same 300 questions in 300 groups, +26.3 points" in words
    assert "90 questions are gained and 11 lost, exact McNemar p < 0.0001" in words
    assert "choice improves: +28.0 points, at least +18.2 (95% interval)" in words


def test_the_conditions_carry_the_same_numbers_for_machines() -> None:
    decision = decide(report(BETTER))
    names = ["questions", "gain", "mcnemar", "family:choice", "family:open", "family:calculation"]
    assert [each.name for each in decision.conditions] == names
    assert decision.reasons == tuple(f"Met: {each.words}" for each in decision.conditions)
    gain = condition(decision, "gain").figures
    assert gain["difference"] == pytest.approx(79 / 300)
    assert 0 < gain["low"] < gain["difference"]
    assert (gain["level"], gain["earlier"], gain["groups"]) == (0.05, 0, 300)
    assert Decision.model_validate_json(decision.model_dump_json()) == decision


def test_the_power_of_the_test_is_stated() -> None:
    decision = decide(report({"choice": (300, 60, 40, 200)}))
    assert condition(decision, "gain").figures["detectable"] == pytest.approx(0.0466, abs=0.0005)
    assert "this test can see 4.7 points, 80% of the time." in " ".join(decision.reasons)


def test_few_groups_are_warned_of_and_one_group_proves_nothing() -> None:
    assert "Only" not in " ".join(decide(report(BETTER, groups=20)).reasons)
    assert "Only 19 groups: with fewer than 20" in " ".join(decide(report(BETTER, groups=19)).reasons)
    alone = condition(decide(report(BETTER, groups=1)), "gain")
    assert not alone.holds
    assert alone.figures["low"] == -1.0


def test_no_difference_is_refused() -> None:
    decision = decide(report({"choice": (50, 0, 0, 50)}))
    assert not decision.passed
    assert any("its lower bound is +0.0 and must exceed +0.0" in reason for reason in decision.reasons)


def test_a_gain_that_chance_explains_is_refused() -> None:
    decision = decide(report({"choice": (40, 8, 5, 47)}))
    assert not decision.passed
    assert any(reason.startswith("Not met: 8 questions are gained and 5 lost") for reason in decision.reasons)


def test_a_lower_bound_at_the_asked_gain_is_not_above_it() -> None:
    found = report({"choice": (0, 100, 0, 0)})  # every group gains: a difference of exactly 1
    assert not decide(found, changed(min_gain=1.0)).passed
    assert decide(found, changed(min_gain=0.99)).passed


def test_a_margin_below_zero_asks_for_no_significant_gain() -> None:
    found = report({"choice": (300, 10, 10, 180)})
    assert not decide(found).passed
    assert decide(found, changed(min_gain=-0.05)).passed


@pytest.mark.parametrize("spending", ["halving", "series"])
def test_every_decision_on_the_same_questions_asks_for_more(spending: str) -> None:
    found, params = report({"choice": (200, 70, 42, 188)}), changed(spending=spending)
    assert decide(found, changed(spending="none"), earlier=30).passed
    assert decide(found, params).passed
    later = decide(found, params, earlier=30)
    assert not later.passed
    assert condition(later, "gain").figures["earlier"] == 30
    assert "It is the 31st decision on these frozen questions" in " ".join(later.reasons)
    bounds = [condition(decide(found, params, earlier=each), "gain").figures["low"] for each in range(12)]
    assert bounds == sorted(bounds, reverse=True)


def test_one_falling_family_vetoes_a_gain_overall() -> None:
    families: Counts = {**BETTER, "open": (60, 2, 12, 26)}
    decision = decide(report(families))
    assert not decision.passed
    assert [reason for reason in decision.reasons if reason.startswith("Not met")] == [
        "Not met: open falls: -10.0 points, at least -17.2 (95% interval); 2 gained and 12 lost, Holm-corrected "
        "p = 0.013. The veto takes a one-sided p of a fall below 0.05 (p = 0.006) and an upper bound below zero (-4.0)."
    ]


def test_every_familys_lower_bound_is_told_whatever_the_decision() -> None:
    for families in (BETTER, {**BETTER, "open": (60, 2, 12, 26)}, dict.fromkeys(BETTER, (50, 0, 0, 50))):
        decision = decide(report(families))
        for name in families:
            found = condition(decision, f"family:{name}")
            assert f"at least {100 * found.figures['low']:+.1f}" in found.words


def test_a_fall_within_one_group_of_questions_is_no_fall_of_a_family() -> None:
    """Twelve losses that come in one piece are one draw of luck, twelve that come alone are not."""
    families: Counts = {**BETTER, "open": (60, 0, 12, 28)}
    assert "family:open" in [each.name for each in decide(report(families)).conditions if not each.holds]
    before, after = [True] * 72 + [False] * 28, [False] * 12 + [True] * 60 + [False] * 28
    test = paired_test(before, after, [str(max(11, index)) for index in range(100)], 0.95)
    assert fall(test.gained, test.lost) < 0.05
    assert limits(test.difference, test.spread, 0.9).high > 0
    found = report(families)
    piece = comparison("base", "test", "family", "open", test, test.p, None)
    others = tuple(each for each in found.comparisons if each.name != "open")
    assert condition(decide(found.model_copy(update={"comparisons": (*others, piece)})), "family:open").holds


def test_a_family_of_one_group_falls_by_its_counts() -> None:
    families: Counts = {**BETTER, "open": (60, 0, 12, 28)}
    assert not condition(decide(report(families, groups=1)), "family:open").holds


@pytest.mark.parametrize(("right", "holds"), [(31, False), (33, False), (34, True), (60, True)])
def test_a_gain_that_stays_below_blind_guessing_is_refused(right: int, holds: bool) -> None:
    """25% by chance; Wilson's lower bound of 33 and 34 of 100 lies on either side of it."""
    found = report({**BETTER, "choice": (0, right, 0, 100 - right)})
    assert decide(found).passed
    assert decide(found, changed(above_chance=True)).passed is holds
    chance = condition(decide(found, changed(above_chance=True)), "chance")
    assert chance.figures["low"] == wilson(right, 100, 0.95).low
    assert "must exceed the 25.0% of blind guessing" in chance.words


def test_a_test_split_without_choice_questions_knows_no_chance() -> None:
    found = report({name: BETTER[name] for name in ("open", "calculation")})
    assert decide(found, changed(above_chance=True)).passed


@pytest.mark.parametrize(("limit", "counts"), [("max_truncated", (31, 0)), ("max_malformed", (0, 31))])
def test_answers_cut_off_or_out_of_format_are_refused_beyond_their_limit(limit: str, counts: tuple[int, int]) -> None:
    truncated, malformed = counts
    found = report(BETTER, truncated=truncated, malformed=malformed)
    assert decide(found).passed
    assert decide(found, changed(**{limit: 31 / 300})).passed
    refused = decide(found, changed(**{limit: 0.1}))
    assert not refused.passed
    assert "31 of 300 test answers" in " ".join(refused.reasons)


def test_a_report_without_the_candidates_conduct_is_no_evidence() -> None:
    with pytest.raises(ValueError, match="how the candidate writes"):
        decide(report(BETTER).model_copy(update={"conduct": ()}))


def test_training_without_the_audit_of_its_dataset_is_refused() -> None:
    data = DatasetManifest(key="prepare/1", digest="d" * 64, frozen="f", sets={}, rows={}, data="raw")
    passed = gate.audits({"dataset": "d" * 64, "audit": "a" * 64}, data)
    assert passed.holds
    assert "the reward audit aaaaaaaaaaaa" in passed.words
    assert gate.decide(report(BETTER), PARAMS, "", "", 0, [passed]).passed
    for inputs in ({}, {"dataset": "d" * 64}, {"dataset": "e" * 64, "audit": "a" * 64}):
        refused = gate.audits(inputs, data)
        assert not refused.holds
        assert not gate.decide(report(BETTER), PARAMS, "", "", 0, [refused]).passed


COUNTS = st.tuples(*[st.integers(0, 40)] * 4).filter(lambda counts: sum(counts) > 0)


@given(st.dictionaries(st.sampled_from(("choice", "open", "calculation")), COUNTS, min_size=1), st.integers(0, 50))
def test_who_passes_meets_every_condition_and_who_does_not_is_told_which(families: Counts, earlier: int) -> None:
    params = changed(spending="series", above_chance=True)
    decision = decide(report(families), params, earlier=earlier)
    assert decision.passed == all(each.holds for each in decision.conditions)
    assert decision.passed == (not any(reason.startswith("Not met: ") for reason in decision.reasons))
    if decision.passed:
        assert condition(decision, "gain").figures["low"] > 0
        assert condition(decision, "mcnemar").figures["p"] < spent(0.05, "series", earlier)


def test_a_family_may_lose_a_little() -> None:
    families: Counts = {**BETTER, "open": (60, 4, 7, 29)}
    assert decide(report(families)).passed


def test_unequal_verdict_counts_are_refused() -> None:
    decision = decide(report(BETTER, unscorable=3))
    assert not decision.passed
    assert decision.reasons[0].startswith("Not met: test verdicts: 300 scored and 3 unscorable for the candidate")


def test_the_champion_is_the_incumbent_where_there_is_one() -> None:
    decision = decide(report(BETTER, against="champion"), PARAMS, "4", "champion-weights")
    assert decision.passed
    assert decision.incumbent == "version 4"
    assert "of version 4 on the same" in " ".join(decision.reasons)


def test_the_champions_own_weights_are_already_registered() -> None:
    decision = decide(report(BETTER), PARAMS, "4", "candidate-weights")
    assert (decision.passed, decision.reasons) == (False, ("already version 4",))


def test_a_champion_with_the_bases_weights_is_compared_through_the_base() -> None:
    decision = decide(report(BETTER), PARAMS, "4", "base-weights")
    assert decision.passed
    assert decision.incumbent == "version 4"


def test_a_report_on_other_weights_than_the_champions_is_no_evidence() -> None:
    with pytest.raises(ValueError, match="other weights"):
        decide(report(BETTER), PARAMS, "4", "someone-elses-weights")


def test_a_report_survives_its_json() -> None:
    found = report(BETTER)
    assert Report.model_validate_json(found.model_dump_json()) == found
