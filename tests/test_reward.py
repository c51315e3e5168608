"""What a verdict earns: weights, gates and the stated range, under both presets."""

from itertools import product
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from medu1.budget import LengthBudget
from medu1.completion import Completion
from medu1.params import Preset, Rewards
from medu1.question import Choice, FreeText, Question
from medu1.scoring.grading import DEFAULT_SCORING
from medu1.scoring.reward import DEFAULT_REWARDS, Parts, bounds, parts, reward
from medu1.scoring.score import score
from medu1.scoring.verdict import Reason, Verdict

PARAMS = Path(__file__).parents[1] / "params.yaml"
PAPER = DEFAULT_SCORING.model_copy(update={"preset": "paper"})
QUESTION = Question(id="q", source="toy", text="Which?", gold=Choice(letter="A"), options={"A": "iron", "B": "zinc"})
LIMIT = 1000
SHAPES = st.sampled_from(("binary", "continuous"))


def verdict(correct: bool | None, form: bool = True, length: float | None = None, answer: str | None = "A") -> Verdict:
    return Verdict(
        question_id="q",
        format_ok=form,
        answer=answer,
        correct=correct,
        length=length,
        reason=Reason.RIGHT if correct else Reason.WRONG_LETTER,
    )


def earns(found: Verdict, tokens: int | None = 10, preset: Preset = "recommended", **changes: object) -> float | None:
    return reward(found, tokens, DEFAULT_REWARDS.model_copy(update=changes), preset, LIMIT)


def test_the_defaults_in_code_are_the_parameters_that_ship() -> None:
    shipped = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    assert DEFAULT_SCORING.model_dump(mode="json") == shipped["scoring"]
    assert DEFAULT_REWARDS.model_dump(mode="json") == shipped["train"]["rewards"]


@pytest.mark.parametrize(
    ("found", "total"),
    [
        (verdict(True), 1.1),
        (verdict(True, form=False), 1.0),
        (verdict(False), 0.1),
        (verdict(False, form=False, answer=None), 0.0),
        (verdict(True, length=0.5), 1.2),
        (verdict(False, length=0.5), 0.1),  # gated: a wrong answer of the right length earns nothing for it
    ],
)
def test_recommended_pays_answer_format_and_gated_length(found: Verdict, total: float) -> None:
    assert earns(found) == pytest.approx(total)


def test_an_open_gate_pays_the_length_of_a_wrong_answer_too() -> None:
    assert earns(verdict(False, length=0.5), length_gated=False) == pytest.approx(0.2)


def test_unscorable_earns_nothing_not_zero() -> None:
    presets: tuple[Preset, ...] = ("recommended", "paper")
    assert [earns(verdict(None), tokens, preset) for tokens, preset in product((10, LIMIT), presets)] == [None] * 4


@pytest.mark.parametrize(
    ("tokens", "total"), [(None, 1.1), (0, 1.1), (800, 1.1), (900, 0.85), (1000, 0.6), (9999, 0.6)]
)
def test_the_last_fifth_of_the_limit_costs_up_to_the_overlong_weight(tokens: int | None, total: float) -> None:
    assert earns(verdict(True), tokens) == pytest.approx(total)


def test_without_a_limit_no_length_is_punished() -> None:
    assert reward(verdict(True), 10**6, DEFAULT_REWARDS, "recommended") == pytest.approx(1.1)


def test_weights_are_the_parameters_own() -> None:
    assert earns(verdict(True), LIMIT, correct=3.0, format=0.0, overlong=2.0) == pytest.approx(1.0)
    assert earns(verdict(True), 0, correct=3.0, format=0.5) == pytest.approx(3.5)


@pytest.mark.parametrize(
    ("found", "total"),
    [
        (verdict(True), 2.0),
        (verdict(True, form=False), 0.0),
        (verdict(False), 0.0),
        (verdict(False, length=1.0), 1.0),  # the authors pay a wrong, well-formed answer of perfect length
        (verdict(False, form=False, length=1.0, answer=None), -3.0),  # no answer: -2, and no length term
        (verdict(True, length=1.0), 3.0),
        (verdict(True, length=-1.0), 1.0),
    ],
)
def test_paper_sums_format_answer_and_length(found: Verdict, total: float) -> None:
    assert earns(found, 10**6, "paper") == pytest.approx(total)


def rewarded(preset: Preset, text: str, tokens: int, budget: LengthBudget | None, weights: Rewards) -> float | None:
    settings = DEFAULT_SCORING.model_copy(update={"preset": preset})
    found = score(QUESTION, Completion(question_id="q", text=text, tokens=tokens), budget, settings)
    return reward(found, tokens, weights, preset, LIMIT)


TEXTS = ("<think>t</think><answer>A</answer>", "<think>t</think><answer>B</answer>", "<answer>A</answer>", "A", "")
BUDGETS = (None, LengthBudget(tokens=2000), LengthBudget(tokens=2000, mode="at_most"), LengthBudget(tokens=600))


@pytest.mark.parametrize("preset", ["recommended", "paper"])
def test_a_reward_stays_in_its_stated_range_and_reaches_both_ends(preset: Preset) -> None:
    cases = product(TEXTS, (0, 1, 600, 900, 1000, 2000, 5000), BUDGETS)
    totals = [rewarded(preset, *case, DEFAULT_REWARDS) for case in cases]
    found = [total for total in totals if total is not None]
    assert len(found) == len(totals)
    assert (min(found), max(found)) == pytest.approx(bounds(DEFAULT_REWARDS, preset))


@given(st.builds(Rewards, correct=st.floats(0.1, 9), format=st.floats(0, 9), length=st.floats(0, 9),
                 length_gated=st.booleans(), overlong=st.floats(0, 9), overlong_cache=st.floats(0, 1), shape=SHAPES),
       st.sampled_from(TEXTS), st.integers(0, 5000), st.sampled_from(BUDGETS))  # fmt: skip
def test_any_weights_keep_the_range(weights: Rewards, text: str, tokens: int, budget: LengthBudget | None) -> None:
    low, high = bounds(weights, "recommended")
    total = rewarded("recommended", text, tokens, budget, weights)
    assert total is not None
    assert low - 1e-9 <= total <= high + 1e-9


@given(st.integers(1, 900), st.integers(0, 5000), st.integers(0, 5000), st.sampled_from(TEXTS))
def test_past_an_at_most_budget_longer_never_earns_more(budget: int, one: int, other: int, text: str) -> None:
    shorter, longer = (budget + more for more in sorted((one, other)))
    at_most = LengthBudget(tokens=budget, mode="at_most")
    for preset in ("recommended", "paper"):
        less, more = (rewarded(preset, text, used, at_most, DEFAULT_REWARDS) for used in (longer, shorter))
        assert less is not None
        assert more is not None
        assert less <= more + 1e-9


# The parts, and the continuous shape


@given(
    st.builds(Rewards, correct=st.floats(0.1, 9), format=st.floats(0, 9), length=st.floats(0, 9),
              length_gated=st.booleans(), overlong=st.floats(0, 9), overlong_cache=st.floats(0, 1), shape=SHAPES),
    st.sampled_from(["recommended", "paper"]), st.sampled_from(TEXTS), st.integers(0, 5000), st.sampled_from(BUDGETS),
)  # fmt: skip
def test_the_parts_sum_to_the_total(
    weights: Rewards, preset: Preset, text: str, tokens: int, budget: LengthBudget | None
) -> None:
    settings = DEFAULT_SCORING.model_copy(update={"preset": preset})
    found = score(QUESTION, Completion(question_id="q", text=text, tokens=tokens), budget, settings)
    taken = parts(found, tokens, weights, preset, LIMIT)
    assert taken is not None
    assert reward(found, tokens, weights, preset, LIMIT) == taken.total
    assert taken.total == taken.correct + taken.format + taken.length + taken.overlong
    assert taken.overlong <= 0


def test_the_parts_are_named() -> None:
    found = parts(verdict(True, length=0.5), LIMIT, DEFAULT_REWARDS, "recommended", LIMIT)
    assert found == Parts(correct=1.0, format=0.1, length=0.1, overlong=-0.5)
    authors = parts(verdict(False, length=0.5, answer=None), LIMIT, DEFAULT_REWARDS, "paper", LIMIT)
    assert authors == Parts(correct=-2.0, format=1.0, length=0.0, overlong=0.0)
    assert parts(verdict(None), 10, DEFAULT_REWARDS, "recommended", LIMIT) is None


def alike(similarity: float | None, reason: Reason, is_right: bool) -> Verdict:
    return verdict(is_right)._replace(similarity=similarity, reason=reason)


@pytest.mark.parametrize(
    ("found", "pays"),
    [
        (alike(0.8, Reason.RIGHT, True), 0.8),
        (alike(0.4, Reason.BELOW_THRESHOLD, False), 0.4),
        (alike(0.9, Reason.NEGATED, False), 0.0),  # however many words it shares
        (alike(0.5, Reason.TOO_FEW_CONTENT_WORDS, False), 0.0),
        (alike(None, Reason.RIGHT, True), 1.0),  # no free text: nothing between right and wrong
        (alike(None, Reason.WRONG_LETTER, False), 0.0),
    ],
)
def test_the_continuous_shape_pays_a_free_text_its_similarity(found: Verdict, pays: float) -> None:
    assert earns(found, shape="continuous", format=0.0) == pytest.approx(pays)
    assert earns(found, format=0.0) == float(bool(found.correct))
    assert earns(found, preset="paper", shape="continuous") == earns(found, preset="paper")


@given(st.floats(0, 1), st.sampled_from(Reason), st.booleans(), st.integers(0, 5000), st.none() | st.floats(0, 1))
def test_the_continuous_shape_keeps_the_range(
    similarity: float, reason: Reason, is_right: bool, tokens: int, length: float | None
) -> None:
    low, high = bounds(DEFAULT_REWARDS, "recommended")
    total = earns(alike(similarity, reason, is_right)._replace(length=length), tokens, shape="continuous")
    assert total is not None
    assert low - 1e-9 <= total <= high + 1e-9


@given(st.floats(0, 1), st.floats(0, 1), st.booleans(), st.integers(0, 5000))
def test_a_text_more_alike_never_earns_less(one: float, other: float, form: bool, tokens: int) -> None:
    """Right or not: below the threshold lies nothing that is more alike than what lies above it."""
    less, more = sorted((one, other))
    for worse, better in ((False, False), (False, True), (True, True)):
        found = [
            alike(less, Reason.RIGHT if worse else Reason.BELOW_THRESHOLD, worse),
            alike(more, Reason.RIGHT if better else Reason.BELOW_THRESHOLD, better),
        ]
        low, high = (earns(each._replace(format_ok=form), tokens, shape="continuous") for each in found)
        assert low is not None
        assert high is not None
        assert low <= high


GOLD = "chronic obstructive pulmonary disease with acute bacterial exacerbation"
OPEN = Question(id="q", source="toy", text="Which diagnosis?", gold=FreeText(text=GOLD))


@pytest.mark.parametrize(
    ("answer", "least", "most"),
    [(GOLD, 1.0, 1.0), (f"no {GOLD}", 0.0, 0.0), ("asthma", 0.0, 0.0), (GOLD.replace("chronic ", ""), 0.8, 0.99)],
)
def test_real_free_texts_under_the_continuous_shape(answer: str, least: float, most: float) -> None:
    found = score(OPEN, Completion(question_id="q", text=f"<think>t</think><answer>{answer}</answer>"))
    total = earns(found, shape="continuous", format=0.0)
    assert total is not None
    assert least <= total <= most
