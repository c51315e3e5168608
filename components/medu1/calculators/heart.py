"""Equations of the circulation: mean pressure, the QT interval corrected for heart rate, coronary risk."""

from math import exp, log

from medu1.calculators.calculator import Calculator, Measurement, finding
from medu1.calculators.equation import SEX, equation
from medu1.calculators.valid import DIASTOLIC, HDL, HEART_RATE, QT, SYSTOLIC, TOTAL_CHOLESTEROL, Range, Sex, chosen

FRAMINGHAM_AGE = Range("age", 20, 79, "years")


def mean_arterial_pressure(*, systolic: float, diastolic: float) -> float:
    """Mean arterial pressure in mmHg, from systolic and diastolic pressure in mmHg.

    Source: Sesso et al., Hypertension 2000 (two thirds diastolic, one third systolic).
    """
    SYSTOLIC.check(systolic)
    DIASTOLIC.check(diastolic)
    if diastolic > systolic:
        raise ValueError(f"diastolic is {diastolic:g} mmHg, above the systolic {systolic:g}")
    return (systolic + 2 * diastolic) / 3


def qtc_bazett(*, qt: float, heart_rate: float) -> float:
    """Corrected QT interval in ms, from QT in ms and heart rate in beats/min.

    Source: Bazett, Heart 1920.
    """
    return float(qt / _rr(qt, heart_rate) ** 0.5)


def qtc_fridericia(*, qt: float, heart_rate: float) -> float:
    """Corrected QT interval in ms, from QT in ms and heart rate in beats/min.

    Source: Fridericia, Acta Med Scand 1920.
    """
    return float(qt / _rr(qt, heart_rate) ** (1 / 3))


def qtc_framingham(*, qt: float, heart_rate: float) -> float:
    """Corrected QT interval in ms, from QT in ms and heart rate in beats/min.

    Source: Sagie et al., Am J Cardiol 1992.
    """
    return qt + 154 * (1 - _rr(qt, heart_rate))


def qtc_hodges(*, qt: float, heart_rate: float) -> float:
    """Corrected QT interval in ms, from QT in ms and heart rate in beats/min.

    Source: Hodges, Salerno and Erlien, J Am Coll Cardiol 1983.
    """
    _rr(qt, heart_rate)
    return qt + 1.75 * (heart_rate - 60)


def qtc_rautaharju(*, qt: float, heart_rate: float) -> float:
    """Corrected QT interval in ms, from QT in ms and heart rate in beats/min.

    Source: Rautaharju, Mason and Akiyama, Int J Cardiol 2014.
    """
    _rr(qt, heart_rate)
    return qt * (120 + heart_rate) / 180


def _rr(qt: float, heart_rate: float) -> float:
    """The interval between beats in seconds, once both arguments are found valid."""
    QT.check(qt)
    HEART_RATE.check(heart_rate)
    return 60 / heart_rate


def framingham_risk(
    *,
    sex: Sex,
    age: float,
    total_cholesterol: float,
    hdl: float,
    systolic: float,
    treated: bool = False,
    smoker: bool = False,
) -> float:
    """Risk in % of a hard coronary event within ten years, from age (years, 20-79), lipids (mg/dL) and mmHg.

    `treated` is for high blood pressure. Source: Expert Panel, JAMA 2001 (ATP III; the equation behind its tables, in
    which the interaction of age and smoking stops at 70 years for men and 78 for women).
    """
    FRAMINGHAM_AGE.check(age)
    TOTAL_CHOLESTEROL.check(total_cholesterol)
    HDL.check(hdl)
    SYSTOLIC.check(systolic)
    survival, terms = chosen("sex", sex, {"male": (0.9402, _framingham_man), "female": (0.98767, _framingham_woman)})
    score = terms(log(age), log(total_cholesterol), log(hdl), log(systolic), treated, smoker)
    return float(100 * (1 - survival ** exp(score)))


def _framingham_man(age: float, cholesterol: float, hdl: float, systolic: float, treated: bool, smoker: bool) -> float:
    """The Cox score of a man; all numbers are natural logarithms."""
    lipids = 20.014077 * cholesterol - 4.605038 * age * cholesterol - 0.905964 * hdl
    pressure = 1.305784 * systolic + 0.241549 * treated
    smoking = (12.096316 - 2.84367 * min(age, log(70))) * smoker
    return 52.00961 * age - 2.93323 * age**2 + lipids + pressure + smoking - 172.300168


def _framingham_woman(
    age: float, cholesterol: float, hdl: float, systolic: float, treated: bool, smoker: bool
) -> float:
    """The Cox score of a woman; all numbers are natural logarithms."""
    lipids = 22.465206 * cholesterol - 5.060998 * age * cholesterol - 1.187731 * hdl
    pressure = 2.552905 * systolic + 0.420251 * treated
    smoking = (13.07543 - 2.996945 * min(age, log(78))) * smoker
    return 31.764001 * age + lipids + pressure + smoking - 146.5933061


_QT = Measurement("qt", "QT interval {value} ms", 320, 480, 5)
_RATE = Measurement("heart_rate", "heart rate {value}", 50, 130)

MEAN_ARTERIAL_PRESSURE = equation(
    key="mean_arterial_pressure",
    title="Mean arterial pressure",
    question="What is the mean arterial pressure?",
    inputs=(
        Measurement("systolic", "systolic {value} mmHg", 90, 190, 2),
        Measurement("diastolic", "diastolic {value} mmHg", 50, 88, 2),
    ),
    formula=mean_arterial_pressure,
    shown="({systolic} + 2 * {diastolic}) / 3",
    unit="mmHg",
    medcalc_id=5,
)

QTC_BAZETT = equation(
    key="qtc_bazett",
    title="QTc (Bazett)",
    question="What is the QTc by Bazett?",
    inputs=(_QT, _RATE),
    formula=qtc_bazett,
    shown="{qt} / sqrt(60 / {heart_rate})",
    unit="ms",
    medcalc_id=11,
)

QTC_FRIDERICIA = equation(
    key="qtc_fridericia",
    title="QTc (Fridericia)",
    question="What is the QTc by Fridericia?",
    inputs=(_QT, _RATE),
    formula=qtc_fridericia,
    shown="{qt} / (60 / {heart_rate})^(1 / 3)",
    unit="ms",
    medcalc_id=56,
)

QTC_FRAMINGHAM = equation(
    key="qtc_framingham",
    title="QTc (Framingham)",
    question="What is the QTc by Framingham?",
    inputs=(_QT, _RATE),
    formula=qtc_framingham,
    shown="{qt} + 154 * (1 - 60 / {heart_rate})",
    unit="ms",
    medcalc_id=57,
)

QTC_HODGES = equation(
    key="qtc_hodges",
    title="QTc (Hodges)",
    question="What is the QTc by Hodges?",
    inputs=(_QT, _RATE),
    formula=qtc_hodges,
    shown="{qt} + 1.75 * ({heart_rate} - 60)",
    unit="ms",
    medcalc_id=58,
)

QTC_RAUTAHARJU = equation(
    key="qtc_rautaharju",
    title="QTc (Rautaharju)",
    question="What is the QTc by Rautaharju?",
    inputs=(_QT, _RATE),
    formula=qtc_rautaharju,
    shown="{qt} * (120 + {heart_rate}) / 180",
    unit="ms",
    medcalc_id=59,
)

FRAMINGHAM_RISK = Calculator(
    key="framingham_risk",
    title="Framingham risk of hard coronary heart disease",
    question="What is the ten-year risk of a hard coronary event in percent?",
    inputs=(
        SEX,
        Measurement("age", "aged {value}", 30, 79),
        Measurement("total_cholesterol", "total cholesterol {value} mg/dL", 150, 300, 5),
        Measurement("hdl", "HDL {value} mg/dL", 30, 80),
        Measurement("systolic", "systolic {value} mmHg", 100, 180, 2),
        finding("treated", "treated hypertension"),
        finding("smoker", "smoker"),
    ),
    formula=framingham_risk,
    unit="%",
    decimals=1,
    medcalc_id=46,
)
