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
from medu1.question import Choice, Question
from medu1.scoring.grading import DEFAULT_SCORING
from medu1.scoring.reward import DEFAULT_REWARDS, bounds, reward
from medu1.scoring.score import score
from medu1.scoring.verdict import Reason, Verdict

PARAMS = Path(__file__).parents[1] / "params.yaml"
PAPER = DEFAULT_SCORING.model_copy(update={"preset": "paper"})
QUESTION = Question(id="q", source="toy", text="Which?", gold=Choice(letter="A"), options={"A": "iron", "B": "zinc"})
LIMIT = 1000


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
                 length_gated=st.booleans(), overlong=st.floats(0, 9), overlong_cache=st.floats(0, 1)),
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
