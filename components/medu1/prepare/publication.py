"""Who published each format, under which licence, and who may hold it: what the licence gate asks before a row is read.

A licence without a reader is here too: data behind an agreement is known by name, so that a copy of it which lies about
under another format is still stopped.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import Field

from medu1.columns import Access
from medu1.question import Frozen

Published = Literal[
    "builtin",
    "medcalc",
    "medcalc-v1.2",
    "medcalc-verified",
    "mirage",
    "medquad",
    "medqa",
    "medmcqa",
    "mmlu",
    "mmlu-pro",
    "pubmedqa",
    "medxpertqa",
    "medical-o1",
    "healthbench",
]


class Publication(Frozen):
    """A data set as its publisher offers it."""

    title: Annotated[str, Field(min_length=1)]
    licence: Annotated[str, Field(min_length=1)]  # SPDX where there is one
    access: Access
    citation: Annotated[str, Field(min_length=1)]


def _open(title: str, licence: str, citation: str) -> Publication:
    return Publication(title=title, licence=licence, access="open", citation=citation)


def _credentialed(title: str, citation: str) -> Publication:
    licence = "PhysioNet Credentialed Health Data License 1.5.0"
    return Publication(title=title, licence=licence, access="credentialed", citation=citation)


PUBLICATIONS: Final[Mapping[Published, Publication]] = {
    "builtin": _open("medu1's built-in questions", "Apache-2.0", "This repository."),
    "medcalc": _open("MedCalc-Bench v1.0", "CC-BY-SA-4.0", "Khandekar et al. 2024, arXiv 2406.12036"),
    "medcalc-v1.2": _open("MedCalc-Bench v1.2", "CC-BY-SA-4.0", "Khandekar et al. 2024, arXiv 2406.12036"),
    "medcalc-verified": _open("MedCalc-Bench Verified", "CC-BY-SA-4.0", "Khandekar et al. 2024, arXiv 2406.12036"),
    "mirage": _open("MIRAGE", "MIT AND Apache-2.0 AND CC-BY-2.5", "Xiong et al. 2024, arXiv 2402.13178"),
    "medquad": _open("MedQuAD", "CC-BY-4.0", "Ben Abacha and Demner-Fushman 2019, arXiv 1901.08079"),
    "medqa": _open("MedQA", "MIT", "Jin et al. 2020, arXiv 2009.13081"),
    "medmcqa": _open("MedMCQA", "Apache-2.0", "Pal et al. 2022, arXiv 2203.14371"),
    "mmlu": _open("MMLU", "MIT", "Hendrycks et al. 2021, arXiv 2009.03300"),
    "mmlu-pro": _open("MMLU-Pro", "MIT", "Wang et al. 2024, arXiv 2406.01574"),
    "pubmedqa": _open("PubMedQA", "MIT", "Jin et al. 2019, arXiv 1909.06146"),
    "medxpertqa": _open("MedXpertQA", "MIT", "Zuo et al. 2025, arXiv 2501.18362"),
    "medical-o1": _open("medical-o1", "Apache-2.0", "Chen et al. 2024, arXiv 2412.18925"),
    "healthbench": _open("HealthBench", "MIT", "Arora et al. 2025, arXiv 2505.08775"),
}

RESTRICTED: Final[Mapping[str, Publication]] = {  # letters and digits that stand in a name of it -> what it is
    "ehrnoteqa": _credentialed("EHRNoteQA", "Kweon et al. 2024, arXiv 2402.16040"),
    "mimiciii": _credentialed("MIMIC-III", "Johnson et al. 2016, doi 10.1038/sdata.2016.35"),
    "mimiciv": _credentialed("MIMIC-IV", "Johnson et al. 2023, doi 10.1038/s41597-022-01899-x"),
    "mimiccxr": _credentialed("MIMIC-CXR", "Johnson et al. 2019, doi 10.1038/s41597-019-0322-0"),
    "eicucrd": _credentialed("eICU-CRD", "Pollard et al. 2018, doi 10.1038/sdata.2018.178"),
}


def restricted(name: str) -> str | None:
    """The restricted data set that a file, folder or dataset id is named after; None: none that is known."""
    letters = "".join(character for character in name.lower() if character.isalnum())
    return next((known for known in RESTRICTED if known in letters), None)
