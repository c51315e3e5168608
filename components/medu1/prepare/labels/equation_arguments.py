"""What each equation of MedCalc-Bench takes from a row's entities, by the benchmark's calculator id."""

from collections.abc import Mapping
from typing import Final

from medu1.calculators.calculator import Value, Values
from medu1.prepare.labels.entities import Entities, Units, Unreadable
from medu1.prepare.labels.readers import (
    AGE,
    ALBUMIN,
    BICARBONATE,
    BILIRUBIN,
    CALCIUM,
    CHLORIDE,
    CHOLESTEROL,
    CREATININE,
    DIASTOLIC,
    GLUCOSE,
    HDL,
    HEART_RATE,
    HEIGHT,
    INR,
    MASS_INDEX,
    MMOL,
    PLATELETS,
    SEX,
    SODIUM,
    SYSTOLIC,
    TOTAL_CHOLESTEROL,
    UREA,
    WEIGHT,
    Arguments,
    any_of,
    arguments,
    day,
    measure,
    number,
    word,
)

PER_DAY: Final[Units] = {"perday": 1}
OPIOIDS: Final[Mapping[str, tuple[str, Units]]] = {  # upstream's name -> argument and the units of a dose
    "Codeine": ("codeine", {"mg": 1}),
    "FentaNYL buccal": ("fentanyl_buccal", {"\u03bcg": 1, "mcg": 1}),
    "HYDROcodone": ("hydrocodone", {"mg": 1}),
    "HYDROmorphone": ("hydromorphone", {"mg": 1}),
    "Methadone": ("methadone", {"mg": 1}),
    "Morphine": ("morphine", {"mg": 1}),
    "OxyCODONE": ("oxycodone", {"mg": 1}),
    "OxyMORphone": ("oxymorphone", {"mg": 1}),
    "Tapentadol": ("tapentadol", {"mg": 1}),
    "TraMADol": ("tramadol", {"mg": 1}),
}


def _steroid(entities: Entities) -> Values:
    """The steroids without their route, by which no dose differs."""
    given, amount = entities.dose("input steroid")
    return {"dose": amount, "given": _without_route(given), "wanted": _without_route(entities.word("target steroid"))}


def _without_route(steroid: str) -> str:
    return steroid.removesuffix(" iv").removesuffix(" po")


def _opioids(entities: Entities) -> Values:
    """Amounts a day. A row that names another drug or form cannot be recomputed without it."""
    names = {name.removesuffix(" Per Day").removesuffix(" Dose") for name in entities.names()}
    if unknown := sorted(names - OPIOIDS.keys()):
        raise Unreadable(f"{unknown[0]} has no factor for doses a day; a patch counts by its rate in ug/h")
    return dict(_daily(entities, name) for name in sorted(names))


def _daily(entities: Entities, name: str) -> tuple[str, Value]:
    argument, units = OPIOIDS[name]
    return argument, entities.measure(f"{name} Dose", units) * entities.measure(f"{name} Dose Per Day", PER_DAY)


_GAP: Final = {"sodium": SODIUM, "chloride": CHLORIDE, "bicarbonate": BICARBONATE}
_QTC: Final = arguments(qt=measure("QT interval", {"msec": 1, "ms": 1}), heart_rate=HEART_RATE)
_PREGNANCY: Final = {"last_period": day("Last menstrual date")}
_BY_CYCLE: Final = arguments(**_PREGNANCY, cycle_length=number("cycle length"))

BODY: Final[Mapping[int, Arguments]] = {
    6: arguments(weight=WEIGHT, height=HEIGHT),
    10: arguments(sex=SEX, height=HEIGHT),
    22: arguments(weight=WEIGHT),
    60: arguments(weight=WEIGHT, height=HEIGHT),
    61: arguments(body_mass_index=MASS_INDEX, height=HEIGHT),
    62: arguments(sex=SEX, weight=WEIGHT, height=HEIGHT),
}

HEART: Final[Mapping[int, Arguments]] = {
    5: arguments(systolic=SYSTOLIC, diastolic=DIASTOLIC),
    11: _QTC,
    46: arguments(
        sex=SEX,
        age=AGE,
        total_cholesterol=TOTAL_CHOLESTEROL,
        hdl=HDL,
        systolic=SYSTOLIC,
        treated=any_of("Blood pressure being treated with medicines"),
        smoker=any_of("Smoker"),
    ),
    56: _QTC,
    57: _QTC,
    58: _QTC,
    59: _QTC,
}

CHEMISTRY: Final[Mapping[int, Arguments]] = {
    7: arguments(calcium=CALCIUM, albumin=ALBUMIN),
    26: arguments(sodium=SODIUM, glucose=GLUCOSE),
    30: arguments(sodium=SODIUM, urea=UREA, glucose=GLUCOSE),
    31: arguments(insulin=measure("Insulin", {"\u03bciu/ml": 1}), glucose=GLUCOSE),
    39: arguments(**_GAP),
    44: arguments(
        total_cholesterol=TOTAL_CHOLESTEROL,
        hdl=HDL,
        triglycerides=measure("Triglycerides", {**CHOLESTEROL, "mmol/l": 86.134}),
    ),
    63: arguments(**_GAP),
    64: arguments(**_GAP),
    65: arguments(**_GAP, albumin=ALBUMIN),
    66: arguments(**_GAP, albumin=ALBUMIN),
    67: arguments(**_GAP, albumin=ALBUMIN),
}

KIDNEY_AND_LIVER: Final[Mapping[int, Arguments]] = {
    2: arguments(sex=SEX, age=AGE, weight=WEIGHT, height=HEIGHT, creatinine=CREATININE),
    3: arguments(sex=SEX, age=AGE, creatinine=CREATININE),
    9: arguments(
        sex=SEX, age=AGE, creatinine=CREATININE, black=word("Race", {"black": True, "white": False}, absent=False)
    ),
    19: arguments(
        age=AGE,
        ast=measure("Aspartate aminotransferase", {"u/l": 1}),
        alt=measure("Alanine aminotransferase", {"u/l": 1}),
        platelets=PLATELETS,
    ),
    23: arguments(
        creatinine=CREATININE,
        bilirubin=BILIRUBIN,
        inr=INR,
        sodium=SODIUM,
        dialysis=any_of(
            "Dialysis at least twice in the past week",
            "Continuous veno-venous hemodialysis for \u226524 hours in the past week",
        ),
    ),
    38: arguments(sex=SEX, age=AGE, weight=WEIGHT, sodium=SODIUM),
    40: arguments(
        creatinine=CREATININE,
        urine_sodium=measure("Urine sodium", MMOL),
        sodium=SODIUM,
        urine_creatinine=measure("Urine creatinine", {"mg/dl": 1}),
    ),
}

DOSES_AND_DATES: Final[Mapping[int, Arguments]] = {
    13: _BY_CYCLE,
    24: _steroid,
    49: _opioids,
    68: _BY_CYCLE,
    69: arguments(**_PREGNANCY, today=day("Current Date")),
}

EQUATIONS: Final[Mapping[int, Arguments]] = {**BODY, **HEART, **CHEMISTRY, **KIDNEY_AND_LIVER, **DOSES_AND_DATES}
