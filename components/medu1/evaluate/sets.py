"""The questions that every model answers: read once, and held against the digests that prepare froze them under."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

from medu1 import dataset, frozen
from medu1.errors import Stop
from medu1.evaluate.evaluation import Cases
from medu1.frozen import FrozenSets
from medu1.manifest import DatasetManifest
from medu1.question import Question
from medu1.report import QuestionSet, SetName
from medu1.stage import fetch
from medu1.workspace import Workspace

Sets = Mapping[SetName, Sequence[Question]]

WHOLE = "all of test and ood"


class Asked(NamedTuple):
    """What is asked, and what it is called."""

    sets: Sets
    frozen: tuple[QuestionSet, ...]


def read(data: DatasetManifest, workspace: Workspace) -> Asked:
    """The test and out-of-distribution questions. Raises Stop where they are others than prepare froze, or no tests."""
    folder = fetch(data.key, workspace).folder
    sets: Sets = {"test": dataset.read(folder, "test"), "ood": dataset.read(folder, "ood")}
    described = _checked(sets, data)
    if not sets["test"]:
        raise Stop(
            f"The dataset {data.key} has no test questions.",
            "Models are judged on the test split only.",
            "Raise prepare.test, or add a source that declares one.",
        )
    return Asked(sets, described)


def cases(data: DatasetManifest, workspace: Workspace) -> Cases:
    """The training questions, read when they are needed."""
    return Cases(data.digest, cache(lambda: dataset.read(fetch(data.key, workspace).folder, "train")))


def _checked(sets: Sets, data: DatasetManifest) -> tuple[QuestionSet, ...]:
    found = FrozenSets()
    for split, questions in sets.items():
        for question in questions:
            found.add(split, question.source, question.canonical())
    frozen.require(found.sets(), data.sets_of(*frozen.JUDGED), data.key)
    frozen.require({WHOLE: found.whole()}, {WHOLE: data.frozen}, data.key)
    sizes = found.sizes()
    return tuple(QuestionSet(name=name, questions=sizes[name], digest=of) for name, of in found.sets().items())
