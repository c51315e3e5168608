"""Two models compared on stored verdicts: nothing is generated again.

An evaluation judged several models on the same questions, so where one holds both models, it alone is read. Else each
model is read from its own, and the two must agree: on the questions of every set that both name, on the decoding, on
the grader's settings. What only the sources or libraries changed may be allowed by whoever asks. A set that one of them
lacks is left out, since figures on the others stay comparable (`medu1.frozen`).
"""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from medu1.errors import Stop
from medu1.evaluate import tabulation
from medu1.evaluate.evidence import EVALUATE_AGAIN, Evidence, agreed, role_of
from medu1.evaluate.verdicts import JudgedAnswer
from medu1.question import Frozen
from medu1.report import Comparison, Role, Row, SetName, Slice

Change = Literal["gained", "lost", "flipped"]  # right now; wrong now; another wrong answer


class Asked(NamedTuple):
    """A model to compare, and the evaluation that was made for it."""

    name: str  # version 2, base
    weights: str  # digest; "": the base of the evidence
    evidence: Evidence


class Side(Frozen):
    """One of the two models."""

    name: str
    weights: str
    evaluation: str  # digest of the evaluation its verdicts are from
    judged_as: Role  # the role it had there


class Line(Frozen):
    """One slice of one set; shares, not points."""

    set: SetName
    slice: Slice
    name: str
    before: Row | None
    after: Row | None
    paired: Comparison | None  # None where no question is scored for both


class Changed(NamedTuple):
    """A question whose verdict, or wrong answer, is another."""

    change: Change
    before: JudgedAnswer
    after: JudgedAnswer


class Compared(NamedTuple):
    """The second model against the first."""

    before: Side
    after: Side
    confidence: float
    sets: dict[str, str]  # the frozen sets compared on, by name -> digest
    lines: tuple[Line, ...]
    changed: tuple[Changed, ...]
    notes: tuple[str, ...]  # what a reader has to know of how the two were judged


def compared(before: Asked, after: Asked, allow_skew: bool = False) -> Compared:
    """The second model against the first, on the questions both were judged on.

    Raises Stop where they were judged on other questions, under another decoding or by another grader; `allow_skew`
    lets other sources and libraries of the same settings pass.
    """
    notes = list[str]()
    first, second = _holders(before, after)
    if first.digest != second.digest:
        notes += agreed(first, second, allow_skew)
    sides = _side(before, first), _side(after, second)
    if sides[0].weights == sides[1].weights:
        notes.append("Both are the same weights.")
    common = {name: digest for name, digest in second.sets.items() if name in first.sets}
    then = _answered(first, sides[0].judged_as, common)
    now = _answered(second, sides[1].judged_as, common)
    pairs = _paired(then, now, (before.name, after.name))
    return Compared(
        *sides,
        confidence=second.report.confidence,
        sets=common,
        lines=_lines(pairs, second.report.confidence),
        changed=tuple(_changed(pairs)),
        notes=tuple(notes),
    )


def _holders(before: Asked, after: Asked) -> tuple[Evidence, Evidence]:
    """One evaluation of both where there is one: the same questions in the same batches."""
    for evidence in (after.evidence, before.evidence):
        if all(role_of(evidence, asked.weights) for asked in (before, after)):
            return evidence, evidence
    return before.evidence, after.evidence


def _side(asked: Asked, evidence: Evidence) -> Side:
    role = role_of(evidence, asked.weights)
    if role is None:
        raise Stop(
            f"The stored evaluation of {evidence.of} has no verdicts of {asked.name}.",
            f"It judged {', '.join(f'{model.role} {model.weights[:12]}' for model in evidence.report.models)}; "
            f"{asked.name} has the weights {asked.weights[:12] or 'of no base'}.",
            "Run the chain again: it judges the model anew.",
        )
    weights = next(model.weights for model in evidence.report.models if model.role == role)
    return Side(name=asked.name, weights=weights, evaluation=evidence.digest, judged_as=role)


Answers = dict[SetName, dict[str, JudgedAnswer]]
Pairs = dict[SetName, list[tuple[JudgedAnswer, JudgedAnswer]]]


def _answered(evidence: Evidence, role: Role, sets: Mapping[str, str]) -> Answers:
    """A model's answers by set and question."""
    found: Answers = {"test": {}, "ood": {}}
    for answer in evidence.answers[role]:
        if f"{answer.split}/{answer.source}" in sets:
            found[answer.split][answer.question_id] = answer
    return found


def _paired(then: Answers, now: Answers, names: tuple[str, str]) -> Pairs:
    for split in then:
        alone = then[split].keys() ^ now[split].keys()
        if alone:
            raise Stop(
                f"{len(alone):,} {split} questions, such as {min(alone)}, have a verdict of only one of "
                f"{names[0]} and {names[1]}.",
                "The sets have equal digests, so the verdicts of one of them are not whole.",
                EVALUATE_AGAIN,
            )
    return {split: [(then[split][each], answer) for each, answer in now[split].items()] for split in now}


def _lines(pairs: Pairs, confidence: float) -> tuple[Line, ...]:
    """The report's own figures, with the first model in the base's place and the second in the candidate's."""
    held: tabulation.Verdicts = {
        "base": {split: [then for then, _ in both] for split, both in pairs.items()},
        "candidate": {split: [now for _, now in both] for split, both in pairs.items()},
    }
    rows = {(row.set, row.slice, row.name, row.role): row for row in tabulation.rows(held, confidence, {})}
    tests = {(test.set, test.slice, test.name): test for test in tabulation.comparisons(held, confidence)}
    return tuple(
        Line(
            set=set_,
            slice=slice_,
            name=name,
            before=rows.get((set_, slice_, name, "base")),
            after=rows.get((set_, slice_, name, "candidate")),
            paired=tests.get((set_, slice_, name)),
        )
        for set_, slice_, name in dict.fromkeys(key[:3] for key in rows)
    )


def _changed(pairs: Pairs) -> Iterable[Changed]:
    for both in pairs.values():
        for then, now in both:
            if change := _change(then, now):
                yield Changed(change, then, now)


def _change(then: JudgedAnswer, now: JudgedAnswer) -> Change | None:
    match then.correct, now.correct:
        case False, True:
            return "gained"
        case True, False:
            return "lost"
        case False, False if then.answer != now.answer:
            return "flipped"
        case _:
            return None
