"""The label audit of MedCalc-Bench v1.0 (test): how many labels right formulas reproduce, what is wrong with the rest.

MEDU1_REAL_DATA names the folder of the real benchmark files; `../shared/data` beside the repository otherwise.
"""

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from medu1.calculators.calculator import Values
from medu1.prepare.labels.entities import Entities, Unreadable, parsed
from medu1.prepare.labels.equation_arguments import EQUATIONS
from medu1.prepare.labels.label_causes import KNOWN_CAUSES
from medu1.prepare.labels.labels import ARGUMENTS, BY_ID, LabelReport, LabelRow, audit_labels, label_rows
from medu1.question import Date, Integer, Number

FILE = Path(os.environ.get("MEDU1_REAL_DATA") or Path(__file__).parents[3] / "shared" / "data") / (
    "medcalc_bench_v1_test.csv"
)
OTHER_CONVENTIONS = {13, 46, 68}

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not FILE.is_file(), reason=f"{FILE.name} is neither in MEDU1_REAL_DATA nor in ../shared/data"),
]


@pytest.fixture(scope="module")
def rows() -> list[LabelRow]:
    return list(label_rows(FILE))


@pytest.fixture(scope="module")
def report(rows: list[LabelRow]) -> LabelReport:
    return audit_labels(rows)


def test_equations_reproduce_their_labels(report: LabelReport) -> None:
    """Measured: 587 of 611 (96.1%): 10 disagree, 14 cannot be recomputed."""
    missed = {each.title: f"{each.agree} of {each.rows}" for each in report.calculators if each.agree < each.rows}
    ids = EQUATIONS.keys() - OTHER_CONVENTIONS
    assert len(ids) == 33
    assert report.reproduced(ids) >= 0.95, missed
    rates = {each.id: each.agree / each.rows for each in report.calculators if each.id in ids}
    assert min(rate for each, rate in rates.items() if each not in (23, 49)) >= 0.85, missed


def test_every_row_is_counted_and_every_calculator_with_a_fault_has_a_cause(report: LabelReport) -> None:
    assert sum(each.rows for each in report.calculators) == 1047
    assert {each.id for each in report.calculators} == ARGUMENTS.keys()
    faulty = {each.id for each in report.calculators if each.agree < each.rows}
    assert faulty == KNOWN_CAUSES.keys()
    assert len(report.disagreements) + len(report.not_recomputable) == sum(
        each.rows - each.agree for each in report.calculators
    )


def test_equations_that_disagree_are_these(report: LabelReport) -> None:
    ids = EQUATIONS.keys() - OTHER_CONVENTIONS
    found = {each.id.removeprefix("medcalc/") for each in report.disagreements if each.calculator in ids}
    assert found == {"23", "25", "114", "117", "340", "341", "342", "343", "513", "521"}


def _verbal_twice(values: Values, _: Entities) -> float:
    return sum(int(str(values[part])) for part in ("eye", "verbal", "verbal", "motor"))


def _without_brain(values: Values, _: Entities) -> float:
    score = BY_ID[17].formula(**{**values, "cerebrovascular_disease": False})
    assert isinstance(score, int)
    return score


def _one_a_grade(values: Values, entities: Entities) -> float:
    graded = ("Liver disease severity", "Diabetes mellitus criteria for CCI rule", "Solid tumor")
    score = BY_ID[32].formula(**{**values, "liver": "none", "diabetes": "none", "tumor": "none"})
    assert isinstance(score, int)
    return score + sum(entities.has(name) and (not entities.is_flag(name) or entities.flag(name)) for name in graded)


FAULTS: Mapping[int, Callable[[Values, Entities], float]] = {21: _verbal_twice, 17: _without_brain, 32: _one_a_grade}


@pytest.mark.parametrize("calculator", FAULTS)
def test_a_known_fault_gives_every_label_of_its_calculator(rows: list[LabelRow], calculator: int) -> None:
    for row in rows:
        if row.calculator == calculator:
            entities = parsed(row.entities)
            try:
                values = ARGUMENTS[calculator](entities)
            except Unreadable:
                continue  # a response that is not testable
            assert isinstance(row.label, Integer)
            assert FAULTS[calculator](values, entities) == row.label.value, row.id


def test_conception_is_labelled_14_days_on_whatever_the_cycle(rows: list[LabelRow]) -> None:
    for row in rows:
        if row.calculator == 68:
            assert isinstance(row.label, Date)
            started = parsed(row.entities).day("Last menstrual date")
            assert row.label.as_date() == started + timedelta(days=14), row.id


def test_framingham_labels_have_a_rounded_exponent(rows: list[LabelRow]) -> None:
    risks = {row.label.value for row in rows if row.calculator == 46 and isinstance(row.label, Number)}
    assert risks <= {0.0, 0.1, 0.9, 1.0}
