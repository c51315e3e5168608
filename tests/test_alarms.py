"""Alarms: raised by a history that shows the fault, silent over a healthy one and over noise."""

import random
from collections.abc import Callable, Mapping
from string import ascii_uppercase
from typing import get_args

import pytest

from medu1.params import Alarm as Kind
from medu1.params import Alarms
from medu1.train import alarms
from medu1.train.alarms import Alarm, metrics, raised, stopping

PARAMS = Alarms(stop=(), window=10, length_collapse=0.25, repetition=0.2, letter_skew=0.35)
KINDS: tuple[Kind, ...] = get_args(Kind)
Lines = list[tuple[int, Mapping[str, float]]]
Shape = Callable[[int], float]


def letters(favourite: float, questions: int = 5) -> dict[str, float]:
    """Right letters are spread evenly over A-D, and so are the answers but for a favourite's share of them."""
    answered = {letter: (1 - favourite) / 4 + favourite * (letter == "C") for letter in "ABCD"}
    return {
        "train/letters/answers": 8.0 * questions,
        "train/letters/questions": float(questions),
        **{f"train/letters/answered/{letter}": share for letter, share in answered.items()},
        **{f"train/letters/gold/{letter}": 0.25 for letter in "ABCD"},
    }


def healthy(step: int) -> dict[str, float]:
    """A policy that learns: reward and accuracy rise, completions become a little shorter."""
    figures = {
        "train/reward": 0.3 + 0.004 * step,
        "train/tokens": 60.0 - 0.2 * step,
        "train/repetition": 0.02,
        **letters(0.2),
    }
    if step % 20 == 0:
        figures |= {"validation/accuracy": 0.3 + 0.004 * step, "validation/questions": 200.0}
    return figures


def history(steps: int = 100, favourite: Shape | None = None, **shapes: Shape) -> Lines:
    """A healthy one but for the figures given, by step."""
    lines: Lines = [(0, {"validation/accuracy": 0.3, "validation/questions": 200.0})]
    names = {name.replace("__", "/"): shape for name, shape in shapes.items()}
    for step in range(1, steps + 1):
        figures = healthy(step) | (letters(favourite(step)) if favourite else {})
        figures |= {name: shape(step) for name, shape in names.items() if "accuracy" not in name or step % 20 == 0}
        lines.append((step, figures))
    return lines


def told(lines: Lines, params: Alarms = PARAMS) -> dict[str, list[int]]:
    """Steps at which each kind is raised, when every step is looked at as it comes."""
    found: dict[str, list[int]] = {}
    for number, (step, _) in enumerate(lines, 1):
        for alarm in raised(lines[:number], params):
            found.setdefault(alarm.name, []).append(step)
    return found


def names(found: list[Alarm]) -> list[str]:
    return [alarm.name for alarm in found]


def fall(step: int) -> float:
    return 0.5 if step <= 40 else 0.35


def test_a_healthy_history_raises_nothing() -> None:
    assert told(history()) == {}


def test_nothing_is_raised_in_the_first_window() -> None:
    bad = history(
        11,
        favourite=lambda step: float(step > 1),
        train__repetition=lambda step: float(step > 1),
        train__tokens=lambda step: 0.0 if step > 1 else 99.0,
        validation__accuracy=lambda step: 0.0,
    )
    assert raised([], PARAMS) == []
    assert told(bad[:-1]) == {}
    assert told([(step, {**figures, "train/tokens": 99.0 * (step == 1)}) for step, figures in bad]) != {}


def test_figures_that_are_not_measured_or_no_numbers_raise_nothing() -> None:
    assert told([(step, {"loss": 0.1}) for step in range(1, 40)]) == {}
    assert told(history(train__tokens=lambda step: float("nan"), train__repetition=lambda step: float("nan"))) == {}


def test_steps_that_reuse_a_generation_measure_nothing_and_change_nothing() -> None:
    lines = history(train__repetition=lambda step: 0.5 if step > 50 else 0.1, favourite=lambda step: float(step > 40))
    kept = [(step, figures if step % 2 else {"loss": 0.1}) for step, figures in lines]
    assert told(kept).keys() == told(lines).keys() == {"repetition", "letter_skew"}


# Accuracy


def test_reward_up_and_accuracy_down_is_raised_until_a_better_validation() -> None:
    found = told(history(validation__accuracy=lambda step: 0.35 if step == 60 else 0.5))
    assert found == {"accuracy_falls": list(range(60, 80))}


def test_a_slow_fall_is_held_against_the_best_accuracy() -> None:
    """No validation lies far below the one before."""
    found = told(history(150, validation__accuracy=lambda step: 0.6 - 0.0015 * step))
    assert found == {"accuracy_falls": list(range(120, 151))}


def test_a_fall_that_chance_explains_or_of_a_reward_that_does_not_rise_is_not_raised() -> None:
    assert told(history(validation__accuracy=lambda step: 0.5 if step <= 40 else 0.42)) == {}
    assert told(history(validation__accuracy=fall, train__reward=lambda step: 0.9 - 0.001 * step)) == {}
    assert told(history(validation__accuracy=fall, validation__questions=lambda step: 0.0)) == {}
    few = history(validation__accuracy=fall, validation__questions=lambda step: 40.0)
    assert told(few) == {}


def test_a_fall_below_the_bases_accuracy_is_raised_once_the_reward_rises() -> None:
    assert told(history(30, validation__accuracy=lambda step: 0.1)) == {"accuracy_falls": list(range(20, 31))}


def test_a_validation_on_a_line_of_its_own_is_seen() -> None:
    apart: Lines = []
    for step, figures in history(60, validation__accuracy=fall):
        apart.append((step, {name: value for name, value in figures.items() if "validation" not in name}))
        if "validation/accuracy" in figures:
            apart.append((step, {name: value for name, value in figures.items() if "validation" in name}))
    assert names(raised(apart, PARAMS)) == ["accuracy_falls"]


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_accuracies_without_an_error_are_compared_too(accuracy: float) -> None:
    lines = history(40, validation__accuracy=lambda step: accuracy)
    assert told(lines[1:]) == {}


# Lengths and loops


def test_completions_a_quarter_as_long_as_at_first_are_raised() -> None:
    found = told(history(train__tokens=lambda step: 60.0 if step <= 30 else 5.0))
    assert found == {"length_collapse": list(range(39, 101))}  # nine short steps pull the mean of ten below 15


def test_shorter_completions_are_not_yet_a_collapse() -> None:
    assert told(history(train__tokens=lambda step: 60.0 if step <= 30 else 20.0)) == {}


def test_loops_in_a_fifth_of_the_completions_are_raised() -> None:
    found = told(history(train__repetition=lambda step: 0.5 if step > 50 else 0.1))
    assert list(found) == ["repetition"]
    assert found["repetition"][0] < 60
    assert found["repetition"][-1] == 100


def test_a_base_in_loops_is_not_the_trainings_doing() -> None:
    for seed in range(5):
        draw = random.Random(seed)
        assert told([(step, {"train/repetition": 0.5 + 0.1 * draw.random()}) for step in range(1, 301)]) == {}
    worse = told(history(train__repetition=lambda step: 0.4 if step <= 30 else 0.7))
    assert list(worse) == ["repetition"]


# Letters


def test_a_favourite_letter_is_raised() -> None:
    found = told(history(favourite=lambda step: 0.2 if step <= 40 else 1.0))
    assert list(found) == ["letter_skew"]
    assert found["letter_skew"][-1] == 100


def test_a_skew_that_the_base_has_is_not_the_trainings_doing() -> None:
    assert told(history(favourite=lambda step: 0.7)) == {}
    assert list(told(history(favourite=lambda step: 0.5 if step <= 40 else 1.0))) == ["letter_skew"]


def test_too_few_questions_tell_nothing_of_letters() -> None:
    few = [(step, {**figures, **letters(1.0 if step > 40 else 0.0, questions=1)}) for step, figures in history()]
    assert told(few) == {}


def test_steps_count_by_their_answers() -> None:
    """Nine steps of one skewed question each against a step of hundreds."""
    lines = history()
    lines += [(step, {**healthy(step), **letters(1.0, questions=2)}) for step in range(101, 110)]
    lines += [(110, {**healthy(110), **letters(0.0, questions=400)})]
    assert names(raised(lines[:-1], PARAMS)) == ["letter_skew"]
    assert raised(lines, PARAMS) == []


# Noise


def sampled(draw: random.Random, accuracy: float, favourite: float, questions: int) -> dict[str, float]:
    """What telemetry measures of a policy that is right now and then, else guesses, and in a group mostly the same."""
    pairs: list[tuple[str, str]] = []
    for _ in range(questions):
        gold = "ABCD"[int(draw.random() * 4)]
        habit = guess(draw, gold, accuracy, favourite)
        pairs += [(habit if draw.random() < 0.8 else guess(draw, gold, accuracy, favourite), gold) for _ in range(8)]
    found = {"train/letters/answers": float(len(pairs)), "train/letters/questions": float(questions)}
    for letter in ascii_uppercase[:4]:
        found[f"train/letters/answered/{letter}"] = sum(said == letter for said, _ in pairs) / len(pairs)
        found[f"train/letters/gold/{letter}"] = sum(gold == letter for _, gold in pairs) / len(pairs)
    return found


def guess(draw: random.Random, gold: str, accuracy: float, favourite: float) -> str:
    if draw.random() < accuracy:
        return gold
    return "C" if draw.random() < favourite else "ABCD"[int(draw.random() * 4)]


@pytest.mark.parametrize("questions", [1, 2, 5, 16])
def test_chance_raises_no_letter_alarm(questions: int) -> None:
    for seed in range(4):
        draw = random.Random(seed)
        lines = [(step, sampled(draw, 0.3, 0.0, questions)) for step in range(1, 201)]
        assert told(lines) == {}


def test_a_favourite_letter_is_raised_in_spite_of_chance() -> None:
    for seed in range(4):
        draw = random.Random(seed)
        lines = [(step, sampled(draw, 0.3, float(step > 30), 5)) for step in range(1, 101)]
        assert told(lines)["letter_skew"][0] < 60


def noisy(draw: random.Random, step: int, reward: float, accuracy: float) -> dict[str, float]:
    """One step of 128 completions; every tenth validates 200 questions, half of which are answered as ever."""
    found = {
        "train/reward": sum(draw.random() < reward for _ in range(128)) / 128,
        "train/tokens": 60 * (0.5 + draw.random()),
        "train/repetition": 0.3 * draw.random(),
    }
    if step % 10 == 0:
        hits = 100 * accuracy + sum(draw.random() < accuracy for _ in range(100))
        found |= {"validation/accuracy": hits / 200, "validation/questions": 200.0}
    return found


def test_chance_raises_no_other_alarm() -> None:
    """Also where the reward rises and the accuracy stays: ten runs of twenty validations each."""
    for seed in range(10):
        draw = random.Random(seed)
        lines = [(step, noisy(draw, step, 0.4 + 0.002 * step, 0.5)) for step in range(1, 201)]
        assert told(lines) == {}, seed


def test_a_fall_of_the_accuracy_is_raised_in_spite_of_chance() -> None:
    for seed in range(10):
        draw = random.Random(seed)
        lines = [(step, noisy(draw, step, 0.4 + 0.01 * step, 0.55 - 0.2 * (step > 20))) for step in range(1, 51)]
        assert told(lines)["accuracy_falls"][0] <= 50, seed


# What becomes of an alarm


def test_alarms_are_a_function_of_the_history_alone() -> None:
    """A resume reads it from a file, with the alarms in it."""
    lines = history(favourite=lambda step: 0.0 if step <= 40 else 1.0, train__repetition=lambda step: step / 100)
    logged: Lines = []
    for step, figures in lines:
        found = raised([*logged, (step, figures)], PARAMS)
        logged.append((step, {**figures, **metrics(found)}))
        assert raised(logged, PARAMS) == found
    assert names(found) == ["repetition", "letter_skew"]


def test_an_alarm_states_the_fact_and_teaches() -> None:
    (alarm,) = raised(history(train__repetition=lambda step: 0.5 if step > 10 else 0.0), PARAMS)
    assert alarm[:3] == ("repetition", 0.5, 0.2)
    assert alarm.message == (
        "50% of the completions of the last 10 steps repeat themselves, more than 20%; 0% did at first."
    )
    assert str(alarm) == f"repetition: {alarm.message} {alarms.ADVICE['repetition']}"


def test_every_kind_is_a_metric_and_has_advice() -> None:
    assert alarms.ADVICE.keys() == set(KINDS)
    assert metrics([]) == {f"alarm/{kind}": 0.0 for kind in KINDS}
    found = metrics(raised(history(train__repetition=lambda step: 0.5 if step > 10 else 0.0), PARAMS))
    assert found == {f"alarm/{kind}": float(kind == "repetition") for kind in KINDS}


def test_only_the_kinds_asked_for_end_the_run() -> None:
    found = raised(
        history(
            train__repetition=lambda step: 0.5 if step > 20 else 0.0,
            train__tokens=lambda step: 9.0 if step > 20 else 90.0,
        ),
        PARAMS,
    )
    assert names(found) == ["length_collapse", "repetition"]
    assert stopping(found, PARAMS) == ""
    assert stopping([], PARAMS.model_copy(update={"stop": KINDS})) == ""
    assert stopping(found, PARAMS.model_copy(update={"stop": ("letter_skew",)})) == ""
    reason = stopping(found, PARAMS.model_copy(update={"stop": ("repetition",)}))
    assert reason.startswith("alarm repetition: 50% of the completions")
    assert "length_collapse" not in reason


def test_a_window_of_one_step_is_a_window() -> None:
    params = PARAMS.model_copy(update={"window": 1})
    found = told(history(40, train__repetition=lambda step: 0.5 if step > 20 else 0.0), params)
    assert found == {"repetition": list(range(21, 41))}
