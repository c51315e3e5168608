"""From a row's entities to one argument of a formula: the kinds of reader, and those that many calculators share.

A reader that gives None leaves the formula's own default in place.
"""

from collections.abc import Callable, Mapping
from typing import Final

from medu1.calculators.calculator import Value, Values
from medu1.calculators.heart import mean_arterial_pressure
from medu1.prepare.labels.entities import Entities, Units, Unreadable

Reader = Callable[[Entities], Value | None]
Arguments = Callable[[Entities], Values]


def arguments(**readers: Reader) -> Arguments:
    """All the arguments of a formula, by name."""

    def read(entities: Entities) -> Values:
        found = ((name, reader(entities)) for name, reader in readers.items())
        return {name: value for name, value in found if value is not None}

    return read


def measure(name: str, units: Units) -> Reader:
    """A measurement in the unit the formula takes."""
    return lambda entities: entities.measure(name, units)


def optional(name: str, reader: Reader) -> Reader:
    """None where the row does not name the entity."""
    return lambda entities: reader(entities) if entities.has(name) else None


def number(name: str) -> Reader:
    """A number without a unit."""
    return lambda entities: entities.number(name)


def any_of(*names: str) -> Reader:
    """Whether any of some findings is present; one the row does not name is absent."""

    def read(entities: Entities) -> bool:
        found = [entities.flag(name) for name in names]  # every one is asked for
        return any(found)

    return read


def lacking(name: str) -> Reader:
    """True unless the row says that the finding of this name, an absence, is present."""
    return lambda entities: not entities.flag(name)


def day(name: str) -> Reader:
    """A calendar date."""
    return lambda entities: entities.day(name)


def word(name: str, meanings: Mapping[str, Value], absent: Value | None = None) -> Reader:
    """A category by its word; `absent` where the row does not name it, and Unreadable where that is None."""

    def read(entities: Entities) -> Value:
        if absent is not None and not entities.has(name):
            return absent
        said = entities.word(name)
        if said not in meanings:
            raise Unreadable(f"{name} is {said!r}, which is none of {', '.join(meanings)}")
        return meanings[said]

    return read


def temperature(entities: Entities) -> Value:
    """Degrees Celsius."""
    return entities.temperature("Temperature")


def mean_pressure(entities: Entities) -> float:
    """Mean arterial pressure in mmHg."""
    systolic, diastolic = entities.measure(SYSTOLIC_NAME, MMHG), entities.measure(DIASTOLIC_NAME, MMHG)
    return mean_arterial_pressure(systolic=systolic, diastolic=diastolic)


SYSTOLIC_NAME: Final = "Systolic Blood Pressure"
DIASTOLIC_NAME: Final = "Diastolic Blood Pressure"

MMHG: Final[Units] = {"mmhg": 1}
MMOL: Final[Units] = {"mmol/l": 1, "meq/l": 1}
PERCENT: Final[Units] = {"%": 1}
CREATININE_UNITS: Final[Units] = {"mg/dl": 1, "\u03bcmol/l": 113.12 / 10_000}
CHOLESTEROL: Final[Units] = {"mg/dl": 1, "mmol/l": 38.665}
PER_MINUTE: Final[Units] = {"beatsperminute": 1, "bpm": 1, "breathsperminute": 1}

SEX: Final = word("sex", {"male": "male", "female": "female"})
AGE: Final = measure("age", {"years": 1, "months": 1 / 12, "weeks": 7 / 365.25, "days": 1 / 365.25})
WEIGHT: Final = measure("weight", {"kg": 1, "g": 0.001, "lbs": 0.453592})
HEIGHT: Final = measure("height", {"cm": 1, "m": 100, "in": 2.54})
MASS_INDEX: Final = measure("Body Mass Index (BMI)", {"kg/m^2": 1})
SYSTOLIC: Final = measure(SYSTOLIC_NAME, MMHG)
DIASTOLIC: Final = measure(DIASTOLIC_NAME, MMHG)
HEART_RATE: Final = measure("Heart Rate or Pulse", PER_MINUTE)
BREATHS: Final = measure("respiratory rate", PER_MINUTE)
SODIUM: Final = measure("Sodium", MMOL)
POTASSIUM: Final = measure("Potassium", MMOL)
CHLORIDE: Final = measure("Chloride", MMOL)
BICARBONATE: Final = measure("Bicarbonate", MMOL)
CALCIUM: Final = measure("Calcium", {"mg/dl": 1, "mmol/l": 4.008})
ALBUMIN: Final = measure("Albumin", {"g/dl": 1, "g/l": 0.1, "mg/dl": 0.001})
GLUCOSE: Final = measure("Glucose", {"mg/dl": 1, "mmol/l": 18.016})
UREA: Final = measure("Blood Urea Nitrogen (BUN)", {"mg/dl": 1, "mmol/l": 2.801})
CREATININE: Final = measure("creatinine", CREATININE_UNITS)
BILIRUBIN: Final = measure("Bilirubin", {"mg/dl": 1, "\u03bcmol/l": 584.66 / 10_000})
INR: Final = number("international normalized ratio")
HEMOGLOBIN: Final = measure("Hemoglobin", {"g/dl": 1, "g/l": 0.1})
HEMATOCRIT: Final = measure("Hematocrit", PERCENT)
TOTAL_CHOLESTEROL: Final = measure("Total cholesterol", CHOLESTEROL)
HDL: Final = measure("high-density lipoprotein cholesterol", CHOLESTEROL)
PLATELETS: Final = measure("Platelet count", {"\u03bcl": 1e-3, "l": 1e-9})
WHITE_CELLS: Final = measure(  # upstream writes mm^3 as m^3; its counts by "L" are of other units in their notes
    "White blood cell count", {"\u03bcl": 1, "mm^3": 1, "m^3": 1}
)
PH: Final = number("pH")
COMA_SCALE: Final = number("Glasgow Coma Score")
INSPIRED_OXYGEN: Final = measure("FiO\u2082", PERCENT)
ARTERIAL_OXYGEN_NAME: Final = "Partial pressure of oxygen (PaO\u2082) for Apache II"
ARTERIAL_OXYGEN: Final = measure(ARTERIAL_OXYGEN_NAME, MMHG)
