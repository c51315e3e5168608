"""From the verdicts of suites to the report's figures: what each model did with budgets, orders and samples."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from medu1.evaluate.asking import Asking, Sheet
from medu1.evaluate.measures import Vote, keeps, majority_at, pass_at, sizes
from medu1.evaluate.statistics import PairedTest, holm, paired_test, wilson
from medu1.evaluate.strategies.answers import letter, meaning
from medu1.evaluate.suites import Sheets
from medu1.evaluate.tabulation import scored_pairs
from medu1.evaluate.verdicts import JudgedAnswer
from medu1.report import Consistency, LengthPoint, Probes, Role, Sampling, Strategic
from medu1.suite import Compared, Lengths, Permuted, Sampled, Strategy, Suite

Answers = Mapping[Role, Mapping[str, Sequence[Sequence[JudgedAnswer]]]]  # of each sheet of each suite


class Told(NamedTuple):
    """An asking and its verdict."""

    asking: Asking
    row: JudgedAnswer


class Probe(NamedTuple):
    """One model's answers to one suite, and who it is."""

    suite: str
    role: Role
    sheets: list[list[Told]]
    confidence: float

    @property
    def all(self) -> list[Told]:
        """Of every sheet."""
        return [each for sheet in self.sheets for each in sheet]


def probes(suites: Mapping[str, Suite], sheets: Sheets, answers: Answers, confidence: float) -> Probes:
    """Every suite's figures, suite by suite and model by model."""
    lengths: list[LengthPoint] = []
    consistency: list[Consistency] = []
    sampling: list[Sampling] = []
    strategies: list[Strategic] = []
    for name, suite in suites.items():
        for role, own in answers.items():
            probe = Probe(name, role, _told(sheets[name], own[name]), confidence)
            match suite:
                case Lengths():
                    lengths += length_points(probe, suite)
                case Permuted():
                    consistency.append(consistent(probe, suite))
                case Sampled():
                    sampling.append(sampled(probe, suite))
                case Compared():
                    strategies += compared(probe, [sheet.strategy for sheet in sheets[name]])
    return Probes(
        lengths=tuple(lengths), consistency=tuple(consistency), sampling=tuple(sampling), strategies=tuple(strategies)
    )


def _told(sheets: Sequence[Sheet], answers: Sequence[Sequence[JudgedAnswer]]) -> list[list[Told]]:
    return [
        [Told(asking, row) for asking, row in zip(sheet.askings, rows, strict=True)]
        for sheet, rows in zip(sheets, answers, strict=True)
    ]


def length_points(probe: Probe, suite: Lengths) -> list[LengthPoint]:
    """One a budget; how well it is kept is of the responses whose tokens the backend counts."""
    return [_length_point(probe, suite, budget) for budget in dict.fromkeys(suite.tokens)]


def _length_point(probe: Probe, suite: Lengths, tokens: int) -> LengthPoint:
    told = [each for each in probe.all if each.asking.budget and each.asking.budget.tokens == tokens]
    rows = [each.row for each in told]
    scored = [row.correct for row in rows if row.correct is not None]
    interval = wilson(sum(scored), len(scored), probe.confidence)
    kept = [
        keeps(row.tokens, row.finish == "stop", asking.budget)
        for asking, row in told
        if asking.budget and row.tokens is not None
    ]
    return LengthPoint(
        suite=probe.suite,
        role=probe.role,
        mode=suite.mode,
        budget=tokens,
        n=len(scored),
        correct=sum(scored),
        accuracy=_mean(scored),
        low=interval.low,
        high=interval.high,
        tokens=_mean(row.tokens for row in rows),
        kept=_mean(kept) or 0.0,
        closeness=_mean(row.length for row in rows) or 0.0,
    )


def consistent(probe: Probe, suite: Permuted) -> Consistency:
    """Of the questions that are scored in every order, and that have more than one."""
    questions = [
        told for told in _by_question(probe.all) if len(told) > 1 and all(each.row.correct is not None for each in told)
    ]
    same = [len(set(options := [_option(each) for each in told])) == 1 and None not in options for told in questions]
    interval = wilson(sum(same), len(same), probe.confidence)
    return Consistency(
        suite=probe.suite,
        role=probe.role,
        orders=suite.orders,
        n=len(questions),
        accuracy=_mean(_mean(each.row.correct for each in told) for told in questions),
        consistent=_mean(same),
        low=interval.low,
        high=interval.high,
        always_right=_mean(all(each.row.correct for each in told) for told in questions),
        letters=_shares(_letter(each) for each in probe.all),
        golds=_shares(each.row.gold for each in probe.all),
    )


def _letter(told: Told) -> str | None:
    return None if told.row.answer is None else letter(told.asking.question, told.row.answer)


def _option(told: Told) -> str | None:
    """The text of the option that the answer names."""
    named = _letter(told)
    return None if named is None else told.asking.question.options[named]


def sampled(probe: Probe, suite: Sampled) -> Sampling:
    """Of the questions whose answers are all scored.

    The interval is of the majority among all samples, ties counted as the whole questions they amount to.
    """
    votes = [
        [Vote(meaning(asking.question, row.answer), bool(row.correct)) for asking, row in told]
        for told in _by_question(probe.all)
        if all(each.row.correct is not None for each in told)
    ]
    ks = sizes(suite.samples)
    right = [sum(vote.is_right for vote in own) for own in votes]
    majorities = [majority_at(own, ks) for own in votes]
    won = sum(own[suite.samples] for own in majorities)
    interval = wilson(round(won), len(votes), probe.confidence)
    return Sampling(
        suite=probe.suite,
        role=probe.role,
        samples=suite.samples,
        temperature=suite.temperature,
        n=len(votes),
        pass_at={k: fmean(pass_at(suite.samples, count, k) for count in right) for k in ks} if votes else {},
        majority_at={k: fmean(own[k] for own in majorities) for k in ks} if votes else {},
        low=interval.low,
        high=interval.high,
    )


def compared(probe: Probe, strategies: Sequence[Strategy]) -> list[Strategic]:
    """One a strategy, each but the first against the first; Holm's correction is over those of one model."""
    columns = [[each.row for each in sheet] for sheet in probe.sheets]
    tests = [_paired(columns[0], rows, probe.confidence) for rows in columns[1:]]
    corrected = iter(holm([test.p for test in tests if test]))
    against = [(None, None), *((test, next(corrected) if test else None) for test in tests)]
    return [
        _strategic(probe, strategy, rows, test, p_holm)
        for strategy, rows, (test, p_holm) in zip(strategies, columns, against, strict=True)
    ]


def _paired(before: Sequence[JudgedAnswer], after: Sequence[JudgedAnswer], confidence: float) -> PairedTest | None:
    pairs = scored_pairs(before, after)
    return paired_test(*pairs, confidence) if pairs.before else None


def _strategic(
    probe: Probe, strategy: Strategy, rows: Sequence[JudgedAnswer], test: PairedTest | None, p_holm: float | None
) -> Strategic:
    scored = [row.correct for row in rows if row.correct is not None]
    interval = wilson(sum(scored), len(scored), probe.confidence)
    return Strategic(
        suite=probe.suite,
        role=probe.role,
        strategy=strategy,
        n=len(scored),
        correct=sum(scored),
        unscorable=len(rows) - len(scored),
        accuracy=_mean(scored),
        low=interval.low,
        high=interval.high,
        tokens=_mean(row.tokens for row in rows),
        calls=fmean(row.calls for row in rows),
        complete=_mean(row.complete for row in rows),
        difference=test and test.difference,
        difference_low=test and test.interval.low,
        difference_high=test and test.interval.high,
        p=test and test.p,
        p_holm=p_holm,
    )


def _by_question(told: Iterable[Told]) -> list[list[Told]]:
    """A question's answers together."""
    found: dict[str, list[Told]] = {}
    for each in told:
        found.setdefault(each.row.question_id, []).append(each)
    return list(found.values())


def _shares(names: Iterable[str | None]) -> dict[str, float]:
    """Of those that are there, by name."""
    counts = Counter(name for name in names if name is not None)
    return {name: counts[name] / counts.total() for name in sorted(counts)}


def _mean(values: Iterable[float | None]) -> float | None:
    """Of those that are there; None where none is."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
