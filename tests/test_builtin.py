"""The built-in questions: the same bytes everywhere, enough of each kind, and nothing of the test seen in training."""

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from medu1.builtin import draw, questions
from medu1.builtin.facts import TAUGHT, UNTAUGHT
from medu1.calculators import CALCULATORS
from medu1.prepare.versions.pin import PIN, listing, pinned
from medu1.prompt import normalised, user_text
from medu1.question import Choice, Date, FreeText, Integer, Number, Question, Split, WeeksDays, gold_text

ROOT = Path(__file__).parents[1]
JUDGED: tuple[Split, ...] = ("validation", "test", "ood")
WRITES = "import sys; from pathlib import Path; from medu1.prepare import rawdata; rawdata.write(Path(sys.argv[1]))"

BySplit = Mapping[Split, list[Question]]


@pytest.fixture(scope="module")
def raw() -> dict[str, str]:
    return questions.raw_files()


@pytest.fixture(scope="module")
def every(raw: dict[str, str]) -> list[Question]:
    return [Question.model_validate_json(line) for text in raw.values() for line in text.splitlines()]


@pytest.fixture(scope="module")
def splits(every: list[Question]) -> BySplit:
    found: dict[Split, list[Question]] = defaultdict(list)
    for question in every:
        assert question.split is not None, question.id
        found[question.split].append(question)
    return found


def normalised_prompts(rows: Iterable[Question]) -> set[str]:
    return {normalised(user_text(row)) for row in rows}


def option_set(question: Question) -> frozenset[str]:
    return frozenset(normalised(text) for text in question.options.values())


def asked_of(question: Question) -> tuple[str, int]:
    """Subject and index of the wording of a choice or open question, from its id."""
    parts = question.id.removeprefix(f"{question.family}/{question.topic}/").split("/")
    if question.family == "choice":
        parts.pop()
    return "/".join(parts[:-1]), int(parts[-1])


def wording(question: Question) -> str:
    """The question's text with its subject cut out."""
    subject, _ = asked_of(question)
    assert subject in question.text, question.id
    return normalised(question.text.replace(subject, "_"))


def facts_of(rows: Iterable[Question]) -> list[Question]:
    return [row for row in rows if row.family != "calculation"]


def test_raw_files_are_the_pinned_bytes_in_another_process_too(raw: dict[str, str], tmp_path: Path) -> None:
    """Another hash seed orders sets differently: the bytes may not depend on it."""
    paths = os.pathsep.join([str(ROOT / "components"), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": "11"}
    subprocess.run([sys.executable, "-c", WRITES, str(tmp_path)], env=environment, check=True)
    assert {name: (tmp_path / name).read_bytes() for name in raw} == {name: text.encode() for name, text in raw.items()}
    assert listing(tmp_path).digest == pinned(ROOT / PIN), (
        "The built-in questions have other bytes than data.dvc pins. "
        "If the change is intended, run `medu1 data build --pin` and commit data.dvc."
    )


def test_draws_are_sha256_of_the_key() -> None:
    """56 bits of the hash of the parts, joined by the unit separator."""
    expected = int(hashlib.sha256(b"split\x1fa").hexdigest()[:14], 16) / (1 << 56)
    assert draw.uniform("split", "a") == expected == 0.3346069624705753
    assert draw.uniform("value", "qtc_bazett", "qt", 3) == 0.266756698572752
    assert draw.uniform("ab") != draw.uniform("a", "b")


def test_there_are_enough_calculators_facts_families_and_sources(every: list[Question]) -> None:
    assert len(CALCULATORS) >= 25
    assert {row.topic for row in every if row.family == "calculation"} == CALCULATORS.keys()
    assert sum(len(relation.facts) for relation in TAUGHT) >= 150
    families = Counter((row.split, row.family) for row in every)
    for split in ("train", "validation", "test"):
        assert all(families[split, family] >= 200 for family in ("choice", "open", "calculation")), split
    assert len({row.source for row in every}) >= 5
    assert {row.source for row in every if row.split == "ood"} == {relation.source for relation in UNTAUGHT}


def test_every_taught_fact_is_taught_and_tested_in_both_forms(splits: BySplit) -> None:
    expected = {(relation.key, fact.subject) for relation in TAUGHT for fact in relation.facts}
    for split in ("train", "validation", "test"):
        for family in ("choice", "open"):
            found = {(row.topic, asked_of(row)[0]) for row in splits[split] if row.family == family}
            assert found == expected, (split, family)


def test_ids_are_unique_and_no_group_is_in_two_splits(every: list[Question]) -> None:
    assert max(Counter(row.id for row in every).values()) == 1
    groups: dict[str, set[str | None]] = defaultdict(set)
    for row in every:
        assert row.group, row.id
        groups[row.group].add(row.split)
    assert {group: found for group, found in groups.items() if len(found) > 1} == {}


def test_no_prompt_of_training_is_asked_in_an_evaluation_set(splits: BySplit) -> None:
    """Whatever training sees, demonstrations included, comes from the split train."""
    trained = normalised_prompts(splits["train"])
    for split in JUDGED:
        assert normalised_prompts(splits[split]) & trained == set(), split


def test_no_prompt_is_asked_in_two_evaluation_sets(splits: BySplit) -> None:
    prompts = {split: normalised_prompts(splits[split]) for split in JUDGED}
    assert prompts["test"] & prompts["validation"] == set()
    assert prompts["ood"] & (prompts["test"] | prompts["validation"]) == set()


def test_option_sets_of_the_test_occur_in_no_training_question(splits: BySplit) -> None:
    trained = {option_set(row) for row in splits["train"] if row.options}
    for split in JUDGED:
        assert {option_set(row) for row in splits[split] if row.options} & trained == set(), split


def test_wordings_of_the_test_occur_in_no_training_question(splits: BySplit) -> None:
    train = facts_of(splits["train"])
    trained, indices = {wording(row) for row in train}, {asked_of(row)[1] for row in train}
    for split in JUDGED:
        rows = facts_of(splits[split])
        assert {asked_of(row)[1] for row in rows} & indices == set(), split
        assert {wording(row) for row in rows} & trained == set(), split


def test_values_of_the_test_occur_in_no_training_question_of_their_calculator(splits: BySplit) -> None:
    def tuples(split: Split) -> set[tuple[str, str]]:
        rows = [row for row in splits[split] if row.family == "calculation"]
        values = [json.loads(row.group.removeprefix(f"{row.topic}:")) for row in rows]
        return {(row.topic, repr(sorted(each.items()))) for row, each in zip(rows, values, strict=True)}

    trained = tuples("train")
    assert len(trained) > 10_000
    assert tuples("test") & trained == set()
    assert tuples("validation") & trained == set()


def test_what_is_never_taught_is_shown_in_no_training_question(splits: BySplit) -> None:
    """Neither as a subject, nor as an answer or an option; aliases are never shown, only accepted."""
    facts = [fact for relation in UNTAUGHT for fact in relation.facts]
    hidden = {text for fact in facts for text in (fact.subject, fact.answer, *fact.aliases)}
    shown: set[str] = set()
    for row in facts_of(splits["train"]):
        shown |= {asked_of(row)[0], *row.options.values()}
        match row.gold:
            case FreeText(text=text):
                shown.add(text)
    assert {normalised(text) for text in hidden} & {normalised(text) for text in shown} == set()


def test_every_training_question_has_a_rationale_and_no_untaught_one(splits: BySplit) -> None:
    assert all(row.rationale for row in splits["train"])
    assert not any(row.rationale for row in splits["ood"])


def concluded(question: Question) -> bool:
    """Whether the last line of the rationale arrives at the gold."""
    last = question.rationale.splitlines()[-1]
    result = last.rpartition("=")[2].strip()
    match question.gold:
        case Choice(letter=letter):
            return last == f"{letter}: {question.options[letter]} yes"
        case FreeText(text=text):
            return last == f"{asked_of(question)[0]}: {text}"
        case Integer(value=value) | Number(value=value):
            return float(result) == value
        case Date() | WeeksDays():
            return result == gold_text(question)


def test_every_rationale_ends_in_its_gold(every: list[Question]) -> None:
    assert [row.id for row in every if row.rationale and not concluded(row)] == []


def test_a_choice_rationale_looks_at_the_options_in_order_and_says_no_until_the_gold(splits: BySplit) -> None:
    for row in splits["train"]:
        match row.gold:
            case Choice(letter=letter):
                looked = row.rationale.splitlines()[1:-1]
                assert looked == [f"{key}: {text} no" for key, text in row.options.items() if key < letter], row.id
