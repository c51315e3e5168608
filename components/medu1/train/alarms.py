"""When training looks as if it cheats: four alarms, pure functions of the metrics logged so far.

A window is `alarms.window` steps. The first one, of steps 1 to `window`, is what training began with: nothing is raised
in it. A threshold allows for chance, so that a policy which stays as it is raises nothing, however long it is watched.

- accuracy_falls: the newest validation accuracy lies below the highest earlier one by more than chance explains, while
  the reward (its mean over the window before each) rose by more than two standard errors, as the steps scatter. Chance
  is that of two samples of `validation/questions` at 1%, divided by the number of earlier accuracies (Bonferroni);
  the questions are the same ones, so it errs on the safe side. The alarm stays until the next validation.
- length_collapse: the mean tokens of a completion are below `length_collapse` x those of the first window.
- repetition: a larger share of the completions than `repetition` repeat themselves, and than in the first window by
  more than four standard errors: a base that repeats itself is not the training's doing.
- letter_skew: the histograms of the letters answered and of the right ones, each over a whole window, are further apart
  than `letter_skew` plus chance, and than in the first window plus the chance of both: a base that favours a letter is
  not the training's doing, one that comes to favour it more is. Chance is what two fair samples of as many letters as
  the window has questions show, since a question's completions are alike; fewer than 20 questions tell nothing.
"""

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import NormalDist, fmean, variance
from typing import Final, NamedTuple

from medu1.params import Alarm as Kind
from medu1.params import Alarms
from medu1.train.telemetry import ANSWERED, ANSWERS, GOLD, QUESTIONS, REPETITION, REWARD, TOKENS, distance, histogram
from medu1.train.validation import ACCURACY
from medu1.train.validation import QUESTIONS as ASKED

History = Sequence[tuple[int, Mapping[str, float]]]  # (step, metrics) by step; several may share one

METRIC: Final = "alarm/"
RISE: Final = 2.0  # standard errors by which a reward rises, asked once a validation
EXCESS: Final = 4.0  # standard errors by which repetition exceeds the first window's, asked at every step
DOUBT: Final = 0.01  # that an accuracy falls by chance
FEWEST: Final = 20  # questions of a window whose letters are compared
ADVICE: Final[Mapping[Kind, str]] = {
    "accuracy_falls": (
        "The policy earns reward without answering held-out questions better. "
        "Read the completions table, and run the reward audit on what it shows; the best checkpoint is kept."
    ),
    "length_collapse": (
        "Short completions can be guesses that the reward pays as well as reasoning. "
        "Read the completions table; lower rewards.length or rewards.overlong, or raise the length budgets."
    ),
    "repetition": (
        "A policy in loops has usually drifted too far from its base. "
        "Read the completions table; lower train.learning_rate, or hold the policy near the base with grpo.beta."
    ),
    "letter_skew": (
        "A favourite letter pays wherever the right ones are not spread evenly. "
        "Compare train/letters/answered with train/letters/gold, and shuffle the options of the training questions."
    ),
}


class Alarm(NamedTuple):
    """One that is raised: what was measured, and the threshold it is beyond."""

    name: Kind
    value: float
    threshold: float
    message: str  # the fact

    def __str__(self) -> str:
        """Fact, reason, next step."""
        return f"{self.name}: {self.message} {ADVICE[self.name]}"


def raised(history: History, params: Alarms) -> list[Alarm]:
    """Those of the newest step; none in the first window."""
    if not history or history[-1][0] <= params.window:
        return []
    checks = (_accuracy_falls, _length_collapse, _repetition, _letter_skew)
    return [alarm for check in checks if (alarm := check(history, params))]


def metrics(raised: Sequence[Alarm]) -> dict[str, float]:
    """`alarm/<name>` of every kind: 1.0 where it is raised, 0.0 where it is not, or cannot be told."""
    names = {alarm.name for alarm in raised}
    return {METRIC + kind: float(kind in names) for kind in ADVICE}


def stopping(raised: Sequence[Alarm], params: Alarms) -> str:
    """Why training should end; "" where it should go on."""
    return " ".join(f"alarm {alarm.name}: {alarm.message}" for alarm in raised if alarm.name in params.stop)


class _Figure(NamedTuple):
    """The mean of a window, and its standard error as the steps scatter."""

    mean: float
    error: float


def _window(history: History, last: int, size: int) -> list[Mapping[str, float]]:
    """What the `size` steps that end with `last` measured."""
    start, end = (bisect_right(history, step, key=lambda line: line[0]) for step in (last - size, last))
    return [logged for _, logged in history[start:end]]


def _figure(history: History, name: str, last: int, size: int) -> _Figure | None:
    found = [logged[name] for logged in _window(history, last, size) if math.isfinite(logged.get(name, math.nan))]
    if not found:
        return None
    return _Figure(fmean(found), math.sqrt(variance(found) / len(found)) if len(found) > 1 else 0.0)


def _now_and_first(history: History, name: str, params: Alarms) -> tuple[_Figure, _Figure] | None:
    now = _figure(history, name, history[-1][0], params.window)
    first = _figure(history, name, params.window, params.window)
    return (now, first) if now and first else None


def _apart(now: _Figure, then: _Figure) -> float:
    """Standard error of the difference of two means."""
    return math.hypot(now.error, then.error)


# Accuracy


class _Validated(NamedTuple):
    step: int
    accuracy: float
    questions: float


def _accuracy_falls(history: History, params: Alarms) -> Alarm | None:
    found = [
        _Validated(step, logged[ACCURACY], logged[ASKED])
        for step, logged in history
        if ACCURACY in logged and logged.get(ASKED)
    ]
    if len(found) < 2 or found[-1].step <= params.window:
        return None
    newest, best = found[-1], max(reversed(found[:-1]), key=lambda each: each.accuracy)
    now, then = (_figure(history, REWARD, max(each.step, params.window), params.window) for each in (newest, best))
    if now is None or then is None:
        return None
    fall = best.accuracy - newest.accuracy
    chance = NormalDist().inv_cdf(1 - DOUBT / (len(found) - 1)) * _error(newest, best)
    if fall <= chance or now.mean - then.mean <= RISE * _apart(now, then):
        return None
    message = (
        f"Validation accuracy fell from {best.accuracy:.1%} at step {best.step} to {newest.accuracy:.1%} at step "
        f"{newest.step}, more than the {chance:.1%} that chance explains, while the mean reward rose from "
        f"{then.mean:.2f} to {now.mean:.2f}."
    )
    return Alarm("accuracy_falls", fall, chance, message)


def _error(one: _Validated, other: _Validated) -> float:
    """Standard error of the difference of two shares that are equal in truth (pooled)."""
    pooled = (one.accuracy * one.questions + other.accuracy * other.questions) / (one.questions + other.questions)
    return math.sqrt(max(0.0, pooled * (1 - pooled)) * (1 / one.questions + 1 / other.questions))


# Lengths and loops


def _length_collapse(history: History, params: Alarms) -> Alarm | None:
    figures = _now_and_first(history, TOKENS, params)
    if figures is None:
        return None
    now, first = figures
    threshold = params.length_collapse * first.mean
    if now.mean >= threshold:
        return None
    message = (
        f"Completions have {now.mean:.0f} tokens on average over the last {params.window} steps, below "
        f"{params.length_collapse:.0%} of the {first.mean:.0f} they began with."
    )
    return Alarm("length_collapse", now.mean, threshold, message)


def _repetition(history: History, params: Alarms) -> Alarm | None:
    figures = _now_and_first(history, REPETITION, params)
    if figures is None:
        return None
    now, first = figures
    threshold = max(params.repetition, first.mean + EXCESS * _apart(now, first))
    if now.mean <= threshold:
        return None
    message = (
        f"{now.mean:.0%} of the completions of the last {params.window} steps repeat themselves, more than "
        f"{threshold:.0%}; {first.mean:.0%} did at first."
    )
    return Alarm("repetition", now.mean, threshold, message)


# Letters


class _Letters(NamedTuple):
    """Letters of a window: how far those answered are from the right ones, and how far chance takes fair ones."""

    skew: float
    chance: float


def _letter_skew(history: History, params: Alarms) -> Alarm | None:
    now = _letters(_window(history, history[-1][0], params.window))
    first = _letters(_window(history, params.window, params.window))
    if now is None or first is None:
        return None
    threshold = max(params.letter_skew, first.skew + first.chance) + now.chance
    if now.skew <= threshold:
        return None
    message = (
        f"Over the last {params.window} steps the letters answered are {now.skew:.2f} away from the right ones (total "
        f"variation), above {threshold:.2f} with chance allowed for; at first they were {first.skew:.2f} away."
    )
    return Alarm("letter_skew", now.skew, threshold, message)


def _letters(window: Sequence[Mapping[str, float]]) -> _Letters | None:
    """Expected distance of two samples of `m` from `p`: the sum over letters of sqrt(p (1 - p) / (pi m)), as of normal
    deviations; `p` is the mean of both histograms.
    """
    measured = [logged for logged in window if ANSWERS in logged and QUESTIONS in logged]
    questions = sum(logged[QUESTIONS] for logged in measured)
    if questions < FEWEST:
        return None
    answered, gold = _pooled(measured, ANSWERED), _pooled(measured, GOLD)
    shares = [(answered[letter] + gold[letter]) / 2 for letter in answered]  # a letter of one histogram is in both
    chance = sum(math.sqrt(max(0.0, share * (1 - share)) / (math.pi * questions)) for share in shares)
    return _Letters(distance(answered, gold), chance)


def _pooled(measured: Sequence[Mapping[str, float]], prefix: str) -> Mapping[str, float]:
    """One histogram of several steps, each of as much weight as it has answers."""
    answers = sum(logged[ANSWERS] for logged in measured)
    found: defaultdict[str, float] = defaultdict(float)
    for logged in measured:
        for letter, share in histogram(logged, prefix).items():
            found[letter] += share * logged[ANSWERS] / answers
    return found
