"""What each score of MedCalc-Bench takes from a row's entities, by the benchmark's calculator id."""

from collections.abc import Collection, Mapping
from typing import Final

from medu1.calculators.calculator import Value
from medu1.prepare.labels.entities import Entities, Unreadable
from medu1.prepare.labels.readers import (
    AGE,
    ALBUMIN,
    ARTERIAL_OXYGEN,
    ARTERIAL_OXYGEN_NAME,
    BILIRUBIN,
    BREATHS,
    COMA_SCALE,
    CREATININE,
    CREATININE_UNITS,
    DIASTOLIC_NAME,
    GLUCOSE,
    HEART_RATE,
    HEMATOCRIT,
    HEMOGLOBIN,
    INR,
    INSPIRED_OXYGEN,
    MASS_INDEX,
    MMHG,
    PERCENT,
    PH,
    PLATELETS,
    POTASSIUM,
    SEX,
    SODIUM,
    SYSTOLIC,
    SYSTOLIC_NAME,
    UREA,
    WHITE_CELLS,
    Arguments,
    Reader,
    any_of,
    arguments,
    lacking,
    mean_pressure,
    measure,
    number,
    optional,
    temperature,
    word,
)

DVT: Final = "Previously documented Deep Vein Thrombosis"
PE: Final = "Previously Documented Pulmonary Embolism"
PREVIOUS_CLOT: Final = any_of(DVT, PE)
DIABETES: Final = "Diabetes mellitus criteria for CCI rule"
KIDNEY: Final = "Moderate to severe Chronic Kidney Disease"
TUMOR: Final = "Solid tumor"
ORGAN_FAILURE: Final = "History of severe organ failure or immunocompromise"
SURGERY: Final = "Surgery Type"
ATHEROSCLEROSIS: Final = any_of("atherosclerotic disease", "Transient Ischemic Attacks History")
RISK_FACTORS: Final = (
    "Hypertension history",
    "hypercholesterolemia",
    DIABETES,
    "obesity",
    "smoking",
    "parent or sibling with Cardiovascular disease before age 65",
)


_operation: Final = optional(
    SURGERY, word(SURGERY, {"nonoperative": "nonoperative", "emergency": "nonoperative", "elective": "elective"})
)


def _risk_factors(entities: Entities) -> int:
    """Their number; known atherosclerosis stands for three."""
    stated = sum(map(entities.flag, RISK_FACTORS))
    return max(stated, 3) if ATHEROSCLEROSIS(entities) else stated


def _low_pressure_of_pneumonia(entities: Entities) -> bool:
    systolic, diastolic = entities.measure(SYSTOLIC_NAME, MMHG), entities.measure(DIASTOLIC_NAME, MMHG)
    return systolic < 90 or diastolic <= 60


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


BEDSIDE: Final[Mapping[int, Arguments]] = {
    15: arguments(
        bilirubin=BILIRUBIN,
        albumin=ALBUMIN,
        inr=INR,
        ascites=word("Ascites", {"absent": "absent", "slight": "slight", "moderate": "moderate"}, absent="absent"),
        encephalopathy=word(
            "Encephalopathy",
            {
                "no encephalopathy": "none",
                "grade 0": "none",
                "grade 1-2": "grade 1-2",
                "grade 3-4": "grade 3-4",
            },
            absent="none",
        ),
    ),
    21: arguments(  # a response that is "not testable" has no points
        eye=word(
            "Best eye response",
            {
                "eyes open spontaneously": 4,
                "eye opening to verbal command": 3,
                "eye opening to pain": 2,
                "no eye opening": 1,
            },
        ),
        verbal=word(
            "Best verbal response",
            {
                "oriented": 5,
                "confused": 4,
                "inappropriate words": 3,
                "incomprehensible sounds": 2,
                "no verbal response": 1,
            },
        ),
        motor=word(
            "Best motor response",
            {
                "obeys commands": 6,
                "localizes pain": 5,
                "withdrawal from pain": 4,
                "flexion to pain": 3,
                "extension to pain": 2,
                "no motor response": 1,
            },
        ),
    ),
    27: arguments(
        sex=SEX,
        urea=UREA,
        hemoglobin=HEMOGLOBIN,
        systolic=SYSTOLIC,
        heart_rate=HEART_RATE,
        melena=any_of("Melena present"),
        syncope=any_of("Recent syncope"),
        liver_disease=any_of("Hepatic disease history"),
        heart_failure=any_of("Cardiac failure present"),
    ),
}

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

CLOTS: Final[Mapping[int, Arguments]] = {
    8: arguments(
        dvt_signs=any_of("Clinical signs and symptoms of Deep Vein Thrombosis"),
        pe_likeliest=any_of("Pulmonary Embolism is #1 diagnosis OR equally likely"),
        heart_rate=HEART_RATE,
        immobilization=any_of("Immobilization for at least 3 days", "Surgery in the previous 4 weeks"),
        previous_clot=PREVIOUS_CLOT,
        hemoptysis=any_of("Hemoptysis"),
        malignancy=any_of("Malignancy with treatment within 6 months or palliative"),
    ),
    16: arguments(
        cancer=any_of("Active cancer"),
        bedridden=any_of(
            "Bedridden recently >3 days or major surgery within 12 weeks", "Major surgery within 12 weeks"
        ),
        calf_swelling=any_of("Calf swelling >3 centimeters compared to the other leg"),
        collateral_veins=any_of("Collateral (nonvaricose) superficial veins present"),
        leg_swollen=any_of("Entire Leg Swollen"),
        tenderness=any_of("Localized tenderness along the deep venous system"),
        pitting_edema=any_of("Pitting edema, confined to symptomatic leg"),
        paralysis=any_of("Paralysis, paresis, or recent plaster immobilization of the lower extremity"),
        previous_dvt=any_of(DVT),
        alternative_diagnosis=any_of("Alternative diagnosis to Deep Vein Thrombosis as likely or more likely"),
    ),
    36: arguments(
        age=AGE,
        body_mass_index=MASS_INDEX,
        surgery=word(
            SURGERY,
            {
                "none": "none",
                "minor": "minor",
                "major": "major",
                "laparoscopic": "laparoscopic",
                "arthroscopic": "arthroscopic",
                "elective major lower extremity arthroplasty": "arthroplasty",
            },
            absent="none",
        ),
        mobility=word(
            "Mobility",
            {"normal": "normal", "on bed rest": "bed rest", "confined to bed >72 hours": "confined"},
            absent="normal",
        ),
        recent_surgery=any_of("Major Surgery in the last month"),
        heart_failure=any_of("Congestive Heart Failure in the last month"),
        sepsis=any_of("Sepsis in the last month"),
        pneumonia=any_of("Pneumonia in the last month"),
        varicose_veins=any_of("Varicose veins"),
        swollen_legs=any_of("Current swollen legs"),
        bowel_disease=any_of("History of inflammatory bowel disease"),
        infarction=any_of("Acute Myocardial infarction"),
        lung_disease=any_of("Chronic Obstructive Pulmonary Disease"),
        cast=any_of("Immobilizing plaster cast in the last month"),
        central_line=any_of("Current central venous access"),
        malignancy=any_of("Present or previous malignancy"),
        previous_clot=PREVIOUS_CLOT,
        family_history=any_of("Family history of thrombosis"),
        factor_v_leiden=any_of("Positive Factor V Leiden"),
        prothrombin=any_of("Positive prothrombin 20210A"),
        homocysteine=any_of("Elevated serum homocysteine"),
        lupus_anticoagulant=any_of("Positive lupus anticoagulant"),
        anticardiolipin=any_of("Elevated anticardiolipin antibody"),
        heparin_thrombocytopenia=any_of("Heparin-induced thrombocytopenia"),
        other_thrombophilia=any_of("Other congenital or acquired thrombophilia"),
        fracture=any_of("Hip, pelvis, or leg fracture in the last month"),
        stroke=any_of("Stroke in the last month"),
        multiple_trauma=any_of("Multiple trauma in the last month"),
        spinal_cord_injury=any_of("Acute spinal cord injury causing paralysis in the last month"),
    ),
    48: arguments(
        age=AGE,
        heart_rate=HEART_RATE,
        oxygen_saturation=measure("O\u2082 saturation percentage", PERCENT),
        leg_swelling=any_of("Unilateral Leg Swelling"),
        hemoptysis=any_of("Hemoptysis"),
        surgery_or_trauma=any_of("Recent surgery or trauma"),
        previous_clot=PREVIOUS_CLOT,
        hormones=any_of("Hormone use"),
    ),
}

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

SCORES: Final[Mapping[int, Arguments]] = {**BEDSIDE, **HEART, **CLOTS, **INFECTION, **ORGANS}
UNREAD: Final[Mapping[int, Collection[str]]] = {  # entities that rows name and the score does not take
    28: ("Chronic Renal Failure",),  # counts as severe organ failure where it needs dialysis, which has its own entity
    33: (
        "Altered mental status for PECARN head injury criteria",
        "Occipital, parietal or temporal scalp hematoma; history of level of conciousness (LOC) \u22655 sec; "
        "not acting normally per parent or severe mechanism of injury?",
    ),
    36: ("sex",),
    43: ("Continuous veno-venous hemodialysis for \u226524 hours in the past week",),
}
