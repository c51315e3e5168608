"""The gate: what a candidate must show, against whom, and in which words it is refused."""

import pytest

from medu1.evaluate.decision import decide
from medu1.evaluate.statistics import paired_test, wilson
from medu1.params import Decide
from medu1.report import Comparison, Incumbent, Judged, Report, Role, Row, Slice

PARAMS = Decide(min_gain=0.0, alpha=0.05)
Counts = dict[str, tuple[int, int, int, int]]  # family -> right both times, gained, lost, wrong both times


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
    )


def comparison(against: Incumbent, slice_: Slice, name: str, counts: tuple[int, int, int, int]) -> Comparison:
    kept, gained, lost, missed = counts
    before = [True] * kept + [False] * gained + [True] * lost + [False] * missed
    after = [True] * kept + [True] * gained + [False] * lost + [False] * missed
    test = paired_test(before, after, [str(index) for index in range(len(before))], 0.95)
    return Comparison(
        against=against,
        set="test",
        slice=slice_,
        name=name,
        n=test.n,
        gained=test.gained,
        lost=test.lost,
        difference=test.difference,
        low=test.interval.low,
        high=test.interval.high,
        p=test.p,
        p_holm=test.p,
    )


def report(families: Counts, against: Incumbent = "base", unscorable: int = 0) -> Report:
    kept, gained, lost, missed = (sum(counts[place] for counts in families.values()) for place in range(4))
    n = kept + gained + lost + missed
    roles: list[Role] = ["base", "candidate", *(["champion"] if against == "champion" else [])]  # type: ignore[list-item]
    rows = [row(role, "all", "all", kept + lost, n) for role in roles if role != "candidate"]
    rows.append(row("candidate", "all", "all", kept + gained, n, unscorable))
    rows += [row("candidate", "family", name, counts[0] + counts[1], sum(counts)) for name, counts in families.items()]
    whole = comparison(against, "all", "all", (kept, gained, lost, missed))
    return Report(
        models=tuple(Judged(role=role, weights=f"{role}-weights", base="builtin", revision="") for role in roles),
        frozen="frozen",
        questions={"test": n, "ood": 0},
        sets=(),
        confidence=0.95,
        max_completion_tokens=80,
        batch=8,
        versions={},
        rows=tuple(rows),
        comparisons=(whole, *(comparison(against, "family", name, counts) for name, counts in families.items())),
        conduct=(),
    )


BETTER: Counts = {"choice": (40, 30, 2, 28), "open": (30, 40, 5, 25), "calculation": (10, 20, 4, 66)}


def test_a_clear_gain_without_a_falling_family_passes() -> None:
    decision = decide(report(BETTER), PARAMS, "", "")
    assert decision.passed
    assert decision.incumbent == "base"
    assert all(reason.startswith("Met: ") for reason in decision.reasons)


def test_reasons_carry_the_numbers() -> None:
    words = " ".join(decide(report(BETTER), PARAMS, "", "").reasons)
    assert "56.7% against 30.3% of base on the same 300 questions, +26.3 points" in words
    assert "90 questions are gained and 11 lost, exact McNemar p < 0.0001" in words
    assert "choice +28.0" in words


def test_no_difference_is_refused() -> None:
    decision = decide(report({"choice": (50, 0, 0, 50)}), PARAMS, "", "")
    assert not decision.passed
    assert any("its lower bound must exceed +0.0" in reason for reason in decision.reasons)


def test_a_gain_that_chance_explains_is_refused() -> None:
    decision = decide(report({"choice": (40, 8, 5, 47)}), PARAMS, "", "")
    assert not decision.passed
    assert any(reason.startswith("Not met: 8 questions are gained and 5 lost") for reason in decision.reasons)


def test_a_lower_bound_at_the_asked_gain_is_not_above_it() -> None:
    found = report({"choice": (0, 100, 0, 0)})  # every resample gives a difference of exactly 1
    assert not decide(found, Decide(min_gain=1.0, alpha=0.05), "", "").passed
    assert decide(found, Decide(min_gain=0.99, alpha=0.05), "", "").passed


def test_one_falling_family_vetoes_a_gain_overall() -> None:
    families: Counts = {**BETTER, "open": (60, 2, 12, 26)}
    decision = decide(report(families), PARAMS, "", "")
    assert not decision.passed
    assert [reason for reason in decision.reasons if reason.startswith("Not met")] == [
        "Not met: open falls by 10.0 points (12 lost, 2 gained, one-sided p = 0.006, veto below 0.05)."
    ]


def test_a_family_may_lose_a_little() -> None:
    families: Counts = {**BETTER, "open": (60, 4, 7, 29)}
    assert decide(report(families), PARAMS, "", "").passed


def test_unequal_verdict_counts_are_refused() -> None:
    decision = decide(report(BETTER, unscorable=3), PARAMS, "", "")
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
