"""Scores of an acute illness from measurements and findings: upper bleeding, pneumonia."""

from medu1.calculators.bands import Bands, points
from medu1.calculators.calculator import Calculator, Measurement, finding
from medu1.calculators.equation import SEX
from medu1.calculators.valid import (
    ADULT_AGE,
    ARTERIAL_OXYGEN,
    GLUCOSE,
    HEART_RATE,
    HEMATOCRIT,
    HEMOGLOBIN,
    PH,
    RESPIRATORY_RATE,
    SODIUM,
    SYSTOLIC,
    TEMPERATURE,
    UREA,
    Sex,
    chosen,
)

UREA_POINTS: Bands = ((70, 6), (28, 4), (22.4, 3), (18.2, 2))
HEMOGLOBIN_POINTS: dict[str, Bands] = {"male": ((13, 0), (12, 1), (10, 3)), "female": ((12, 0), (10, 1))}
PRESSURE_POINTS: Bands = ((110, 0), (100, 1), (90, 2))


def glasgow_blatchford(
    *,
    sex: Sex,
    urea: float,
    hemoglobin: float,
    systolic: float,
    heart_rate: float,
    melena: bool,
    syncope: bool,
    liver_disease: bool,
    heart_failure: bool,
) -> int:
    """Need for treatment in upper bleeding from urea nitrogen (mg/dL), hemoglobin (g/dL), mmHg and beats/min; 0 to 23.

    Source: Blatchford, Murray and Blatchford, Lancet 2000 (urea in mmol/L times 2.8).
    """
    UREA.check(urea)
    HEMOGLOBIN.check(hemoglobin)
    SYSTOLIC.check(systolic)
    HEART_RATE.check(heart_rate)
    measured = (
        points(urea, UREA_POINTS)
        + points(hemoglobin, chosen("sex", sex, HEMOGLOBIN_POINTS), below=6)
        + points(systolic, PRESSURE_POINTS, below=3)
        + (heart_rate >= 100)
    )
    return measured + melena + 2 * (syncope + liver_disease + heart_failure)


def pneumonia_severity(
    *,
    sex: Sex,
    age: float,
    nursing_home: bool,
    neoplasm: bool,
    liver_disease: bool,
    heart_failure: bool,
    cerebrovascular_disease: bool,
    renal_disease: bool,
    altered_mentation: bool,
    pleural_effusion: bool,
    heart_rate: float,
    respiratory_rate: float,
    systolic: float,
    temperature: float,
    ph: float,
    urea: float,
    sodium: float,
    glucose: float,
    hematocrit: float,
    arterial_oxygen: float,
) -> int:
    """Severity of pneumonia in an adult: the age in years and points for history, signs and tests.

    Units: beats/min, breaths/min, mmHg, degrees Celsius, mg/dL (urea nitrogen, glucose), mmol/L (sodium), %
    (hematocrit). Source: Fine et al., N Engl J Med 1997 (the Pneumonia Severity Index).
    """
    ADULT_AGE.check(age)
    illnesses = (heart_failure, cerebrovascular_disease, renal_disease)
    history = 10 * nursing_home + 30 * neoplasm + 20 * liver_disease + 10 * sum(illnesses)
    signs = 20 * altered_mentation + _signs(heart_rate, respiratory_rate, systolic, temperature)
    tests = 10 * pleural_effusion + _tests(ph, urea, sodium, glucose, hematocrit, arterial_oxygen)
    return int(age) - chosen("sex", sex, {"male": 0, "female": 10}) + history + signs + tests


def _signs(heart_rate: float, respiratory_rate: float, systolic: float, temperature: float) -> int:
    HEART_RATE.check(heart_rate)
    RESPIRATORY_RATE.check(respiratory_rate)
    SYSTOLIC.check(systolic)
    TEMPERATURE.check(temperature)
    extreme = temperature < 35 or temperature >= 40
    return 10 * (heart_rate >= 125) + 20 * (respiratory_rate >= 30) + 20 * (systolic < 90) + 15 * extreme


def _tests(ph: float, urea: float, sodium: float, glucose: float, hematocrit: float, arterial_oxygen: float) -> int:
    PH.check(ph)
    UREA.check(urea)
    SODIUM.check(sodium)
    GLUCOSE.check(glucose)
    HEMATOCRIT.check(hematocrit)
    ARTERIAL_OXYGEN.check(arterial_oxygen)
    tens = (glucose >= 250, hematocrit < 30, arterial_oxygen < 60)
    return 30 * (ph < 7.35) + 20 * (urea >= 30) + 20 * (sodium < 130) + 10 * sum(tens)


GLASGOW_BLATCHFORD = Calculator(
    key="glasgow_blatchford",
    title="Glasgow-Blatchford bleeding score",
    question="What is the Glasgow-Blatchford score?",
    inputs=(
        SEX,
        Measurement("urea", "BUN {value} mg/dL", 8, 90),
        Measurement("hemoglobin", "hemoglobin {value} g/dL", 6.0, 16.0, 0.5, 1),
        Measurement("systolic", "systolic {value} mmHg", 70, 150, 2),
        Measurement("heart_rate", "heart rate {value}", 60, 140),
        finding("melena", "melena"),
        finding("syncope", "syncope", 2),
        finding("liver_disease", "liver disease", 2),
        finding("heart_failure", "heart failure", 2),
    ),
    formula=glasgow_blatchford,
    unit="points",
    medcalc_id=27,
)

PNEUMONIA_SEVERITY = Calculator(
    key="pneumonia_severity",
    title="Pneumonia Severity Index",
    question="What is the Pneumonia Severity Index?",
    inputs=(
        SEX,
        Measurement("age", "aged {value}", 20, 95),
        finding("nursing_home", "nursing home resident", 10),
        finding("neoplasm", "active cancer", 30),
        finding("liver_disease", "liver disease", 20),
        finding("heart_failure", "heart failure", 10),
        finding("cerebrovascular_disease", "cerebrovascular disease", 10),
        finding("renal_disease", "kidney disease", 10),
        finding("altered_mentation", "altered mentation", 20),
        finding("pleural_effusion", "pleural effusion", 10),
        Measurement("heart_rate", "heart rate {value}", 60, 150),
        Measurement("respiratory_rate", "{value} breaths/min", 12, 40),
        Measurement("systolic", "systolic {value} mmHg", 70, 150, 2),
        Measurement("temperature", "temperature {value}", 34.0, 41.0, 0.1, 1),
        Measurement("ph", "pH {value}", 7.1, 7.6, 0.01, 2),
        Measurement("urea", "BUN {value} mg/dL", 8, 60),
        Measurement("sodium", "sodium {value} mmol/L", 120, 150),
        Measurement("glucose", "glucose {value} mg/dL", 70, 350, 5),
        Measurement("hematocrit", "hematocrit {value}%", 22, 48),
        Measurement("arterial_oxygen", "PaO2 {value} mmHg", 45, 100),
    ),
    formula=pneumonia_severity,
    unit="points",
    medcalc_id=29,
)
