"""From verdicts to the report's figures: every slice of every set, every model, every pair of models."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from medu1.evaluate.statistics import (
    FEW_GROUPS,
    Interval,
    PairedTest,
    clustered_bootstrap,
    holm,
    paired_test,
    wilson,
)
from medu1.evaluate.verdicts import JudgedAnswer
from medu1.question import Question
from medu1.report import WHOLE, Comparison, Conduct, Incumbent, Role, Row, SetName, Slice

Verdicts = Mapping[Role, Mapping[SetName, Sequence[JudgedAnswer]]]

NAMED_BY: dict[Slice, Callable[[JudgedAnswer], str]] = {
    "all": lambda answer: WHOLE,
    "family": lambda answer: answer.family,
    "source": lambda answer: answer.source,
    "topic": lambda answer: answer.topic,
}


class Pairs(NamedTuple):
    """The questions that both verdicts score, by column."""

    before: list[bool]  # right
    after: list[bool]
    groups: list[str]


def chances(questions: Iterable[Question]) -> dict[str, float]:
    """By the id of each question with options, the share of blind guesses that is right."""
    return {question.id: 1 / len(question.options) for question in questions if question.options}


def rows(verdicts: Verdicts, confidence: float, chances: Mapping[str, float]) -> tuple[Row, ...]:
    """One row a model, set and slice."""
    return tuple(
        _row(role, set_, slice_, name, answers, confidence, chances)
        for role, sets in verdicts.items()
        for set_, everything in sets.items()
        for slice_ in NAMED_BY
        for name, answers in sliced(everything, slice_).items()
    )


def comparisons(verdicts: Verdicts, confidence: float) -> tuple[Comparison, ...]:
    """The candidate against every other model on every slice."""
    against: tuple[Incumbent, ...] = ("base", "champion")
    return tuple(
        comparison
        for incumbent in against
        if incumbent in verdicts
        for set_, after in verdicts["candidate"].items()
        for slice_ in NAMED_BY
        for comparison in _compared(incumbent, set_, slice_, verdicts[incumbent][set_], after, confidence)
    )


def conduct(verdicts: Verdicts) -> tuple[Conduct, ...]:
    """How each model writes on each set that has questions."""
    return tuple(_conduct(role, set_, rows) for role, sets in verdicts.items() for set_, rows in sets.items() if rows)


def sliced(answers: Iterable[JudgedAnswer], slice_: Slice) -> dict[str, list[JudgedAnswer]]:
    """Answers by the names of one kind of slice, sorted; those without a name are in none."""
    named: dict[str, list[JudgedAnswer]] = {}
    for answer in answers:
        if name := NAMED_BY[slice_](answer):
            named.setdefault(name, []).append(answer)
    return dict(sorted(named.items()))


def _row(
    role: Role,
    set_: SetName,
    slice_: Slice,
    name: str,
    answers: Sequence[JudgedAnswer],
    confidence: float,
    chances: Mapping[str, float],
) -> Row:
    scored = [answer.correct for answer in answers if answer.correct is not None]
    guesses = [chances.get(answer.question_id) for answer in answers if answer.correct is not None]
    known = [guess for guess in guesses if guess is not None]
    interval = wilson(sum(scored), len(scored), confidence)
    return Row(
        role=role,
        set=set_,
        slice=slice_,
        name=name,
        n=len(scored),
        correct=sum(scored),
        unscorable=len(answers) - len(scored),
        accuracy=sum(scored) / len(scored) if scored else None,
        low=interval.low,
        high=interval.high,
        chance=fmean(known) if known and len(known) == len(guesses) else None,
    )


def _compared(
    against: Incumbent,
    set_: SetName,
    slice_: Slice,
    before: Sequence[JudgedAnswer],
    after: Sequence[JudgedAnswer],
    confidence: float,
) -> list[Comparison]:
    """The slices of one kind, which Holm's correction takes together."""
    then, now = sliced(before, slice_), sliced(after, slice_)
    pairs = {name: scored_pairs(then[name], now[name]) for name in now}
    tests = {name: paired_test(*columns, confidence) for name, columns in pairs.items() if columns.before}
    corrected = holm([test.p for test in tests.values()])
    return [
        comparison(against, set_, slice_, name, test, p_holm, _bootstrap(pairs[name], test, confidence))
        for (name, test), p_holm in zip(tests.items(), corrected, strict=True)
    ]


def comparison(
    against: Incumbent,
    set_: SetName,
    slice_: Slice,
    name: str,
    test: PairedTest,
    p_holm: float,
    bootstrap: Interval | None,
) -> Comparison:
    """A paired test as the report holds it."""
    return Comparison(
        against=against,
        set=set_,
        slice=slice_,
        name=name,
        n=test.n,
        groups=test.spread.groups,
        gained=test.gained,
        lost=test.lost,
        difference=test.difference,
        error=test.spread.error,
        freedom=test.spread.freedom,
        low=test.interval.low,
        high=test.interval.high,
        bootstrap=bootstrap,
        p=test.p,
        p_holm=p_holm,
    )


def _bootstrap(pairs: Pairs, test: PairedTest, confidence: float) -> Interval | None:
    if test.spread.groups < FEW_GROUPS:
        return None
    changes = [int(now) - int(then) for then, now in zip(pairs.before, pairs.after, strict=True)]
    return clustered_bootstrap(changes, pairs.groups, confidence)


def scored_pairs(before: Sequence[JudgedAnswer], after: Sequence[JudgedAnswer]) -> Pairs:
    """The columns of a paired test. Raises ValueError where the answers are not to the same questions."""
    then: list[bool] = []
    now: list[bool] = []
    groups: list[str] = []
    for old, new in zip(before, after, strict=True):
        if old.question_id != new.question_id:
            raise ValueError(f"{old.question_id} is paired with {new.question_id}: the models met other questions")
        if old.correct is not None and new.correct is not None:
            then.append(old.correct)
            now.append(new.correct)
            groups.append(new.group)
    return Pairs(then, now, groups)


def _conduct(role: Role, set_: SetName, answers: Sequence[JudgedAnswer]) -> Conduct:
    return Conduct(
        role=role,
        set=set_,
        n=len(answers),
        truncated=sum(answer.finish == "length" for answer in answers),
        malformed=sum(not answer.format_ok for answer in answers),
        unanswered=sum(answer.answer is None for answer in answers),
        unscorable=sum(answer.correct is None for answer in answers),
        tokens_right=_mean_tokens(answers, right=True),
        tokens_wrong=_mean_tokens(answers, right=False),
    )


def _mean_tokens(answers: Sequence[JudgedAnswer], right: bool) -> float | None:
    lengths = [answer.tokens for answer in answers if answer.correct is right and answer.tokens is not None]
    return fmean(lengths) if lengths else None
