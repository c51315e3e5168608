"""Equations of body size: mass index, weights by height, surface, and the fluids a weight needs."""

from medu1.calculators.calculator import Measurement
from medu1.calculators.equation import SEX, equation
from medu1.calculators.valid import BODY_MASS_INDEX as MASS_INDEX
from medu1.calculators.valid import HEIGHT, WEIGHT, Sex, chosen


def body_mass_index(*, weight: float, height: float) -> float:
    """Body mass index in kg/m^2, from weight in kg and height in cm.

    Source: Keys et al., J Chronic Dis 1972.
    """
    WEIGHT.check(weight)
    HEIGHT.check(height)
    return weight / (height / 100) ** 2


def target_weight(*, body_mass_index: float, height: float) -> float:
    """Weight in kg at a target body mass index (kg/m^2), from height in cm.

    Source: Keys et al., J Chronic Dis 1972, solved for the weight.
    """
    MASS_INDEX.check(body_mass_index)
    HEIGHT.check(height)
    return body_mass_index * (height / 100) ** 2


def ideal_body_weight(*, sex: Sex, height: float) -> float:
    """Ideal body weight in kg, from height in cm.

    Source: Devine, Drug Intell Clin Pharm 1974.
    """
    HEIGHT.check(height)
    return chosen("sex", sex, {"male": 50.0, "female": 45.5}) + 2.3 * (height / 2.54 - 60)


def adjusted_body_weight(*, sex: Sex, weight: float, height: float) -> float:
    """Ideal body weight plus 0.4 of the excess in kg, from weight in kg and height in cm.

    Source: Bauer, Applied Clinical Pharmacokinetics 2001, on Devine's ideal weight.
    """
    WEIGHT.check(weight)
    ideal = ideal_body_weight(sex=sex, height=height)
    return ideal + 0.4 * (weight - ideal)


def body_surface_area(*, weight: float, height: float) -> float:
    """Body surface area in m^2, from weight in kg and height in cm.

    Source: Mosteller, N Engl J Med 1987.
    """
    WEIGHT.check(weight)
    HEIGHT.check(height)
    return float((weight * height / 3600) ** 0.5)


def maintenance_fluids(*, weight: float) -> float:
    """Maintenance fluid in mL/h, from weight in kg: 4 a kg to 10 kg, 2 a kg to 20 kg, 1 a kg above.

    Source: Holliday and Segar, Pediatrics 1957.
    """
    WEIGHT.check(weight)
    if weight <= 10:
        return 4.0 * weight
    if weight <= 20:
        return 40 + 2.0 * (weight - 10)
    return 60 + 1.0 * (weight - 20)


def _ideal_shown(sex: Sex, height: float) -> str:
    base = "50" if sex == "male" else "45.5"
    return f"{base} + 2.3 * ({height:g} / 2.54 - 60)"


def _adjusted_shown(sex: Sex, weight: float, height: float) -> str:
    ideal = ideal_body_weight(sex=sex, height=height)
    return f"{_ideal_shown(sex, height)} = {ideal:.1f}; {ideal:.1f} + 0.4 * ({weight:g} - {ideal:.1f})"


def _fluids_shown(weight: float) -> str:
    if weight <= 10:
        return f"4 * {weight:g}"
    if weight <= 20:
        return f"40 + 2 * ({weight:g} - 10)"
    return f"60 + {weight:g} - 20"


def _metres(height: float) -> str:
    return f"{height / 100:.2f}"


def _mass_index_shown(weight: float, height: float) -> str:
    return f"{weight:g} / {_metres(height)}^2"


def _target_shown(body_mass_index: float, height: float) -> str:
    return f"{body_mass_index:g} * {_metres(height)}^2"


_WEIGHT = Measurement("weight", "weight {value} kg", 45, 120)
_HEIGHT = Measurement("height", "height {value} cm", 150, 195, 5)

BODY_MASS_INDEX = equation(
    key="body_mass_index",
    title="Body mass index",
    question="What is the body mass index?",
    inputs=(_WEIGHT, _HEIGHT),
    formula=body_mass_index,
    shown=_mass_index_shown,
    unit="kg/m^2",
    decimals=1,
    medcalc_id=6,
)

TARGET_WEIGHT = equation(
    key="target_weight",
    title="Target weight",
    question="What is the target weight?",
    inputs=(
        Measurement("body_mass_index", "target BMI {value} kg/m^2", 19, 25),
        Measurement("height", "height {value} cm", 145, 200),
    ),
    formula=target_weight,
    shown=_target_shown,
    unit="kg",
    decimals=1,
    medcalc_id=61,
)

IDEAL_BODY_WEIGHT = equation(
    key="ideal_body_weight",
    title="Ideal body weight (Devine)",
    question="What is the ideal body weight?",
    inputs=(SEX, Measurement("height", "height {value} cm", 153, 200)),
    formula=ideal_body_weight,
    shown=_ideal_shown,
    unit="kg",
    decimals=1,
    medcalc_id=10,
)

ADJUSTED_BODY_WEIGHT = equation(
    key="adjusted_body_weight",
    title="Adjusted body weight",
    question="What is the adjusted body weight?",
    inputs=(
        SEX,
        Measurement("weight", "weight {value} kg", 80, 140),
        Measurement("height", "height {value} cm", 155, 190, 5),
    ),
    formula=adjusted_body_weight,
    shown=_adjusted_shown,
    unit="kg",
    decimals=1,
    medcalc_id=62,
)

BODY_SURFACE_AREA = equation(
    key="body_surface_area",
    title="Body surface area (Mosteller)",
    question="What is the body surface area?",
    inputs=(_WEIGHT, _HEIGHT),
    formula=body_surface_area,
    shown="sqrt({weight} * {height} / 3600)",
    unit="m^2",
    decimals=2,
    medcalc_id=60,
)

MAINTENANCE_FLUIDS = equation(
    key="maintenance_fluids",
    title="Maintenance fluids (4-2-1 rule)",
    question="What is the hourly maintenance fluid rate?",
    inputs=(Measurement("weight", "weight {value} kg", 3, 90, 0.5, 1),),
    formula=maintenance_fluids,
    shown=_fluids_shown,
    unit="mL/h",
    decimals=1,
    medcalc_id=22,
)
