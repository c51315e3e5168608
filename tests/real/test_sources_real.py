"""The real benchmark files, in their upstream formats, read whole: MEDU1_REAL_DATA names their folder."""

import os
from collections import Counter
from pathlib import Path

import pytest

from medu1.prepare.formats import medcalc, medquad, mirage
from medu1.prepare.formats.row import Reading

ROOT = Path(os.environ.get("MEDU1_REAL_DATA") or Path(__file__).parents[3] / "shared" / "data")

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not ROOT.is_dir(), reason="no real data: MEDU1_REAL_DATA names no folder, ../shared/data is absent"
    ),
]


def kinds(reading: Reading) -> Counter[str]:
    assert not reading.malformed
    return Counter(asked.question.gold.kind for asked in reading.asked)


def test_every_medcalc_row_has_a_typed_gold() -> None:
    found = kinds(medcalc.read(ROOT / "medcalc_bench_v1_test.csv"))
    assert found == {"number": 627, "integer": 360, "date": 40, "weeks_days": 20}
    assert found.total() == 1047


def test_every_mirage_row_is_read_and_medqa_is_evaluation_only() -> None:
    reading = mirage.read(ROOT / "mirage_mcq.json")
    assert kinds(reading) == {"choice": 1273 + 4183 + 1089}
    by_source = Counter((asked.question.source, asked.question.split) for asked in reading.asked)
    assert by_source == {("mirage/medqa", "test"): 1273, ("mirage/medmcqa", None): 4183, ("mirage/mmlu", "ood"): 1089}


def test_every_medquad_row_is_read() -> None:
    reading = medquad.read(ROOT / "medquad_short.jsonl")
    assert kinds(reading) == {"free_text": 2000}
    assert len({asked.question.id for asked in reading.asked}) == 2000
