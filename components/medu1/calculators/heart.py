"""Equations of the circulation: mean pressure and the QT interval corrected for heart rate."""

from medu1.calculators.calculator import Measurement
from medu1.calculators.equation import equation
from medu1.calculators.valid import DIASTOLIC, HEART_RATE, QT, SYSTOLIC


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
