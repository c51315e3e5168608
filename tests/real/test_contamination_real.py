"""Leaks planted among real training rows, and real benchmarks held against each other: MEDU1_REAL_DATA names them."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from medu1.prepare.contamination.contamination import DEFAULT_CONTAMINATION, Index
from medu1.prepare.contamination.leaks import Leak, dropped_groups
from medu1.prepare.formats.text import group_of
from medu1.question import Choice, FreeText, Question

ROOT = Path(os.environ.get("MEDU1_REAL_DATA") or Path(__file__).parents[3] / "shared" / "data")
LIMITS = DEFAULT_CONTAMINATION
ROWS = 5000  # training rows, planted ones included
PLANTED = 25  # verbatim, and as many edited

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not ROOT.is_dir(), reason="no real data: MEDU1_REAL_DATA names no folder, ../shared/data is absent"
    ),
]


def mirage(name: str) -> list[Question]:
    rows = json.loads((ROOT / "mirage_mcq.json").read_text(encoding="utf-8"))[name]
    return [
        Question(
            id=f"{name}/{key}",
            source=name,
            text=row["question"],
            options=row["options"],
            gold=Choice(letter=row["answer"]),
            group=group_of(name, row["question"]),
        )
        for key, row in rows.items()
    ]


def medquad() -> list[Question]:
    lines = (ROOT / "medquad_short.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [
        Question(
            id=f"medquad/{place}",
            source="medquad",
            text=row["question"],
            gold=FreeText(text=row["answer"]),
            group=group_of("focus", row["focus"]),
        )
        for place, row in enumerate(rows)
    ]


def planted(question: Question, name: str, **change: object) -> Question:
    """A training row that should not be there."""
    return question.model_copy(update={"id": name, "source": "planted", "group": name, **change})


def edited(question: Question, name: str, draw: Random) -> Question:
    """Options shuffled, one to three words replaced, deleted or put in, case and punctuation changed."""
    texts = list(question.options.values())
    draw.shuffle(texts)
    options = dict(zip(sorted(question.options), (text.rstrip(".").upper() for text in texts), strict=True))
    words = question.text.split()
    for _ in range(draw.randint(1, 3)):
        place = draw.randrange(len(words))
        words[place : place + draw.randint(0, 1)] = draw.choice([[], ["mostly"], ["an", "older"]])
    text = " ".join(words).lower().replace(",", " -").replace("?", "")
    return planted(question, name, text=text, options=options)


@pytest.fixture(scope="module")
def medqa() -> list[Question]:
    return mirage("medqa")


def leaks_of(training: Sequence[Question], evaluation: Sequence[Question]) -> list[Leak]:
    return Index.of(evaluation, LIMITS).leaks(training)


@pytest.mark.parametrize("seed", range(5))
def test_planted_leaks_are_found_and_nothing_else(seed: int, medqa: list[Question]) -> None:
    draw = Random(seed)
    chosen = draw.sample(medqa, 2 * PLANTED)
    verbatim = {f"verbatim/{question.id}": question.id for question in chosen[:PLANTED]}
    reworded = {f"edited/{question.id}": question.id for question in chosen[PLANTED:]}
    leaky = [planted(question, name) for question, name in zip(chosen[:PLANTED], verbatim, strict=True)]
    leaky += [edited(question, name, draw) for question, name in zip(chosen[PLANTED:], reworded, strict=True)]
    clean = [*medquad(), *mirage("medmcqa")][: ROWS - len(leaky)]
    training = [*clean, *leaky]
    draw.shuffle(training)

    found = leaks_of(training, medqa)

    pairs = {(leak.id, leak.evaluation) for leak in found}
    assert set(verbatim.items()) <= pairs
    assert len(set(reworded.items()) & pairs) >= PLANTED - 2
    assert dropped_groups(found) <= verbatim.keys() | reworded.keys()


def test_benchmarks_do_not_give_each_other_away(medqa: list[Question]) -> None:
    assert leaks_of([*medquad(), *mirage("medmcqa"), *mirage("mmlu")], medqa) == []
    assert leaks_of([*medquad(), *mirage("medmcqa"), *medqa], mirage("mmlu")) == []


def test_reworded_questions_of_one_benchmark_are_found() -> None:
    """Pairs that MedMCQA's validation set asks twice; one that turns on a single word of two is among them."""
    questions = mirage("medmcqa")
    found = leaks_of(questions[1::2], questions[::2])
    asked = {question.id: question.text for question in questions}
    texts = {(asked[leak.id], asked[leak.evaluation]) for leak in found}
    assert ("DOC for bacterial vaginosis in pregnancy", "Doc of bacterial vaginosis in pregnancy is") in texts
    assert ("Major aim of phase 1 clinical trials is:", "Major aim of phase 1 clinical trials is:-") in texts
    assert len(found) < 60
