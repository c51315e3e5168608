"""What MedCalc-Bench's scores of failing organs and old illnesses take from a row's entities, by calculator id."""

from collections.abc import Mapping
from typing import Final

from medu1.calculators.calculator import Value
from medu1.prepare.labels.entities import Entities, Unreadable
from medu1.prepare.labels.history import DIABETES, SURGERY
from medu1.prepare.labels.readers import (
    AGE,
    ARTERIAL_OXYGEN,
    ARTERIAL_OXYGEN_NAME,
    BILIRUBIN,
    BREATHS,
    COMA_SCALE,
    CREATININE,
    DIASTOLIC_NAME,
    HEART_RATE,
    HEMATOCRIT,
    INSPIRED_OXYGEN,
    PH,
    PLATELETS,
    POTASSIUM,
    SODIUM,
    SYSTOLIC_NAME,
    WHITE_CELLS,
    Arguments,
    Reader,
    any_of,
    arguments,
    mean_pressure,
    measure,
    number,
    optional,
    temperature,
    word,
)

KIDNEY: Final = "Moderate to severe Chronic Kidney Disease"
TUMOR: Final = "Solid tumor"
ORGAN_FAILURE: Final = "History of severe organ failure or immunocompromise"
_operation: Final = optional(
    SURGERY, word(SURGERY, {"nonoperative": "nonoperative", "emergency": "nonoperative", "elective": "elective"})
)


def _low_mean_pressure(entities: Entities) -> bool:
    """Stated, or below 70 mmHg where both pressures are given."""
    given = [entities.has(SYSTOLIC_NAME), entities.has(DIASTOLIC_NAME)]
    low = all(given) and mean_pressure(entities) < 70
    return entities.flag("Hypotension") or low


def _chronic(entities: Entities) -> Value | None:
    """A chronic illness counts by the operation: a row that names none beside one cannot be recomputed."""
    operation = _operation(entities)
    if not entities.flag(ORGAN_FAILURE):
        return "none"
    if operation is None:
        raise Unreadable(f"{SURGERY} is absent beside a severe organ failure, whose points it decides")
    return operation


def _tumor(entities: Entities) -> Value | None:
    """A tumor that is only said to be there is not known to have spread."""
    if entities.is_flag(TUMOR) or not entities.has(TUMOR):
        return "localized" if entities.flag(TUMOR) else "none"
    return word(TUMOR, {"localized": "localized", "metastatic": "metastatic"})(entities)


def _kidney_disease(entities: Entities) -> Value | None:
    if entities.is_flag(KIDNEY) or not entities.has(KIDNEY):
        return entities.flag(KIDNEY)
    return word(KIDNEY, {"moderate": True, "severe": True})(entities)


def _infusion(drug: str) -> Reader:
    """ug/kg/min; upstream misspells mcg once."""
    return optional(drug, measure(drug, {"mcg/kg/min": 1, "\u03bcg/kg/min": 1, "mc/kg/min": 1}))


ORGANS: Final[Mapping[int, Arguments]] = {
    28: arguments(
        age=AGE,
        temperature=temperature,
        mean_pressure=mean_pressure,
        heart_rate=HEART_RATE,
        respiratory_rate=BREATHS,
        inspired_oxygen=INSPIRED_OXYGEN,
        ph=PH,
        sodium=SODIUM,
        potassium=POTASSIUM,
        creatinine=CREATININE,
        acute_renal_failure=any_of("Acute renal failure"),
        hematocrit=HEMATOCRIT,
        white_cells=WHITE_CELLS,
        coma_scale=COMA_SCALE,
        chronic=_chronic,
        gradient=optional("A-a gradient", number("A-a gradient")),
        arterial_oxygen=optional(ARTERIAL_OXYGEN_NAME, ARTERIAL_OXYGEN),
    ),
    32: arguments(
        age=AGE,
        myocardial_infarction=any_of("Myocardial infarction"),
        heart_failure=any_of("Congestive Heart Faliure"),
        peripheral_vascular=any_of("Peripheral vascular disease"),
        cerebrovascular_disease=any_of("Transient Ischemic Attacks History", "Cerebrovascular Accident"),
        dementia=any_of("Dementia"),
        lung_disease=any_of("Chronic Obstructive Pulmonary Disease"),
        connective_tissue=any_of("Connective tissue disease"),
        peptic_ulcer=any_of("Peptic ulcer disease"),
        liver=word(
            "Liver disease severity",
            {
                "none": "none",
                "mild": "mild",
                "moderate": "moderate to severe",
                "moderate to severe": "moderate to severe",
                "severe": "moderate to severe",
            },
            absent="none",
        ),
        diabetes=word(
            DIABETES,
            {
                "none or diet-controlled": "none",
                "uncomplicated": "uncomplicated",
                "end-organ damage": "end-organ damage",
            },
            absent="none",
        ),
        hemiplegia=any_of("Hemiplegia"),
        kidney_disease=_kidney_disease,
        tumor=_tumor,
        leukemia=any_of("Leukemia"),
        lymphoma=any_of("Lymphoma"),
        aids=any_of("AIDS"),
    ),
    43: arguments(
        arterial_oxygen=ARTERIAL_OXYGEN,
        inspired_oxygen=INSPIRED_OXYGEN,
        ventilated=any_of("On mechanical ventilation", "Continous positive airway pressure"),
        platelets=PLATELETS,
        bilirubin=BILIRUBIN,
        coma_scale=COMA_SCALE,
        low_pressure=_low_mean_pressure,
        dopamine=_infusion("DOPamine"),
        dobutamine=_infusion("DOBUTamine"),
        epinephrine=_infusion("EPINEPHrine"),
        norepinephrine=_infusion("norEPINEPHrine"),
        creatinine=optional("creatinine", CREATININE),
        urine_output=optional("Urine Output", measure("Urine Output", {"ml/day": 1})),
    ),
}
