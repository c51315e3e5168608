"""Scores of cardiac risk: stroke and bleeding in atrial fibrillation, surgery, chest pain."""

from medu1.calculators.calculator import Calculator, Criterion, Level, finding
from medu1.calculators.valid import AGE, CREATININE, Range, Sex, chosen

DRINKS = Range("drinks_per_week", 0, 300, "drinks/week")
RISK_FACTORS = Range("risk_factors", 0, 6, "factors")


def cha2ds2_vasc(
    *, age: float, sex: Sex, heart_failure: bool, hypertension: bool, diabetes: bool, stroke: bool, vascular: bool
) -> int:
    """Yearly stroke risk in atrial fibrillation from age (years), sex and history; 0 to 9 points.

    `stroke` is a stroke, transient ischemic attack or thromboembolism. Source: Lip et al., Chest 2010.
    """
    AGE.check(age)
    age_points = 2 if age >= 75 else int(age >= 65)
    sex_points = chosen("sex", sex, {"male": 0, "female": 1})
    return age_points + sex_points + heart_failure + hypertension + diabetes + 2 * stroke + vascular


def has_bled(
    *,
    age: float,
    hypertension: bool,
    kidney_disease: bool,
    liver_disease: bool,
    stroke: bool,
    bleeding: bool,
    labile_inr: bool,
    drugs: bool,
    drinks_per_week: float,
) -> int:
    """Risk of major bleeding under anticoagulation from age (years), drinks a week and history; 0 to 9 points.

    `hypertension` is uncontrolled (systolic above 160 mmHg); `drugs` are antiplatelets or NSAIDs.
    Source: Pisters et al., Chest 2010.
    """
    AGE.check(age)
    DRINKS.check(drinks_per_week)
    history = (hypertension, kidney_disease, liver_disease, stroke, bleeding, labile_inr, drugs)
    return sum(history) + (age > 65) + (drinks_per_week >= 8)


def revised_cardiac_risk(
    *,
    high_risk_surgery: bool,
    ischemic_heart_disease: bool,
    heart_failure: bool,
    cerebrovascular_disease: bool,
    insulin: bool,
    creatinine: float,
) -> int:
    """Risk of cardiac complications of surgery from history and preoperative creatinine (mg/dL); 0 to 6 points.

    Source: Lee et al., Circulation 1999.
    """
    CREATININE.check(creatinine)
    history = (high_risk_surgery, ischemic_heart_disease, heart_failure, cerebrovascular_disease, insulin)
    return sum(history) + (creatinine > 2)


def heart(*, history: str, ecg: str, age: float, risk_factors: int, troponin: str) -> int:
    """Risk of a major cardiac event in chest pain from five criteria of 0 to 2 points; 0 to 10 points.

    `history` is "slight", "moderate" or "high" suspicion; `ecg` "normal", "nonspecific" or "deviation"; `age` in
    years; `risk_factors` their number, 3 standing also for known atherosclerosis; `troponin` "normal", "raised" (up to
    three times the limit) or "high". Source: Six, Backus and Kelder, Neth Heart J 2008.
    """
    AGE.check(age)
    RISK_FACTORS.check(risk_factors)
    return (
        chosen("history", history, {"slight": 0, "moderate": 1, "high": 2})
        + chosen("ecg", ecg, {"normal": 0, "nonspecific": 1, "deviation": 2})
        + ((age >= 45) + (age >= 65))
        + ((risk_factors >= 1) + (risk_factors >= 3))
        + chosen("troponin", troponin, {"normal": 0, "raised": 1, "high": 2})
    )


CHA2DS2_VASC = Calculator(
    key="cha2ds2_vasc",
    title="CHA2DS2-VASc score",
    question="What is the CHA2DS2-VASc score?",
    inputs=(
        Criterion("age", (Level("aged under 65", 50, 0), Level("aged 65 to 74", 70, 1), Level("aged over 74", 80, 2))),
        Criterion("sex", (Level("man", "male", 0), Level("woman", "female", 1))),
        finding("heart_failure", "heart failure"),
        finding("hypertension", "hypertension"),
        finding("diabetes", "diabetes"),
        finding("stroke", "prior stroke or TIA", 2),
        finding("vascular", "vascular disease"),
    ),
    formula=cha2ds2_vasc,
    unit="points",
    medcalc_id=4,
)

HAS_BLED = Calculator(
    key="has_bled",
    title="HAS-BLED score",
    question="What is the HAS-BLED score?",
    inputs=(
        Criterion("age", (Level("aged 65 or under", 50, 0), Level("aged over 65", 72, 1))),
        finding("hypertension", "uncontrolled hypertension"),
        finding("kidney_disease", "kidney disease"),
        finding("liver_disease", "liver disease"),
        finding("stroke", "history of stroke"),
        finding("bleeding", "prior major bleeding"),
        finding("labile_inr", "labile INR"),
        finding("drugs", "takes antiplatelets"),
        Criterion("drinks_per_week", (Level("", 0, 0), Level("8+ drinks weekly", 12, 1))),
    ),
    formula=has_bled,
    unit="points",
    medcalc_id=25,
)

REVISED_CARDIAC_RISK = Calculator(
    key="revised_cardiac_risk",
    title="Revised Cardiac Risk Index",
    question="What is the Revised Cardiac Risk Index?",
    inputs=(
        Criterion("high_risk_surgery", (Level("low-risk surgery", False, 0), Level("high-risk surgery", True, 1))),
        finding("ischemic_heart_disease", "ischemic heart disease"),
        finding("heart_failure", "heart failure"),
        finding("cerebrovascular_disease", "cerebrovascular disease"),
        finding("insulin", "insulin treatment"),
        Criterion("creatinine", (Level("", 1.0, 0), Level("creatinine above 2", 2.6, 1))),
    ),
    formula=revised_cardiac_risk,
    unit="points",
    medcalc_id=17,
)

HEART = Calculator(
    key="heart",
    title="HEART score",
    question="What is the HEART score?",
    inputs=(
        Criterion(
            "history",
            (
                Level("slightly suspicious history", "slight", 0),
                Level("moderately suspicious history", "moderate", 1),
                Level("highly suspicious history", "high", 2),
            ),
        ),
        Criterion(
            "ecg",
            (
                Level("normal ECG", "normal", 0),
                Level("nonspecific ECG changes", "nonspecific", 1),
                Level("ST deviation", "deviation", 2),
            ),
        ),
        Criterion("age", (Level("aged under 45", 40, 0), Level("aged 45 to 64", 55, 1), Level("aged over 64", 70, 2))),
        Criterion(
            "risk_factors",
            (Level("no risk factors", 0, 0), Level("1-2 risk factors", 2, 1), Level("3+ risk factors", 4, 2)),
        ),
        Criterion(
            "troponin",
            (
                Level("normal troponin", "normal", 0),
                Level("troponin mildly raised", "raised", 1),
                Level("troponin markedly raised", "high", 2),
            ),
        ),
    ),
    formula=heart,
    unit="points",
    medcalc_id=18,
)
