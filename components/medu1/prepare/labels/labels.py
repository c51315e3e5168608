"""The label audit: MedCalc-Bench's labels recomputed from the entities its annotators read in the notes.

Flows in: rows with their entities and label, one at a time. Flows out: how many labels of each calculator a medically
right formula reproduces, and every label it does not. A label's fault is never copied into a formula to raise the rate;
`KNOWN_CAUSES` says what goes wrong where many labels of a calculator differ. A recomputed score is as good as its
entities: they were read from the note by people and models.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from pydantic import ValidationError

from medu1.calculators import AUDITED
from medu1.calculators.calculator import Calculator, Result
from medu1.prepare.formats import medcalc
from medu1.prepare.formats.row import Fields, WrongField
from medu1.prepare.labels.entities import Unreadable, parsed
from medu1.prepare.labels.equation_arguments import EQUATIONS
from medu1.prepare.labels.label_causes import CONVENTION, KNOWN_CAUSES
from medu1.prepare.labels.readers import Arguments
from medu1.prepare.labels.score_arguments import SCORES, UNREAD
from medu1.question import Date, Frozen, Gold, Integer, Number, Question, Split, WeeksDays

Policy = Literal["keep", "relabel", "drop"]

CALCULATOR, ENTITIES = "Calculator ID", "Relevant Entities"
TOLERANCE: Final = 0.05  # half the width of a recomputed number's limits, of its value
SLACK: Final = 1e-6  # what rounding leaves between a value and the limit it stands on

BY_ID: Final[Mapping[int, Calculator]] = MappingProxyType(
    {each.medcalc_id: each for each in AUDITED.values() if each.medcalc_id is not None}
)
ARGUMENTS: Final[Mapping[int, Arguments]] = MappingProxyType({**EQUATIONS, **SCORES})


class LabelRow(NamedTuple):
    """What the audit reads of one row."""

    id: str  # of the question the row makes
    calculator: int | None  # in MedCalc-Bench; None where the row states none
    entities: str  # as the row writes them
    label: Gold


class Agrees(NamedTuple):
    """The recomputed value is the label, or lies within its limits."""


class Disagrees(NamedTuple):
    """The recomputed value is another."""

    recomputed: Gold


class NotRecomputable(NamedTuple):
    """No value could be recomputed: nothing is said of the label."""

    reason: str


Verdict = Agrees | Disagrees | NotRecomputable


class Disagreement(Frozen):
    """One label that its row's entities do not give. Limits stand in the label."""

    id: str
    calculator: int | None
    label: Gold
    recomputed: Gold


class Unchecked(Frozen):
    """One label that could not be recomputed."""

    id: str
    calculator: int | None
    reason: str


class CalculatorLabels(Frozen):
    """The labels of one calculator, counted."""

    id: int | None
    title: str
    agree: int
    disagree: int
    not_recomputable: int
    cause: str = ""  # of what does not agree, where it is known

    @property
    def rows(self) -> int:
        """Labels read."""
        return self.agree + self.disagree + self.not_recomputable


class LabelReport(Frozen):
    """Every label read, by calculator id; every one not reproduced, in the order of the rows."""

    calculators: tuple[CalculatorLabels, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()
    not_recomputable: tuple[Unchecked, ...] = ()
    convention: str = CONVENTION

    def reproduced(self, ids: Iterable[int | None]) -> float:
        """The share of labels that agree among all rows of some calculators; 1 where there are none."""
        wanted = set(ids)
        counted = [each for each in self.calculators if each.id in wanted]
        rows = sum(each.rows for each in counted)
        return sum(each.agree for each in counted) / rows if rows else 1.0

    def verdicts(self) -> dict[str, Verdict]:
        """By question id, of the labels that were not reproduced."""
        unchecked = {each.id: NotRecomputable(each.reason) for each in self.not_recomputable}
        return {**unchecked, **{each.id: Disagrees(each.recomputed) for each in self.disagreements}}


def label_rows(path: Path, split: Split | None = None, version: medcalc.Version = "medcalc") -> Iterator[LabelRow]:
    """The rows of a file that make a question, one at a time, with the ids that `medcalc.questions` gives them."""
    for _, row in medcalc.rows(path):
        try:
            yield _label_row(Fields(row), split, version)
        except (WrongField, ValidationError):
            continue  # named by medcalc.questions


def _label_row(fields: Fields, split: Split | None, version: medcalc.Version) -> LabelRow:
    return LabelRow(
        id=medcalc.id_of(fields, split, version),
        calculator=_calculator(fields),
        entities=str(fields.row.get(ENTITIES) or ""),
        label=medcalc.gold_of(fields),
    )


def _calculator(fields: Fields) -> int | None:
    try:
        return fields.whole(CALCULATOR)
    except WrongField:
        return None


def audit_labels(rows: Iterable[LabelRow]) -> LabelReport:
    """Recompute every label."""
    agreed: Counter[int | None] = Counter()
    disagreements: list[Disagreement] = []
    unchecked: list[Unchecked] = []
    for row in rows:
        match verdict(row):
            case Agrees():
                agreed[row.calculator] += 1
            case Disagrees(recomputed=gold):
                disagreements.append(
                    Disagreement(id=row.id, calculator=row.calculator, label=row.label, recomputed=gold)
                )
            case NotRecomputable(reason=reason):
                unchecked.append(Unchecked(id=row.id, calculator=row.calculator, reason=reason))
    return LabelReport(
        calculators=_counted(agreed, disagreements, unchecked),
        disagreements=tuple(disagreements),
        not_recomputable=tuple(unchecked),
    )


def verdict(row: LabelRow) -> Verdict:
    """What the recomputed value says of one label."""
    try:
        result = recomputed(row.calculator, row.entities)
        return Agrees() if _agrees(row.label, result) else Disagrees(_gold(result))
    except Unreadable as reason:
        return NotRecomputable(str(reason))


def recomputed(calculator: int | None, entities: str) -> Result:
    """A calculator's value from a row's entities. Raises Unreadable where they do not give one."""
    if calculator is None or calculator not in ARGUMENTS:
        raise Unreadable(f"{CALCULATOR} is none of MedCalc-Bench's calculators")
    stated = parsed(entities)
    values = ARGUMENTS[calculator](stated)
    if unasked := [name for name in stated.unasked() if name not in UNREAD.get(calculator, ())]:
        raise Unreadable(f"{unasked[0]} is no entity that the calculator is known to read")
    try:
        return BY_ID[calculator].formula(**values)
    except (ValueError, OverflowError) as error:  # a valid range, or a date beyond the calendar
        raise Unreadable(str(error)) from None


def applied(question: Question, verdict: Verdict, policy: Policy) -> Question | None:
    """The question under a policy; None where it is dropped. Only a disagreement changes anything."""
    match verdict, policy:
        case Disagrees(recomputed=gold), "relabel":
            return question.model_copy(update={"gold": gold})
        case Disagrees(), "drop":
            return None
    return question


def _agrees(label: Gold, result: Result) -> bool:
    match label, result:
        case Number(), int() | float():
            low, high = _limits(label)
            return low - SLACK <= result <= high + SLACK
        case Integer(value=value), int():
            return value == result
        case Date(), date():
            return label.as_date() == result
        case WeeksDays(weeks=weeks, days=days), tuple():
            return (weeks, days) == result
    raise Unreadable(f"the label is of the kind {label.kind}, the calculator's value is not")


def _limits(label: Number) -> tuple[float, float]:
    """In order: upstream's limits of a negative truth are not."""
    if label.lower is None or label.upper is None:
        return _around(label.value)
    return min(label.lower, label.upper), max(label.lower, label.upper)


def _around(value: float) -> tuple[float, float]:
    half = abs(value) * TOLERANCE
    return value - half, value + half


def _gold(result: Result) -> Gold:
    match result:
        case date():
            return Date(value=result.strftime("%m/%d/%Y"))
        case (weeks, days):
            return WeeksDays(weeks=weeks, days=days)
        case int():
            return Integer(value=result)
        case float():
            value = _rounded(result)
            low, high = map(_rounded, _around(value))
            return Number(value=value, lower=low, upper=high)
    raise Unreadable("the calculator's value is neither number, date nor weeks and days")


def _rounded(value: float) -> float:
    """Five significant digits; never -0.0."""
    return float(f"{value:.5g}") + 0.0 if math.isfinite(value) else value


def _counted(
    agreed: Counter[int | None], disagreements: Iterable[Disagreement], unchecked: Iterable[Unchecked]
) -> tuple[CalculatorLabels, ...]:
    disagreed = Counter(each.calculator for each in disagreements)
    skipped = Counter(each.calculator for each in unchecked)
    ids = sorted({*agreed, *disagreed, *skipped}, key=lambda each: (each is None, each or 0))
    return tuple(
        CalculatorLabels(
            id=each,
            title=_titled(each),
            agree=agreed[each],
            disagree=disagreed[each],
            not_recomputable=skipped[each],
            cause=_cause(each) if disagreed[each] or skipped[each] else "",
        )
        for each in ids
    )


def _titled(calculator: int | None) -> str:
    found = BY_ID.get(calculator) if calculator is not None else None
    return found.title if found else ""


def _cause(calculator: int | None) -> str:
    return KNOWN_CAUSES.get(calculator, "") if calculator is not None else ""
