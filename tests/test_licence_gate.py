"""The licence gate: what may not be handed on is refused by what it states and by what its file is named after."""

import pytest

from medu1.columns import Access, Columns
from medu1.prepare.licence_gate import refusal, refusals
from medu1.prepare.publication import PUBLICATIONS
from medu1.prepare.sources import FORMATS, parse

NOBODY: frozenset[str] = frozenset()


def columns(access: Access, source: str = "ward") -> Columns:
    return Columns(source=source, licence="Ours", access=access, citation="x", text="t", gold="g", kind="free_text")


def test_every_format_with_a_reader_has_a_publication_that_passes() -> None:
    assert set(PUBLICATIONS) == set(FORMATS) - {"table"}
    entries = [format if format == "builtin" else f"{format}:x.jsonl" for format in PUBLICATIONS]
    assert refusals([parse(entry) for entry in entries], NOBODY) == []


@pytest.mark.parametrize("access", ["credentialed", "no-redistribution"])
def test_a_table_that_may_not_be_handed_on_is_refused_unless_its_source_is_allowed(access: Access) -> None:
    source, tables = parse("table:w.csv"), {"w.csv": columns(access)}
    (fault,) = refusals([source, source], NOBODY, tables)
    assert fault == f"table:w.csv: it holds ward ({access}, Ours), and ward is not allowed"
    assert refusals([source], frozenset({"ward"}), tables) == []
    assert refusals([source], NOBODY, {"w.csv": columns("open")}) == []


@pytest.mark.parametrize(
    "place",
    ["EHRNoteQA.jsonl", "data/ehr_note_qa/all.jsonl", "s3://ours/EHR-NoteQA/x.jsonl", "hf://someone/ehrnoteqa/x.jsonl"],
)
def test_ehrnoteqa_is_stopped_by_name_whatever_a_mapping_calls_it(place: str) -> None:
    source, tables = parse(f"table:{place}"), {place: columns("open")}
    (fault,) = refusals([source], NOBODY, tables)
    assert "EHRNoteQA (credentialed, PhysioNet Credentialed Health Data License 1.5.0)" in fault
    assert refusals([source], frozenset({"ehrnoteqa"}), tables) == []


def test_a_copy_under_another_format_is_stopped_too() -> None:
    assert len(refusals([parse("medqa:mimic-iv-note.jsonl#train")], NOBODY)) == 1
    assert len(refusals([parse("table:a.csv")], NOBODY, {"a.csv": columns("open", "mimic-iii")})) == 1


def test_the_refusal_names_every_source_and_how_to_go_on() -> None:
    entries = [parse("medqa:ehrnoteqa.jsonl"), parse("medqa:eicu-crd.jsonl")]
    text = str(refusal(refusals(entries, NOBODY)))
    assert "EHRNoteQA" in text
    assert "eICU-CRD" in text
    assert "Leave the source out" in text
