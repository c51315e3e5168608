"""What MedCalc-Bench's scores of clots and operations take from a row's entities, by calculator id."""

from collections.abc import Mapping
from typing import Final

from medu1.prepare.labels.history import SURGERY
from medu1.prepare.labels.readers import (
    AGE,
    HEART_RATE,
    MASS_INDEX,
    PERCENT,
    Arguments,
    any_of,
    arguments,
    measure,
    word,
)

DVT: Final = "Previously documented Deep Vein Thrombosis"
PE: Final = "Previously Documented Pulmonary Embolism"
PREVIOUS_CLOT: Final = any_of(DVT, PE)

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
