"""Scores that weigh a patient's whole history: comorbidity, and the risk of a clot."""

from medu1.calculators.bands import Bands, points
from medu1.calculators.calculator import Calculator, Criterion, Level, Measurement, finding
from medu1.calculators.valid import ADULT_AGE, BODY_MASS_INDEX, chosen

CHARLSON_AGE: Bands = ((80, 4), (70, 3), (60, 2), (50, 1))
CAPRINI_AGE: Bands = ((75, 3), (61, 2), (41, 1))

LIVER = {"none": 0, "mild": 1, "moderate to severe": 3}
DIABETES = {"none": 0, "uncomplicated": 1, "end-organ damage": 2}
TUMOR = {"none": 0, "localized": 2, "metastatic": 6}
SURGERY = {"none": 0, "minor": 1, "major": 2, "laparoscopic": 2, "arthroscopic": 2, "arthroplasty": 5}
MOBILITY = {"normal": 0, "bed rest": 1, "confined": 2}


def charlson(
    *,
    age: float,
    myocardial_infarction: bool,
    heart_failure: bool,
    peripheral_vascular: bool,
    cerebrovascular_disease: bool,
    dementia: bool,
    lung_disease: bool,
    connective_tissue: bool,
    peptic_ulcer: bool,
    liver: str,
    diabetes: str,
    hemiplegia: bool,
    kidney_disease: bool,
    tumor: str,
    leukemia: bool,
    lymphoma: bool,
    aids: bool,
) -> int:
    """Burden of comorbidity with a point for each decade of age (years) from 50; 0 to 37 points.

    `liver` is "none", "mild" or "moderate to severe"; `diabetes` "none" (or diet-controlled), "uncomplicated" or
    "end-organ damage"; `tumor` "none", "localized" or "metastatic"; `kidney_disease` is moderate to severe.
    Source: Charlson et al., J Chronic Dis 1987; age: Charlson et al., J Clin Epidemiol 1994.
    """
    ADULT_AGE.check(age)
    ones = (myocardial_infarction, heart_failure, peripheral_vascular, cerebrovascular_disease, dementia)
    more_ones = (lung_disease, connective_tissue, peptic_ulcer)
    twos = (hemiplegia, kidney_disease, leukemia, lymphoma)
    graded = chosen("liver", liver, LIVER) + chosen("diabetes", diabetes, DIABETES) + chosen("tumor", tumor, TUMOR)
    return points(age, CHARLSON_AGE) + sum(ones) + sum(more_ones) + 2 * sum(twos) + graded + 6 * aids


def caprini(
    *,
    age: float,
    body_mass_index: float,
    surgery: str,
    mobility: str,
    recent_surgery: bool = False,
    heart_failure: bool = False,
    sepsis: bool = False,
    pneumonia: bool = False,
    varicose_veins: bool = False,
    swollen_legs: bool = False,
    bowel_disease: bool = False,
    infarction: bool = False,
    lung_disease: bool = False,
    hormones: bool = False,
    pregnancy: bool = False,
    pregnancy_loss: bool = False,
    cast: bool = False,
    central_line: bool = False,
    malignancy: bool = False,
    previous_clot: bool = False,
    family_history: bool = False,
    factor_v_leiden: bool = False,
    prothrombin: bool = False,
    homocysteine: bool = False,
    lupus_anticoagulant: bool = False,
    anticardiolipin: bool = False,
    heparin_thrombocytopenia: bool = False,
    other_thrombophilia: bool = False,
    fracture: bool = False,
    stroke: bool = False,
    multiple_trauma: bool = False,
    spinal_cord_injury: bool = False,
) -> int:
    """Risk of venous thromboembolism around an operation, from age (years), body mass index (kg/m^2) and history.

    `surgery` is "none", "minor", "major", "laparoscopic", "arthroscopic" or "arthroplasty" (elective, of a leg);
    `mobility` "normal", "bed rest" or "confined" (to bed for more than 72 hours). Events are of the last month, and
    `previous_clot` is a deep vein thrombosis or a pulmonary embolism, counted once. Source: Caprini, Dis Mon 2005.
    """
    ADULT_AGE.check(age)
    BODY_MASS_INDEX.check(body_mass_index)
    ones = (recent_surgery, heart_failure, sepsis, pneumonia, varicose_veins, swollen_legs, bowel_disease, infarction)
    more_ones = (lung_disease, hormones, pregnancy, pregnancy_loss, body_mass_index > 25)
    twos = (cast, central_line, malignancy)
    clotting = (factor_v_leiden, prothrombin, homocysteine, lupus_anticoagulant, anticardiolipin)
    threes = (previous_clot, family_history, heparin_thrombocytopenia, other_thrombophilia, *clotting)
    fives = (fracture, stroke, multiple_trauma, spinal_cord_injury)
    graded = chosen("surgery", surgery, SURGERY) + chosen("mobility", mobility, MOBILITY)
    return (
        points(age, CAPRINI_AGE)
        + graded
        + sum(ones)
        + sum(more_ones)
        + 2 * sum(twos)
        + 3 * sum(threes)
        + 5 * sum(fives)
    )


CHARLSON = Calculator(
    key="charlson",
    title="Charlson Comorbidity Index",
    question="What is the age-adjusted Charlson Comorbidity Index?",
    inputs=(
        Measurement("age", "aged {value}", 40, 90),
        finding("myocardial_infarction", "myocardial infarction"),
        finding("heart_failure", "heart failure"),
        finding("peripheral_vascular", "peripheral vascular disease"),
        finding("cerebrovascular_disease", "cerebrovascular disease"),
        finding("dementia", "dementia"),
        finding("lung_disease", "COPD"),
        finding("connective_tissue", "connective tissue disease"),
        finding("peptic_ulcer", "peptic ulcer"),
        Criterion(
            "liver",
            (
                Level("", "none", 0),
                Level("mild liver disease", "mild", 1),
                Level("severe liver disease", "moderate to severe", 3),
            ),
        ),
        Criterion(
            "diabetes",
            (
                Level("", "none", 0),
                Level("uncomplicated diabetes", "uncomplicated", 1),
                Level("diabetes, end-organ damage", "end-organ damage", 2),
            ),
        ),
        finding("hemiplegia", "hemiplegia", 2),
        finding("kidney_disease", "severe kidney disease", 2),
        Criterion(
            "tumor",
            (
                Level("", "none", 0),
                Level("localized solid tumor", "localized", 2),
                Level("metastatic solid tumor", "metastatic", 6),
            ),
        ),
        finding("leukemia", "leukemia", 2),
        finding("lymphoma", "lymphoma", 2),
        finding("aids", "AIDS", 6),
    ),
    formula=charlson,
    unit="points",
    medcalc_id=32,
)

CAPRINI = Calculator(
    key="caprini",
    title="Caprini score (2005)",
    question="What is the Caprini score?",
    inputs=(
        Measurement("age", "aged {value}", 20, 90),
        Measurement("body_mass_index", "BMI {value} kg/m^2", 18, 40),
        Criterion(
            "surgery",
            (
                Level("no operation", "none", 0),
                Level("minor surgery", "minor", 1),
                Level("major surgery", "major", 2),
                Level("laparoscopic surgery", "laparoscopic", 2),
                Level("arthroscopic surgery", "arthroscopic", 2),
                Level("elective leg arthroplasty", "arthroplasty", 5),
            ),
        ),
        Criterion(
            "mobility",
            (Level("", "normal", 0), Level("on bed rest", "bed rest", 1), Level("72+ hours abed", "confined", 2)),
        ),
        finding("recent_surgery", "major surgery last month"),
        finding("swollen_legs", "swollen legs"),
        finding("varicose_veins", "varicose veins"),
        finding("malignancy", "present or past cancer", 2),
        finding("central_line", "central venous line", 2),
        finding("previous_clot", "past PE or DVT", 3),
        finding("family_history", "family history of clots", 3),
        finding("factor_v_leiden", "factor V Leiden", 3),
        finding("fracture", "recent leg fracture", 5),
        finding("stroke", "recent stroke", 5),
    ),
    formula=caprini,
    unit="points",
    medcalc_id=36,
)
