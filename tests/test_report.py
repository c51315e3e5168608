"""The report page: one file, every figure, and hostile model text as nothing but text."""

import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest

from medu1.errors import Stop
from medu1.evaluate import report as page
from medu1.evaluate import tabulation, verdicts
from medu1.report import Decision, Probes, Report, Role
from probes import PROBES
from reported import DECISION, HOSTILE, MODELS, answer, evaluated, huge, question

ELEMENTS = (  # what the templates are made of
    {"html", "head", "meta", "title", "style", "body", "section", "h1", "h2", "h3", "p", "div", "span", "small", "bdi"}
    | {"code", "pre", "strong", "img", "details", "summary", "ul", "li", "dl", "dt", "dd"}
    | {"table", "caption", "thead", "tbody", "tr", "th", "td"}
)


class Reader(HTMLParser):
    """Elements, attributes and visible text as a browser would see them."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.comments: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)


def reading(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    return reader


def drawn(models: tuple[Role, ...] = MODELS) -> str:
    """The page, made anew."""
    report, found, questions = evaluated(models)
    return page.render(report, found, questions, 30)


kept = cache(drawn)


def read(models: tuple[Role, ...] = MODELS) -> tuple[Reader, str]:
    text = kept(models)
    return reading(text), text


def test_hostile_text_stays_text() -> None:
    reader, text = read()
    assert "script" not in reader.elements
    assert "a" not in reader.elements
    assert not any(name.startswith("on") for name, _ in reader.attributes)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "{{ 7*7 }}" in reader.text


def test_hostile_text_everywhere_adds_no_element_to_the_page_or_the_decision() -> None:
    report, found, questions = huge()
    text = page.decided(page.render(report, found, questions, 30), DECISION)
    reader = reading(text)
    assert set(reader.elements) <= ELEMENTS
    assert reader.comments == []
    assert {name for name, _ in reader.attributes if name.startswith("on")} == set()
    assert not any("javascript" in (value or "") for _, value in reader.attributes)
    assert len(text) < 2_000_000  # of text 100 kB long the beginning is shown
    harmless = reading(page.decided(read()[1], DECISION.model_copy(update={"reasons": (), "conditions": ()})))
    assert reader.elements.count("style") == harmless.elements.count("style") == 1
    assert reader.elements.count("section") == harmless.elements.count("section") == 1


def test_the_decision_stands_on_top_with_every_condition_in_words() -> None:
    text = page.decided(read()[1], DECISION)
    reader = reading(text)
    assert reader.elements.index("section") < reader.elements.index("table")
    said = reader.text
    assert (
        said.index("Decision: do not register") < said.index("Judged against version 3") < said.index("The candidate")
    )
    assert "1 of 2 conditions are met" in said
    assert "Not met" in said
    taken = page.decided(read()[1], DECISION.model_copy(update={"passed": True, "incumbent": "base"}))
    assert "Decision: register" in taken
    assert "Judged against the base" in taken


def test_a_decision_without_conditions_gives_its_reasons() -> None:
    already = Decision(passed=False, reasons=("already version 3 <b>",), incumbent="version 3")
    reader = reading(page.decided(read()[1], already))
    assert "already version 3 <b>" in reader.text
    assert "b" not in reader.elements


def test_no_text_of_a_model_can_say_where_the_decision_goes() -> None:
    report, found, questions = huge()
    assert page.MARK in HOSTILE
    assert page.render(report, found, questions, 30).count(page.MARK) == 1
    with pytest.raises(Stop, match="no place for the decision"):
        page.decided(page.decided(read()[1], DECISION), DECISION)


def test_every_suite_has_its_figures_and_no_suite_has_no_chapter() -> None:
    reader, _ = read()
    for words in ("Accuracy against length", "Options in several orders", "Several answers", "Reasoning strategies",
                  "right letters", "pass@k", "k = 8", "step by step", "+15.0", "Holm 0.040"):  # fmt: skip
        assert words in reader.text
    report, found, questions = evaluated()
    bare = reading(page.render(report.model_copy(update={"probes": Probes()}), found, questions, 30))
    for words in ("Accuracy against length", "Options in several orders", "Several answers", "Reasoning strategies"):
        assert words not in bare.text
    assert reader.elements.count("img") == bare.elements.count("img") + 2


def test_the_protocol_states_what_generated_and_how() -> None:
    reader, _ = read()
    for words in ("backend", "transformers", "strategy", "step by step", "decoding", "greedy, at most 80 new tokens"):
        assert words in reader.text


def test_a_suite_of_which_nothing_could_be_scored_is_drawn() -> None:
    report, found, questions = evaluated()
    empty = {"n": 0, "accuracy": None, "tokens": None}
    probes = Probes(
        lengths=tuple(
            each.model_copy(update=empty | {"correct": 0, "low": 0.0, "high": 1.0}) for each in PROBES.lengths
        ),
        sampling=tuple(each.model_copy(update={"n": 0, "pass_at": {}, "majority_at": {}}) for each in PROBES.sampling),
    )
    assert page.render(report.model_copy(update={"probes": probes}), found, questions, 30)


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
    assert drawn() == drawn()


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
