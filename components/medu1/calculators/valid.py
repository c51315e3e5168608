"""What a formula accepts: the valid range and unit of each numeric argument, and the words a category may be.

A range is wide enough for any living patient and narrow enough to catch a wrong unit, such as creatinine in umol/L
where mg/dL is meant. A formula with a stricter published range declares its own `Range`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

Sex = Literal["male", "female"]
Worth = TypeVar("Worth")


@dataclass(frozen=True)
class Range:
    """The values an argument may have, both ends included."""

    name: str
    low: float
    high: float
    unit: str = ""

    def check(self, value: float) -> None:
        """Raises ValueError, naming the argument, where the value is outside the range or not a number."""
        if not self.low <= value <= self.high:
            raise ValueError(
                f"{self.name} is {value:g}, outside the valid {self.low:g} to {self.high:g} {self.unit}".rstrip()
            )


def chosen(name: str, value: str, worth: Mapping[str, Worth]) -> Worth:
    """What a category is worth. Raises ValueError, naming the argument, where it is not one of the known ones."""
    if value not in worth:
        raise ValueError(f"{name} is {value!r}, not one of {', '.join(map(repr, worth))}")
    return worth[value]


AGE = Range("age", 0, 120, "years")
ADULT_AGE = Range("age", 18, 120, "years")
WEIGHT = Range("weight", 0.3, 400, "kg")
HEIGHT = Range("height", 20, 250, "cm")
HEART_RATE = Range("heart_rate", 10, 350, "beats/min")
RESPIRATORY_RATE = Range("respiratory_rate", 0, 100, "breaths/min")
TEMPERATURE = Range("temperature", 20, 45, "degrees Celsius")
SYSTOLIC = Range("systolic", 30, 320, "mmHg")
DIASTOLIC = Range("diastolic", 10, 220, "mmHg")
OXYGEN_SATURATION = Range("oxygen_saturation", 0, 100, "%")
WHITE_CELLS = Range("white_cells", 50, 1_000_000, "cells/uL")
PLATELETS = Range("platelets", 1, 3000, "10^9/L")
CARBON_DIOXIDE = Range("carbon_dioxide", 5, 200, "mmHg")
SODIUM = Range("sodium", 80, 220, "mmol/L")
CHLORIDE = Range("chloride", 40, 180, "mmol/L")
BICARBONATE = Range("bicarbonate", 1, 70, "mmol/L")
ALBUMIN = Range("albumin", 0.5, 8, "g/dL")
CALCIUM = Range("calcium", 2, 25, "mg/dL")
GLUCOSE = Range("glucose", 10, 3000, "mg/dL")
UREA = Range("urea", 0.5, 400, "mg/dL")
CREATININE = Range("creatinine", 0.05, 40, "mg/dL")
BILIRUBIN = Range("bilirubin", 0.05, 80, "mg/dL")
INR = Range("inr", 0.5, 25)
INSULIN = Range("insulin", 0.1, 1000, "uIU/mL")
TOTAL_CHOLESTEROL = Range("total_cholesterol", 20, 1500, "mg/dL")
HDL = Range("hdl", 1, 200, "mg/dL")
URINE_SODIUM = Range("urine_sodium", 1, 500, "mmol/L")
URINE_CREATININE = Range("urine_creatinine", 1, 1000, "mg/dL")
AST = Range("ast", 1, 20000, "U/L")
ALT = Range("alt", 1, 20000, "U/L")
QT = Range("qt", 100, 800, "ms")
BODY_MASS_INDEX = Range("body_mass_index", 8, 100, "kg/m^2")
CYCLE_LENGTH = Range("cycle_length", 15, 60, "days")
POTASSIUM = Range("potassium", 1, 12, "mmol/L")
PH = Range("ph", 6.5, 8)
HEMATOCRIT = Range("hematocrit", 5, 75, "%")
HEMOGLOBIN = Range("hemoglobin", 2, 25, "g/dL")
ARTERIAL_OXYGEN = Range("arterial_oxygen", 15, 700, "mmHg")
INSPIRED_OXYGEN = Range("inspired_oxygen", 21, 100, "%")
MEAN_PRESSURE = Range("mean_pressure", 15, 250, "mmHg")
COMA_SCALE = Range("coma_scale", 3, 15, "points")
