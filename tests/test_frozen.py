"""Frozen sets: a digest is the same questions, in any order and beside any other source, and nothing else."""

import random

import pytest

from medu1.errors import Stop
from medu1.frozen import FrozenSets, require
from medu1.manifest import DatasetManifest
from medu1.question import Integer, Question, Split

SPLITS: tuple[Split, ...] = ("train", "validation", "test", "ood")


def question(number: int, split: Split, source: str = "medqa") -> Question:
    name = f"{source}/{split}/{number}"
    return Question(id=name, source=source, text=f"What is {name}?", gold=Integer(value=number), split=split)


ASKED = [question(number, split) for split in SPLITS for number in range(20)]


def test_each_source_of_each_evaluation_split_is_a_set() -> None:
    found = FrozenSets.of([*ASKED, question(0, "ood", "mmlu")])
    assert list(found.sets()) == ["ood/medqa", "ood/mmlu", "test/medqa", "validation/medqa"]
    assert found.sizes() == {"ood/medqa": 20, "ood/mmlu": 1, "test/medqa": 20, "validation/medqa": 20}


def test_order_does_not_matter() -> None:
    shuffled = random.Random(7).sample(ASKED, len(ASKED))
    one, other = FrozenSets.of(ASKED), FrozenSets.of(shuffled)
    assert (one.sets(), one.whole()) == (other.sets(), other.whole())


def test_a_source_that_is_added_leaves_the_other_sets_as_they_are() -> None:
    alone, beside = FrozenSets.of(ASKED), FrozenSets.of([question(0, "test", "mirage"), *ASKED])
    assert alone.sets().items() <= beside.sets().items()
    assert alone.whole() != beside.whole()


def test_training_and_validation_are_no_part_of_the_whole() -> None:
    judged = [asked for asked in ASKED if asked.split in ("test", "ood")]
    assert FrozenSets.of(ASKED).whole() == FrozenSets.of(judged).whole()


@pytest.mark.parametrize(
    "changed",
    [
        [*ASKED[:-1], ASKED[-1].model_copy(update={"gold": Integer(value=99)})],
        ASKED[:-1],
        [*ASKED, ASKED[-1]],
    ],
    ids=["a gold", "a question less", "a question twice"],
)
def test_any_other_questions_are_another_set(changed: list[Question]) -> None:
    frozen, found = FrozenSets.of(ASKED), FrozenSets.of(changed)
    assert [name for name, digest in frozen.sets().items() if found.sets()[name] != digest] == ["ood/medqa"]
    assert frozen.whole() != found.whole()


def test_rows_may_come_as_text() -> None:
    streamed = FrozenSets()
    for asked in ASKED:
        streamed.add(str(asked.split), asked.source, asked.canonical())
    assert streamed.sets() == FrozenSets.of(ASKED).sets()


def test_a_set_that_differs_is_missing_or_is_new_is_named() -> None:
    frozen = {"test/a": "1", "test/b": "2" * 64, "test/c": "3"}
    require(frozen, dict(frozen), "prepare/1")
    with pytest.raises(Stop) as error:
        require({"test/a": "1", "test/b": "4" * 64, "test/d": "5"}, frozen, "prepare/1")
    text = str(error.value)
    assert (
        "test/b is 444444444444, frozen as 222222222222; test/c is absent, frozen as 3; test/d is 5, frozen as absent"
        in text
    )
    assert "test/a" not in text
    assert "Delete prepare/1" in text


def test_a_manifest_gives_the_sets_of_a_split() -> None:
    sets = FrozenSets.of(ASKED).sets()
    manifest = DatasetManifest(key="k", digest="d", frozen="f", sets=sets, rows={}, data="")
    assert list(manifest.sets_of("test", "ood")) == ["ood/medqa", "test/medqa"]
    assert DatasetManifest.model_validate_json(manifest.text()) == manifest
