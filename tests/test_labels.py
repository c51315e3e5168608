"""The label audit on small rows in the upstream format: what agrees, what does not, what cannot be said; policies."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from medu1.calculators import AUDITED
from medu1.prepare.formats import medcalc
from medu1.prepare.labels.label_causes import KNOWN_CAUSES
from medu1.prepare.labels.labels import (
    ARGUMENTS,
    BY_ID,
    Agrees,
    Disagrees,
    LabelReport,
    LabelRow,
    NotRecomputable,
    Policy,
    Verdict,
    applied,
    audit_labels,
    label_rows,
    recomputed,
    verdict,
)
from medu1.question import Choice, Date, FreeText, Gold, Integer, Number, Question, WeeksDays

ROW = {
    "Row Number": "1",
    "Calculator ID": "5",
    "Calculator Name": "Mean Arterial Pressure (MAP)",
    "Output Type": "decimal",
    "Patient Note": "Blood pressure 120/60.",
    "Question": "What is the mean arterial pressure?",
    "Relevant Entities": "{'Systolic Blood Pressure': [120.0, 'mm hg'], 'Diastolic Blood Pressure': [60.0, 'mm Hg']}",
    "Ground Truth Answer": "80.0",
    "Lower Limit": "76.0",
    "Upper Limit": "84.0",
}
QTC = "{'Heart Rate or Pulse': [60, 'beats per minute'], 'QT interval': [400, 'msec']}"
SIGHTED = {  # by calculator id: entities as upstream writes them, and what a right formula makes of them
    6: ("{'weight': [81.0, 'kg'], 'height': [1.8, 'm']}", 25.0),
    22: ("{'weight': [2500.0, 'g']}", 10.0),
    61: ("{'Body Mass Index (BMI)': [20.0, 'kg/m^2'], 'height': [70, 'in']}", 20 * 1.778**2),
    11: (QTC, 400.0),
    59: (QTC, 400.0),
    7: ("{'Calcium': [2.0, 'mmol/L'], 'Albumin': [40.0, 'g/L']}", 8.016),
    64: (
        "{'Sodium': [140.0, 'mEq/L'], 'Chloride': [100.0, 'mmol/L'], 'Bicarbonate': [14.0, 'mEq/L']}",
        1.4,
    ),
    9: (
        "{'sex': 'Male', 'age': [50, 'years'], 'creatinine': [88.4017, 'µmol/L'], 'Race': 'Black'}",
        175 * 50**-0.203 * 1.212,
    ),
    19: (
        "{'age': [50, 'years'], 'Aspartate aminotransferase': [40.0, 'U/L'], 'Alanine aminotransferase': [25.0, 'U/L'],"
        " 'Platelet count': [200000.0, 'µL']}",
        2.0,
    ),
    24: ("{'input steroid': ['PredniSONE PO', 20.0, 'mg'], 'target steroid': 'Dexamethasone IV'}", 3.0),
    49: (
        "{'Codeine Dose': [30, 'mg'], 'Codeine Dose Per Day': [2, 'per day'],"
        " 'FentaNYL buccal Dose': [100, 'µg'], 'FentaNYL buccal Dose Per Day': [1, 'per day']}",
        22.0,
    ),
    8: (
        "{'Heart Rate or Pulse': [101.0, 'beats per minute'], 'Surgery in the previous 4 weeks': True,"
        " 'Hemoptysis': False}",
        3.0,
    ),
    21: (
        "{'Best eye response': 'eye opening to pain', 'Best verbal response': 'Confused',"
        " 'Best motor response': 'obeys commands'}",
        12,
    ),
    18: (
        "{'age': [50.0, 'years'], 'Suspicion History': 'Highly suspicious', 'Electrocardiogram Test': 'Normal',"
        " 'Initial troponin': 'less than or equal to normal limit', 'atherosclerotic disease': True}",
        5,
    ),
    20: (
        "{'age': [30.0, 'years'], 'Cough Absent': True, 'Temperature': [102.2, 'degrees fahreinheit'],"
        " 'Exudate or swelling on tonsils': False}",
        2,
    ),
    33: ("{'Purulent tonsils': True, 'Absence of cough or coryza': True}", 2),
    45: (
        "{'age': [65.0, 'years'], 'Systolic Blood Pressure': [120.0, 'mm hg'], 'Diastolic Blood Pressure':"
        " [60.0, 'mm hg'], 'Blood Urea Nitrogen (BUN)': [8.0, 'mmol/L'], 'respiratory rate': [20.0,"
        " 'breaths per minute']}",
        3,
    ),
    17: ("{'Pre-operative creatinine': [1.0, 'mg/dL'], 'History of cerebrovascular disease': True}", 1),
    32: ("{'age': [50.0, 'years'], 'Solid tumor': True, 'Liver disease severity': 'Severe'}", 6),
}


def number(value: float, lower: float | None = None, upper: float | None = None) -> Number:
    return Number(value=value, lower=value if lower is None else lower, upper=value if upper is None else upper)


def row(calculator: int | None, entities: str, label: Gold) -> LabelRow:
    return LabelRow("medcalc/1", calculator, entities, label)


def write(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(ROW), extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)
    return path


@pytest.mark.parametrize("calculator", SIGHTED)
def test_entities_are_converted_and_recomputed(calculator: int) -> None:
    entities, wanted = SIGHTED[calculator]
    assert recomputed(calculator, entities) == pytest.approx(wanted, rel=1e-4)


def test_dates_and_ages_are_recomputed() -> None:
    cycle = "{'cycle length': 22, 'Last menstrual date': '12/11/2013'}"
    today = "{'Current Date': '03/29/2020', 'Last menstrual date': '03/23/2020'}"
    assert verdict(row(13, cycle, Date(value="09/11/2014"))) == Agrees()
    assert verdict(row(13, cycle, Date(value="09/23/2014"))) == Disagrees(Date(value="09/11/2014"))
    assert verdict(row(68, cycle, Date(value="12/25/2013"))) == Disagrees(Date(value="12/19/2013"))
    assert verdict(row(69, today, WeeksDays(weeks=0, days=6))) == Agrees()
    assert verdict(row(69, today, WeeksDays(weeks=1, days=0))) == Disagrees(WeeksDays(weeks=0, days=6))


def test_every_calculator_of_the_benchmark_can_be_recomputed() -> None:
    assert set(ARGUMENTS) == set(BY_ID) == {each.medcalc_id for each in AUDITED.values()} - {None}
    assert len(ARGUMENTS) == 55
    assert KNOWN_CAUSES.keys() <= ARGUMENTS.keys()


@pytest.mark.parametrize(("lower", "upper"), [(76.0, 84.0), (84.0, 76.0), (80.0, 84.0), (76.0, 80.0)])
def test_a_value_on_or_within_limits_in_either_order_agrees(lower: float, upper: float) -> None:
    assert verdict(row(5, ROW["Relevant Entities"], number(80.0, lower, upper))) == Agrees()


def test_a_label_without_limits_has_five_percent() -> None:
    assert verdict(row(5, ROW["Relevant Entities"], Number(value=77.0))) == Agrees()
    assert isinstance(verdict(row(5, ROW["Relevant Entities"], Number(value=76.0))), Disagrees)


def test_a_negative_value_is_relabelled_with_limits_in_order() -> None:
    entities = (
        "{'sex': 'Male', 'age': [23, 'years'], 'weight': [142.0, 'lbs'], 'Sodium': [137.0, 'mmol/L']}"  # 64.41 kg
    )
    found = verdict(row(38, entities, number(9.0)))
    assert isinstance(found, Disagrees)
    assert isinstance(found.recomputed, Number)
    assert found.recomputed == Number(value=-0.82813, lower=-0.86954, upper=-0.78672)


@pytest.mark.parametrize(
    ("calculator", "entities", "reason"),
    [
        (5, "", "no Python literal"),
        (5, "{'Systolic Blood Pressure': [120.0, 'mm hg']", "no Python literal"),
        (5, "__import__('os').system('true')", "no Python literal"),
        (5, "[1, 2]", "are list, not a mapping"),
        (5, "(" * 5000, "no Python literal"),
        (5, "{'a': '" + "x" * 20_000 + "'}", "longer than 20,000 characters"),
        (5, "{}", "Systolic Blood Pressure is absent"),
        (5, "{'Systolic Blood Pressure': 120, 'Diastolic Blood Pressure': [60, 'mmHg']}", "not a number with its unit"),
        (5, "{'Systolic Blood Pressure': [True, 'mmHg']}", "True, not a number"),
        (5, "{'Systolic Blood Pressure': ['120', 'mmHg']}", "'120', not a number"),
        (5, "{'Systolic Blood Pressure': [1e999, 'mmHg']}", "inf, not a number"),
        (5, "{'Systolic Blood Pressure': [" + "9" * 400 + ", 'mmHg']}", "not a number"),
        (5, "{'Systolic Blood Pressure': [16.0, 'kPa']}", "'kPa', not in mmhg"),
        (5, "{'Systolic Blood Pressure': [12.0, 'mmHg'], 'Diastolic Blood Pressure': [6, 'mmHg']}", "valid 30 to 320"),
        (10, "{'sex': 'Unknown', 'height': [170, 'cm']}", "sex is 'unknown', which is none of male, female"),
        (10, "{'sex': True, 'height': [170, 'cm']}", "sex is True, not text"),
        (13, "{'cycle length': 28, 'Last menstrual date': '2013-12-11'}", "not a date written MM/DD/YYYY"),
        (13, "{'cycle length': 28, 'Last menstrual date': '12/31/9999'}", "out of range"),
        (20, "{'age': [30, 'years'], 'Cough Absent': 'yes'}", "'yes', neither True nor False"),
        (20, "{'age': [30, 'years'], 'Temperature': [39, 'kelvin']}", "not a temperature with its unit"),
        (21, "{'Best eye response': 'not testable'}", "'not testable', which is none of eyes open spontaneously"),
        (24, "{'input steroid': ['Aspirin', 10, 'mg'], 'target steroid': 'Cortisone PO'}", "'aspirin', not one of"),
        (24, "{'input steroid': ['Cortisone PO', 10, 'g'], 'target steroid': 'Cortisone PO'}", "its dose in mg"),
        (
            49,
            "{'FentANYL patch Dose': [60, 'mg'], 'FentANYL patch Dose Per Day': [1, 'per day']}",
            "a rate|rate in ug/h",
        ),
        (33, "{'Purulent tonsils': True, 'Fever since yesterday': True}", "Fever since yesterday is no entity"),
        (1, "{}", "none of MedCalc-Bench's calculators"),
        (None, "{}", "none of MedCalc-Bench's calculators"),
    ],
)
def test_a_row_that_gives_no_value_says_why(calculator: int | None, entities: str, reason: str) -> None:
    found = verdict(row(calculator, entities, number(80.0)))
    assert isinstance(found, NotRecomputable)
    assert any(each in found.reason for each in reason.split("|")), found.reason


def test_a_chronic_illness_without_its_operation_is_not_scored() -> None:
    measured = (
        "'age': [44, 'years'], 'Temperature': [37, 'degrees celsisus'], 'Systolic Blood Pressure': [120, 'mm Hg'],"
        " 'Diastolic Blood Pressure': [80, 'mm Hg'], 'Heart Rate or Pulse': [80, 'beats per minute'],"
        " 'respiratory rate': [16, 'breaths per minute'], 'FiO₂': [40, '%'], 'pH': 7.4, 'Sodium': [140, 'mEq/L'],"
        " 'Potassium': [4.0, 'mEq/L'], 'creatinine': [1.0, 'mg/dL'], 'Hematocrit': [40, '%'],"
        " 'White blood cell count': [8000, 'µL'], 'Glasgow Coma Score': 15.0,"
        " 'Partial pressure of oxygen (PaO₂) for Apache II': [80, 'mm Hg'],"
        " 'History of severe organ failure or immunocompromise': True"
    )
    label = Integer(value=5)
    assert verdict(row(28, f"{{{measured}, 'Surgery Type': 'Nonoperative '}}", label)) == Agrees()
    assert verdict(row(28, f"{{{measured}, 'Surgery Type': 'Elective'}}", label)) == Disagrees(Integer(value=2))
    assert isinstance(verdict(row(28, f"{{{measured}}}", label)), NotRecomputable)


@pytest.mark.parametrize("label", [FreeText(text="eighty"), Date(value="01/01/2020"), Integer(value=80)])
def test_a_label_of_another_kind_than_the_value_is_not_judged(label: Gold) -> None:
    assert isinstance(verdict(row(5, ROW["Relevant Entities"], label)), NotRecomputable)


def test_rows_are_counted_by_calculator_and_every_one_not_reproduced_is_listed(tmp_path: Path) -> None:
    wrong = ROW | {"Row Number": "2", "Ground Truth Answer": "90", "Lower Limit": "85.5", "Upper Limit": "94.5"}
    unread = ROW | {"Row Number": "3", "Relevant Entities": "{"}
    unknown = ROW | {"Row Number": "4", "Calculator ID": "?"}
    malformed = ROW | {"Row Number": "5", "Ground Truth Answer": "much"}
    eye = ROW | {
        "Row Number": "6",
        "Calculator ID": "21",
        "Relevant Entities": SIGHTED[21][0],
        "Output Type": "integer",
    }
    score = eye | {"Ground Truth Answer": "16.0"}
    path = write(tmp_path / "m.csv", [ROW, wrong, unread, unknown, malformed, score])
    report = audit_labels(label_rows(path))
    counts = {each.id: (each.agree, each.disagree, each.not_recomputable, each.rows) for each in report.calculators}
    assert counts == {5: (1, 1, 1, 3), 21: (0, 1, 0, 1), None: (0, 0, 1, 1)}
    assert [(each.id, each.calculator) for each in report.disagreements] == [("medcalc/2", 5), ("medcalc/6", 21)]
    assert report.disagreements[0].label == number(90, 85.5, 94.5)
    assert report.disagreements[0].recomputed == number(80, 76, 84)
    assert [each.id for each in report.not_recomputable] == ["medcalc/3", "medcalc/4"]
    assert [each.cause for each in report.calculators] == ["", KNOWN_CAUSES[21], ""]
    assert report.reproduced([5]) == pytest.approx(1 / 3)
    assert report.reproduced([99]) == 1.0
    assert "absent" in report.convention


def test_a_report_survives_json_and_gives_its_verdicts_by_question(tmp_path: Path) -> None:
    wrong = ROW | {"Row Number": "2", "Lower Limit": "85", "Upper Limit": "95"}
    unread = ROW | {"Row Number": "3", "Relevant Entities": "None"}
    report = audit_labels(label_rows(write(tmp_path / "m.csv", [ROW, wrong, unread])))
    again = LabelReport.model_validate_json(report.model_dump_json())
    assert again == report
    assert again.verdicts() == {
        "medcalc/2": Disagrees(number(80, 76, 84)),
        "medcalc/3": NotRecomputable("the entities are NoneType, not a mapping"),
    }


def test_label_rows_have_the_ids_of_their_questions(tmp_path: Path) -> None:
    path = write(tmp_path / "m.csv", [ROW, ROW | {"Row Number": "7"}])
    assert [each.id for each in label_rows(path)] == [each.question.id for each in medcalc.read(path).asked]


def test_rows_are_read_one_at_a_time(tmp_path: Path) -> None:
    rows = label_rows(write(tmp_path / "m.csv", [ROW, ROW | {"Row Number": "2"}]))
    assert iter(rows) is rows
    assert next(rows).id == "medcalc/1"


ASKED = Question(id="medcalc/1", source="medcalc", text="?", gold=number(90.0, 85.5, 94.5))
DISAGREES = Disagrees(number(80, 76, 84))


@pytest.mark.parametrize(
    ("found", "policy", "gold"),
    [
        (DISAGREES, "keep", ASKED.gold),
        (DISAGREES, "relabel", DISAGREES.recomputed),
        (DISAGREES, "drop", None),
        *(
            (found, policy, ASKED.gold)
            for found in (Agrees(), NotRecomputable("?"))
            for policy in ("keep", "relabel", "drop")
        ),
    ],
)
def test_a_policy_changes_only_what_disagrees(found: Verdict, policy: Policy, gold: Gold | None) -> None:
    question = applied(ASKED, found, policy)
    assert (question.gold if question else None) == gold
    assert question is None or question == ASKED.model_copy(update={"gold": gold})


def test_a_choice_is_never_recomputed() -> None:
    assert isinstance(verdict(row(5, ROW["Relevant Entities"], Choice(letter="A"))), NotRecomputable)
