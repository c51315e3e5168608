"""What each score of MedCalc-Bench takes from a row's entities, by the benchmark's calculator id."""

from collections.abc import Collection, Mapping
from typing import Final

from medu1.prepare.labels.bedside_arguments import BEDSIDE
from medu1.prepare.labels.clot_arguments import CLOTS
from medu1.prepare.labels.heart_arguments import HEART
from medu1.prepare.labels.infection_arguments import INFECTION
from medu1.prepare.labels.organ_arguments import ORGANS
from medu1.prepare.labels.readers import Arguments

SCORES: Final[Mapping[int, Arguments]] = {**BEDSIDE, **HEART, **CLOTS, **INFECTION, **ORGANS}
UNREAD: Final[Mapping[int, Collection[str]]] = {  # entities that rows name and the score does not take
    28: ("Chronic Renal Failure",),  # counts as severe organ failure where it needs dialysis, which has its own entity
    33: (
        "Altered mental status for PECARN head injury criteria",
        "Occipital, parietal or temporal scalp hematoma; history of level of conciousness (LOC) \u22655 sec; "
        "not acting normally per parent or severe mechanism of injury?",
    ),
    36: ("sex",),
    43: ("Continuous veno-venous hemodialysis for \u226524 hours in the past week",),
}
