"""Equations of kidney function and water balance."""

from typing import NamedTuple

from medu1.calculators.body import adjusted_body_weight, body_mass_index, ideal_body_weight
from medu1.calculators.calculator import Measurement
from medu1.calculators.equation import SEX, equation
from medu1.calculators.valid import (
    ADULT_AGE,
    AGE,
    CREATININE,
    SODIUM,
    URINE_CREATININE,
    URINE_SODIUM,
    WEIGHT,
    Sex,
    chosen,
)


class _KidneyTerms(NamedTuple):
    """The sex-specific constants of CKD-EPI 2021."""

    kappa: float  # mg/dL
    exponent: float
    factor: float


def cockcroft_gault(*, sex: Sex, age: float, weight: float, height: float, creatinine: float) -> float:
    """Creatinine clearance in mL/min, from age (years, adults), weight (kg), height (cm) and creatinine (mg/dL).

    The weight that counts is the actual one below a BMI of 18.5, the lesser of actual and ideal below 25, and the
    adjusted one above. Source: Cockcroft and Gault, Nephron 1976; weights: Winter, Guhr and Berg, Pharmacotherapy 2012.
    """
    ADULT_AGE.check(age)
    CREATININE.check(creatinine)
    counted = dosing_weight(sex=sex, weight=weight, height=height)
    return (140 - age) * counted * chosen("sex", sex, {"male": 1.0, "female": 0.85}) / (72 * creatinine)


def dosing_weight(*, sex: Sex, weight: float, height: float) -> float:
    """The weight in kg that Cockcroft-Gault counts, by body mass index; weight in kg, height in cm.

    Source: Winter, Guhr and Berg, Pharmacotherapy 2012.
    """
    index = body_mass_index(weight=weight, height=height)
    if index < 18.5:
        return weight
    if index < 25:
        return min(weight, ideal_body_weight(sex=sex, height=height))
    return adjusted_body_weight(sex=sex, weight=weight, height=height)


def ckd_epi_2021(*, sex: Sex, age: float, creatinine: float) -> float:
    """Glomerular filtration rate in mL/min/1.73 m^2, from age (years, adults) and creatinine (mg/dL).

    Source: Inker et al., N Engl J Med 2021 (creatinine, without race).
    """
    ADULT_AGE.check(age)
    CREATININE.check(creatinine)
    terms = _ckd_epi_terms(sex, creatinine)
    return float(142 * (creatinine / terms.kappa) ** terms.exponent * 0.9938**age * terms.factor)


def _ckd_epi_terms(sex: Sex, creatinine: float) -> _KidneyTerms:
    kappa, low_exponent, factor = chosen("sex", sex, {"male": (0.9, -0.302, 1.0), "female": (0.7, -0.241, 1.012)})
    return _KidneyTerms(kappa, low_exponent if creatinine <= kappa else -1.2, factor)


def mdrd(*, sex: Sex, age: float, creatinine: float, black: bool = False) -> float:
    """Glomerular filtration rate in mL/min/1.73 m^2, from age (years, adults) and creatinine (mg/dL).

    `black` applies the published factor of 1.212, which later equations drop.
    Source: Levey et al., Ann Intern Med 2006 (four variables, traceable creatinine).
    """
    ADULT_AGE.check(age)
    CREATININE.check(creatinine)
    factor = chosen("sex", sex, {"male": 1.0, "female": 0.742}) * (1.212 if black else 1.0)
    return float(175 * creatinine**-1.154 * age**-0.203 * factor)


def fractional_excretion_of_sodium(
    *, creatinine: float, urine_sodium: float, sodium: float, urine_creatinine: float
) -> float:
    """Excreted share of filtered sodium in %, from creatinine in mg/dL and sodium in mmol/L, in serum and urine.

    Source: Espinel, JAMA 1976.
    """
    CREATININE.check(creatinine)
    URINE_SODIUM.check(urine_sodium)
    SODIUM.check(sodium)
    URINE_CREATININE.check(urine_creatinine)
    return 100 * creatinine * urine_sodium / (sodium * urine_creatinine)


def free_water_deficit(*, sex: Sex, age: float, weight: float, sodium: float) -> float:
    """Water lacking in litres to a sodium of 140, from age (years), weight (kg) and sodium (mmol/L).

    Source: Adrogue and Madias, N Engl J Med 2000 (body water by age and sex).
    """
    WEIGHT.check(weight)
    SODIUM.check(sodium)
    return body_water(sex=sex, age=age) * weight * (sodium / 140 - 1)


def body_water(*, sex: Sex, age: float) -> float:
    """Body water as a share of weight, from age in years. Source: Adrogue and Madias, N Engl J Med 2000."""
    AGE.check(age)
    adult, old = chosen("sex", sex, {"male": (0.6, 0.5), "female": (0.5, 0.45)})
    if age < 18:
        return 0.6
    return adult if age < 65 else old


def _cockcroft_gault_shown(sex: Sex, age: float, weight: float, height: float, creatinine: float) -> str:
    index = body_mass_index(weight=weight, height=height)
    counted = dosing_weight(sex=sex, weight=weight, height=height)
    female = "0.85 * " if sex == "female" else ""
    return (
        f"BMI {index:.1f}, so weight {counted:.1f}; {female}(140 - {age:g}) * {counted:.1f} / (72 * {creatinine:.1f})"
    )


def _ckd_epi_shown(sex: Sex, age: float, creatinine: float) -> str:
    terms = _ckd_epi_terms(sex, creatinine)
    female = f" * {terms.factor:g}" if sex == "female" else ""
    return f"142 * ({creatinine:.1f} / {terms.kappa:g})^{terms.exponent:g} * 0.9938^{age:g}{female}"


def _mdrd_shown(sex: Sex, age: float, creatinine: float) -> str:
    female = " * 0.742" if sex == "female" else ""
    return f"175 * {creatinine:.1f}^-1.154 * {age:g}^-0.203{female}"


def _free_water_shown(sex: Sex, age: float, weight: float, sodium: float) -> str:
    return f"{body_water(sex=sex, age=age):g} * {weight:g} * ({sodium:g} / 140 - 1)"


_AGE = Measurement("age", "aged {value}", 20, 90)
_WEIGHT = Measurement("weight", "weight {value} kg", 45, 110)
_CREATININE = Measurement("creatinine", "creatinine {value} mg/dL", 0.6, 4.0, 0.1, 1)

COCKCROFT_GAULT = equation(
    key="cockcroft_gault",
    title="Creatinine clearance (Cockcroft-Gault)",
    question="What is the Cockcroft-Gault creatinine clearance, with the weight chosen by BMI?",
    inputs=(SEX, _AGE, _WEIGHT, Measurement("height", "height {value} cm", 155, 190, 5), _CREATININE),
    formula=cockcroft_gault,
    shown=_cockcroft_gault_shown,
    unit="mL/min",
    medcalc_id=2,
)

CKD_EPI_2021 = equation(
    key="ckd_epi_2021",
    title="Glomerular filtration rate (CKD-EPI 2021)",
    question="What is the CKD-EPI 2021 GFR?",
    inputs=(SEX, _AGE, _CREATININE),
    formula=ckd_epi_2021,
    shown=_ckd_epi_shown,
    unit="mL/min/1.73 m^2",
    medcalc_id=3,
)

MDRD = equation(
    key="mdrd",
    title="Glomerular filtration rate (MDRD)",
    question="What is the MDRD GFR?",
    inputs=(SEX, _AGE, _CREATININE),
    formula=mdrd,
    shown=_mdrd_shown,
    unit="mL/min/1.73 m^2",
    medcalc_id=9,
)

FRACTIONAL_EXCRETION_OF_SODIUM = equation(
    key="fractional_excretion_of_sodium",
    title="Fractional excretion of sodium",
    question="What is the fractional excretion of sodium in percent?",
    inputs=(
        Measurement("creatinine", "creatinine {value} mg/dL", 1.0, 4.0, 0.5, 1),
        Measurement("urine_sodium", "urine sodium {value} mmol/L", 20, 120, 5),
        Measurement("sodium", "sodium {value} mmol/L", 130, 150),
        Measurement("urine_creatinine", "urine creatinine {value} mg/dL", 30, 150, 10),
    ),
    formula=fractional_excretion_of_sodium,
    shown="100 * {creatinine} * {urine_sodium} / ({sodium} * {urine_creatinine})",
    unit="%",
    decimals=2,
    medcalc_id=40,
)

FREE_WATER_DEFICIT = equation(
    key="free_water_deficit",
    title="Free water deficit",
    question="What is the free water deficit?",
    inputs=(SEX, _AGE, _WEIGHT, Measurement("sodium", "sodium {value} mmol/L", 147, 168)),
    formula=free_water_deficit,
    shown=_free_water_shown,
    unit="L",
    decimals=2,
    medcalc_id=38,
)
