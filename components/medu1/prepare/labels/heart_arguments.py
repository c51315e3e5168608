"""What MedCalc-Bench's scores of the heart and its vessels take from a row's entities, by calculator id."""

from collections.abc import Mapping
from typing import Final

from medu1.prepare.labels.entities import Entities
from medu1.prepare.labels.history import DIABETES
from medu1.prepare.labels.readers import (
    AGE,
    CREATININE_UNITS,
    SEX,
    Arguments,
    any_of,
    arguments,
    measure,
    number,
    word,
)

ATHEROSCLEROSIS: Final = any_of("atherosclerotic disease", "Transient Ischemic Attacks History")
RISK_FACTORS: Final = (
    "Hypertension history",
    "hypercholesterolemia",
    DIABETES,
    "obesity",
    "smoking",
    "parent or sibling with Cardiovascular disease before age 65",
)


def _risk_factors(entities: Entities) -> int:
    """Their number; known atherosclerosis stands for three."""
    stated = sum(map(entities.flag, RISK_FACTORS))
    return max(stated, 3) if ATHEROSCLEROSIS(entities) else stated


HEART: Final[Mapping[int, Arguments]] = {
    4: arguments(
        age=AGE,
        sex=SEX,
        heart_failure=any_of("Congestive Heart Faliure"),
        hypertension=any_of("Hypertension history"),
        diabetes=any_of("Diabetes history"),
        stroke=any_of("Stroke", "Transient Ischemic Attacks History", "Thromboembolism history"),
        vascular=any_of("Vascular disease history"),
    ),
    17: arguments(
        high_risk_surgery=any_of("Elevated-risk surgery"),
        ischemic_heart_disease=any_of("History of ischemic heart disease"),
        heart_failure=any_of("Congestive Heart Failure criteria for the Cardiac Risk Index rule"),
        cerebrovascular_disease=any_of("History of cerebrovascular disease", "Cerebrovascular disease history"),
        insulin=any_of("Pre-operative treatment with insulin"),
        creatinine=measure("Pre-operative creatinine", CREATININE_UNITS),
    ),
    18: arguments(
        history=word(
            "Suspicion History",
            {"slightly suspicious": "slight", "moderately suspicious": "moderate", "highly suspicious": "high"},
        ),
        ecg=word(
            "Electrocardiogram Test",
            {
                "normal": "normal",
                "non-specific repolarization disturbance": "nonspecific",
                "significant st deviation": "deviation",
            },
        ),
        age=AGE,
        risk_factors=_risk_factors,
        troponin=word(
            "Initial troponin",
            {
                "less than or equal to normal limit": "normal",
                "between the normal limit or up to three times the normal limit": "raised",
                "greater than three times normal limit": "high",
            },
        ),
    ),
    25: arguments(
        age=AGE,
        hypertension=any_of("Hypertension history"),
        kidney_disease=any_of("Renal disease criteria for the HAS-BLED rule"),
        liver_disease=any_of("Liver disease criteria for the HAS-BLED rule"),
        stroke=any_of("Stroke"),
        bleeding=any_of("Prior major bleeding or predisposition to bleeding"),
        labile_inr=any_of("Labile international normalized ratio"),
        drugs=any_of("Medication usage predisposing to bleeding"),
        drinks_per_week=number("Number of Alcoholic Drinks Per Week"),
    ),
}
