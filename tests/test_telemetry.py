"""What a generation looks like in figures that processes add up, and the completions table."""

import json
import pickle
import random
import re
import time
from collections.abc import Iterable, Sequence
from itertools import product

import pytest

from medu1.budget import LengthBudget
from medu1.completion import Completion
from medu1.params import Rewards, Scoring
from medu1.question import Choice, FreeText, Number, Question
from medu1.scoring.grading import DEFAULT_SCORING
from medu1.scoring.reward import DEFAULT_REWARDS
from medu1.scoring.verdict import Reason
from medu1.train import completions, telemetry
from medu1.train.rewards import Judged, judged
from medu1.train.telemetry import Share, Telemetry, letter_of, means, merged, repeats
from training import SUM

UNSCORABLE = Question(id="odd/1", source="own", text="Which?", gold=Number(value=1, lower=2, upper=3))
TEXT = Question(id="text/1", source="own", text="What treats it?", gold=FreeText(text="oral iron"))
OPTIONS = {"A": "iron", "B": "zinc", "C": "copper", "D": "lead"}
LETTERS = [
    Question(id=f"letter/{gold}", source="own", text=f"{gold}?", options=OPTIONS, gold=Choice(letter=gold))
    for gold in "ABCD"
]
RIGHT, WRONG, PLAIN = "<think>x</think><answer>8</answer>", "<think>x</think><answer>9</answer>", "eight"


def earned(
    text: str,
    question: Question = SUM,
    tokens: int = 10,
    budget: LengthBudget | None = None,
    scoring: Scoring = DEFAULT_SCORING,
    weights: Rewards = DEFAULT_REWARDS,
) -> Judged:
    """What a completion earns where a response has 100 tokens at most."""
    finish = "length" if tokens == 100 else "stop"
    completion = Completion(question_id=question.id, text=text, tokens=tokens, finish=finish)
    return judged(question, completion, budget, scoring, weights, 100)


def answered(letter: str, question: Question) -> Judged:
    return earned(f"<think>x</think><answer>{letter}</answer>", question)


def shares(batch: Sequence[Judged], group_size: int) -> dict[str, Share]:
    watched = Telemetry()
    watched.record(batch, group_size)
    return watched.shares()


def figures(batch: Sequence[Judged], group_size: int) -> dict[str, float]:
    return means(shares(batch, group_size))


def groups(found: dict[str, float]) -> dict[str, float]:
    start = "train/groups/"
    return {name.removeprefix(start): value for name, value in found.items() if name.startswith(start)}


# Shares


def test_shares_are_of_the_newest_generation() -> None:
    watched = Telemetry()
    assert watched.shares() == {}
    watched.record([earned(PLAIN)] * 2, 2)
    unscorable = [earned(RIGHT, UNSCORABLE, tokens=30)] * 2
    watched.record([earned(RIGHT, tokens=10), earned(PLAIN, tokens=20), *unscorable], 2)
    found = means(watched.shares())
    assert found["train/correct"] == found["train/correct/calculation"] == 0.5
    assert found["train/format"] == 0.75
    assert found["train/unscorable"] == 0.5
    assert found["train/no_answer"] == 0.25
    assert found["train/tokens/right"] == 10
    assert found["train/tokens/wrong"] == 20
    assert watched.shares()["train/tokens"] == Share(90, 4)
    assert "train/correct/choice" not in found
    assert all(isinstance(value, float) for value in found.values())


def test_cleared_figures_are_not_measured_twice_and_the_completions_stay() -> None:
    watched = Telemetry()
    watched.record([earned(RIGHT)] * 2, 2)
    watched.clear()
    assert watched.shares() == {}
    assert len(watched.newest) == 2
    watched.record([earned(RIGHT)] * 2, 2)
    assert means(watched.shares())["train/correct"] == 1.0


def test_a_share_without_rows_is_left_out() -> None:
    found = figures([earned(WRONG)] * 2, 2)
    assert "train/tokens/right" not in found
    assert not any("budget" in name or "letters" in name for name in found)
    assert means({"train/format": Share(0.0, 0)}) == {}


def test_processes_add_up_to_what_one_would_have_measured() -> None:
    batch = [
        *(answered(letter, LETTERS[0]) for letter in "AB"),
        *(answered(letter, LETTERS[3]) for letter in "DC"),
        *(answered(letter, LETTERS[1]) for letter in "AA"),
        *(earned(text, TEXT, tokens=40, budget=LengthBudget(tokens=50)) for text in (RIGHT, PLAIN)),
        *(earned(text) for text in (RIGHT, RIGHT)),
        *(earned(RIGHT, UNSCORABLE) for _ in range(2)),
    ]
    one = shares(batch, 2)
    for cut in range(0, len(batch) + 1, 2):
        both = merged([shares(batch[:cut], 2), shares(batch[cut:], 2)])
        assert both.keys() == one.keys()
        assert means(both) == pytest.approx(means(one))
    assert merged([]) == {}
    assert merged([{}, one]) == one


NAMES = re.findall(r"train/[\w/]+", str(telemetry.__doc__))
KINDS_OF_NAME = {
    "FAMILY": ("choice", "open", "calculation"),
    "PART": ("correct", "format", "length", "overlong"),
    "LETTER": tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
}


def documented() -> set[str]:
    """Every name that the module's table stands for."""
    words = [[KINDS_OF_NAME.get(word, (word,)) for word in name.split("/")] for name in NAMES]
    return {"/".join(each) for name in words for each in product(*name)}


def test_every_name_that_is_logged_is_documented_and_the_other_way_round() -> None:
    budget = LengthBudget(tokens=50)
    batch = [
        *(answered(letter, LETTERS[0]) for letter in "AB"),
        *(earned(text, budget=budget) for text in (RIGHT, WRONG)),
        *(earned(RIGHT, TEXT), earned(PLAIN, TEXT)),
    ]
    found = set(figures(batch, 2))
    assert found <= documented()
    assert {name for name in documented() - found if "/letters/" not in name} == set()


def test_how_many_there_are_is_told_of_all_processes_together() -> None:
    part = shares([*(answered("A", question) for question in LETTERS), earned(RIGHT)], 1)
    found = means(merged([part, part]))
    assert found["train/completions"] == found["train/groups"] == 10.0
    assert found["train/letters/answers"] == found["train/letters/questions"] == 8.0


def test_shares_travel_between_processes() -> None:
    part = shares([earned(RIGHT)], 1)
    assert pickle.loads(pickle.dumps(part)) == part


# Rewards


def test_the_reward_is_told_by_family_and_by_part() -> None:
    budget = LengthBudget(tokens=50)
    batch = [earned(RIGHT, tokens=50, budget=budget), earned(WRONG, tokens=100, budget=budget)]
    found = figures(batch, 2)
    assert {part: found[f"train/reward/{part}"] for part in ("correct", "format", "length", "overlong")} == {
        "correct": 0.5,
        "format": pytest.approx(0.1),
        "length": pytest.approx(0.1),
        "overlong": -0.25,
    }
    assert found["train/reward"] == found["train/reward/calculation"] == pytest.approx((1.3 - 0.4) / 2)
    assert found["train/reward/calculation/overlong"] == -0.25


def test_families_are_told_apart_and_unscorable_rows_left_out() -> None:
    found = figures([answered("A", LETTERS[0]), answered("B", LETTERS[0]), earned(RIGHT, UNSCORABLE)], 1)
    assert found["train/reward"] == found["train/reward/choice"] == pytest.approx(0.6)
    assert found["train/reward/choice/correct"] == found["train/correct/choice"] == 0.5
    assert not any("calculation" in name or "open" in name for name in found)


def test_what_a_completion_earns_is_the_sum_of_its_parts() -> None:
    for each in (earned(RIGHT), earned(PLAIN, tokens=90), earned(WRONG, budget=LengthBudget(tokens=20))):
        assert each.parts is not None
        assert each.reward == each.parts.total == pytest.approx(sum(each.parts))
    assert earned(RIGHT, UNSCORABLE).parts is None
    assert earned(RIGHT, UNSCORABLE).reward is None


# Form


@pytest.mark.parametrize(
    ("text", "question", "name"),
    [
        (PLAIN, SUM, "no_answer"),
        ("<think>x</think><answer> </answer>", SUM, "no_answer"),
        ("<think>x</think><answer>8</answer><answer>9</answer>", SUM, "several_answers"),
        ("<think>x</think><answer>A or B</answer>", LETTERS[0], "several_answers"),
        ("<think>x</think><answer>7 to 9</answer>", SUM, "several_answers"),
        ("<think>x</think><answer>eight</answer>", SUM, "not_of_kind"),
        ("<think>x</think><answer>gold</answer>", LETTERS[0], "not_of_kind"),
        ("<think>x</think><answer>8<answer></answer>", SUM, "odd_tags"),
        (WRONG, SUM, None),
    ],
)
def test_a_fault_of_form_is_counted_by_what_it_is(text: str, question: Question, name: str | None) -> None:
    found = figures([earned(text, question), earned(RIGHT)], 1)
    kinds = ("no_answer", "several_answers", "not_of_kind", "odd_tags")
    assert {kind: found[f"train/{kind}"] for kind in kinds} == {kind: 0.5 * (kind == name) for kind in kinds}


def test_reasons_that_speak_of_the_content_are_no_fault_of_form() -> None:
    assert {str(reason) for reason in Reason if reason not in telemetry._FORM} == {
        *("right", "wrong_letter", "outside_limits", "wrong_value", "wrong_date", "wrong_weeks_days"),
        *("negated", "contradicted", "too_few_content_words", "below_threshold"),
        *("unscorable", "malformed_question", "unknown_question", "unreadable_row"),
    }


# Groups


def test_groups_are_all_right_all_wrong_or_mixed() -> None:
    found = figures([earned(text) for text in (RIGHT, RIGHT, WRONG, PLAIN, RIGHT, WRONG, WRONG, RIGHT)], 2)
    kinds = {"all_right": 0.25, "all_wrong": 0.25, "mixed": 0.5, "unscorable": 0.0}
    assert groups(found) == kinds | {"zero_variance": 0.25}


def test_rewards_that_differ_by_rounding_alone_teach_nothing() -> None:
    weights = DEFAULT_REWARDS.model_copy(update={"overlong": 1e-7})
    pair = [earned(RIGHT, weights=weights), earned(RIGHT, tokens=95, weights=weights)]
    assert pair[0].reward != pair[1].reward
    assert groups(figures(pair, 2))["zero_variance"] == 1.0


def test_a_group_without_a_scored_completion_is_unscorable_and_no_other_kind() -> None:
    found = groups(figures([earned(RIGHT, UNSCORABLE)] * 2 + [earned(RIGHT), earned(WRONG)], 2))
    assert found == {"all_right": 0, "all_wrong": 0, "mixed": 0.5, "unscorable": 0.5, "zero_variance": 0}


def test_an_unscorable_row_does_not_split_its_group() -> None:
    lost = earned(RIGHT)._replace(parts=None, verdict=earned(RIGHT, UNSCORABLE).verdict)
    for others, kind, equal in (
        ((RIGHT, RIGHT), "all_right", 1),
        ((RIGHT, WRONG), "mixed", 0),
        ((WRONG,), "all_wrong", 1),
    ):
        batch = [lost, *map(earned, others)]
        found = groups(figures(batch, len(batch)))
        assert (found[kind], found["zero_variance"]) == (1.0, equal)


def test_a_group_of_several_prompts_or_a_torn_one_is_refused() -> None:
    mixed = [earned(RIGHT), earned(RIGHT, UNSCORABLE)]
    with pytest.raises(AssertionError, match="a group holds completions of several prompts"):
        Telemetry().record(mixed, 2)
    with pytest.raises(AssertionError, match="3 completions are no whole groups of 2"):
        Telemetry().record([earned(RIGHT)] * 3, 2)
    Telemetry().record(mixed, 1)


# Lengths


@pytest.mark.parametrize(
    ("mode", "tokens", "within"),
    [("at_most", 50, 1), ("at_most", 51, 0), ("at_most", 1, 1), ("exact", 45, 1), ("exact", 44, 0), ("exact", 56, 0)],
)
@pytest.mark.parametrize("preset", ["recommended", "paper"])
def test_a_budget_is_kept_or_not_under_either_preset(preset: str, mode: str, tokens: int, within: float) -> None:
    budget = LengthBudget.model_validate({"tokens": 50, "mode": mode})
    scoring = DEFAULT_SCORING.model_copy(update={"preset": preset})
    found = figures([earned(WRONG, tokens=tokens, budget=budget, scoring=scoring), earned(RIGHT)], 1)
    assert found["train/budget/within"] == within
    assert 0.0 <= found["train/budget/closeness"] <= 1.0


def test_an_answers_words_are_counted_where_there_is_one() -> None:
    batch = [
        earned("<answer>oral iron daily</answer>", TEXT),
        earned("<answer>iron</answer>", TEXT),
        earned(PLAIN, TEXT),
    ]
    assert figures(batch, 3)["train/answer_words"] == 2.0


def test_tokens_that_were_not_counted_are_left_out() -> None:
    lost = earned(RIGHT)._replace(completion=Completion(question_id=SUM.id, text=RIGHT), budget=LengthBudget(tokens=9))
    assert not any("tokens" in name or "budget" in name for name in figures([lost], 1))
    assert figures([lost, earned(RIGHT, tokens=30)], 2)["train/tokens"] == 30.0


def test_a_completion_cut_off_is_counted() -> None:
    assert figures([earned(RIGHT), earned("<think>x", tokens=100)], 2)["train/truncated"] == 0.5


# Repetition


def sentence(words: int, draw: random.Random) -> str:
    return " ".join(str(int(draw.random() * 5000)) for _ in range(words))


@pytest.mark.parametrize("phrase", ["no ", "the heart is weak and ", "心力衰竭"])
def test_a_completion_in_a_loop_repeats_itself(phrase: str) -> None:
    start = sentence(500, random.Random(0))
    assert repeats(start + phrase * 400)
    assert repeats(start + phrase * 400 + "</think><answer>8</answer>")
    assert figures([earned(phrase * 100), earned(RIGHT)], 2)["train/repetition"] == 0.5


def test_ordinary_text_does_not_repeat_itself() -> None:
    criteria = (
        "age",
        "sepsis",
        "stroke",
        "diabetes",
        "smoking",
        "hypertension",
        "oedema",
        "fever",
        "anaemia",
        "angina",
    )
    score = " ".join(
        f"{n}. History of {name}: the patient has no {name}, so the score stays at {n}."
        for n, name in enumerate(criteria)
    )
    assert not repeats(score)
    assert not repeats(sentence(1000, random.Random(1)))
    assert not any(map(repeats, ("", "no no no", RIGHT)))


def test_hostile_text_takes_no_time() -> None:
    start = time.perf_counter()
    for text in ("a" * 10**6, "a " * 10**6, " " * 10**6, "!" * 10**6, "\u54c8" * 10**6):
        repeats(text)
    assert time.perf_counter() - start < 0.2  # 3 ms on an idle core


# Letters


def letters(pairs: Iterable[tuple[str, Question]]) -> dict[str, float]:
    found = figures([answered(*pair) for pair in pairs], 1)
    return {name.removeprefix("train/letters/"): value for name, value in found.items() if "letters" in name}


def test_a_favourite_letter_is_skew() -> None:
    found = letters(("A", question) for question in LETTERS)
    assert found["skew"] == 0.75
    assert found["answers"] == 4.0


def test_wrong_answers_in_the_right_proportions_are_no_skew() -> None:
    assert letters(zip("BCDA", LETTERS, strict=True))["skew"] == 0.0


def test_an_option_named_by_its_text_counts_and_no_option_does_not() -> None:
    found = letters([("zinc", LETTERS[0]), ("B: zinc", LETTERS[0]), ("A or B", LETTERS[0]), ("gold", LETTERS[0])])
    assert found["answers"] == 2.0
    assert found["skew"] == 1.0
    assert {name: share for name, share in found.items() if len(name.split("/")[-1]) == 1} == {
        "answered/A": 0.0,
        "answered/B": 1.0,
        "gold/A": 1.0,
        "gold/B": 0.0,
    }


@pytest.mark.parametrize("preset", ["recommended", "paper"])
@pytest.mark.parametrize(("answer", "letter"), [("A", "A"), ("C", "C"), ("none", None), ("E", None)])
def test_the_letter_is_the_graders_reading(preset: str, answer: str, letter: str | None) -> None:
    scoring = DEFAULT_SCORING.model_copy(update={"preset": preset})
    text = f"<think>x</think><answer>{answer}</answer>"
    assert letter_of(earned(text, LETTERS[0], scoring=scoring)) == letter
    assert letter_of(earned(text)) is None


def test_128_completions_are_counted_in_milliseconds() -> None:
    draw = random.Random(4)
    batch = [answered(f"{each}", question) for question in LETTERS * 8 for each in "ABCD"]
    batch = [
        each._replace(completion=each.completion.model_copy(update={"text": sentence(2000, draw)})) for each in batch
    ]
    watched = Telemetry()
    watched.record(batch, 4)
    start = time.perf_counter()
    watched.shares()
    assert time.perf_counter() - start < 0.3  # 30 ms on an idle core, 3 ms with texts of 200 characters


# The completions table


def cells(samples: Sequence[completions.Sample], name: str) -> list[object]:
    found = completions.table(samples)
    return [row[found["columns"].index(name)] for row in found["data"]]


def grouped(*questions: Question, size: int = 2) -> list[list[Judged]]:
    return [[earned(RIGHT, question)] * size for question in questions]


def named(question: Question, count: int) -> list[Question]:
    return [question.model_copy(update={"id": f"{question.id}/{number}"}) for number in range(count)]


MIXED = [*named(LETTERS[0], 9), *named(TEXT, 2), *named(SUM, 5)]


def test_the_table_says_what_each_earned_and_why() -> None:
    budget = LengthBudget(tokens=20)
    batch = [[earned(RIGHT, budget=budget), earned(WRONG, budget=budget), earned(RIGHT, UNSCORABLE)]]
    samples = completions.sampled(7, batch, advantages=[0.5, -0.5, float("nan")])
    found = completions.table(samples)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["columns"] == list(completions.COLUMNS)
    assert {len(row) for row in found["data"]} == {len(found["columns"])}
    expected = {
        "step": [7] * 3,
        "family": ["calculation"] * 3,
        "source": ["own"] * 3,
        "completion": [RIGHT, WRONG, RIGHT],
        "answer": ["8", "9", "8"],
        "gold": ["8", "8", "1"],
        "reward": [pytest.approx(1.2), pytest.approx(0.1), None],
        "reward/correct": [1.0, 0.0, None],
        "reward/length": [pytest.approx(0.1), 0.0, None],
        "advantage": [0.5, -0.5, None],
        "correct": [True, False, None],
        "format": [True, True, True],
        "reason": ["right", "wrong_value", "unscorable"],
        "tokens": [10] * 3,
        "finish": ["stop"] * 3,
    }
    assert {name: cells(samples, name) for name in expected} == expected
    assert str(cells(samples, "prompt")[0]).endswith("Think for 20 tokens.")


def test_without_advantages_their_column_is_empty() -> None:
    assert cells(completions.sampled(1, grouped(SUM)), "advantage") == [None, None]


def test_the_table_shows_whole_groups_of_every_family_and_no_more_than_fit() -> None:
    samples = completions.sampled(1, grouped(*MIXED, size=4), rows=27)
    assert len(completions.table(samples)["data"]) == 24
    families = [sample.family for sample in samples]
    assert [families.count(name) for name in ("choice", "open", "calculation")] == [2, 2, 2]
    assert all(len(sample.completions) == 4 for sample in samples)
    assert len(completions.sampled(1, grouped(*MIXED, size=4), rows=1)) == 1
    assert completions.table(completions.sampled(1, []))["data"] == []


def test_every_group_is_shown_at_some_step() -> None:
    batch = grouped(*MIXED)
    shown = {name for step in range(60) for name in cells(completions.sampled(step, batch, rows=6), "question")}
    assert shown == {question.id for question in MIXED}
    first = {str(cells(completions.sampled(step, batch, rows=2), "family")[0]) for step in range(20)}
    assert first == {"choice", "open", "calculation"}


@pytest.mark.parametrize("rows", [1, 2, 5, 8, 16, 99])
def test_processes_show_together_what_one_would_have_shown(rows: int) -> None:
    batch = grouped(*MIXED)
    for step, cut in product(range(4), range(len(batch) + 1)):
        parts = [completions.sampled(step, part, rows=rows) for part in (batch[:cut], batch[cut:])]
        one = completions.sampled(step, batch, rows=rows)
        assert completions.merged(pickle.loads(pickle.dumps(parts)), rows) == one


def test_a_long_cell_loses_its_middle_and_says_so() -> None:
    text = "<think>" + "x" * 9000 + "</think><answer>8</answer>"
    (cell,) = map(str, cells(completions.sampled(0, [[earned(text)]]), "completion"))
    start, left_out, end = re.split(r"\n\[\.\.\. ([\d,]+) characters left out \.\.\.\]\n", cell)
    assert len(cell) <= completions.LONGEST
    assert text.startswith(start)
    assert text.endswith(end)
    assert end.endswith("<answer>8</answer>")
    assert len(start) + int(left_out.replace(",", "")) + len(end) == len(text)
