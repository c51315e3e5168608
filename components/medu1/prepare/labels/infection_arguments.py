"""What MedCalc-Bench's scores of infections take from a row's entities, by calculator id."""

from collections.abc import Mapping
from typing import Final

from medu1.prepare.labels.entities import Entities
from medu1.prepare.labels.readers import (
    AGE,
    ARTERIAL_OXYGEN,
    BREATHS,
    DIASTOLIC_NAME,
    GLUCOSE,
    HEART_RATE,
    HEMATOCRIT,
    MMHG,
    PH,
    SEX,
    SODIUM,
    SYSTOLIC,
    SYSTOLIC_NAME,
    UREA,
    WHITE_CELLS,
    Arguments,
    any_of,
    arguments,
    lacking,
    measure,
    optional,
    temperature,
)


def _low_pressure_of_pneumonia(entities: Entities) -> bool:
    systolic, diastolic = entities.measure(SYSTOLIC_NAME, MMHG), entities.measure(DIASTOLIC_NAME, MMHG)
    return systolic < 90 or diastolic <= 60


INFECTION: Final[Mapping[int, Arguments]] = {
    20: arguments(
        age=AGE,
        cough=lacking("Cough Absent"),
        temperature=temperature,
        tender_nodes=any_of("Tender/swollen anterior cervical lymph nodes"),
        exudate=any_of("Exudate or swelling on tonsils"),
    ),
    29: arguments(
        sex=SEX,
        age=AGE,
        nursing_home=any_of("Nursing home resident"),
        neoplasm=any_of("Neoplastic disease"),
        liver_disease=any_of("Liver disease severity"),
        heart_failure=any_of("Congestive Heart Faliure"),
        cerebrovascular_disease=any_of("Cerebrovascular disease history"),
        renal_disease=any_of("Renal disease"),
        altered_mentation=any_of("Altered mental status"),
        pleural_effusion=any_of("Pleural effusion on x-ray"),
        heart_rate=HEART_RATE,
        respiratory_rate=BREATHS,
        systolic=SYSTOLIC,
        temperature=temperature,
        ph=PH,
        urea=UREA,
        sodium=SODIUM,
        glucose=GLUCOSE,
        hematocrit=HEMATOCRIT,
        arterial_oxygen=ARTERIAL_OXYGEN,
    ),
    33: arguments(
        fever=any_of("Fever in past 24 hours"),
        cough_or_coryza=lacking("Absence of cough or coryza"),
        early=any_of("Symptom onset \u22643 days"),
        purulent=any_of("Purulent tonsils"),
        inflamed=any_of("Severe tonsil inflammation"),
    ),
    45: arguments(
        confusion=any_of("Confusion"),
        urea=UREA,
        respiratory_rate=BREATHS,
        low_pressure=_low_pressure_of_pneumonia,
        age=AGE,
    ),
    51: arguments(
        temperature=temperature,
        heart_rate=HEART_RATE,
        respiratory_rate=BREATHS,
        white_cells=WHITE_CELLS,
        carbon_dioxide=optional("PaCO\u2082", measure("PaCO\u2082", MMHG)),
    ),
}
