"""Sources: every format in the form its publisher writes, wherever it lies, and what is said of one that is broken."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hub import Hub
from medu1 import dataset
from medu1.columns import Columns
from medu1.errors import Stop
from medu1.prepare import sources
from medu1.prepare.formats.records import BATCH, records
from medu1.prepare.formats.row import Fields, Malformed, Reading, WrongField, reading
from medu1.prepare.location import absolute, fetched
from medu1.prepare.sources import Source, parse
from medu1.prompt import messages
from medu1.question import Choice, Date, FreeText, Gold, Integer, Number, Question, WeeksDays
from s3 import S3

Row = dict[str, Any]
Write = Callable[[Path, Sequence[Row]], Path]

MEDCALC: Row = {
    "Row Number": "7",
    "Calculator ID": "69",
    "Calculator Name": "Estimated Gestational Age",
    "Category": "date",
    "Output Type": "date",
    "Note ID": "4",
    "Note Type": "Template",
    "Patient Note": "Her last period began on 01/02/2024. Today is 02/03/2024.",
    "Question": "How far is the pregnancy, in weeks and days?",
    "Relevant Entities": "{}",
    "Ground Truth Answer": "('4 weeks', '4 days')",
    "Lower Limit": "('4 weeks', '4 days')",
    "Upper Limit": "('4 weeks', '4 days')",
    "Ground Truth Explanation": "Count the days.",
}
MEDQA: Row = {
    "question": "Which organ makes insulin?",
    "answer": "Pancreas",
    "options": {"A": "Liver", "B": "Pancreas", "C": "Spleen", "D": "Kidney"},
    "meta_info": "step1",
    "answer_idx": "B",
    "metamap_phrases": ["organ", "insulin"],
}
MEDMCQA: Row = {
    "id": "a-1",
    "question": "Which organ makes insulin?",
    "opa": "Liver",
    "opb": "Pancreas",
    "opc": "Spleen",
    "opd": "Kidney",
    "cop": 2,
    "choice_type": "single",
    "exp": "Its beta cells do.",
    "subject_name": "Physiology",
    "topic_name": None,
}
MMLU: Row = {"question": "Which organ makes bile?", "A": "Liver", "B": "Lung", "C": "Skin", "D": "Eye", "answer": "A"}
MMLU_HUB: Row = {
    "question": "Which organ makes bile?",
    "subject": "anatomy",
    "choices": ["Lung", "Skin", "Liver", "Eye"],
    "answer": 2,
}
MMLU_PRO: Row = {
    "question_id": 5,
    "question": "Which vitamin prevents scurvy?",
    "options": ["A", "B1", "B6", "C", "D", "E", "K", "B12", "N/A", "N/A"],
    "answer": "D",
    "answer_index": 3,
    "cot_content": "",
    "category": "health",
    "src": "own-nutrition",
}
PUBMEDQA: Row = {
    "QUESTION": "Does tea keep one awake?",
    "CONTEXTS": ["We gave tea to ten people.", "Nine stayed awake."],
    "LABELS": ["METHODS", "RESULTS"],
    "MESHES": ["Tea"],
    "YEAR": "2020",
    "final_decision": "yes",
    "LONG_ANSWER": "It does.",
}
PUBMEDQA_HUB: Row = {
    "pubid": 100,
    "question": PUBMEDQA["QUESTION"],
    "context": {
        "contexts": PUBMEDQA["CONTEXTS"],
        "labels": PUBMEDQA["LABELS"],
        "meshes": ["Tea"],
        "reasoning_required_pred": ["y", "e", "s"],
        "reasoning_free_pred": ["y", "e", "s"],
    },
    "long_answer": "It does.",
    "final_decision": "yes",
}
MEDXPERTQA: Row = {
    "id": "Text-3",
    "question": "A man coughs. What next?\nAnswer Choices: (A) Rest (B) Listen to his chest (C) Run",
    "options": {"A": "Rest", "B": "Listen to his chest", "C": "Run"},
    "label": "B",
    "medical_task": "Diagnosis",
    "body_system": "Respiratory",
    "question_type": "Reasoning",
}
MEDICAL_O1: Row = {
    "Question": "Why do hands prickle when one breathes too fast?",
    "Complex_CoT": "Carbon dioxide falls, so calcium binds.",
    "Response": "Ionised calcium falls.",
}
VERIFIABLE: Row = {
    "Open-ended Verifiable Question": "Which ion falls when one breathes too fast?",
    "Ground-True Answer": "Ionised calcium",
}
HEALTHBENCH: Row = {
    "prompt_id": "p-1",
    "prompt": [
        {"role": "user", "content": "My tooth aches."},
        {"role": "assistant", "content": "Since when?"},
        {"role": "user", "content": "Since Monday. What shall I do?"},
    ],
    "rubrics": [
        {"criterion": "Advises to see a dentist.", "points": 5, "tags": ["level:example"]},
        {"criterion": "Recommends antibiotics unseen.", "points": -8, "tags": []},
        {"criterion": "Asks about fever.", "points": 9, "tags": []},
    ],
    "example_tags": ["physician_agreed_category:x", "theme:context_seeking"],
    "ideal_completions_data": None,
}
OWN: Row = {
    "key": "k1",
    "ask": "How many lobes has the right lung?",
    "right": "3",
    "case": "c1",
    "of": "anatomy",
    "part": "",
}
COLUMNS = Columns(
    source="own",
    licence="CC0-1.0",
    access="open",
    citation="Ours.",
    id="key",
    text="ask",
    gold="right",
    kind="integer",
    group="case",
    topic="of",
    split="part",
)
LIMITS: Row = {"kind": "number", "lower": "lo", "upper": "hi"}
ALIASES: Row = {"kind": "free_text", "aliases": "too"}


def as_lines(path: Path, rows: Sequence[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def as_list(path: Path, rows: Sequence[Row]) -> Path:
    path.write_text(json.dumps(rows, indent=2), encoding="utf-8")
    return path


def as_csv(path: Path, rows: Sequence[Row]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return path


def as_bare_csv(path: Path, rows: Sequence[Row]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(row.values() for row in rows)
    return path


def as_parquet(path: Path, rows: Sequence[Row]) -> Path:
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def as_mapping(path: Path, rows: Sequence[Row]) -> Path:
    path.write_text(json.dumps({str(100 + number): row for number, row in enumerate(rows)}), encoding="utf-8")
    return path


def read(entry: str, tables: Mapping[str, Columns] = sources.NO_TABLES, cache: Path = Path("unused")) -> Reading:
    return reading(sources.rows(parse(entry), Path("unused"), (), tables, cache))


def only(found: Reading) -> Question:
    assert found.malformed == []
    (asked,) = found.asked
    return asked.question


def fault(found: Reading) -> Malformed:
    (row,) = found.malformed
    return row


# Formats


@pytest.mark.parametrize("version", ["medcalc", "medcalc-v1.2", "medcalc-verified"])
@pytest.mark.parametrize(("write", "name"), [(as_csv, "m.csv"), (as_parquet, "m.parquet")])
def test_every_medcalc_version_is_one_reader_with_ids_of_its_own(
    tmp_path: Path, version: str, write: Write, name: str
) -> None:
    found = only(read(f"{version}:{write(tmp_path / name, [MEDCALC])}#train"))
    assert (found.id, found.source, found.split) == (f"{version}/train/7", version, "train")
    assert found.gold == WeeksDays(weeks=4, days=4)
    assert (found.licence, found.topic) == ("CC-BY-SA-4.0", "Estimated Gestational Age")


@pytest.mark.parametrize(
    ("write", "name", "id"), [(as_lines, "us.jsonl", "medqa/us/1"), (as_parquet, "us.parquet", "medqa/test/us/1")]
)
def test_medqa_is_its_test_unless_a_split_is_stated(tmp_path: Path, write: Write, name: str, id: str) -> None:
    path = write(tmp_path / name, [MEDQA])
    found = only(read(f"medqa:{path}"))
    assert (found.id, found.split, found.topic) == (id, "test", "step1")
    assert (found.gold, found.options) == (Choice(letter="B"), MEDQA["options"])
    assert only(read(f"medqa:{path}#train")).split == "train"
    assert only(read(f"medqa:{path}#drawn")).split is None


def test_medqa_with_a_fifth_option_and_padded_rows_of_a_table(tmp_path: Path) -> None:
    five = {**MEDQA, "options": {**MEDQA["options"], "E": "Thymus"}}
    padded = {**MEDQA, "options": {**MEDQA["options"], "E": None}}
    found = read(f"medqa:{as_parquet(tmp_path / 'us.parquet', [five, padded])}")
    assert [len(asked.question.options) for asked in found.asked] == [5, 4]


def test_medqa_of_the_hub_pairs_letters_with_options_and_calls_every_split_alike(tmp_path: Path) -> None:
    pairs = [{"key": letter, "value": text} for letter, text in MEDQA["options"].items()]
    path = as_parquet(tmp_path / "0000.parquet", [{**MEDQA, "options": pairs}])
    train, test = only(read(f"medqa:{path}#train")), only(read(f"medqa:{path}#test"))
    assert (test.options, test.gold) == (MEDQA["options"], Choice(letter="B"))
    assert (train.id, test.id) == ("medqa/train/0000/1", "medqa/test/0000/1")


@pytest.mark.parametrize(
    ("write", "name", "counts", "letters"),
    [
        (as_lines, "dev.json", [1, 2, 4], "ABD"),  # the authors count from 1
        (as_parquet, "dev.parquet", [0, 1, 3], "ABD"),  # the hub from 0
        (as_lines, "hub.jsonl", [2, 0], "CA"),  # a 0 tells
        (as_parquet, "own.parquet", [2, 4], "BD"),  # a 4 tells
        (as_lines, "short.json", [2, 3], "BC"),  # nothing tells: as the authors' files
        (as_parquet, "short.parquet", [2, 3], "CD"),  # nothing tells: as the hub's
    ],
)
def test_medmcqa_options_are_counted_as_their_file_counts_them(
    tmp_path: Path, write: Write, name: str, counts: list[int], letters: str
) -> None:
    rows = [{**MEDMCQA, "id": str(count), "cop": count} for count in counts]
    found = read(f"medmcqa:{write(tmp_path / name, rows)}")
    assert [asked.question.gold for asked in found.asked] == [Choice(letter=letter) for letter in letters]
    assert {asked.question.split for asked in found.asked} == {None}


def test_medmcqas_test_has_no_labels_to_read(tmp_path: Path) -> None:
    row = fault(read(f"medmcqa:{as_parquet(tmp_path / 'test.parquet', [{**MEDMCQA, 'cop': -1}])}"))
    assert str(row).startswith("test.parquet, row 1, field cop: is not there: the labels of the official test")


def test_mmlu_has_no_header_and_its_subject_is_its_file(tmp_path: Path) -> None:
    path = as_bare_csv(tmp_path / "clinical_knowledge_test.csv", [MMLU, {**MMLU, "question": "A\nsecond?"}])
    found = read(f"mmlu:{path}")
    assert [asked.question.id for asked in found.asked] == [f"mmlu/clinical_knowledge_test/{n}" for n in (1, 2)]
    question = found.asked[0].question
    assert (question.topic, question.split, question.gold) == ("clinical_knowledge", "ood", Choice(letter="A"))


def test_mmlu_of_the_hub_names_its_subject_and_counts_options_from_0(tmp_path: Path) -> None:
    rows = [MMLU_HUB, {**MMLU_HUB, "subject": "virology", "answer": 0}]
    found = read(f"mmlu:{as_parquet(tmp_path / 'test-00000-of-00001.parquet', rows)}")
    one, two = (asked.question for asked in found.asked)
    assert (one.id, one.topic, one.split) == ("mmlu/anatomy/test-00000-of-00001/1", "anatomy", "ood")
    assert (one.gold, one.options["C"]) == (Choice(letter="C"), "Liver")
    assert (two.id, two.gold) == ("mmlu/virology/test-00000-of-00001/2", Choice(letter="A"))


@pytest.mark.parametrize(("write", "name"), [(as_lines, "p.jsonl"), (as_parquet, "p.parquet")])
def test_mmlu_pro_gives_its_health_questions_without_padding(tmp_path: Path, write: Write, name: str) -> None:
    found = only(read(f"mmlu-pro:{write(tmp_path / name, [{**MMLU_PRO, 'category': 'law'}, MMLU_PRO])}"))
    assert (found.id, found.split, found.topic) == ("mmlu-pro/5", "ood", "own-nutrition")
    assert (list(found.options), found.options["D"]) == (list("ABCDEFGH"), "C")


@pytest.mark.parametrize(
    ("write", "name", "row"),
    [(as_mapping, "ori_pqal.json", PUBMEDQA), (as_parquet, "train-00000-of-00001.parquet", PUBMEDQA_HUB)],
)
def test_pubmedqa_is_a_choice_of_yes_no_and_maybe_on_an_abstract(
    tmp_path: Path, write: Write, name: str, row: Row
) -> None:
    found = only(read(f"pubmedqa:{write(tmp_path / name, [row])}"))
    assert (found.id, found.group, found.split) == ("pubmedqa/100", "pmid/100", "test")
    assert found.context == "We gave tea to ten people.\nNine stayed awake."
    assert (found.options, found.gold) == ({"A": "yes", "B": "no", "C": "maybe"}, Choice(letter="A"))


def test_a_pubmedqa_row_of_the_hub_without_its_abstract_is_named(tmp_path: Path) -> None:
    row = {**PUBMEDQA_HUB, "context": "one text"}
    assert fault(read(f"pubmedqa:{as_parquet(tmp_path / 'train.parquet', [row])}")).field == "context"


def test_medxpertqa_text_is_asked_without_the_options_its_text_repeats(tmp_path: Path) -> None:
    found = only(read(f"medxpertqa:{as_lines(tmp_path / 'test.jsonl', [MEDXPERTQA])}"))
    assert (found.id, found.text) == ("medxpertqa/test/Text-3", "A man coughs. What next?")
    assert (found.gold, found.topic) == (Choice(letter="B"), "Diagnosis/Respiratory")


@pytest.mark.parametrize(("write", "name"), [(as_lines, "mm.jsonl"), (as_parquet, "mm.parquet")])
def test_medxpertqa_questions_on_images_are_malformed(tmp_path: Path, write: Write, name: str) -> None:
    row = {**MEDXPERTQA, "images": ["MM-1-a.jpeg"]}
    assert fault(read(f"medxpertqa:{write(tmp_path / name, [row])}")).field == "images"


def test_medical_o1_keeps_its_reasoning_as_the_worked_answer(tmp_path: Path) -> None:
    found = only(read(f"medical-o1:{as_list(tmp_path / 'medical_o1_sft.json', [MEDICAL_O1])}"))
    assert (found.id, found.split) == ("medical-o1/medical_o1_sft/1", None)
    assert (found.gold, found.rationale) == (FreeText(text="Ionised calcium falls."), MEDICAL_O1["Complex_CoT"])


@pytest.mark.parametrize(("write", "name"), [(as_list, "problem.json"), (as_parquet, "problem.parquet")])
def test_medical_o1s_verifiable_problems_have_a_short_truth_and_no_worked_answer(
    tmp_path: Path, write: Write, name: str
) -> None:
    found = only(read(f"medical-o1:{write(tmp_path / name, [VERIFIABLE])}#train"))
    assert (found.id, found.split, found.source) == ("medical-o1/problem/1", "train", "medical-o1")
    assert (found.text, found.gold) == (
        "Which ion falls when one breathes too fast?",
        FreeText(text="Ionised calcium"),
    )
    assert found.rationale == ""


def test_healthbench_asks_the_last_message_and_wants_the_positive_criteria(tmp_path: Path) -> None:
    path = as_lines(tmp_path / "h.jsonl", [HEALTHBENCH])
    found = only(read(f"healthbench:{path}"))
    assert found.context == "User: My tooth aches.\nAssistant: Since when?"
    assert (found.text, found.split) == ("Since Monday. What shall I do?", "ood")
    assert (found.gold, found.topic) == (
        FreeText(text="Asks about fever.\nAdvises to see a dentist."),
        "context_seeking",
    )
    with pytest.raises(Stop, match="would be trained on"):
        parse(f"healthbench:{path}#train")


def test_healthbench_keeps_every_criterion_as_published_and_no_prompt_shows_one(tmp_path: Path) -> None:
    found = only(read(f"healthbench:{as_lines(tmp_path / 'h.jsonl', [HEALTHBENCH])}"))
    assert [(one.text, one.points) for one in found.rubric] == [
        ("Advises to see a dentist.", 5),
        ("Recommends antibiotics unseen.", -8),
        ("Asks about fever.", 9),
    ]
    dataset.write(tmp_path, "ood", [found])
    assert dataset.read(tmp_path, "ood") == [found]
    assert not any(one.text in message["content"] for one in found.rubric for message in messages(found))


def test_a_question_without_a_rubric_says_nothing_of_one(tmp_path: Path) -> None:
    assert "rubric" not in only(read(f"medqa:{as_lines(tmp_path / 'q.jsonl', [MEDQA])}")).canonical()


def test_the_same_words_in_two_official_files_are_two_groups_and_in_one_file_one(tmp_path: Path) -> None:
    path = as_lines(tmp_path / "us.jsonl", [MEDQA, {**MEDQA, "meta_info": "step2&3"}])
    train, test = read(f"medqa:{path}#train"), read(f"medqa:{path}#test")
    groups = [{asked.question.group for asked in found.asked} for found in (train, test)]
    assert [len(group) for group in groups] == [1, 1]
    assert groups[0] != groups[1]


# A user's own table


@pytest.mark.parametrize(("write", "name"), [(as_lines, "t.jsonl"), (as_parquet, "t.parquet"), (as_csv, "t.csv")])
def test_a_table_is_read_by_its_mapping_whatever_holds_it(tmp_path: Path, write: Write, name: str) -> None:
    path = write(tmp_path / name, [OWN, {**OWN, "key": "k2", "part": "ood"}])
    found = read(f"table:{path}", {str(path): COLUMNS})
    assert found.malformed == []
    one, two = (asked.question for asked in found.asked)
    assert (one.id, one.source, one.licence, one.group) == ("own/k1", "own", "CC0-1.0", "own/c1")
    assert (one.gold, one.topic, one.split, two.split) == (Integer(value=3), "anatomy", None, "ood")


@pytest.mark.parametrize(
    ("changed", "row", "gold"),
    [
        ({"kind": "number"}, {"right": "1e-2"}, Number(value=0.01)),
        (LIMITS, {"right": 5, "lo": 4, "hi": 6.5}, Number(value=5, lower=4, upper=6.5)),
        ({"kind": "date"}, {"right": "2/3/2024"}, Date(value="02/03/2024")),
        ({"kind": "weeks_days"}, {"right": "('14 weeks', '1 days')"}, WeeksDays(weeks=14, days=1)),
        ({"kind": "weeks_days"}, {"right": "3 weeks and 0 days"}, WeeksDays(weeks=3, days=0)),
        (ALIASES, {"right": "rest", "too": ["repose"]}, FreeText(text="rest", aliases=("repose",))),
        (ALIASES, {"right": "rest", "too": '["repose"]'}, FreeText(text="rest", aliases=("repose",))),
        (ALIASES, {"right": "rest", "too": ""}, FreeText(text="rest")),
        ({"kind": "letter", "options": ("o",)}, {"right": "B", "o": {"A": "x", "B": "y"}}, Choice(letter="B")),
        ({"kind": "index", "options": ("o",)}, {"right": 1, "o": ["x", "y"]}, Choice(letter="B")),
        ({"kind": "index", "options": ("o",)}, {"right": "1", "o": '["x", "y"]'}, Choice(letter="B")),
        ({"kind": "position", "options": ("a", "b", "c")}, {"right": 2, "a": "x", "b": 5, "c": ""}, Choice(letter="B")),
        ({"kind": "option", "options": ("a", "b")}, {"right": "Y.", "a": "x", "b": "y"}, Choice(letter="B")),
    ],
)
def test_a_tables_gold_is_typed_by_its_mapping(tmp_path: Path, changed: Row, row: Row, gold: Gold) -> None:
    path = as_lines(tmp_path / "t.jsonl", [{**OWN, **row}])
    columns = Columns.model_validate({**COLUMNS.model_dump(), **changed})
    assert only(read(f"table:{path}", {str(path): columns})).gold == gold


@pytest.mark.parametrize(
    ("changed", "row", "field"),
    [
        ({}, {"right": "three"}, "right"),
        ({}, {"part": "exam"}, "part"),
        ({}, {"key": None}, "key"),
        ({"kind": "number"}, {"right": True}, "right"),
        ({"kind": "date"}, {"right": "31/12/2024"}, "right"),
        ({"kind": "weeks_days"}, {"right": "3 weeks"}, "right"),
        ({"kind": "letter", "options": ("o",)}, {"right": "C", "o": {"A": "x", "B": "y"}}, "right"),
        ({"kind": "letter", "options": ("o",)}, {"right": "A", "o": {"A": "x", "b": "y"}}, "o"),
        ({"kind": "letter", "options": ("o",)}, {"right": "A", "o": "x or y"}, "o"),
        ({"kind": "index", "options": ("o",)}, {"right": 2, "o": ["x", "y"]}, "right"),
        ({"kind": "index", "options": ("o",)}, {"right": 1, "o": ["x", None]}, "o[1]"),
        ({"kind": "option", "options": ("a", "b")}, {"right": "y", "a": "y", "b": "Y"}, "right"),
        (ALIASES, {"right": "rest", "too": "repose"}, "too"),
    ],
)
def test_a_malformed_table_row_is_named_by_line_and_field(tmp_path: Path, changed: Row, row: Row, field: str) -> None:
    path = as_lines(tmp_path / "t.jsonl", [{**OWN, **row}])
    columns = Columns.model_validate({**COLUMNS.model_dump(), **changed})
    found = fault(read(f"table:{path}", {str(path): columns}))
    assert (found.file, found.place, found.field) == ("t.jsonl", "line 1", field)


@pytest.mark.parametrize(
    "changed",
    [
        {"kind": "letter"},
        {"options": ("a", "b")},
        {"lower": "lo"},
        {"lower": "lo", "upper": "hi"},
        {"aliases": "too"},
        {"access": "secret"},
        {"licence": ""},
    ],
)
def test_a_mapping_that_does_not_suit_its_gold_is_refused(changed: Row) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Columns.model_validate({**COLUMNS.model_dump(), **changed})


def test_a_table_without_a_mapping_or_a_column_is_a_stop(tmp_path: Path) -> None:
    path = as_parquet(tmp_path / "t.parquet", [OWN])
    with pytest.raises(Stop, match=r"has no mapping of its columns.*Add .*t\.parquet to prepare\.tables"):
        read(f"table:{path}")
    with pytest.raises(Stop, match=r"t\.parquet, schema: the column answer is missing"):
        read(f"table:{path}", {str(path): COLUMNS.model_copy(update={"gold": "answer"})})


# Entries


def test_an_entry_is_written_as_it_is_read() -> None:
    for entry in ("builtin", "medqa:a/b.jsonl", "medqa:a/b.jsonl#train", "mmlu-pro:hf://o/n@v1/p.parquet#ood"):
        assert str(parse(entry)) == entry
    assert parse("medqa:s3://b/k.jsonl#drawn") == Source("medqa", "s3://b/k.jsonl", "drawn")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("medqa:a.jsonl#tset", "the nearest is test"),
        ("mirage:m.json#train", "state their own"),
        ("medqa:#train", "has no path"),
        ("builtin#train", "no format medu1 knows"),
        ("ehrnoteqa:e.jsonl", "is credentialed data, EHRNoteQA"),
        ("EHRNoteQA:e.jsonl", "is credentialed data, EHRNoteQA"),
    ],
)
def test_an_entry_that_cannot_be_meant_is_a_stop(entry: str, said: str) -> None:
    with pytest.raises(Stop, match=said):
        parse(entry)


def test_a_sources_identity_holds_its_split_and_not_its_place() -> None:
    assert parse("medmcqa:here/a.json#train").identity == parse("medmcqa:s3://b/c.json#train").identity
    assert parse("medmcqa:a.json#train").identity != parse("medmcqa:a.json").identity
    assert parse("mmlu:x/anatomy_test.csv").identity == "mmlu#anatomy_test.csv"


# Broken files


def test_a_row_whose_columns_are_shifted_is_named(tmp_path: Path) -> None:
    path = as_csv(tmp_path / "m.csv", [MEDCALC, MEDCALC])
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], lines[2].replace("7,69,", "7,", 1)]) + "\n")
    found = read(f"medcalc:{path}")
    assert len(found.asked) == 1
    assert str(fault(found)) == "m.csv, line 3, field (row): has 13 fields, the header 14: its columns are shifted"


def test_a_csv_file_cut_short_names_where(tmp_path: Path) -> None:
    path = as_csv(tmp_path / "m.csv", [{**MEDCALC, "Patient Note": "One,\ntwo."}])
    path.write_text(path.read_text().split("wo.")[0])
    with pytest.raises(Stop, match=r"m\.csv is not CSV: the row that ends at line 3: unexpected end of data"):
        read(f"medcalc:{path}")


def test_a_parquet_file_cut_short_is_a_stop(tmp_path: Path) -> None:
    path = as_parquet(tmp_path / "p.parquet", [MMLU_PRO])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(Stop, match=r"p\.parquet cannot be read as Parquet beyond row 0"):
        read(f"mmlu-pro:{path}")


def test_a_parquet_file_broken_inside_says_how_far_it_was_read(tmp_path: Path) -> None:
    rows = [{**MEDMCQA, "id": str(number), "question": f"Which {number}?"} for number in range(2 * BATCH)]
    path = tmp_path / "p.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=BATCH, compression="none")
    content = bytearray(path.read_bytes())
    start = pq.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    content[start : start + 40] = b"\xff" * 40
    path.write_bytes(bytes(content))
    with pytest.raises(Stop, match=rf"p\.parquet cannot be read as Parquet beyond row {BATCH}"):
        read(f"medmcqa:{path}#train")


def test_a_parquet_text_that_is_not_utf8_is_named_by_row_and_column(tmp_path: Path) -> None:
    raw = pa.array([b"fine", b"caf\xe9"], pa.binary())
    column = pa.Array.from_buffers(pa.string(), 2, raw.buffers())
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"ask": column, "right": ["1", "2"]}), path)
    columns = Columns(source="own", licence="x", access="open", citation="x", text="ask", gold="right", kind="integer")
    with pytest.raises(Stop, match=r"t\.parquet, row 2, column ask: the text is not UTF-8"):
        read(f"table:{path}", {str(path): columns})


@pytest.mark.parametrize(("entry", "name"), [("medqa", "q.jsonl"), ("medcalc", "q.csv"), ("pubmedqa", "q.json")])
def test_a_text_in_another_encoding_is_named_by_line_and_byte(tmp_path: Path, entry: str, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"x" * 9000 + b"\n" + "café\n".encode("latin-1"))
    with pytest.raises(Stop, match=r"is not UTF-8 text: line 2, byte 9004 of the file \(0xe9\)"):
        read(f"{entry}:{path}")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[" * 100_000, "is not JSON"),
        ('{"question": "\\ud800"}', "valid string"),
        ("1" * 5000, "is not JSON"),
        ("null", "is NoneType, not a mapping of fields"),
    ],
)
def test_a_hostile_line_is_one_malformed_row(tmp_path: Path, line: str, reason: str) -> None:
    path = as_lines(tmp_path / "q.jsonl", [MEDQA, MEDQA])
    surrogate = json.dumps({**MEDQA, "question": "X"}).replace('"X"', '"\\ud800"')
    with path.open("a") as file:
        file.write((surrogate if "ud800" in line else line) + "\n")
    found = read(f"medqa:{path}")
    assert len(found.asked) == 2
    assert fault(found).place == "line 3"
    assert reason in fault(found).reason


@pytest.mark.parametrize(
    ("format", "write", "row", "field"),
    [
        ("medqa", as_lines, {**MEDQA, "answer": "Spleen"}, "answer"),
        ("medqa", as_lines, {**MEDQA, "answer_idx": "F"}, "answer_idx"),
        ("medqa", as_lines, {**MEDQA, "options": ["Liver", "Pancreas"]}, "options"),
        ("medqa", as_lines, {**MEDQA, "options": [{"key": "B", "value": "Liver"}] * 2}, "options"),
        ("medmcqa", as_lines, {**MEDMCQA, "opc": None}, "opc"),
        ("medmcqa", as_lines, {**MEDMCQA, "cop": 9}, "cop"),
        ("mmlu", as_bare_csv, {**MMLU, "answer": "E"}, "answer"),
        ("mmlu", as_bare_csv, {"question": "What?", "A": "x"}, "(row)"),
        ("mmlu-pro", as_lines, {**MMLU_PRO, "answer": "J"}, "answer"),
        ("mmlu-pro", as_lines, {**MMLU_PRO, "category": None}, "category"),
        ("mmlu-pro", as_lines, {**MMLU_PRO, "options": ["one"]}, "options"),
        ("pubmedqa", as_mapping, {**PUBMEDQA, "final_decision": "perhaps"}, "final_decision"),
        ("pubmedqa", as_mapping, {**PUBMEDQA, "CONTEXTS": "one text"}, "CONTEXTS"),
        ("medxpertqa", as_lines, {**MEDXPERTQA, "label": "J"}, "label"),
        ("medical-o1", as_lines, {**MEDICAL_O1, "Response": ""}, "Response"),
        ("medical-o1", as_lines, {**VERIFIABLE, "Ground-True Answer": ""}, "Ground-True Answer"),
        ("healthbench", as_lines, {**HEALTHBENCH, "prompt": []}, "prompt"),
        ("healthbench", as_lines, {**HEALTHBENCH, "prompt": HEALTHBENCH["prompt"][:2]}, "prompt"),
        ("healthbench", as_lines, {**HEALTHBENCH, "rubrics": HEALTHBENCH["rubrics"][1:2]}, "rubrics"),
        ("healthbench", as_lines, {**HEALTHBENCH, "rubrics": [{"criterion": "Kind."}]}, "points"),
    ],
)
def test_a_malformed_row_is_named_by_its_field(tmp_path: Path, format: str, write: Write, row: Row, field: str) -> None:
    found = read(f"{format}:{write(tmp_path / 'x.jsonl', [row])}")
    assert found.asked == []
    assert fault(found).field == field


def test_an_absent_file_is_a_stop_in_every_container(tmp_path: Path) -> None:
    for name in ("a.jsonl", "a.csv", "a.parquet", "a.json"):
        with pytest.raises(Stop, match=rf"{name}.*cannot be read"):
            list(records(tmp_path / name, ()))


def test_fields_tell_texts_from_numbers() -> None:
    fields = Fields({"n": 3, "t": " 4 ", "f": 2.5, "b": True, "none": None, "nan": float("nan")})
    assert (fields.label("n"), fields.whole("t"), fields.number("f")) == ("3", 4, 2.5)
    assert (fields.optional("none"), fields.optional("absent"), fields.optional("nan")) == ("", "", "")
    for name in ("b", "none", "nan"):
        with pytest.raises(WrongField):
            fields.number(name)


def test_rows_come_one_at_a_time(tmp_path: Path) -> None:
    """A file is not read to its end for its first row: what follows is broken, and nothing says so yet."""
    path = as_lines(tmp_path / "q.jsonl", [MEDQA] * 3)
    with path.open("ab") as file:
        file.write(b"\n" * 100_000 + b"\xff\n")
    rows = sources.rows(parse(f"medqa:{path}"), tmp_path, ())
    assert not isinstance(next(rows), Malformed)
    with pytest.raises(Stop, match="not UTF-8"):
        list(rows)


# Places


def test_a_source_in_an_object_store_is_read_like_a_file(s3: S3, tmp_path: Path) -> None:
    content = as_lines(tmp_path / "us.jsonl", [MEDQA]).read_bytes()
    url = s3.put(s3.bucket(), "sets/us.jsonl", content)
    found = read(f"medqa:{url}#train", cache=tmp_path / "cache")
    assert only(found).id == "medqa/us/1"
    assert found.asked[0].file == "us.jsonl"


def test_an_object_is_fetched_again_only_when_it_changed(s3: S3, tmp_path: Path) -> None:
    bucket = s3.bucket()
    path = fetched(s3.put(bucket, "a.csv", b"one"), tmp_path)
    path.write_bytes(b"kept")
    assert fetched(f"s3://{bucket}/a.csv", tmp_path).read_bytes() == b"kept"
    s3.put(bucket, "a.csv", b"another")
    assert fetched(f"s3://{bucket}/a.csv", tmp_path).read_bytes() == b"another"
    assert sorted(each.name for each in path.parent.iterdir()) == ["a.csv", "a.csv.version"]


def test_an_object_that_cannot_be_had_is_a_stop(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = s3.put(s3.bucket(), "a.csv", b"x")
    for wrong in (url + "x", "s3://no-such-bucket/a.csv"):
        with pytest.raises(Stop, match=f"There is no object {wrong}"):
            fetched(wrong, tmp_path)
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(Stop, match=r"Unable to locate credentials.*Set AWS_ACCESS_KEY_ID"):
        fetched(url, tmp_path)
    assert not list(tmp_path.rglob(".part-*"))


def test_a_dataset_on_the_hub_is_read_like_a_file(hub: Hub, tmp_path: Path) -> None:
    content = as_parquet(tmp_path / "p.parquet", [MMLU_PRO]).read_bytes()
    url = hub.put("owner/mmlu", "data/test.parquet", content, revision="v1")
    assert only(read(f"mmlu-pro:{url}", cache=tmp_path / "cache")).id == "mmlu-pro/5"
    assert hub.asked[0] == "data/test.parquet"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("hf://owner/set/none.jsonl", "has no file none.jsonl"),
        ("hf://owner/set@v9/a.jsonl", "has no revision v9"),
        ("hf://owner/other/a.jsonl", "there is no dataset owner/other"),
        ("hf://owner/gated/a.jsonl", r"is gated.*set HF_TOKEN"),
        ("hf://owner/a.jsonl", "no address medu1 can fetch"),
        ("s3://bucket", "no address medu1 can fetch"),
        ("ftp://host/a.jsonl", "no address medu1 can fetch"),
    ],
)
def test_an_address_that_gives_nothing_says_why(hub: Hub, tmp_path: Path, url: str, said: str) -> None:
    hub.put("owner/set", "a.jsonl", b"{}")
    with pytest.raises(Stop, match=said):
        fetched(url, tmp_path)


def test_without_a_network_the_hub_gives_what_is_cached_and_else_a_stop(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = hub.put("owner/set", "a.jsonl", b"{}")
    fetched(url, tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert fetched(url, tmp_path).read_bytes() == b"{}"
    with pytest.raises(Stop, match=r"does not answer from here.*name its local path"):
        fetched("hf://owner/set/b.jsonl", tmp_path)


def test_local_paths_are_made_absolute_and_addresses_stay() -> None:
    assert absolute("a.csv") == str(Path.cwd() / "a.csv")
    assert absolute("s3://b/a.csv") == "s3://b/a.csv"
