"""The report page: one file, every figure, and hostile model text as nothing but text."""

import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import pytest

from medu1.evaluate import report as page
from medu1.evaluate import tabulation, verdicts
from medu1.evaluate.verdicts import JudgedAnswer
from medu1.question import Choice, FreeText, Gold, Integer, Question
from medu1.report import Judged, Protocol, QuestionSet, Report, Role, SetName

HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }} & ]]> \u202e\x00 <a href='http://evil.test'>x</a>"
MODELS: tuple[Role, ...] = ("base", "candidate", "champion")


def question(number: int, family: str) -> Question:
    golds: dict[str, tuple[Gold, dict[str, str]]] = {
        "choice": (Choice(letter="A"), {"A": "yes <b>", "B": "no"}),
        "open": (FreeText(text="aspirin & rest"), {}),
        "calculation": (Integer(value=number), {}),
    }
    gold, options = golds[family]
    return Question(
        id=f"{family}-{number}", source=f"$source$ <{family}>", text=HOSTILE, gold=gold, options=options, topic="t"
    )


def answer(asked: Question, set_: SetName, correct: bool | None, text: str) -> JudgedAnswer:
    return JudgedAnswer(
        question_id=asked.id,
        split=set_,
        source=asked.source,
        family=asked.family,
        group=asked.group or asked.id,
        topic=asked.topic,
        gold="gold <i>",
        completion=text,
        tokens=len(text) % 70,
        finish="length" if correct is None else "stop",
        format_ok=bool(correct),
        answer=text[:5] if correct else None,
        correct=correct,
        similarity=None,
        reason="right" if correct else "no_answer",
    )


def evaluated(models: Sequence[Role] = MODELS) -> tuple[Report, tabulation.Verdicts, dict[str, Question]]:
    families = ("choice", "open", "calculation")
    asked = [question(number, family) for family in families for number in range(20)]
    sets: dict[SetName, list[Question]] = {"test": asked[:45], "ood": asked[45:]}
    found: tabulation.Verdicts = {
        role: {
            set_: [answer(q, set_, None if q.id == "open-3" else place % 5 < 1 + 2 * index, f"{role} {HOSTILE}")
                   for place, q in enumerate(questions)]
            for set_, questions in sets.items()
        }
        for index, role in enumerate(models)
    }  # fmt: skip
    report = Report(
        models=tuple(Judged(role=role, weights=f"{role}{'0' * 50}", base="builtin", revision="") for role in models),
        frozen="f" * 64,
        questions={name: len(questions) for name, questions in sets.items()},
        sets=(QuestionSet(name="test/<b>hostile</b>", questions=1045, digest="d" * 64),),
        confidence=0.95,
        max_completion_tokens=80,
        protocol=Protocol(backend="transformers", strategy="method", decoding="greedy"),
        batch=128,
        versions={"torch": "2"},
        rows=tabulation.rows(found, 0.95, tabulation.chances(asked)),
        comparisons=tabulation.comparisons(found, 0.95),
        conduct=tabulation.conduct(found),
    )
    return report, found, {q.id: q for q in asked}


class Reader(HTMLParser):
    """Elements, attributes and visible text as a browser would see them."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def read(models: Sequence[Role] = MODELS, shown: int = 30) -> tuple[Reader, str]:
    report, found, questions = evaluated(models)
    text = page.render(report, found, questions, shown)
    reader = Reader()
    reader.feed(text)
    return reader, text


def test_hostile_text_stays_text() -> None:
    reader, text = read()
    assert "script" not in reader.elements
    assert "a" not in reader.elements
    assert not any(name.startswith("on") for name, _ in reader.attributes)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "{{ 7*7 }}" in reader.text


def test_the_page_loads_nothing_from_elsewhere() -> None:
    reader, text = read()
    assert not {"link", "iframe", "object", "base", "form"} & set(reader.elements)
    addresses = [value or "" for name, value in reader.attributes if name in {"src", "href", "srcset", "action"}]
    assert addresses
    assert all(address.startswith("data:image/svg+xml;base64,") for address in addresses)
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text
    assert not re.search(r"@import|url\(", text)


def test_every_model_set_and_figure_is_on_the_page() -> None:
    reader, _ = read()
    for words in ("Out of distribution", "McNemar", "Holm", "truncated", "no answer", "unscorable", "Wins", "Losses"):
        assert words in reader.text
    assert "1 unscorable" in reader.text


def test_every_frozen_set_is_named_with_its_questions_and_its_digest() -> None:
    reader, _ = read()
    for words in ("test/<b>hostile</b>", "1,045", "d" * 64):
        assert words in reader.text
    assert "b" not in reader.elements


def test_the_page_does_without_a_champion() -> None:
    reader, _ = read(("base", "candidate"))
    assert "candidate minus champion" not in reader.text


def test_a_set_without_questions_or_token_counts_is_left_out() -> None:
    asked = question(1, "open")
    silent = answer(asked, "test", None, "x").model_copy(update={"tokens": None})
    found: tabulation.Verdicts = {role: {"test": [silent], "ood": []} for role in ("base", "candidate")}
    report = evaluated(("base", "candidate"))[0].model_copy(
        update={
            "questions": {"test": 1, "ood": 0},
            "rows": tabulation.rows(found, 0.95, {}),
            "comparisons": tabulation.comparisons(found, 0.95),
            "conduct": tabulation.conduct(found),
        }
    )
    text = page.render(report, found, {asked.id: asked}, 10)
    assert "Out of distribution" not in text
    assert "1 unscorable" in text


def test_the_same_figures_give_the_same_bytes() -> None:
    assert read()[1] == read()[1]


def test_unscorable_is_beside_the_accuracy_and_never_in_it() -> None:
    report, _, _ = evaluated()
    row = report.row("candidate", "test", "family", "open")
    assert row is not None
    assert (row.n, row.unscorable) == (19, 1)
    comparison = report.comparison("base", "test", "family", "open")
    assert comparison is not None
    assert comparison.n == 19


def test_slices_add_up() -> None:
    report, _, _ = evaluated()
    for role in MODELS:
        whole = report.row(role, "test")
        assert whole is not None
        rows = [row for row in report.rows if (row.role, row.set, row.slice) == (role, "test", "family")]
        assert sum(row.correct for row in rows) == whole.correct
        assert sum(row.n for row in rows) == whole.n


def test_a_slice_that_cannot_be_scored_has_no_accuracy() -> None:
    asked = question(1, "open")
    rows = tabulation.rows({"base": {"test": [answer(asked, "test", None, "x")]}}, 0.95, {})
    assert {(row.accuracy, row.n, row.unscorable) for row in rows} == {(None, 0, 1)}


def test_blind_guessing_is_known_where_every_question_has_options() -> None:
    four = question(1, "choice").model_copy(update={"options": dict(zip("ABCD", "wxyz", strict=True))})
    asked = [question(0, "choice"), four, question(0, "open")]
    answers = [answer(each, "test", True, "x") for each in asked]
    rows = tabulation.rows({"base": {"test": answers}}, 0.95, tabulation.chances(asked))
    found = {(row.slice, row.name): row.chance for row in rows if row.slice in ("all", "family")}
    assert found == {("all", "all"): None, ("family", "choice"): 0.375, ("family", "open"): None}


def test_unscorable_questions_count_for_nothing_in_blind_guessing() -> None:
    four = question(1, "choice").model_copy(update={"options": dict(zip("ABCD", "wxyz", strict=True))})
    answers = [answer(question(0, "choice"), "test", None, "x"), answer(four, "test", True, "x")]
    rows = tabulation.rows({"base": {"test": answers}}, 0.95, tabulation.chances([question(0, "choice"), four]))
    assert {row.chance for row in rows if row.slice == "family"} == {0.25}


def test_the_bootstrap_is_a_second_opinion_where_there_are_groups_enough() -> None:
    report, _, _ = evaluated()
    for comparison in report.comparisons:
        assert (comparison.bootstrap is None) == (comparison.groups < 20)
        if comparison.bootstrap:
            assert comparison.bootstrap == pytest.approx((comparison.low, comparison.high), abs=0.06)
    assert {comparison.bootstrap is None for comparison in report.comparisons} == {True, False}


def test_other_questions_are_never_paired() -> None:
    one, other = question(1, "open"), question(2, "open")
    found: tabulation.Verdicts = {
        "base": {"test": [answer(one, "test", True, "x")]},
        "candidate": {"test": [answer(other, "test", True, "x")]},
    }
    with pytest.raises(ValueError, match="other questions"):
        tabulation.comparisons(found, 0.95)


def test_a_report_survives_its_json_and_its_folder(tmp_path: Path) -> None:
    report, found, _ = evaluated()
    (tmp_path / "report.json").write_text(report.model_dump_json())
    assert Report.read(tmp_path) == report
    verdicts.write(tmp_path / verdicts.NAME, {role: sets["test"] for role, sets in found.items()})
    assert (tmp_path / verdicts.NAME).stat().st_size > 0
