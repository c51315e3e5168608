"""Scores of organ failure in intensive care."""

from medu1.calculators.bands import Bands, points
from medu1.calculators.calculator import Calculator, Criterion, Level, Measurement, finding
from medu1.calculators.valid import (
    ADULT_AGE,
    ARTERIAL_OXYGEN,
    BILIRUBIN,
    COMA_SCALE,
    CREATININE,
    HEART_RATE,
    HEMATOCRIT,
    INSPIRED_OXYGEN,
    MEAN_PRESSURE,
    PH,
    PLATELETS,
    POTASSIUM,
    RESPIRATORY_RATE,
    SODIUM,
    TEMPERATURE,
    WHITE_CELLS,
    Range,
    chosen,
)

URINE = Range("urine_output", 0, 20_000, "mL/day")
GRADIENT = Range("gradient", 0, 700, "mmHg")
VASOPRESSOR = (0, 100, "ug/kg/min")

RATIO_POINTS: Bands = ((400, 0), (300, 1), (200, 2), (100, 3))
SOFA_PLATELETS: Bands = ((150, 0), (100, 1), (50, 2), (20, 3))
SOFA_BILIRUBIN: Bands = ((12, 4), (6, 3), (2, 2), (1.2, 1))
SOFA_COMA: Bands = ((15, 0), (13, 1), (10, 2), (6, 3))
SOFA_CREATININE: Bands = ((5, 4), (3.5, 3), (2, 2), (1.2, 1))
SOFA_URINE: Bands = ((500, 0), (200, 3))

APACHE_AGE: Bands = ((75, 6), (65, 5), (55, 3), (45, 2))
APACHE_TEMPERATURE: Bands = ((41, 4), (39, 3), (38.5, 1), (36, 0), (34, 1), (32, 2), (30, 3))
APACHE_PRESSURE: Bands = ((160, 4), (130, 3), (110, 2), (70, 0), (50, 2))
APACHE_HEART_RATE: Bands = ((180, 4), (140, 3), (110, 2), (70, 0), (55, 2), (40, 3))
APACHE_BREATHS: Bands = ((50, 4), (35, 3), (25, 1), (12, 0), (10, 1), (6, 2))
APACHE_GRADIENT: Bands = ((500, 4), (350, 3), (200, 2))
APACHE_PH: Bands = ((7.7, 4), (7.6, 3), (7.5, 1), (7.33, 0), (7.25, 2), (7.15, 3))
APACHE_SODIUM: Bands = ((180, 4), (160, 3), (155, 2), (150, 1), (130, 0), (120, 2), (111, 3))
APACHE_POTASSIUM: Bands = ((7, 4), (6, 3), (5.5, 1), (3.5, 0), (3, 1), (2.5, 2))
APACHE_CREATININE: Bands = ((3.5, 4), (2, 3), (1.5, 2), (0.6, 0))
APACHE_HEMATOCRIT: Bands = ((60, 4), (50, 2), (46, 1), (30, 0), (20, 2))
APACHE_WHITE_CELLS: Bands = ((40_000, 4), (20_000, 2), (15_000, 1), (3000, 0), (1000, 2))


def sofa(
    *,
    arterial_oxygen: float,
    inspired_oxygen: float,
    ventilated: bool,
    platelets: float,
    bilirubin: float,
    coma_scale: float,
    low_pressure: bool,
    dopamine: float = 0.0,
    dobutamine: float = 0.0,
    epinephrine: float = 0.0,
    norepinephrine: float = 0.0,
    creatinine: float | None = None,
    urine_output: float | None = None,
) -> int:
    """Failure of six organs, 0 to 24 points.

    Units: oxygen in mmHg and in % of the air breathed in, platelets 10^9/L, bilirubin and creatinine mg/dL, drugs
    ug/kg/min, urine mL/day; `ventilated` is any respiratory support, `low_pressure` a mean below 70 mmHg. The kidney
    needs creatinine or urine output. Source: Vincent et al., Intensive Care Med 1996.
    """
    PLATELETS.check(platelets)
    BILIRUBIN.check(bilirubin)
    COMA_SCALE.check(coma_scale)
    drugs = {"dopamine": dopamine, "epinephrine": epinephrine, "norepinephrine": norepinephrine}
    for name, dose in (*drugs.items(), ("dobutamine", dobutamine)):
        Range(name, *VASOPRESSOR).check(dose)
    return (
        _lungs(arterial_oxygen, inspired_oxygen, ventilated)
        + points(platelets, SOFA_PLATELETS, below=4)
        + points(bilirubin, SOFA_BILIRUBIN)
        + points(coma_scale, SOFA_COMA, below=4)
        + max(low_pressure, 2 * (dobutamine > 0), _vasopressors(dopamine, epinephrine, norepinephrine))
        + _kidneys(creatinine, urine_output)
    )


def _lungs(arterial_oxygen: float, inspired_oxygen: float, ventilated: bool) -> int:
    """The two highest bands count only under respiratory support."""
    ARTERIAL_OXYGEN.check(arterial_oxygen)
    INSPIRED_OXYGEN.check(inspired_oxygen)
    worth = points(100 * arterial_oxygen / inspired_oxygen, RATIO_POINTS, below=4)
    return worth if ventilated else min(worth, 2)


def _vasopressors(dopamine: float, epinephrine: float, norepinephrine: float) -> int:
    if dopamine > 15 or epinephrine > 0.1 or norepinephrine > 0.1:
        return 4
    if dopamine > 5 or epinephrine > 0 or norepinephrine > 0:
        return 3
    return 2 * (dopamine > 0)


def _kidneys(creatinine: float | None, urine_output: float | None) -> int:
    if creatinine is None and urine_output is None:
        raise ValueError("creatinine and urine_output are both absent: the kidney is scored by one of them")
    worth = []
    if creatinine is not None:
        CREATININE.check(creatinine)
        worth.append(points(creatinine, SOFA_CREATININE))
    if urine_output is not None:
        URINE.check(urine_output)
        worth.append(points(urine_output, SOFA_URINE, below=4))
    return max(worth)


def apache_ii(
    *,
    age: float,
    temperature: float,
    mean_pressure: float,
    heart_rate: float,
    respiratory_rate: float,
    inspired_oxygen: float,
    ph: float,
    sodium: float,
    potassium: float,
    creatinine: float,
    acute_renal_failure: bool,
    hematocrit: float,
    white_cells: float,
    coma_scale: float,
    chronic: str,
    gradient: float | None = None,
    arterial_oxygen: float | None = None,
) -> int:
    """Risk of death in intensive care from 12 measurements, age (years) and chronic illness; 0 to 71 points.

    Units: degrees Celsius, mmHg, beats/min, breaths/min, % (inspired oxygen, hematocrit), mmol/L, mg/dL (creatinine),
    cells/uL. Oxygenation is scored by the alveolar-arterial `gradient` (mmHg) from 50% inspired oxygen, by arterial
    oxygen (mmHg) below. `chronic` is a severe organ insufficiency or compromised immunity: "none", "nonoperative" (also
    after an emergency operation) or "elective" (after an elective one). Source: Knaus et al., Crit Care Med 1985.
    """
    ADULT_AGE.check(age)
    COMA_SCALE.check(coma_scale)
    CREATININE.check(creatinine)
    kidney = points(creatinine, APACHE_CREATININE, below=2) * (2 if acute_renal_failure else 1)
    measured = (
        (TEMPERATURE, temperature, APACHE_TEMPERATURE, 4),
        (MEAN_PRESSURE, mean_pressure, APACHE_PRESSURE, 4),
        (HEART_RATE, heart_rate, APACHE_HEART_RATE, 4),
        (RESPIRATORY_RATE, respiratory_rate, APACHE_BREATHS, 4),
        (PH, ph, APACHE_PH, 4),
        (SODIUM, sodium, APACHE_SODIUM, 4),
        (POTASSIUM, potassium, APACHE_POTASSIUM, 4),
        (HEMATOCRIT, hematocrit, APACHE_HEMATOCRIT, 4),
        (WHITE_CELLS, white_cells, APACHE_WHITE_CELLS, 4),
    )
    for valid, value, _, _ in measured:
        valid.check(value)
    physiology = sum(points(value, bands, below) for _, value, bands, below in measured)
    illness = chosen("chronic", chronic, {"none": 0, "nonoperative": 5, "elective": 2})
    oxygenation = _oxygenation(inspired_oxygen, gradient, arterial_oxygen)
    return physiology + kidney + oxygenation + 15 - int(coma_scale) + points(age, APACHE_AGE) + illness


def _oxygenation(inspired_oxygen: float, gradient: float | None, arterial_oxygen: float | None) -> int:
    INSPIRED_OXYGEN.check(inspired_oxygen)
    if inspired_oxygen >= 50:
        if gradient is None:
            raise ValueError("gradient is absent: it scores oxygenation from 50% inspired oxygen")
        GRADIENT.check(gradient)
        return points(gradient, APACHE_GRADIENT)
    if arterial_oxygen is None:
        raise ValueError("arterial_oxygen is absent: it scores oxygenation below 50% inspired oxygen")
    ARTERIAL_OXYGEN.check(arterial_oxygen)
    if arterial_oxygen > 70:
        return 0
    return 1 if arterial_oxygen > 60 else 3 if arterial_oxygen >= 55 else 4


_CREATININE = Measurement("creatinine", "creatinine {value} mg/dL", 0.5, 5.5, 0.1, 1)
_COMA_SCALE = Measurement("coma_scale", "Glasgow Coma Scale {value}", 3, 15)

SOFA = Calculator(
    key="sofa",
    title="SOFA score",
    question="What is the SOFA score?",
    inputs=(
        Measurement("arterial_oxygen", "PaO2 {value} mmHg", 50, 100),
        Measurement("inspired_oxygen", "FiO2 {value}%", 21, 100),
        finding("ventilated", "ventilated", 0),  # lets the two highest bands of the lungs count
        Measurement("platelets", "platelets {value} x10^9/L", 10, 300, 10),
        Measurement("bilirubin", "bilirubin {value} mg/dL", 0.5, 14.0, 0.5, 1),
        _COMA_SCALE,
        finding("low_pressure", "mean pressure below 70"),
        Measurement("norepinephrine", "norepinephrine {value} ug/kg/min", 0.0, 0.3, 0.05, 2),
        _CREATININE,
    ),
    formula=sofa,
    unit="points",
    medcalc_id=43,
)

APACHE_II = Calculator(
    key="apache_ii",
    title="APACHE II score",
    question="What is the APACHE II score?",
    inputs=(
        Measurement("age", "aged {value}", 20, 90),
        Measurement("temperature", "temperature {value}", 29.0, 42.0, 0.1, 1),
        Measurement("mean_pressure", "mean pressure {value} mmHg", 45, 165),
        Measurement("heart_rate", "heart rate {value}", 35, 185),
        Measurement("respiratory_rate", "{value} breaths/min", 5, 55),
        Measurement("inspired_oxygen", "FiO2 {value}%", 21, 49),
        Measurement("arterial_oxygen", "PaO2 {value} mmHg", 50, 100),
        Measurement("ph", "pH {value}", 7.1, 7.75, 0.01, 2),
        Measurement("sodium", "sodium {value} mmol/L", 108, 182),
        Measurement("potassium", "potassium {value} mmol/L", 2.3, 7.2, 0.1, 1),
        _CREATININE,
        finding("acute_renal_failure", "acute renal failure", 0),  # doubles the points of creatinine
        Measurement("hematocrit", "hematocrit {value}%", 18, 62),
        Measurement("white_cells", "white cells {value}/uL", 500, 42_000, 500),
        _COMA_SCALE,
        Criterion(
            "chronic",
            (
                Level("", "none", 0),
                Level("chronic organ failure, not operated", "nonoperative", 5),
                Level("chronic organ failure, elective operation", "elective", 2),
            ),
        ),
    ),
    formula=apache_ii,
    unit="points",
    medcalc_id=28,
)
