"""Why labels of MedCalc-Bench v1.0 are not reproduced, by the benchmark's calculator id.

Each is read from the explanations beside the labels; the formulas here keep to the publications they name.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

CONVENTION: Final = (
    "A finding that a row does not name is absent, as the benchmark's explanations say; "
    "a measurement that it does not name makes the label not recomputable."
)

KNOWN_CAUSES: Final[Mapping[int, str]] = MappingProxyType(
    {
        3: "Men at or under 0.9 mg/dL are given the woman's creatinine constant of 0.7.",
        7: "Calcium in mmol/L is rounded to a whole number before it is converted.",
        9: "One patient is 17 years old, and the equation is of adults.",
        13: "For cycles under 28 days the labels add the days that their explanations say they subtract.",
        15: "Ascites counts nothing where the row names it, and is worth 1 to 3 points.",
        17: "The labels read a second entity of cerebrovascular disease, always False, and pass over the stated one.",
        19: "One platelet count is in impossible units: 0.119 x10^9/L.",
        20: "One patient is 14 months old, and the score begins at 3 years.",
        21: "The verbal response is counted twice; a response that is not testable has no points.",
        23: "The score before sodium is rounded to a whole number, not to the tenth, before it is multiplied by ten.",
        27: "A hemoglobin of exactly 13 g/dL in men or 12 in women is given the point of the band below it.",
        28: "Misspelt Celsius is taken for Fahrenheit, white cells per microlitre are read as 10^9/L, and "
        "the Glasgow Coma Scale is added itself, not what it lacks of 15.",
        29: "Where Celsius is misspelt, temperatures are converted from Fahrenheit and count as under 35 degrees.",
        32: "Liver disease, diabetes (even if diet-controlled) and a solid tumor count one point at any grade.",
        36: "Only age, type of surgery and mobility are counted; the points of findings are announced and not added.",
        43: "The oxygen ratio divides by percent and so lies under 100 in every patient, and the strongest vasopressor "
        "and a urine output under 200 mL are not given their points.",
        44: "Lipids in mmol/L are rounded to whole numbers before they are converted.",
        46: "The labels put cholesterol in mmol/L into an equation of mg/dL and round its exponent to a whole number.",
        49: "Patches of fentanyl are given in mg a day, and their factor takes a rate in ug/h.",
        51: "White cells per microlitre are multiplied by 10^9 and then compared with 12,000, and a heart rate of at "
        "most 90 adds a point; some counts are in impossible units.",
        64: "One sodium is in mg/dL.",
        65: "Albumin is of an impossible unit or value in two rows.",
        66: "Sodium or albumin is of an impossible unit or value in two rows.",
        67: "One albumin is in mg/dL.",
        68: "The labels add 14 days to the last period whatever the length of the cycle.",
    }
)
