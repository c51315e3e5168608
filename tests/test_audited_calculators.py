"""The formulas that only the label audit uses: reference values, extremes, and ranges that refuse."""

import re
from datetime import date

import pytest

from medu1.calculators import AUDITED, CALCULATORS
from medu1.calculators.calculator import Criterion, Result, Value
from medu1.calculators.doses import morphine_equivalents

ONLY = AUDITED.keys() - CALCULATORS.keys()

V = dict[str, Value]

WELL: dict[str, V] = {  # a patient without a point, or without risk
    "glasgow_blatchford": {
        "sex": "male",
        "urea": 18.1,
        "hemoglobin": 13,
        "systolic": 110,
        "heart_rate": 99,
        "melena": False,
        "syncope": False,
        "liver_disease": False,
        "heart_failure": False,
    },
    "pneumonia_severity": {
        "sex": "male",
        "age": 50,
        "nursing_home": False,
        "neoplasm": False,
        "liver_disease": False,
        "heart_failure": False,
        "cerebrovascular_disease": False,
        "renal_disease": False,
        "altered_mentation": False,
        "pleural_effusion": False,
        "heart_rate": 124,
        "respiratory_rate": 29,
        "systolic": 90,
        "temperature": 39.9,
        "ph": 7.35,
        "urea": 29.9,
        "sodium": 130,
        "glucose": 249,
        "hematocrit": 30,
        "arterial_oxygen": 60,
    },
    "sofa": {
        "arterial_oxygen": 84,
        "inspired_oxygen": 21,
        "ventilated": False,
        "platelets": 150,
        "bilirubin": 1.1,
        "coma_scale": 15,
        "low_pressure": False,
        "creatinine": 1.1,
    },
    "apache_ii": {
        "age": 44,
        "temperature": 37,
        "mean_pressure": 70,
        "heart_rate": 109,
        "respiratory_rate": 12,
        "inspired_oxygen": 49,
        "arterial_oxygen": 71,
        "ph": 7.49,
        "sodium": 130,
        "potassium": 3.5,
        "creatinine": 1.4,
        "acute_renal_failure": False,
        "hematocrit": 45.9,
        "white_cells": 3000,
        "coma_scale": 15,
        "chronic": "none",
    },
    "charlson": {
        "age": 49,
        "myocardial_infarction": False,
        "heart_failure": False,
        "peripheral_vascular": False,
        "cerebrovascular_disease": False,
        "dementia": False,
        "lung_disease": False,
        "connective_tissue": False,
        "peptic_ulcer": False,
        "liver": "none",
        "diabetes": "none",
        "hemiplegia": False,
        "kidney_disease": False,
        "tumor": "none",
        "leukemia": False,
        "lymphoma": False,
        "aids": False,
    },
    "caprini": {"age": 40, "body_mass_index": 25, "surgery": "none", "mobility": "normal"},
    "framingham_risk": {"sex": "male", "age": 57, "total_cholesterol": 220, "hdl": 55, "systolic": 135},
    "steroid_conversion": {"dose": 20, "given": "prednisone", "wanted": "dexamethasone"},
    "morphine_equivalents": {"oxycodone": 30},
    "conception_date": {"last_period": date(2009, 12, 17), "cycle_length": 28},
}

REFERENCE: list[tuple[str, V, Result, str]] = [
    ("glasgow_blatchford", {}, 0, "Blatchford 2000: no treatment needed"),
    (
        "glasgow_blatchford",
        {"urea": 70, "hemoglobin": 9.9, "systolic": 89, "heart_rate": 100}
        | dict.fromkeys(("melena", "syncope", "liver_disease", "heart_failure"), True),
        23,
        "Blatchford 2000: the maximum",
    ),
    ("glasgow_blatchford", {"sex": "female", "hemoglobin": 12}, 0, "Blatchford 2000: a woman's band begins under 12"),
    ("pneumonia_severity", {}, 50, "Fine 1997: the age alone, every value at its limit"),
    ("pneumonia_severity", {"sex": "female", "ph": 7.34, "temperature": 40}, 85, "by hand: 50 - 10 + 30 + 15"),
    (
        "pneumonia_severity",
        dict.fromkeys(("nursing_home", "neoplasm", "liver_disease", "pleural_effusion"), True),
        120,
        "by hand: 50 + 10 + 30 + 20 + 10",
    ),
    ("sofa", {}, 0, "Vincent 1996: no failure"),
    (
        "sofa",
        {
            "inspired_oxygen": 100,
            "ventilated": True,
            "platelets": 19,
            "bilirubin": 12,
            "coma_scale": 5,
            "norepinephrine": 0.11,
            "creatinine": 5,
        },
        24,
        "Vincent 1996: the maximum",
    ),
    ("sofa", {"inspired_oxygen": 100}, 2, "Vincent 1996: under 200 without support is worth 2"),
    ("sofa", {"low_pressure": True, "dobutamine": 1}, 2, "Vincent 1996: the worst of pressure and drugs"),
    ("sofa", {"urine_output": 132}, 4, "Vincent 1996: under 200 mL a day"),
    ("apache_ii", {}, 0, "Knaus 1985: every value normal"),
    (
        "apache_ii",
        {
            "age": 75,
            "temperature": 29,
            "mean_pressure": 160,
            "heart_rate": 39,
            "respiratory_rate": 5,
            "inspired_oxygen": 50,
            "gradient": 500,
            "ph": 7.1,
            "sodium": 110,
            "potassium": 2.4,
            "creatinine": 3.5,
            "acute_renal_failure": True,
            "hematocrit": 19,
            "white_cells": 999,
            "coma_scale": 3,
            "chronic": "nonoperative",
        },
        71,
        "Knaus 1985: the maximum",
    ),
    ("apache_ii", {"coma_scale": 10, "chronic": "elective", "arterial_oxygen": 55}, 10, "by hand: 5 + 2 + 3"),
    ("charlson", {}, 0, "Charlson 1987: none"),
    (
        "charlson",
        {
            name: {"age": 80, "liver": "moderate to severe", "diabetes": "end-organ damage", "tumor": "metastatic"}.get(
                name, True
            )
            for name in WELL["charlson"]
        },
        37,
        "Charlson 1994: the maximum",
    ),
    ("charlson", {"age": 55, "tumor": "localized", "diabetes": "uncomplicated"}, 4, "by hand: 1 + 2 + 1"),
    ("caprini", {}, 0, "Caprini 2005: none"),
    (
        "caprini",
        {"age": 75, "body_mass_index": 25.1, "surgery": "arthroplasty", "mobility": "confined", "stroke": True},
        16,
        "by hand: 3 + 1 + 5 + 2 + 5",
    ),
    ("caprini", {"previous_clot": True, "factor_v_leiden": True, "cast": True, "sepsis": True}, 9, "by hand: 3+3+2+1"),
    ("framingham_risk", {}, 8.24, "ATP III's tables: 12 points are 10% and 11 are 8%"),
    (
        "framingham_risk",
        {
            "sex": "female",
            "age": 62,
            "total_cholesterol": 260,
            "hdl": 45,
            "systolic": 150,
            "treated": True,
            "smoker": True,
        },
        16.43,
        "ATP III's tables: 21 points are 14% and 22 are 17%",
    ),
    ("steroid_conversion", {}, 3.0, "Goodman and Gilman: 5 mg of prednisone are 0.75 mg of dexamethasone"),
    ("steroid_conversion", {"given": "betamethasone", "wanted": "cortisone", "dose": 6.33}, 211.0, "MedCalc-Bench, 24"),
    ("morphine_equivalents", {}, 45.0, "CDC 2022: 30 mg of oxycodone times 1.5"),
    ("morphine_equivalents", {"oxycodone": 0, "fentanyl_patch": 25}, 60.0, "CDC 2022: 25 ug/h times 2.4"),
    ("conception_date", {}, date(2009, 12, 31), "MedCalc-Bench, 68: a cycle of 28 days"),
    ("conception_date", {"cycle_length": 21}, date(2009, 12, 24), "by hand: the due date less 266 days"),
]


@pytest.mark.parametrize(("key", "changed", "expected", "reason"), REFERENCE)
def test_reference_values_agree(key: str, changed: V, expected: Result, reason: str) -> None:
    result = AUDITED[key].formula(**(WELL[key] | changed))
    wanted = pytest.approx(expected, rel=5e-3) if isinstance(expected, float) else expected
    assert result == wanted, reason
    assert type(result) is type(expected), reason


def test_every_formula_has_a_reference_value_and_every_benchmark_calculator_a_formula() -> None:
    assert {key for key, *_ in REFERENCE} == ONLY
    ids = [each.medcalc_id for each in AUDITED.values() if each.medcalc_id is not None]
    assert len(ids) == len(set(ids)) == 55


def test_conception_is_266_days_before_the_due_date() -> None:
    for cycle in (21, 28, 35):
        values: V = {"last_period": date(2020, 2, 1), "cycle_length": cycle}
        born, conceived = AUDITED["due_date"].formula(**values), AUDITED["conception_date"].formula(**values)
        assert isinstance(born, date)
        assert isinstance(conceived, date)
        assert (born - conceived).days == 266


@pytest.mark.parametrize(
    ("key", "name", "value"),
    [
        ("glasgow_blatchford", "hemoglobin", 130),
        ("pneumonia_severity", "ph", 6),
        ("pneumonia_severity", "age", 17),
        ("sofa", "platelets", 150_000),
        ("sofa", "norepinephrine", -1),
        ("apache_ii", "chronic", "some"),
        ("apache_ii", "coma_scale", 2),
        ("apache_ii", "gradient", None),
        ("apache_ii", "arterial_oxygen", None),
        ("charlson", "tumor", "large"),
        ("caprini", "surgery", "major surgery"),
        ("framingham_risk", "age", 80),
        ("framingham_risk", "hdl", 0.67),
        ("steroid_conversion", "given", "aspirin"),
        ("morphine_equivalents", "aspirin", 100),
        ("morphine_equivalents", "fentanyl_patch", 60_000),
        ("conception_date", "cycle_length", 5),
    ],
)
def test_an_invalid_value_is_refused_by_name(key: str, name: str, value: Value | None) -> None:
    values: dict[str, Value | None] = {**WELL[key], name: value}
    if name == "gradient":
        values["inspired_oxygen"] = 50
    with pytest.raises(ValueError, match=name):
        AUDITED[key].formula(**values)


def test_a_kidney_without_a_measurement_is_refused() -> None:
    values = {name: value for name, value in WELL["sofa"].items() if name != "creatinine"}
    with pytest.raises(ValueError, match="creatinine and urine_output"):
        AUDITED["sofa"].formula(**values)


@pytest.mark.parametrize("key", sorted(ONLY))
def test_a_criterion_adds_the_points_it_states(key: str) -> None:
    base = AUDITED[key].formula(**WELL[key])
    for each in AUDITED[key].inputs:
        if isinstance(each, Criterion) and isinstance(base, int) and each.name != "sex":
            for level in each.levels:
                assert AUDITED[key].formula(**(WELL[key] | {each.name: level.value})) == base + level.points, each.name


@pytest.mark.parametrize("key", sorted(ONLY))
def test_every_formula_names_its_source(key: str) -> None:
    assert re.search(r"Source: \w+", AUDITED[key].formula.__doc__ or "")


def test_no_opioids_are_no_equivalents() -> None:
    assert morphine_equivalents() == 0.0
