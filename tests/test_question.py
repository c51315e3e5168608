"""Questions and golds: what cannot be a right answer is refused, and one line of JSON says all of it."""

import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from medu1.prompt import user_text
from medu1.question import (
    Choice,
    Date,
    Family,
    FreeText,
    Gold,
    Integer,
    Number,
    Question,
    WeeksDays,
    gold_text,
)

GOLD: TypeAdapter[Gold] = TypeAdapter(Gold)
OPTIONS = {"A": "Ångström", "B": "發燒"}

GOLDS: list[tuple[Gold, Family, str]] = [
    (Choice(letter="B"), "choice", "B"),
    (Number(value=2.5), "calculation", "2.5"),
    (Number(value=0.0, lower=-0.1, upper=0.1), "calculation", "0"),
    (Number(value=1234567.25), "calculation", "1234567.25"),
    (Integer(value=0), "calculation", "0"),
    (Integer(value=-3), "calculation", "-3"),
    (Date(value="02/29/2024"), "calculation", "02/29/2024"),
    (WeeksDays(weeks=0, days=6), "calculation", "0 weeks and 6 days"),
    (FreeText(text="vitamin C", aliases=("ascorbate", "αβγ")), "open", "vitamin C"),
]


def asked(gold: Gold, **more: Any) -> Question:
    options = OPTIONS if isinstance(gold, Choice) else {}
    return Question(**{"id": "q/1", "source": "own", "text": "What is it?", "gold": gold, "options": options, **more})


@pytest.mark.parametrize("gold", [gold for gold, _, _ in GOLDS])
def test_a_canonical_line_reads_back_the_same_question(gold: Gold) -> None:
    full = asked(
        gold,
        context="A note,\nwith a line break.",
        licence="CC0-1.0",
        group="g",
        split="test",
        topic="t",
        rationale='so "it" is',
    )
    for question in (asked(gold), full):
        line = question.canonical()
        back = Question.model_validate_json(line)
        assert back == question
        assert type(back.gold) is type(gold)
        assert (back.canonical(), user_text(back)) == (line, user_text(question))
        assert "\n" not in line


def test_a_canonical_line_leaves_empty_fields_out_and_sorts_its_keys() -> None:
    row = json.loads(asked(Integer(value=0)).canonical())
    assert list(row) == ["gold", "id", "source", "text"]
    assert row["gold"] == {"kind": "integer", "value": 0}


def test_different_questions_have_different_canonical_lines() -> None:
    lines = {asked(gold).canonical() for gold, _, _ in GOLDS}
    assert len(lines) == len(GOLDS)


@pytest.mark.parametrize(("gold", "family", "text"), GOLDS)
def test_a_gold_has_its_family_and_its_written_form(gold: Gold, family: Family, text: str) -> None:
    assert asked(gold).family == family
    assert gold_text(asked(gold)) == text


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"kind": "choice", "letter": "a"}, "match pattern"),
        ({"kind": "choice", "letter": "AB"}, "match pattern"),
        ({"kind": "choice", "letter": ""}, "match pattern"),
        ({"kind": "number", "value": float("nan")}, "finite number"),
        ({"kind": "number", "value": float("inf")}, "finite number"),
        ({"kind": "number", "value": 1, "lower": 0.5}, "come together"),
        ({"kind": "number", "value": 1, "upper": 1.5}, "come together"),
        ({"kind": "number", "value": 1, "lower": float("-inf"), "upper": 2}, "finite number"),
        ({"kind": "integer", "value": 1.5}, "valid integer"),
        ({"kind": "date", "value": "2021-04-23"}, "MM/DD/YYYY"),
        ({"kind": "date", "value": "13/01/2021"}, "month must be in 1..12"),
        ({"kind": "date", "value": "02/29/2023"}, "day"),
        ({"kind": "weeks_days", "weeks": 3, "days": 7}, "less than or equal to 6"),
        ({"kind": "weeks_days", "weeks": -1, "days": 0}, "greater than or equal to 0"),
        ({"kind": "free_text", "text": ""}, "at least 1 character"),
        ({"kind": "essay", "text": "x"}, "does not match any of the expected tags"),
        ({"text": "x"}, "Unable to extract tag"),
        ({"kind": "integer", "value": 1, "unit": "mg"}, "Extra inputs are not permitted"),
    ],
)
def test_a_gold_that_nothing_can_match_is_refused(row: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        GOLD.validate_python(row)


@pytest.mark.parametrize(
    ("gold", "changed", "why"),
    [
        (Choice(letter="A"), {"options": {"A": "one"}}, "at least two options"),
        (Choice(letter="C"), {}, "gold letter C is not among the options A, B"),
        (Choice(letter="A"), {"options": {"A": "one", "b": "two"}}, "single capitals"),
        (Integer(value=1), {"options": OPTIONS}, "only a choice question has options"),
        (Integer(value=1), {"text": ""}, "at least 1 character"),
        (Integer(value=1), {"id": ""}, "at least 1 character"),
        (Integer(value=1), {"split": "exam"}, "'train', 'validation', 'test' or 'ood'"),
        (Integer(value=1), {"answer": "1"}, "Extra inputs are not permitted"),
    ],
)
def test_a_question_that_contradicts_itself_is_refused(gold: Gold, changed: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        asked(gold, **changed)


def test_a_question_does_not_change() -> None:
    question = asked(Integer(value=1))
    with pytest.raises(ValidationError, match="frozen"):
        question.text = "Something else?"


@pytest.mark.parametrize(("gold", "family", "text"), GOLDS)
def test_the_canonical_line_is_the_stated_fields_in_order(gold: Gold, family: Family, text: str) -> None:
    rubric = ({"text": "Says so.", "points": 5}, {"text": "Does not.", "points": -1})
    for more in ({}, {"difficulty": 0.0, "topic": "\u00c4ngste", "group": "g"}, {"rubric": rubric, "split": "test"}):
        question = asked(gold, **more)
        stated = {key: value for key, value in question.model_dump(mode="json").items() if value or value == 0}
        assert question.canonical() == json.dumps(stated, sort_keys=True, ensure_ascii=False)
        assert Question.model_validate_json(question.canonical()) == question
        assert question.canonical("ood") == question.model_copy(update={"split": "ood"}).canonical()
