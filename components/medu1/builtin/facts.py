"""Facts to ask about: built-in choice and open questions need golds that are free to share and easy to check.

What flows out is two tuples of relations, read by the builder of the built-in questions: `TAUGHT` feeds training,
validation and test; `UNTAUGHT` has other subjects, other answers and other wordings, and is never trained on.
The facts are common textbook knowledge, written for this project in its own words. They are not medical advice.

A choice question draws its wrong options from the other answers of the same relation, so within a relation no answer
is also right for another subject: many a true fact (anti-Ro for Sjogren syndrome, beside lupus) is left out for this.
Every `{subject}` fits every wording of its relation as it stands; wordings 0-4 are for training, 5 for validation and
6-7 for test. Words are few and short because a model of under a million parameters reads them.
"""

from medu1.builtin.clinic_facts import ANTIBODY, FINDING, NERVE, SIGN
from medu1.builtin.drug_facts import ANTIDOTE, DRUG_CLASS, TARGET
from medu1.builtin.infection_facts import CARRIER, ORGANISM
from medu1.builtin.molecule_facts import DEFICIENCY, ENZYME, GENE, HORMONE
from medu1.builtin.relation import Relation
from medu1.builtin.untaught_facts import ARTERY, BONE, INFLAMMATION, LAY_NAME, PHOBIA

TAUGHT: tuple[Relation, ...] = (
    ANTIDOTE,
    DEFICIENCY,
    ENZYME,
    ORGANISM,
    CARRIER,
    HORMONE,
    NERVE,
    DRUG_CLASS,
    TARGET,
    GENE,
    SIGN,
    ANTIBODY,
    FINDING,
)
UNTAUGHT: tuple[Relation, ...] = (ARTERY, PHOBIA, INFLAMMATION, BONE, LAY_NAME)
