"""Scores of venous thromboembolism: how likely a deep vein thrombosis or a pulmonary embolism is before a test."""

from medu1.calculators.calculator import Calculator, Criterion, Level, finding
from medu1.calculators.valid import AGE, HEART_RATE, OXYGEN_SATURATION


def wells_dvt(
    *,
    cancer: bool,
    bedridden: bool,
    calf_swelling: bool,
    collateral_veins: bool,
    leg_swollen: bool,
    tenderness: bool,
    pitting_edema: bool,
    paralysis: bool,
    previous_dvt: bool,
    alternative_diagnosis: bool,
) -> int:
    """Likelihood of deep vein thrombosis from ten findings; -2 to 9 points.

    `bedridden` also stands for major surgery within 12 weeks. Source: Wells et al., N Engl J Med 2003.
    """
    signs = (calf_swelling, collateral_veins, leg_swollen, tenderness, pitting_edema)
    history = (cancer, bedridden, paralysis, previous_dvt)
    return sum(signs) + sum(history) - 2 * alternative_diagnosis


def wells_pe(
    *,
    dvt_signs: bool,
    pe_likeliest: bool,
    heart_rate: float,
    immobilization: bool,
    previous_clot: bool,
    hemoptysis: bool,
    malignancy: bool,
) -> float:
    """Likelihood of pulmonary embolism from heart rate (beats/min) and findings; 0 to 12.5 points in halves.

    `immobilization` (3 days) also stands for surgery in the previous 4 weeks.
    Source: Wells et al., Thromb Haemost 2000.
    """
    HEART_RATE.check(heart_rate)
    ones_and_a_half = (heart_rate > 100) + immobilization + previous_clot
    return 3.0 * (dvt_signs + pe_likeliest) + 1.5 * ones_and_a_half + hemoptysis + malignancy


def perc(
    *,
    age: float,
    heart_rate: float,
    oxygen_saturation: float,
    leg_swelling: bool,
    hemoptysis: bool,
    surgery_or_trauma: bool,
    previous_clot: bool,
    hormones: bool,
) -> int:
    """Criteria met against ruling out pulmonary embolism; age in years, beats/min, saturation in %; 0 to 8.

    Source: Kline et al., J Thromb Haemost 2004.
    """
    AGE.check(age)
    HEART_RATE.check(heart_rate)
    OXYGEN_SATURATION.check(oxygen_saturation)
    findings = (leg_swelling, hemoptysis, surgery_or_trauma, previous_clot, hormones)
    return sum(findings) + (age >= 50) + (heart_rate >= 100) + (oxygen_saturation < 95)


WELLS_DVT = Calculator(
    key="wells_dvt",
    title="Wells' criteria for deep vein thrombosis",
    question="What is the Wells score for DVT?",
    inputs=(
        finding("cancer", "active cancer"),
        finding("bedridden", "recently bedridden"),
        finding("calf_swelling", "calf swollen 3+ cm"),
        finding("collateral_veins", "collateral leg veins"),
        finding("leg_swollen", "entire leg swollen"),
        finding("tenderness", "deep vein tenderness"),
        finding("pitting_edema", "pitting leg edema"),
        finding("paralysis", "leg paralysis"),
        finding("previous_dvt", "previous DVT"),
        Criterion(
            "alternative_diagnosis",
            (Level("alternative diagnosis unlikely", False, 0), Level("alternative diagnosis likely", True, -2)),
        ),
    ),
    formula=wells_dvt,
    unit="points",
    medcalc_id=16,
)

WELLS_PE = Calculator(
    key="wells_pe",
    title="Wells' criteria for pulmonary embolism",
    question="What is the Wells score for PE?",
    inputs=(
        Criterion(
            "pe_likeliest",
            (Level("PE less likely", False, 0), Level("PE most likely diagnosis", True, 3)),
        ),
        finding("dvt_signs", "signs of DVT", 3),
        Criterion("heart_rate", (Level("", 80, 0), Level("heart rate above 100", 115, 1.5))),
        finding("immobilization", "recently immobilized", 1.5),
        finding("previous_clot", "previous PE or DVT", 1.5),
        finding("hemoptysis", "hemoptysis"),
        finding("malignancy", "malignancy under treatment"),
    ),
    formula=wells_pe,
    unit="points",
    decimals=1,
    medcalc_id=8,
)

PERC = Calculator(
    key="perc",
    title="PERC rule for pulmonary embolism",
    question="How many PERC rule criteria are met?",
    inputs=(
        Criterion("age", (Level("aged under 50", 35, 0), Level("aged 50 or over", 60, 1))),
        Criterion("heart_rate", (Level("", 80, 0), Level("pulse at least 100", 110, 1))),
        Criterion("oxygen_saturation", (Level("", 98, 0), Level("oxygen saturation below 95", 91, 1))),
        finding("leg_swelling", "one leg swollen"),
        finding("hemoptysis", "hemoptysis"),
        finding("surgery_or_trauma", "recent surgery or trauma"),
        finding("previous_clot", "past PE or DVT"),
        finding("hormones", "takes estrogen"),
    ),
    formula=perc,
    unit="criteria",
    medcalc_id=48,
)
