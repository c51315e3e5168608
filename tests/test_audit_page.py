"""The audit's page: the decision on top, every probe in plain words, and ids and sources as nothing but text."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from medu1.params import Audit, Scoring
from medu1.prepare import audit as step
from medu1.prepare import audit_page as page
from medu1.question import Choice, FreeText, Number, Question
from medu1.scoring.audit import AuditReport, GoldRate, ProbeRate, audit
from medu1.scoring.battery import Probe
from medu1.scoring.calibration import OTHER_TYPE, SAME_TYPE, Acceptance, Calibration
from medu1.scoring.grading import DEFAULT_SCORING
from medu1.scoring.harmless import CHANGES

HOSTILE = (
    "</code><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }} $x^$ & <a href='http://evil.test'>x</a>"
)
LIMITS = Audit(max_false_accept=0.01, max_false_reject=0.0)
QUESTIONS = [
    Question(id="1", source="open", topic="cause", text="What prevents scurvy?", gold=FreeText(text="vitamin C")),
    Question(id="2", source="open", topic="drug", text="What lowers fever?", gold=FreeText(text="paracetamol")),
    Question(id="3", source="calc", topic="bmi", text="What is the BMI?", gold=Number(value=24.2)),
    Question(id="4", source="mcq", text="Which?", gold=Choice(letter="B"), options={"A": "x", "B": "y"}),
]
BROKEN = Question(id="5", source="calc", text="What?", gold=Number(value=9, lower=1, upper=2))


class Reader(HTMLParser):
    """Elements, attributes and visible text as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def shown(report: AuditReport, params: Audit = LIMITS) -> str:
    return page.render(report, params, step.refusals(report, params))


def read(report: AuditReport, params: Audit = LIMITS) -> Reader:
    return Reader(shown(report, params))


def accepting(sources: int, name: str = "source") -> AuditReport:
    """A report by hand: every probe accepted now and then, on so many sources."""
    places = [f"{name} {number}" for number in range(sources)]
    return AuditReport(
        golds=tuple(GoldRate(source=place, golds=40, rejected=(f"gold of {place}",)) for place in places),
        rates=tuple(
            ProbeRate(source=place, probe=probe, tried=40, accepted=2, ids=(f"{probe} of {place}",))
            for place in places
            for probe in Probe
        ),
        calibration=calibration(),
    )


def calibration(chosen: float = 0.5) -> Calibration:
    """Three thresholds: golds of another type pass at the lowest, harmless changes fail at the highest."""
    made = [("the gold", True, (10, 10, 10)), ("a harmless change $x^$", True, (10, 9, 0))]
    made += [(OTHER_TYPE, False, (4, 0, 0)), (SAME_TYPE, False, (8, 3, 0))]
    return Calibration(
        questions=10,
        thresholds=(0.0, 0.5, 1.0),
        chosen=chosen,
        curves=tuple(Acceptance(answer=a, is_right=right, tried=10, accepted=found) for a, right, found in made),
    )


def test_the_decision_to_start_stands_on_top() -> None:
    text = read(audit(QUESTIONS)).text
    assert "Training is refused" not in text
    assert text.index("Training may start") < text.index("The free-text threshold")


def test_a_refusal_stands_on_top_with_a_line_each() -> None:
    report = audit([*QUESTIONS, BROKEN])
    reader, (refusal,) = read(report), step.refusals(report, LIMITS)
    assert "Training may start" not in reader.text
    assert reader.text.index("Training is refused") < reader.text.index(refusal)
    assert reader.text.index(refusal) < reader.text.index("The free-text threshold")
    assert reader.elements.count("li") == 1


def test_rejects_within_the_limit_are_told_where_training_may_start() -> None:
    text = read(audit([*QUESTIONS, BROKEN]), Audit(max_false_accept=0.01, max_false_reject=1.0)).text
    assert "Training may start. 1 question has a gold that fails its own grader, within the limit" in text


def test_every_probe_has_its_own_words_and_they_are_on_the_page() -> None:
    assert page.WORDS.keys() == set(Probe)
    assert len(set(page.WORDS.values())) == len(Probe)
    text = read(accepting(1)).text
    for probe, words in page.WORDS.items():
        assert words in text
        assert probe.value in text


@pytest.mark.parametrize("sources", [1, page.SIDE_BY_SIDE, page.SIDE_BY_SIDE + 1])
def test_every_source_and_accepted_row_is_on_the_page(sources: int) -> None:
    report = accepting(sources)
    text = read(report).text
    for rate in report.rates:
        assert rate.ids[0] in text
    for gold in report.golds:
        assert gold.rejected[0] in text


def test_many_sources_get_a_table_each_open_where_a_limit_is_exceeded() -> None:
    few, many = (shown(accepting(sources)) for sources in (page.SIDE_BY_SIDE, page.SIDE_BY_SIDE + 1))
    assert "Each source" not in few
    assert many.count("<details open>") == page.SIDE_BY_SIDE + 1
    assert "<details open>" not in shown(
        accepting(page.SIDE_BY_SIDE + 1), Audit(max_false_accept=1, max_false_reject=1)
    )


def test_cells_above_the_limit_are_marked_and_golds_of_the_same_type_never() -> None:
    text = shown(accepting(1))
    assert text.count('<td class="number over">5.0%') == len(Probe) - 1
    assert text.count('<td class="number some">5.0%') == 1
    assert "same_type_gold</code> · reported, never blocks" in text


def test_accepted_rows_beyond_the_ids_kept_are_counted() -> None:
    assert "and 1 more" in read(accepting(1)).text


def test_hostile_ids_and_sources_stay_text() -> None:
    for sources in (1, page.SIDE_BY_SIDE + 1):
        reader = read(accepting(sources, HOSTILE))
        assert not {"script", "a"} & set(reader.elements)
        assert reader.elements.count("img") == 1
        assert not any(name.startswith("on") for name, _ in reader.attributes)
        assert f"gold of {HOSTILE} 0" in reader.text


def test_the_page_loads_nothing_from_elsewhere() -> None:
    text = shown(accepting(2))
    reader = Reader(text)
    assert not {"link", "iframe", "object", "base", "form", "script"} & set(reader.elements)
    addresses = [value or "" for name, value in reader.attributes if name in {"src", "href", "srcset", "action"}]
    assert [address[:26] for address in addresses] == ["data:image/svg+xml;base64,"]
    assert "default-src 'none'" in text
    assert not re.search(r"@import|url\(", text)


def test_the_curve_is_there_with_open_questions() -> None:
    reader = read(audit(QUESTIONS))
    assert "img" in reader.elements
    assert "2 open questions are measured" in reader.text
    for making in CHANGES:
        assert making in reader.text


@pytest.mark.parametrize("settings", [DEFAULT_SCORING, DEFAULT_SCORING.model_copy(update={"preset": "paper"})])
def test_a_missing_curve_is_explained(settings: Scoring) -> None:
    asked = QUESTIONS if settings.preset == "paper" else QUESTIONS[2:]
    reader = read(audit(asked, settings))
    assert "img" not in reader.elements
    assert "There is no curve" in reader.text


def test_the_threshold_is_told_with_its_errors_and_the_range_that_keeps_the_limits() -> None:
    found = page.threshold(calibration(), LIMITS)
    assert (found.golds, found.changes, found.others) == (0.0, 0.1, 0.0)
    assert (found.within, found.within_all) == ((0.5, 1.0), ())
    assert "accepted: 0.50 to 1.00." in read(accepting(1)).text
    assert "they leave: none." in read(accepting(1)).text


def test_errors_are_counted_at_the_threshold_in_use() -> None:
    errors = {each.curve.answer: each.errors for each in page.makings(calibration(chosen=0.0), LIMITS)}
    assert errors == {"the gold": 0, "a harmless change $x^$": 0, OTHER_TYPE: 4, SAME_TYPE: 8}


def test_the_making_held_to_the_golds_limit_is_one_the_calibration_makes() -> None:
    assert page.GOLD in CHANGES


@pytest.mark.parametrize(
    ("thresholds", "words"), [((), "none"), ((0.6,), "0.60 alone"), ((0.45, 0.5, 0.55), "0.45 to 0.55")]
)
def test_thresholds_are_told_as_a_range(thresholds: tuple[float, ...], words: str) -> None:
    assert page.span(thresholds) == words


def test_nothing_to_audit_is_a_page_too() -> None:
    assert "There is no training question to audit" in read(audit([])).text


def test_the_same_report_gives_the_same_bytes() -> None:
    assert shown(accepting(3)) == shown(accepting(3))


def test_the_page_stands_beside_the_report_for_machines(tmp_path: Path) -> None:
    report = audit(QUESTIONS)
    step.write(report, LIMITS, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audit.html", "audit.json"]
    assert (tmp_path / page.NAME).read_text(encoding="utf-8") == shown(report)
