"""Every calculator by key, in two explicit lists, each with scores first, then equations.

The built-in questions are drawn from `CALCULATORS` and pinned byte by byte; `AUDITED` adds those whose vignette is too
long for a built-in question, and recomputes every calculator of MedCalc-Bench.
"""

from collections.abc import Mapping
from types import MappingProxyType

from medu1.calculators.bedside_scores import APGAR, CHILD_PUGH, GLASGOW_COMA_SCALE
from medu1.calculators.body import (
    ADJUSTED_BODY_WEIGHT,
    BODY_MASS_INDEX,
    BODY_SURFACE_AREA,
    IDEAL_BODY_WEIGHT,
    MAINTENANCE_FLUIDS,
    TARGET_WEIGHT,
)
from medu1.calculators.calculator import Calculator
from medu1.calculators.chemistry import (
    ALBUMIN_CORRECTED_ANION_GAP,
    ALBUMIN_CORRECTED_DELTA_GAP,
    ALBUMIN_CORRECTED_DELTA_RATIO,
    ANION_GAP,
    CORRECTED_CALCIUM,
    CORRECTED_SODIUM,
    DELTA_GAP,
    DELTA_RATIO,
    HOMA_IR,
    LDL_CHOLESTEROL,
    SERUM_OSMOLALITY,
)
from medu1.calculators.clot_scores import PERC, WELLS_DVT, WELLS_PE
from medu1.calculators.dates import CONCEPTION_DATE, DUE_DATE, GESTATIONAL_AGE
from medu1.calculators.doses import MORPHINE_EQUIVALENTS, STEROID_CONVERSION
from medu1.calculators.heart import (
    FRAMINGHAM_RISK,
    MEAN_ARTERIAL_PRESSURE,
    QTC_BAZETT,
    QTC_FRAMINGHAM,
    QTC_FRIDERICIA,
    QTC_HODGES,
    QTC_RAUTAHARJU,
)
from medu1.calculators.heart_scores import CHA2DS2_VASC, HAS_BLED, HEART, REVISED_CARDIAC_RISK
from medu1.calculators.history_scores import CAPRINI, CHARLSON
from medu1.calculators.infection_scores import CENTOR, CURB_65, FEVERPAIN, QSOFA, SIRS
from medu1.calculators.kidney import (
    CKD_EPI_2021,
    COCKCROFT_GAULT,
    FRACTIONAL_EXCRETION_OF_SODIUM,
    FREE_WATER_DEFICIT,
    MDRD,
)
from medu1.calculators.liver import FIB_4, MELD_NA
from medu1.calculators.organ_scores import APACHE_II, SOFA
from medu1.calculators.severity_scores import GLASGOW_BLATCHFORD, PNEUMONIA_SEVERITY

_ALL: tuple[Calculator, ...] = (
    GLASGOW_COMA_SCALE,
    APGAR,
    CHILD_PUGH,
    CHA2DS2_VASC,
    HAS_BLED,
    REVISED_CARDIAC_RISK,
    HEART,
    WELLS_DVT,
    WELLS_PE,
    PERC,
    CURB_65,
    SIRS,
    QSOFA,
    CENTOR,
    FEVERPAIN,
    MEAN_ARTERIAL_PRESSURE,
    QTC_BAZETT,
    QTC_FRIDERICIA,
    QTC_FRAMINGHAM,
    QTC_HODGES,
    QTC_RAUTAHARJU,
    BODY_MASS_INDEX,
    TARGET_WEIGHT,
    IDEAL_BODY_WEIGHT,
    ADJUSTED_BODY_WEIGHT,
    BODY_SURFACE_AREA,
    MAINTENANCE_FLUIDS,
    ANION_GAP,
    ALBUMIN_CORRECTED_ANION_GAP,
    DELTA_GAP,
    DELTA_RATIO,
    ALBUMIN_CORRECTED_DELTA_GAP,
    ALBUMIN_CORRECTED_DELTA_RATIO,
    CORRECTED_CALCIUM,
    CORRECTED_SODIUM,
    SERUM_OSMOLALITY,
    LDL_CHOLESTEROL,
    HOMA_IR,
    COCKCROFT_GAULT,
    CKD_EPI_2021,
    MDRD,
    FRACTIONAL_EXCRETION_OF_SODIUM,
    FREE_WATER_DEFICIT,
    FIB_4,
    MELD_NA,
    DUE_DATE,
    GESTATIONAL_AGE,
)

_AUDITED_ONLY: tuple[Calculator, ...] = (
    GLASGOW_BLATCHFORD,
    PNEUMONIA_SEVERITY,
    SOFA,
    APACHE_II,
    CHARLSON,
    CAPRINI,
    FRAMINGHAM_RISK,
    STEROID_CONVERSION,
    MORPHINE_EQUIVALENTS,
    CONCEPTION_DATE,
)

CALCULATORS: Mapping[str, Calculator] = MappingProxyType({calculator.key: calculator for calculator in _ALL})
AUDITED: Mapping[str, Calculator] = MappingProxyType(
    {calculator.key: calculator for calculator in (*_ALL, *_AUDITED_ONLY)}
)
