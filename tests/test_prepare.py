"""Prepare: upstream rows become questions, whole groups go to one split, and nothing leaks or is lost."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from medu1 import dataset, journal
from medu1.builtin import questions as built_in
from medu1.errors import Stop
from medu1.frozen import FrozenSets
from medu1.manifest import DatasetManifest, TokenizerManifest
from medu1.params import Audit
from medu1.prepare import audit, component, prompt_length, rawdata, step
from medu1.prepare.formats import medcalc, medquad, mirage
from medu1.prepare.formats.row import Reading
from medu1.prepare.prompt_length import prompt_lengths
from medu1.prepare.sources import file_digest, parse
from medu1.prepare.versions.pin import pinned
from medu1.question import Choice, Date, FreeText, Gold, Integer, Number, Question, WeeksDays
from medu1.scoring.grading import DEFAULT_SCORING
from prepared import PARAMS, QUAD, question, small_raw, write_json, write_lines, write_tokenizer
from standin import Page

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")  # MLflow's, under SQLAlchemy 2.1

SHARD = "test-00000.parquet"
PAGE = "page"  # where kfp wants the report for people

CSV = {
    "Row Number": "1",
    "Calculator ID": "5",
    "Calculator Name": "Mean Arterial Pressure (MAP)",
    "Output Type": "decimal",
    "Note ID": "note-1",
    "Patient Note": "A 40-year-old man with blood pressure 120/60 mmHg.\nHe feels well.",
    "Question": "What is his mean arterial pressure in mmHg?",
    "Ground Truth Answer": "80.0",
    "Lower Limit": "76.0",
    "Upper Limit": "84.0",
}

MCQ = {"question": "Which organ makes insulin?", "options": {"B": "Pancreas", "A": "Liver"}, "answer": "B"}


def write_csv(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(CSV))
        table.writeheader()
        table.writerows(rows)
    return path


def only(reading: Reading) -> Question:
    assert not reading.malformed
    (asked,) = reading.asked
    return asked.question


def run(root: Path, tokenizer: TokenizerManifest, *sources: str, **changed: Any) -> tuple[Path, DatasetManifest]:
    params = PARAMS.model_copy(update={"sources": sources or ("builtin",), **changed})
    files = {path: file_digest(Path(path)) for path in (parse(source).path for source in sources) if path}
    data = rawdata.Digests(pinned(root / "data.dvc"), files).text()
    text = component.prepare(params.canonical(), data, tokenizer.text(), "code", Page(str(root / PAGE)))
    manifest = DatasetManifest.model_validate_json(text)
    return root / "home" / "store" / manifest.key, manifest


def prepared_folder(root: Path, tokenizer: TokenizerManifest, rows: Sequence[Question], **changed: Any) -> Path:
    """The dataset of these rows, as if they were built-in, beside a few to train on and to judge by."""
    raw = {"builtin/rows.jsonl": dataset.lines(rows), **small_raw()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(built_in, "raw_files", lambda: raw)
        rawdata.build(root, pin=True)
        return run(root, tokenizer, **changed)[0]


def prepared(root: Path, tokenizer: TokenizerManifest, rows: Sequence[Question], **changed: Any) -> list[Question]:
    """What is kept of these rows."""
    ids = {row.id for row in rows}
    return [row for row in kept(prepared_folder(root, tokenizer, rows, **changed)) if row.id in ids]


def kept(folder: Path) -> list[Question]:
    return [row for split in dataset.SPLITS for row in dataset.read(folder, split)]


def left_out(folder: Path) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = pq.read_table(folder / "left_out.parquet").to_pylist()
    return rows


def report_of(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "report.json").read_text()))


# Formats


@pytest.mark.parametrize(
    ("changed", "gold"),
    [
        ({}, Number(value=80.0, lower=76.0, upper=84.0)),
        ({"Output Type": "integer", "Ground Truth Answer": "-2"}, Integer(value=-2)),
        ({"Output Type": "date", "Ground Truth Answer": "9/3/2014"}, Date(value="09/03/2014")),
        ({"Output Type": "integer", "Ground Truth Answer": "('14 weeks', '1 days')"}, WeeksDays(weeks=14, days=1)),
    ],
)
def test_medcalc_gold_is_typed_by_its_output_type(tmp_path: Path, changed: dict[str, str], gold: Gold) -> None:
    found = only(medcalc.read(write_csv(tmp_path / "m.csv", [{**CSV, **changed}])))
    assert found.gold == gold
    assert (found.context, found.text) == (CSV["Patient Note"], CSV["Question"])
    assert (found.source, found.licence, found.topic) == ("medcalc", "CC-BY-SA-4.0", CSV["Calculator Name"])


def test_medcalc_rows_on_one_note_are_one_group_whatever_their_note_id(tmp_path: Path) -> None:
    other = {**CSV, "Row Number": "2", "Note ID": "note-2"}
    another = {**CSV, "Row Number": "3", "Patient Note": "Somebody else."}
    groups = [row.question.group for row in medcalc.read(write_csv(tmp_path / "m.csv", [CSV, other, another])).asked]
    assert groups[0] == groups[1] != groups[2]


def test_mirage_options_stand_in_letter_order_and_medqa_is_never_trained_on(tmp_path: Path) -> None:
    sets = {"medqa": {"0": MCQ}, "medmcqa": {"1": MCQ}, "mmlu": {"anatomy-000": MCQ}}
    found = [row.question for row in mirage.read(write_json(tmp_path / "m.json", sets)).asked]
    assert [row.split for row in found] == ["test", None, "ood"]
    assert found[0].gold == Choice(letter="B")
    assert list(found[0].options) == ["A", "B"]
    assert found[2].topic == "anatomy"


def test_medquad_answers_are_free_texts_grouped_by_their_subject(tmp_path: Path) -> None:
    found = only(medquad.read(write_lines(tmp_path / "q.jsonl", [QUAD])))
    assert found.gold == FreeText(text="Most stop within minutes.")
    assert (found.id, found.topic) == ("medquad/9_Own_QA/0000001-1", "outlook")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Ground Truth Answer", "eighty"),
        ("Lower Limit", "nan"),
        ("Output Type", "colour"),
        ("Question", " "),
        ("Patient Note", ""),
    ],
)
def test_a_malformed_medcalc_row_is_named_by_line_and_field(tmp_path: Path, field: str, value: str) -> None:
    path = write_csv(tmp_path / "m.csv", [CSV, {**CSV, "Row Number": "2", field: value}, {**CSV, "Row Number": "3"}])
    reading = medcalc.read(path)
    assert len(reading.asked) == 2
    (row,) = reading.malformed
    assert (row.file, row.place, row.field) == ("m.csv", "line 4", field)  # the note before it has a line break


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"answer": "C"}, "answer"),
        ({"answer": 1}, "answer"),
        ({"options": {"A": "Liver"}}, "options"),
        ({"options": {"A": "Liver", "B": None}}, "options.B"),
        ({"question": ""}, "question"),
    ],
)
def test_a_malformed_mirage_row_is_named_by_key_path_and_field(
    tmp_path: Path, changed: dict[str, Any], field: str
) -> None:
    reading = mirage.read(write_json(tmp_path / "m.json", {"medqa": {"0": MCQ, "1": {**MCQ, **changed}}}))
    assert len(reading.asked) == 1
    (row,) = reading.malformed
    assert (row.file, row.place, row.field) == ("m.json", "medqa.1", field)


@pytest.mark.parametrize(
    ("line", "field"),
    [("{not json", "(line)"), ("[1]", "(row)"), (json.dumps({**QUAD, "answer": ""}), "answer"), ("{}", "source")],
)
def test_a_malformed_medquad_row_is_named_by_line_and_field(tmp_path: Path, line: str, field: str) -> None:
    reading = medquad.read(write_lines(tmp_path / "q.jsonl", [QUAD, line]))
    assert len(reading.asked) == 1
    (row,) = reading.malformed
    assert (row.file, row.place, row.field) == ("q.jsonl", "line 2", field)


def test_a_file_that_is_no_such_format_is_a_stop_that_says_where(tmp_path: Path) -> None:
    broken = tmp_path / "m.json"
    broken.write_text('{"medqa": ', encoding="utf-8")
    with pytest.raises(Stop, match=r"m\.json is not JSON: line 1, column 11"):
        mirage.read(broken)
    with pytest.raises(Stop, match="column Row Number is missing"):
        medcalc.read(write_lines(tmp_path / "m.csv", ["a,b", "1,2"]))
    (tmp_path / "q.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(Stop, match="not UTF-8"):
        medquad.read(tmp_path / "q.jsonl")
    with pytest.raises(Stop, match="cannot be read"):
        medquad.read(tmp_path / "absent.jsonl")


def test_an_unknown_source_format_names_the_nearest() -> None:
    with pytest.raises(Stop, match="the nearest is medcalc"):
        parse("medcal:some.csv")
    with pytest.raises(Stop, match="has no path"):
        parse("mirage")
    with pytest.raises(Stop, match="takes no path"):
        parse("builtin:some")


# Splits


def test_a_group_keeps_its_split_when_rows_are_added(tmp_path: Path, chain: TokenizerManifest) -> None:
    def splits(count: int) -> dict[str, str]:
        rows = [question(n, group=f"g{n // 3}") for n in range(count)]
        return {row.id: str(row.split) for row in prepared(tmp_path, chain, rows)}

    before, after = splits(300), splits(900)
    assert {id: after[id] for id in before} == before
    assert 0.2 < sum(split == "test" for split in after.values()) / 900 < 0.4
    assert all(after[f"q/{n}"] == after[f"q/{n - n % 3}"] for n in range(900))


def test_every_stratum_gets_its_shares(tmp_path: Path, chain: TokenizerManifest) -> None:
    rows = [question(n, topic=f"topic {n % 4}") for n in range(2000)]
    folder = prepared_folder(tmp_path, chain, rows)
    strata = [stratum for stratum in report_of(folder)["strata"] if stratum["topic"].startswith("topic ")]
    assert [stratum["topic"] for stratum in strata] == [f"topic {n}" for n in range(4)]
    for stratum in strata:
        assert sum(stratum["rows"].values()) == 500
        assert 0.2 < stratum["rows"]["test"] / 500 < 0.4


def test_another_seed_draws_another_split(tmp_path: Path, chain: TokenizerManifest) -> None:
    rows = [question(n) for n in range(100)]
    assert prepared(tmp_path, chain, rows) != prepared(tmp_path, chain, rows, seed=8)


def test_a_declared_split_is_honoured_and_carries_its_group(tmp_path: Path, chain: TokenizerManifest) -> None:
    rows = prepared(tmp_path, chain, [question(n, "ood" if n == 3 else None, "g") for n in range(5)])
    assert {row.split for row in rows} == {"ood"}
    assert len(rows) == 5


def test_a_group_declared_in_two_splits_is_a_stop(tmp_path: Path, chain: TokenizerManifest) -> None:
    with pytest.raises(Stop, match=r"group g is in two splits: q/1 is declared train, q/2 is declared test"):
        prepared(tmp_path, chain, [question(1, "train", "g"), question(2, "test", "g")])


def test_a_prompt_asked_in_an_evaluation_set_leaves_training(tmp_path: Path, chain: TokenizerManifest) -> None:
    rows = [
        question(1, "train", text="Which VITAMIN, then?"),
        question(2, "validation", text="which vitamin then"),
        question(3, "test", text="Which vitamin - then?"),
        question(4, "train"),
    ]
    folder = prepared_folder(tmp_path, chain, rows)
    assert {row.id for row in kept(folder) if row.id.startswith("q/")} == {"q/3", "q/4"}
    assert report_of(folder)["duplicates"] == ["q/1", "q/2"]
    assert [row["fate"] for row in left_out(folder)] == ["asked in another split"] * 2


def test_a_cap_takes_whole_groups_whatever_the_order_of_rows(tmp_path: Path, chain: TokenizerManifest) -> None:
    rows = [question(n, "train", f"g{n // 4}").model_copy(update={"source": "many"}) for n in range(100)]
    found = [row for row in prepared(tmp_path, chain, rows, caps={"many": 30}) if row.source == "many"]
    again = [row for row in prepared(tmp_path, chain, rows[::-1], caps={"many": 30}) if row.source == "many"]
    assert len(found) == 28
    assert all(sum(row.group == other.group for other in found) == 4 for row in found)
    assert {row.id for row in again} == {row.id for row in found}


def test_a_cap_that_names_no_source_is_a_stop(tmp_path: Path, chain: TokenizerManifest) -> None:
    with pytest.raises(Stop, match=r"prepare\.caps names mayn; the nearest source with rows is many\."):
        prepared(tmp_path, chain, [question(1, "train").model_copy(update={"source": "many"})], caps={"mayn": 30})


# Prompt lengths


def test_prompts_are_counted_as_transformers_counts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tokenizer(tmp_path)
    rows = [question(n, text="word " * (n + 1)) for n in range(5)]
    light = prompt_lengths(tmp_path)(rows)
    monkeypatch.setattr(prompt_length, "_light", lambda folder: None)
    assert light == prompt_lengths(tmp_path)(rows)
    assert light[1] == light[0] + 1


# The dataset's files


def test_a_dataset_reads_back_what_was_written_byte_for_byte_the_same(tmp_path: Path) -> None:
    rows = [question(n, "test", topic="Ängste 發燒") for n in range(5000)]
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        dataset.write(tmp_path / name, "test", rows)
    assert dataset.read(tmp_path / "one", "test") == rows
    assert (tmp_path / "one" / SHARD).read_bytes() == (tmp_path / "two" / SHARD).read_bytes()


def test_an_empty_split_is_a_file_too(tmp_path: Path) -> None:
    dataset.write(tmp_path, "ood", [])
    assert dataset.read(tmp_path, "ood") == []


def test_an_absent_split_is_a_stop(tmp_path: Path) -> None:
    with pytest.raises(Stop, match=r"has no file test-00000\.parquet"):
        dataset.read(tmp_path, "test")


def test_the_frozen_digest_does_not_depend_on_order() -> None:
    rows = [question(n, "test") for n in range(3)]
    assert FrozenSets.of(rows).whole() == FrozenSets.of(rows[::-1]).whole() != FrozenSets.of(rows[:2]).whole()


# The step


def test_prepare_writes_splits_demonstrations_and_a_report(tmp_path: Path, chain: TokenizerManifest) -> None:
    folder, manifest = run(tmp_path, chain)
    assert manifest.rows == {"train": 30, "validation": 6, "test": 10, "ood": 4}
    assert {split: len(dataset.read(folder, split)) for split in dataset.SPLITS} == manifest.rows
    assert len(dataset.read(folder, dataset.DEMONSTRATIONS)) == 30
    assert manifest.data == pinned(tmp_path / "data.dvc")
    frozen = [*dataset.read(folder, "test"), *dataset.read(folder, "ood")]
    assert manifest.frozen == FrozenSets.of(frozen).whole()
    assert list(manifest.sets) == ["ood/own", "test/own", "validation/own"]
    notes = [event.message for event, _ in journal.read(tmp_path / "home/runs/r/journal.jsonl") if event.kind == "note"]
    assert notes[0].startswith("kept 50 of 50 questions; 0 prompts longer than 200 tokens")


def test_prepare_makes_a_dataset_once(tmp_path: Path, chain: TokenizerManifest) -> None:
    folder, made = run(tmp_path, chain)
    (tmp_path / PAGE).unlink()
    assert run(tmp_path, chain, dvc_remote="ignored: what is made is there") == (folder, made)
    assert (tmp_path / PAGE).read_bytes() == (folder / "data.html").read_bytes()
    assert run(tmp_path, chain)[1].key != run(tmp_path, chain, max_rows_per_source=4)[1].key


def test_a_moved_source_file_is_the_same_dataset_and_a_changed_one_is_not(
    tmp_path: Path, chain: TokenizerManifest
) -> None:
    here = write_lines(tmp_path / "here.jsonl", [QUAD])
    there = write_lines(tmp_path / "there.jsonl", [QUAD])
    changed = write_lines(tmp_path / "changed.jsonl", [{**QUAD, "answer": "Not long."}])
    made = run(tmp_path, chain, "builtin", f"medquad:{here}")[1]
    assert made == run(tmp_path, chain, "builtin", f"medquad:{there}")[1]
    assert made.key != run(tmp_path, chain, "builtin", f"medquad:{changed}")[1].key


def test_demonstrations_are_built_in_whatever_the_sources(tmp_path: Path, chain: TokenizerManifest) -> None:
    rows = [{**QUAD, "id": str(n), "focus": f"subject {n}", "question": f"What of {n} ?"} for n in range(40)]
    folder, manifest = run(
        tmp_path, chain, f"medquad:{write_lines(tmp_path / 'q.jsonl', rows)}", max_rows_per_source=30
    )
    assert sum(manifest.rows.values()) == 30
    assert len(dataset.read(folder, dataset.DEMONSTRATIONS)) == 30
    report = report_of(folder)
    assert report["over_cap"] == {"medquad": 10}
    assert [source["read"] for source in report["sources"]] == [40]
    assert report["licences"] == {"medquad": "CC-BY-4.0"}


def test_no_demonstration_asks_what_an_evaluation_set_asks(tmp_path: Path, chain: TokenizerManifest) -> None:
    leak = {"question": "What is train 3?", "options": MCQ["options"], "answer": "A"}
    rows = [{**QUAD, "id": str(n), "focus": f"f{n}", "question": f"What is train {n}?"} for n in range(30)]
    sources = (
        f"medquad:{write_lines(tmp_path / 'q.jsonl', rows)}",
        f"mirage:{write_json(tmp_path / 'm.json', {'medqa': {'0': leak}})}",
    )
    folder, _ = run(tmp_path, chain, "builtin", *sources)
    shown = {row.text for row in dataset.read(folder, dataset.DEMONSTRATIONS)}
    asked = {
        row.text for split in ("validation", "test", "ood") for row in dataset.read(folder, split) if not row.options
    }
    assert shown
    assert not shown & asked
    assert len(report_of(folder)["duplicates"]) == 30 - len(shown)


def test_long_prompts_are_counted_and_listed(tmp_path: Path, chain: TokenizerManifest) -> None:
    rows = [{**QUAD, "id": str(n), "question": "Why " * (5 + 300 * (n == 2)) + str(n)} for n in range(4)]
    folder, _ = run(tmp_path, chain, "builtin", f"medquad:{write_lines(tmp_path / 'q.jsonl', rows)}")
    report = report_of(folder)
    assert report["too_long"] == {"medquad": 1}
    (row,) = report["too_long_rows"]
    assert row["id"] == "medquad/9_Own_QA/2"
    assert row["tokens"] > 300


def test_every_malformed_row_is_named_and_nothing_is_made(tmp_path: Path, chain: TokenizerManifest) -> None:
    lines = write_lines(tmp_path / "q.jsonl", [QUAD, {**QUAD, "id": "2", "answer": ""}, QUAD])
    table = write_csv(tmp_path / "m.csv", [{**CSV, "Upper Limit": ""}])
    with pytest.raises(Stop) as error:
        run(tmp_path, chain, "builtin", f"medquad:{lines}", f"medcalc:{table}")
    text = str(error.value)
    assert text.startswith("3 of 54 rows cannot be read.")
    assert "q.jsonl, line 2, field answer: is empty" in text
    assert "q.jsonl, line 3, field id: medquad/9_Own_QA/0000001-1 is the id of q.jsonl, line 1 too" in text
    assert "m.csv, line 2, field Upper Limit: is empty" in text
    assert not (tmp_path / "home" / "store" / "prepare").exists()
    assert "q.jsonl" in (tmp_path / PAGE).read_text(encoding="utf-8")


def test_sources_without_training_questions_are_a_stop(tmp_path: Path, chain: TokenizerManifest) -> None:
    with pytest.raises(Stop, match="No question is left in the train split"):
        run(tmp_path, chain, f"mirage:{write_json(tmp_path / 'm.json', {'medqa': {'0': MCQ}})}")


def test_an_unknown_calculator_names_the_nearest(tmp_path: Path, chain: TokenizerManifest) -> None:
    with pytest.raises(Stop, match="the nearest is curb_65"):
        run(tmp_path, chain, calculators=("curb65",))


def test_a_source_changed_since_the_run_started_is_a_stop(tmp_path: Path, chain: TokenizerManifest) -> None:
    path = write_lines(tmp_path / "q.jsonl", [QUAD])
    data = rawdata.Digests(pinned(tmp_path / "data.dvc"), {str(path): "0" * 32})
    params = PARAMS.model_copy(update={"sources": (f"medquad:{path}",)})
    with pytest.raises(Stop, match="changed since the run was started"):
        step.prepared(params, data, chain, "code", tmp_path / PAGE)


# The audit


def test_the_audit_accepts_honest_golds(tmp_path: Path, chain: TokenizerManifest) -> None:
    _, manifest = run(tmp_path, chain)
    limits = Audit(max_false_accept=0.01, max_false_reject=0.0)
    page = Page(str(tmp_path / PAGE))
    text = component.audit(limits.canonical(), DEFAULT_SCORING.canonical(), manifest.text(), "code", page)
    folder = tmp_path / "home" / "store" / json.loads(text)["key"]
    assert (folder / audit.NAME).exists()
    assert (tmp_path / PAGE).read_bytes() == (folder / "audit.html").read_bytes()


def test_the_audit_refuses_training_where_a_gold_fails_its_own_grader(
    tmp_path: Path, chain: TokenizerManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    unanswerable = question(1, "train", rationale="so").model_copy(update={"gold": Number(value=5, lower=8, upper=9)})
    raw = {"builtin/a.jsonl": small_raw()["builtin/facts.jsonl"] + dataset.lines([unanswerable])}
    monkeypatch.setattr(built_in, "raw_files", lambda: raw)
    rawdata.build(tmp_path, pin=True)
    _, manifest = run(tmp_path, chain)
    with pytest.raises(Stop, match=r"refuses to train.*golds of own fail their own grader.*q/1"):
        audit.audited(
            Audit(max_false_accept=1.0, max_false_reject=0.0), DEFAULT_SCORING, manifest, "code", tmp_path / PAGE
        )
    assert not (tmp_path / "home" / "store" / "audit").exists()
    assert "q/1" in (tmp_path / PAGE).read_text(encoding="utf-8")
