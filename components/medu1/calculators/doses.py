"""Equivalent doses: one steroid for another, opioids as morphine."""

from collections.abc import Mapping
from typing import Final

from medu1.calculators.calculator import Criterion, Level, Measurement
from medu1.calculators.equation import equation
from medu1.calculators.valid import Range, chosen

STEROID_DOSE = Range("dose", 0.01, 5000, "mg")
OPIOID_DOSE = (0, 10_000)  # a day
PATCH = Range("fentanyl_patch", 0, 1000, "ug/h")

STEROIDS: Final[Mapping[str, float]] = {  # mg of equal effect, by mouth or by vein
    "cortisone": 25,
    "hydrocortisone": 20,
    "prednisone": 5,
    "prednisolone": 5,
    "methylprednisolone": 4,
    "triamcinolone": 4,
    "dexamethasone": 0.75,
    "betamethasone": 0.75,
}
OPIOIDS: Final[Mapping[str, float]] = {  # mg of oral morphine for each unit
    "codeine": 0.15,
    "fentanyl_buccal": 0.13,
    "fentanyl_patch": 2.4,
    "hydrocodone": 1.0,
    "hydromorphone": 5.0,
    "methadone": 4.7,
    "morphine": 1.0,
    "oxycodone": 1.5,
    "oxymorphone": 3.0,
    "tapentadol": 0.4,
    "tramadol": 0.2,
}


def steroid_conversion(*, dose: float, given: str, wanted: str) -> float:
    """The dose in mg of the steroid `wanted` that equals a dose in mg of the one `given`.

    Source: Goodman and Gilman, The Pharmacological Basis of Therapeutics (equivalent anti-inflammatory doses).
    """
    STEROID_DOSE.check(dose)
    return dose * chosen("wanted", wanted, STEROIDS) / chosen("given", given, STEROIDS)


def morphine_equivalents(**daily: float) -> float:
    """Morphine milligram equivalents a day of opioids by name, in mg a day.

    `fentanyl_buccal` is in ug a day and `fentanyl_patch` is the patch's rate in ug/h.
    Source: Dowell et al., MMWR Recomm Rep 2022 (CDC guideline); buccal fentanyl: CDC conversion factors, 2018.
    """
    return float(sum(_equivalents(opioid, dose) for opioid, dose in daily.items()))


def _equivalents(opioid: str, dose: float) -> float:
    factor = chosen("opioid", opioid, OPIOIDS)
    valid = PATCH if opioid == "fentanyl_patch" else Range(opioid, *OPIOID_DOSE, "a day")
    valid.check(dose)
    return factor * dose


def _steroid_shown(dose: float, given: str, wanted: str) -> str:
    return f"{dose:g} * {STEROIDS[wanted]:g} / {STEROIDS[given]:g}"


def _opioids_shown(**daily: float) -> str:
    return " + ".join(f"{dose:g} * {OPIOIDS[opioid]:g}" for opioid, dose in daily.items())


STEROID_CONVERSION = equation(
    key="steroid_conversion",
    title="Steroid conversion",
    question="What is the equivalent dose of the wanted steroid in mg?",
    inputs=(
        Measurement("dose", "{value} mg", 4, 100, 4),
        Criterion("given", tuple(Level(f"of {name} given", name, 0) for name in STEROIDS)),
        Criterion("wanted", tuple(Level(f"{name} wanted", name, 0) for name in STEROIDS)),
    ),
    formula=steroid_conversion,
    shown=_steroid_shown,
    unit="mg",
    decimals=2,
    medcalc_id=24,
)

MORPHINE_EQUIVALENTS = equation(
    key="morphine_equivalents",
    title="Morphine milligram equivalents",
    question="How many morphine milligram equivalents a day?",
    inputs=(
        Measurement("oxycodone", "oxycodone {value} mg a day", 10, 120, 10),
        Measurement("codeine", "codeine {value} mg a day", 30, 240, 30),
        Measurement("fentanyl_patch", "fentanyl patch of {value} ug/h", 25, 100, 25),
    ),
    formula=morphine_equivalents,
    shown=_opioids_shown,
    unit="MME/day",
    decimals=1,
    medcalc_id=49,
)
