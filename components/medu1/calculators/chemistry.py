"""Equations of blood chemistry: gaps, corrections for albumin and glucose, osmolality, lipids, insulin."""

from medu1.calculators.calculator import Measurement
from medu1.calculators.equation import equation
from medu1.calculators.valid import (
    ALBUMIN,
    BICARBONATE,
    CALCIUM,
    CHLORIDE,
    GLUCOSE,
    HDL,
    INSULIN,
    SODIUM,
    TOTAL_CHOLESTEROL,
    UREA,
    Range,
)

FRIEDEWALD_TRIGLYCERIDES = Range("triglycerides", 1, 400, "mg/dL")


def anion_gap(*, sodium: float, chloride: float, bicarbonate: float) -> float:
    """Unmeasured anions in mmol/L, from electrolytes in mmol/L.

    Source: Emmett and Narins, Medicine 1977 (without potassium).
    """
    SODIUM.check(sodium)
    CHLORIDE.check(chloride)
    BICARBONATE.check(bicarbonate)
    return float(sodium - (chloride + bicarbonate))


def albumin_corrected_anion_gap(*, sodium: float, chloride: float, bicarbonate: float, albumin: float) -> float:
    """Anion gap in mmol/L corrected to an albumin of 4 g/dL, from electrolytes in mmol/L and albumin in g/dL.

    Source: Figge et al., Crit Care Med 1998.
    """
    ALBUMIN.check(albumin)
    return anion_gap(sodium=sodium, chloride=chloride, bicarbonate=bicarbonate) + 2.5 * (4 - albumin)


def delta_gap(*, sodium: float, chloride: float, bicarbonate: float) -> float:
    """Anion gap above a normal of 12 mmol/L, from electrolytes in mmol/L.

    Source: Wrenn, Ann Emerg Med 1990.
    """
    return anion_gap(sodium=sodium, chloride=chloride, bicarbonate=bicarbonate) - 12


def delta_ratio(*, sodium: float, chloride: float, bicarbonate: float) -> float:
    """Rise of the anion gap over the fall of bicarbonate from 24 mmol/L, from electrolytes in mmol/L.

    Source: Rastegar, J Am Soc Nephrol 2007.
    """
    return delta_gap(sodium=sodium, chloride=chloride, bicarbonate=bicarbonate) / _bicarbonate_fall(bicarbonate)


def albumin_corrected_delta_gap(*, sodium: float, chloride: float, bicarbonate: float, albumin: float) -> float:
    """Albumin-corrected anion gap above a normal of 12 mmol/L, from electrolytes in mmol/L and albumin in g/dL.

    Source: Figge et al., Crit Care Med 1998; Wrenn, Ann Emerg Med 1990.
    """
    corrected = albumin_corrected_anion_gap(sodium=sodium, chloride=chloride, bicarbonate=bicarbonate, albumin=albumin)
    return corrected - 12


def albumin_corrected_delta_ratio(*, sodium: float, chloride: float, bicarbonate: float, albumin: float) -> float:
    """Albumin-corrected delta gap over the fall of bicarbonate, from electrolytes in mmol/L and albumin in g/dL.

    Source: Figge et al., Crit Care Med 1998; Rastegar, J Am Soc Nephrol 2007.
    """
    corrected = albumin_corrected_delta_gap(sodium=sodium, chloride=chloride, bicarbonate=bicarbonate, albumin=albumin)
    return corrected / _bicarbonate_fall(bicarbonate)


def _bicarbonate_fall(bicarbonate: float) -> float:
    if bicarbonate == 24:
        raise ValueError("bicarbonate is 24 mmol/L, its normal value: a delta ratio needs another")
    return 24 - bicarbonate


def corrected_calcium(*, calcium: float, albumin: float) -> float:
    """Calcium in mg/dL corrected to an albumin of 4 g/dL, from calcium in mg/dL and albumin in g/dL.

    Source: Payne et al., BMJ 1973.
    """
    CALCIUM.check(calcium)
    ALBUMIN.check(albumin)
    return calcium + 0.8 * (4 - albumin)


def corrected_sodium(*, sodium: float, glucose: float) -> float:
    """Sodium in mmol/L corrected to a glucose of 100 mg/dL, from sodium in mmol/L and glucose in mg/dL.

    Source: Hillier, Abbott and Barrett, Am J Med 1999 (2.4 mmol/L for each 100 mg/dL).
    """
    SODIUM.check(sodium)
    GLUCOSE.check(glucose)
    return sodium + 0.024 * (glucose - 100)


def serum_osmolality(*, sodium: float, urea: float, glucose: float) -> float:
    """Osmolality in mOsm/kg, from sodium in mmol/L, urea nitrogen and glucose in mg/dL.

    Source: Smithline and Gardner, JAMA 1976.
    """
    SODIUM.check(sodium)
    UREA.check(urea)
    GLUCOSE.check(glucose)
    return 2 * sodium + urea / 2.8 + glucose / 18


def ldl_cholesterol(*, total_cholesterol: float, hdl: float, triglycerides: float) -> float:
    """LDL cholesterol in mg/dL, from lipids in mg/dL; triglycerides of at most 400.

    Source: Friedewald, Levy and Fredrickson, Clin Chem 1972.
    """
    TOTAL_CHOLESTEROL.check(total_cholesterol)
    HDL.check(hdl)
    FRIEDEWALD_TRIGLYCERIDES.check(triglycerides)
    return total_cholesterol - hdl - triglycerides / 5


def homa_ir(*, insulin: float, glucose: float) -> float:
    """Insulin resistance (no unit), from fasting insulin in uIU/mL and glucose in mg/dL.

    Source: Matthews et al., Diabetologia 1985.
    """
    INSULIN.check(insulin)
    GLUCOSE.check(glucose)
    return insulin * glucose / 405


_SODIUM = Measurement("sodium", "sodium {value} mmol/L", 132, 150)
_CHLORIDE = Measurement("chloride", "chloride {value} mmol/L", 90, 102)
_BICARBONATE = Measurement("bicarbonate", "bicarbonate {value} mmol/L", 8, 17)
_ALBUMIN = Measurement("albumin", "albumin {value} g/dL", 1.6, 3.8, 0.2, 1)
_GAP = "{sodium} - ({chloride} + {bicarbonate})"


def _gap_then(sodium: float, chloride: float, bicarbonate: float) -> str:
    gap = anion_gap(sodium=sodium, chloride=chloride, bicarbonate=bicarbonate)
    return f"{sodium:g} - ({chloride:g} + {bicarbonate:g}) = {gap:g}; "


def _corrected_gap_then(sodium: float, chloride: float, bicarbonate: float, albumin: float) -> str:
    gap = anion_gap(sodium=sodium, chloride=chloride, bicarbonate=bicarbonate)
    corrected = gap + 2.5 * (4 - albumin)
    return f"{_gap_then(sodium, chloride, bicarbonate)}{gap:g} + 2.5 * (4 - {albumin:.1f}) = {corrected:.1f}; "


def _delta_gap_shown(sodium: float, chloride: float, bicarbonate: float) -> str:
    gap = anion_gap(sodium=sodium, chloride=chloride, bicarbonate=bicarbonate)
    return f"{_gap_then(sodium, chloride, bicarbonate)}{gap:g} - 12"


def _delta_ratio_shown(sodium: float, chloride: float, bicarbonate: float) -> str:
    gap = anion_gap(sodium=sodium, chloride=chloride, bicarbonate=bicarbonate)
    return f"{_gap_then(sodium, chloride, bicarbonate)}({gap:g} - 12) / (24 - {bicarbonate:g})"


def _corrected_gap_shown(sodium: float, chloride: float, bicarbonate: float, albumin: float) -> str:
    gap = anion_gap(sodium=sodium, chloride=chloride, bicarbonate=bicarbonate)
    return f"{_gap_then(sodium, chloride, bicarbonate)}{gap:g} + 2.5 * (4 - {albumin:.1f})"


def _corrected_delta_gap_shown(sodium: float, chloride: float, bicarbonate: float, albumin: float) -> str:
    gap = albumin_corrected_anion_gap(sodium=sodium, chloride=chloride, bicarbonate=bicarbonate, albumin=albumin)
    return f"{_corrected_gap_then(sodium, chloride, bicarbonate, albumin)}{gap:.1f} - 12"


def _corrected_delta_ratio_shown(sodium: float, chloride: float, bicarbonate: float, albumin: float) -> str:
    gap = albumin_corrected_anion_gap(sodium=sodium, chloride=chloride, bicarbonate=bicarbonate, albumin=albumin)
    steps = _corrected_gap_then(sodium, chloride, bicarbonate, albumin)
    return f"{steps}({gap:.1f} - 12) / (24 - {bicarbonate:g})"


ANION_GAP = equation(
    key="anion_gap",
    title="Anion gap",
    question="What is the anion gap?",
    inputs=(
        Measurement("sodium", "sodium {value} mmol/L", 130, 150),
        Measurement("chloride", "chloride {value} mmol/L", 90, 110),
        Measurement("bicarbonate", "bicarbonate {value} mmol/L", 8, 18),
    ),
    formula=anion_gap,
    shown=_GAP,
    unit="mmol/L",
    medcalc_id=39,
)

ALBUMIN_CORRECTED_ANION_GAP = equation(
    key="albumin_corrected_anion_gap",
    title="Albumin-corrected anion gap",
    question="What is the albumin-corrected anion gap?",
    inputs=(_SODIUM, _CHLORIDE, _BICARBONATE, _ALBUMIN),
    formula=albumin_corrected_anion_gap,
    shown=_corrected_gap_shown,
    unit="mmol/L",
    decimals=1,
    medcalc_id=65,
)

DELTA_GAP = equation(
    key="delta_gap",
    title="Delta gap",
    question="What is the delta gap?",
    inputs=(_SODIUM, _CHLORIDE, _BICARBONATE),
    formula=delta_gap,
    shown=_delta_gap_shown,
    unit="mmol/L",
    medcalc_id=63,
)

DELTA_RATIO = equation(
    key="delta_ratio",
    title="Delta ratio",
    question="What is the delta ratio?",
    inputs=(_SODIUM, _CHLORIDE, _BICARBONATE),
    formula=delta_ratio,
    shown=_delta_ratio_shown,
    decimals=2,
    medcalc_id=64,
)

ALBUMIN_CORRECTED_DELTA_GAP = equation(
    key="albumin_corrected_delta_gap",
    title="Albumin-corrected delta gap",
    question="What is the albumin-corrected delta gap?",
    inputs=(_SODIUM, _CHLORIDE, _BICARBONATE, _ALBUMIN),
    formula=albumin_corrected_delta_gap,
    shown=_corrected_delta_gap_shown,
    unit="mmol/L",
    decimals=1,
    medcalc_id=66,
)

ALBUMIN_CORRECTED_DELTA_RATIO = equation(
    key="albumin_corrected_delta_ratio",
    title="Albumin-corrected delta ratio",
    question="What is the albumin-corrected delta ratio?",
    inputs=(_SODIUM, _CHLORIDE, _BICARBONATE, _ALBUMIN),
    formula=albumin_corrected_delta_ratio,
    shown=_corrected_delta_ratio_shown,
    decimals=2,
    medcalc_id=67,
)

CORRECTED_CALCIUM = equation(
    key="corrected_calcium",
    title="Calcium corrected for albumin",
    question="What is the albumin-corrected calcium?",
    inputs=(Measurement("calcium", "calcium {value} mg/dL", 7.0, 11.0, 0.1, 1), _ALBUMIN),
    formula=corrected_calcium,
    shown="{calcium} + 0.8 * (4 - {albumin})",
    unit="mg/dL",
    decimals=2,
    medcalc_id=7,
)

CORRECTED_SODIUM = equation(
    key="corrected_sodium",
    title="Sodium corrected for glucose",
    question="What is the glucose-corrected sodium?",
    inputs=(
        Measurement("sodium", "sodium {value} mmol/L", 120, 140),
        Measurement("glucose", "glucose {value} mg/dL", 200, 900, 25),
    ),
    formula=corrected_sodium,
    shown="{sodium} + 0.024 * ({glucose} - 100)",
    unit="mmol/L",
    decimals=1,
    medcalc_id=26,
)

SERUM_OSMOLALITY = equation(
    key="serum_osmolality",
    title="Serum osmolality",
    question="What is the calculated serum osmolality?",
    inputs=(
        Measurement("sodium", "sodium {value} mmol/L", 125, 155),
        Measurement("urea", "BUN {value} mg/dL", 7, 84, 7),
        Measurement("glucose", "glucose {value} mg/dL", 72, 540, 18),
    ),
    formula=serum_osmolality,
    shown="2 * {sodium} + {urea} / 2.8 + {glucose} / 18",
    unit="mOsm/kg",
    decimals=1,
    medcalc_id=30,
)

LDL_CHOLESTEROL = equation(
    key="ldl_cholesterol",
    title="LDL cholesterol (Friedewald)",
    question="What is the calculated LDL cholesterol?",
    inputs=(
        Measurement("total_cholesterol", "total cholesterol {value} mg/dL", 160, 300, 5),
        Measurement("hdl", "HDL {value} mg/dL", 30, 70, 5),
        Measurement("triglycerides", "triglycerides {value} mg/dL", 60, 300, 10),
    ),
    formula=ldl_cholesterol,
    shown="{total_cholesterol} - {hdl} - {triglycerides} / 5",
    unit="mg/dL",
    medcalc_id=44,
)

HOMA_IR = equation(
    key="homa_ir",
    title="HOMA-IR",
    question="What is the HOMA-IR?",
    inputs=(
        Measurement("insulin", "fasting insulin {value} uIU/mL", 4, 40),
        Measurement("glucose", "fasting glucose {value} mg/dL", 75, 220, 5),
    ),
    formula=homa_ir,
    shown="{insulin} * {glucose} / 405",
    decimals=2,
    medcalc_id=31,
)
