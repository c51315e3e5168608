"""Equations of the liver: fibrosis and the priority for a transplant."""

from math import log

from medu1.calculators.calculator import Measurement
from medu1.calculators.equation import equation
from medu1.calculators.valid import AGE, ALT, AST, BILIRUBIN, CREATININE, INR, PLATELETS, SODIUM


def fib_4(*, age: float, ast: float, alt: float, platelets: float) -> float:
    """Fibrosis index (no unit), from age (years), AST and ALT (U/L) and platelets (10^9/L).

    Source: Sterling et al., Hepatology 2006.
    """
    AGE.check(age)
    AST.check(ast)
    ALT.check(alt)
    PLATELETS.check(platelets)
    return float(age * ast / (platelets * alt**0.5))


def meld_na(*, creatinine: float, bilirubin: float, inr: float, sodium: float, dialysis: bool = False) -> float:
    """Transplant priority, 6 to 40 points, from creatinine and bilirubin (mg/dL), INR and sodium (mmol/L).

    Sodium counts only above a MELD of 11. `dialysis` (twice in the past week) sets creatinine to 4.
    Source: Kim et al., N Engl J Med 2008; the US allocation policy of 2016 (MELD rounded to the tenth before times 10).
    """
    CREATININE.check(creatinine)
    BILIRUBIN.check(bilirubin)
    INR.check(inr)
    SODIUM.check(sodium)
    score = _meld(4.0 if dialysis else creatinine, bilirubin, inr)
    if score <= 11:
        return score
    lack = 137 - _clamped_sodium(sodium)
    return float(min(round(score + 1.32 * lack - 0.033 * score * lack), 40))


def _meld(creatinine: float, bilirubin: float, inr: float) -> float:
    """MELD before sodium: each value at least 1, creatinine at most 4."""
    creatinine = min(max(creatinine, 1.0), 4.0)
    raw = 0.957 * log(creatinine) + 0.378 * log(max(bilirubin, 1.0)) + 1.120 * log(max(inr, 1.0)) + 0.643
    return float(round(10 * round(raw, 1)))


def _clamped_sodium(sodium: float) -> float:
    return min(max(sodium, 125.0), 137.0)


def _meld_na_shown(creatinine: float, bilirubin: float, inr: float, sodium: float) -> str:
    score = _meld(creatinine, bilirubin, inr)
    meld = f"9.57 * ln({creatinine:.1f}) + 3.78 * ln({bilirubin:.1f}) + 11.2 * ln({inr:.1f}) + 6.43"
    if score <= 11:
        return meld
    lack = f"(137 - {_clamped_sodium(sodium):g})"
    return f"{meld} = {score:g}; {score:g} + 1.32 * {lack} - 0.033 * {score:g} * {lack}"


FIB_4 = equation(
    key="fib_4",
    title="FIB-4 index",
    question="What is the FIB-4 index?",
    inputs=(
        Measurement("age", "aged {value}", 30, 80),
        Measurement("ast", "AST {value} U/L", 20, 200, 5),
        Measurement("alt", "ALT {value} U/L", 20, 200, 5),
        Measurement("platelets", "platelets {value} x10^9/L", 80, 350, 10),
    ),
    formula=fib_4,
    shown="{age} * {ast} / ({platelets} * sqrt({alt}))",
    decimals=2,
    medcalc_id=19,
)

MELD_NA = equation(
    key="meld_na",
    title="MELD-Na score",
    question="What is the MELD-Na score?",
    inputs=(
        Measurement("creatinine", "creatinine {value} mg/dL", 1.0, 3.0, 0.1, 1),
        Measurement("bilirubin", "bilirubin {value} mg/dL", 1.0, 8.0, 0.5, 1),
        Measurement("inr", "INR {value}", 1.0, 2.5, 0.1, 1),
        Measurement("sodium", "sodium {value} mmol/L", 125, 137),
    ),
    formula=meld_na,
    shown=_meld_na_shown,
    unit="points",
    medcalc_id=23,
)
