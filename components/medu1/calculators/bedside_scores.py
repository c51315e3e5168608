"""Scores in which a vignette states every criterion: consciousness, the newborn, the liver."""

from medu1.calculators.calculator import Calculator, Criterion, Level
from medu1.calculators.valid import ALBUMIN, BILIRUBIN, INR, Range, chosen


def glasgow_coma_scale(*, eye: int, verbal: int, motor: int) -> int:
    """Level of consciousness from the best eye (1-4), verbal (1-5) and motor (1-6) response; 3 to 15 points.

    Source: Teasdale and Jennett, Lancet 1974.
    """
    Range("eye", 1, 4, "points").check(eye)
    Range("verbal", 1, 5, "points").check(verbal)
    Range("motor", 1, 6, "points").check(motor)
    return eye + verbal + motor


def apgar(*, appearance: int, pulse: int, grimace: int, activity: int, respiration: int) -> int:
    """Condition of a newborn from five signs of 0 to 2 points each; 0 to 10 points.

    Source: Apgar, Curr Res Anesth Analg 1953.
    """
    signs = {
        "appearance": appearance,
        "pulse": pulse,
        "grimace": grimace,
        "activity": activity,
        "respiration": respiration,
    }
    for sign, points in signs.items():
        Range(sign, 0, 2, "points").check(points)
    return sum(signs.values())


def child_pugh(*, bilirubin: float, albumin: float, inr: float, ascites: str, encephalopathy: str) -> int:
    """Severity of cirrhosis from bilirubin (mg/dL), albumin (g/dL), INR and two signs; 5 to 15 points.

    Ascites is "absent", "slight" or "moderate"; encephalopathy is "none", "grade 1-2" or "grade 3-4".
    Source: Pugh et al., Br J Surg 1973.
    """
    BILIRUBIN.check(bilirubin)
    ALBUMIN.check(albumin)
    INR.check(inr)
    return (
        (1 + (bilirubin >= 2) + (bilirubin > 3))
        + (1 + (albumin <= 3.5) + (albumin < 2.8))
        + (1 + (inr >= 1.7) + (inr > 2.3))
        + chosen("ascites", ascites, {"absent": 1, "slight": 2, "moderate": 3})
        + chosen("encephalopathy", encephalopathy, {"none": 1, "grade 1-2": 2, "grade 3-4": 3})
    )


GLASGOW_COMA_SCALE = Calculator(
    key="glasgow_coma_scale",
    title="Glasgow Coma Scale",
    question="What is the Glasgow Coma Scale score?",
    inputs=(
        Criterion(
            "eye",
            (
                Level("eyes open spontaneously", 4, 4),
                Level("eyes open to voice", 3, 3),
                Level("eyes open to pain", 2, 2),
                Level("eyes stay closed", 1, 1),
            ),
        ),
        Criterion(
            "verbal",
            (
                Level("oriented speech", 5, 5),
                Level("confused speech", 4, 4),
                Level("inappropriate words", 3, 3),
                Level("incomprehensible sounds", 2, 2),
                Level("no verbal response", 1, 1),
            ),
        ),
        Criterion(
            "motor",
            (
                Level("obeys commands", 6, 6),
                Level("localizes pain", 5, 5),
                Level("withdraws from pain", 4, 4),
                Level("abnormal flexion", 3, 3),
                Level("abnormal extension", 2, 2),
                Level("no motor response", 1, 1),
            ),
        ),
    ),
    formula=glasgow_coma_scale,
    unit="points",
    medcalc_id=21,
)

APGAR = Calculator(
    key="apgar",
    title="Apgar score",
    question="What is the Apgar score?",
    inputs=(
        Criterion(
            "appearance",
            (Level("pink all over", 2, 2), Level("blue hands and feet", 1, 1), Level("blue all over", 0, 0)),
        ),
        Criterion(
            "pulse",
            (Level("pulse 100 or above", 2, 2), Level("pulse below 100", 1, 1), Level("no pulse", 0, 0)),
        ),
        Criterion(
            "grimace",
            (Level("cries when stimulated", 2, 2), Level("only grimaces", 1, 1), Level("no reflex response", 0, 0)),
        ),
        Criterion(
            "activity",
            (Level("moves actively", 2, 2), Level("some limb flexion", 1, 1), Level("limp", 0, 0)),
        ),
        Criterion(
            "respiration",
            (Level("strong breathing", 2, 2), Level("slow irregular breathing", 1, 1), Level("not breathing", 0, 0)),
        ),
    ),
    formula=apgar,
    unit="points",
)

CHILD_PUGH = Calculator(
    key="child_pugh",
    title="Child-Pugh score",
    question="What is the Child-Pugh score?",
    inputs=(
        Criterion(
            "bilirubin",
            (Level("bilirubin under 2", 1.0, 1), Level("bilirubin 2 to 3", 2.5, 2), Level("bilirubin over 3", 4.0, 3)),
        ),
        Criterion(
            "albumin",
            (
                Level("albumin over 3.5", 4.0, 1),
                Level("albumin 2.8 to 3.5", 3.2, 2),
                Level("albumin under 2.8", 2.4, 3),
            ),
        ),
        Criterion(
            "inr",
            (Level("INR under 1.7", 1.2, 1), Level("INR 1.7 to 2.3", 2.0, 2), Level("INR over 2.3", 2.8, 3)),
        ),
        Criterion(
            "ascites",
            (
                Level("no ascites", "absent", 1),
                Level("slight ascites", "slight", 2),
                Level("moderate ascites", "moderate", 3),
            ),
        ),
        Criterion(
            "encephalopathy",
            (
                Level("no encephalopathy", "none", 1),
                Level("grade 1-2 encephalopathy", "grade 1-2", 2),
                Level("grade 3-4 encephalopathy", "grade 3-4", 3),
            ),
        ),
    ),
    formula=child_pugh,
    unit="points",
    medcalc_id=15,
)
