"""Scores of infection: pneumonia, sepsis and sore throat."""

from medu1.calculators.calculator import Calculator, Criterion, Level, finding
from medu1.calculators.valid import (
    AGE,
    CARBON_DIOXIDE,
    HEART_RATE,
    RESPIRATORY_RATE,
    SYSTOLIC,
    TEMPERATURE,
    UREA,
    WHITE_CELLS,
    Range,
)

CENTOR_AGE = Range("age", 3, 120, "years")


def curb_65(*, confusion: bool, urea: float, respiratory_rate: float, low_pressure: bool, age: float) -> int:
    """Severity of pneumonia from urea nitrogen (mg/dL), breaths/min, age (years) and two signs; 0 to 5 points.

    `low_pressure` is a systolic pressure below 90 or a diastolic pressure of at most 60 mmHg.
    Source: Lim et al., Thorax 2003.
    """
    UREA.check(urea)
    RESPIRATORY_RATE.check(respiratory_rate)
    AGE.check(age)
    return confusion + (urea > 19) + (respiratory_rate >= 30) + low_pressure + (age >= 65)


def sirs(
    *,
    temperature: float,
    heart_rate: float,
    respiratory_rate: float,
    white_cells: float,
    carbon_dioxide: float = 40.0,
) -> int:
    """Criteria met for a systemic inflammatory response; 0 to 4.

    Units: degrees Celsius, beats/min, breaths/min, white cells/uL, arterial carbon dioxide pressure in mmHg.
    Source: Bone et al., Chest 1992.
    """
    TEMPERATURE.check(temperature)
    HEART_RATE.check(heart_rate)
    RESPIRATORY_RATE.check(respiratory_rate)
    WHITE_CELLS.check(white_cells)
    CARBON_DIOXIDE.check(carbon_dioxide)
    return (
        (temperature < 36 or temperature > 38)
        + (heart_rate > 90)
        + (respiratory_rate > 20 or carbon_dioxide < 32)
        + (white_cells < 4000 or white_cells > 12000)
    )


def qsofa(*, altered_mentation: bool, respiratory_rate: float, systolic: float) -> int:
    """Risk of death in infection from mentation, breaths/min and systolic pressure (mmHg); 0 to 3 points.

    Source: Seymour et al., JAMA 2016.
    """
    RESPIRATORY_RATE.check(respiratory_rate)
    SYSTOLIC.check(systolic)
    return altered_mentation + (respiratory_rate >= 22) + (systolic <= 100)


def centor(*, age: float, cough: bool, temperature: float, tender_nodes: bool, exudate: bool) -> int:
    """Likelihood of streptococcal pharyngitis from age (years), temperature (degrees Celsius) and signs; -1 to 5.

    Source: McIsaac et al., CMAJ 1998 (the modified Centor score).
    """
    CENTOR_AGE.check(age)
    TEMPERATURE.check(temperature)
    return (age < 15) - (age >= 45) + (not cough) + (temperature > 38) + tender_nodes + exudate


def feverpain(*, fever: bool, cough_or_coryza: bool, early: bool, purulent: bool, inflamed: bool) -> int:
    """Likelihood of streptococcal sore throat from five findings; 0 to 5 points.

    `fever` within 24 hours; `early` is an onset within 3 days. Source: Little et al., BMJ 2013.
    """
    return fever + (not cough_or_coryza) + early + purulent + inflamed


CURB_65 = Calculator(
    key="curb_65",
    title="CURB-65 score",
    question="What is the CURB-65 score?",
    inputs=(
        Criterion("age", (Level("aged 64 or under", 50, 0), Level("aged 65 or over", 78, 1))),
        finding("confusion", "new confusion"),
        Criterion("urea", (Level("", 12, 0), Level("urea raised", 30, 1))),
        Criterion("respiratory_rate", (Level("", 18, 0), Level("breathing 30 or faster", 34, 1))),
        finding("low_pressure", "low blood pressure"),
    ),
    formula=curb_65,
    unit="points",
    medcalc_id=45,
)

SIRS = Calculator(
    key="sirs",
    title="SIRS criteria",
    question="How many SIRS criteria are met?",
    inputs=(
        Criterion(
            "temperature",
            (
                Level("temperature normal", 37.0, 0),
                Level("temperature above 38", 39.0, 1),
                Level("temperature below 36", 35.0, 1),
            ),
        ),
        Criterion("heart_rate", (Level("", 76, 0), Level("heart rate above 90", 112, 1))),
        Criterion("respiratory_rate", (Level("", 14, 0), Level("breathing above 20", 26, 1))),
        Criterion(
            "white_cells",
            (
                Level("", 7000, 0),
                Level("white cells above 12000", 16000, 1),
                Level("white cells below 4000", 2500, 1),
            ),
        ),
    ),
    formula=sirs,
    unit="criteria",
    medcalc_id=51,
)

QSOFA = Calculator(
    key="qsofa",
    title="qSOFA score",
    question="What is the qSOFA score?",
    inputs=(
        Criterion("altered_mentation", (Level("normal mentation", False, 0), Level("altered mentation", True, 1))),
        Criterion("respiratory_rate", (Level("", 16, 0), Level("breathing 22 or faster", 28, 1))),
        Criterion("systolic", (Level("", 125, 0), Level("systolic 100 or less", 92, 1))),
    ),
    formula=qsofa,
    unit="points",
)

CENTOR = Calculator(
    key="centor",
    title="Centor score (modified, McIsaac)",
    question="What is the modified Centor score?",
    inputs=(
        Criterion("age", (Level("aged 3 to 14", 9, 1), Level("aged 15 to 44", 30, 0), Level("aged over 44", 55, -1))),
        Criterion("cough", (Level("no cough", False, 1), Level("cough", True, 0))),
        Criterion("temperature", (Level("", 37.0, 0), Level("temperature above 38", 39.0, 1))),
        finding("tender_nodes", "tender neck nodes"),
        finding("exudate", "tonsillar exudate"),
    ),
    formula=centor,
    unit="points",
    medcalc_id=20,
)

FEVERPAIN = Calculator(
    key="feverpain",
    title="FeverPAIN score",
    question="What is the FeverPAIN score?",
    inputs=(
        finding("fever", "fever past day"),
        Criterion("cough_or_coryza", (Level("no cough or coryza", False, 1), Level("cough or coryza", True, 0))),
        finding("early", "onset within 3 days"),
        finding("purulent", "purulent tonsils"),
        finding("inflamed", "severely inflamed tonsils"),
    ),
    formula=feverpain,
    unit="points",
    medcalc_id=33,
)
