"""The screen on the real benchmark files: how often it is wrong, and whether it finds what is planted in real notes."""

import os
import random
from collections import Counter
from pathlib import Path

import pytest

from identified import IDENTIFIED
from medu1.prepare.formats import medcalc, medquad, mirage
from medu1.prepare.health.identifiers import Kind
from medu1.prepare.health.phi import screen
from medu1.question import Question

ROOT = Path(os.environ.get("MEDU1_REAL_DATA") or Path(__file__).parents[3] / "shared" / "data")

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not ROOT.is_dir(), reason="no real data: MEDU1_REAL_DATA names no folder, ../shared/data is absent"
    ),
]


def questions(name: str) -> list[Question]:
    asked = {
        "medquad": lambda: medquad.read(ROOT / "medquad_short.jsonl"),
        "mirage": lambda: mirage.read(ROOT / "mirage_mcq.json"),
        "medcalc": lambda: medcalc.read(ROOT / "medcalc_bench_v1_test.csv"),
    }[name]().asked
    return [row.question for row in asked]


@pytest.mark.parametrize(("name", "most"), [("medquad", 0.01), ("mirage", 0.001), ("medcalc", 0.005)])
def test_published_questions_are_hardly_ever_flagged(name: str, most: float) -> None:
    """MedQuAD's seven give addresses, telephones and mail of institutions; MIRAGE's two are names of people."""
    rows = questions(name)
    found = [{finding.kind for finding in screen(question)} for question in rows]
    flagged = sum(map(bool, found))
    print(f"\n{name}: {flagged} of {len(rows)} {dict(Counter(kind.value for kinds in found for kind in kinds))}")
    assert flagged <= most * len(rows)


@pytest.mark.parametrize("kind", Kind)
def test_what_is_planted_in_a_real_note_is_found(kind: Kind) -> None:
    draw = random.Random(7)
    notes = draw.sample(questions("medcalc"), len(IDENTIFIED[kind]))
    hits = 0
    for note, (planted, _) in zip(notes, IDENTIFIED[kind], strict=True):
        sentences = note.context.split(". ")
        place = draw.randrange(len(sentences) + 1)
        context = ". ".join([*sentences[:place], f"\n{planted}\n", *sentences[place:]])
        hits += any(found.kind is kind for found in screen(note.model_copy(update={"context": context})))
    print(f"\n{kind}: {hits} of {len(notes)}")
    assert hits >= 0.95 * len(notes)
