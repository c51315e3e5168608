"""The data report's page: what is kept on top, every row told of once, and what comes from data as nothing but text."""

import re
from typing import Any

import pytest

from medu1.drawing.percent import NOTHING
from medu1.prepare import data_bars
from medu1.prepare import data_page as page
from medu1.prepare.contamination.leaks import Leak
from medu1.prepare.contamination.leaks import report as contamination
from medu1.prepare.fates import Account, accounts
from medu1.prepare.formats.row import Malformed
from medu1.prepare.health.identifiers import Kind
from medu1.prepare.health.phi import PhiReport
from medu1.prepare.labels.labels import CalculatorLabels, Disagreement, LabelReport, Unchecked
from medu1.prepare.repeats.duplicate_report import DuplicateReport, Found, Pair
from medu1.prepare.report import LongPrompt, PrepareReport, SourceRows
from medu1.prepare.rows.fate import Fate
from medu1.prepare.rows.strata import Stratum
from medu1.question import Choice, Date, FreeText, Gold, Integer, Number, WeeksDays
from test_audit_page import HOSTILE, Reader


def labels(name: str = "medcalc/1", title: str = "Body Mass Index") -> LabelReport:
    """Two labels of one calculator differ, one cannot be recomputed, seven are reproduced."""
    counted = CalculatorLabels(id=6, title=title, agree=7, disagree=2, not_recomputable=1, cause=f"Cause of {title}.")
    differing = (
        Disagreement(id=name, calculator=6, label=Number(value=20), recomputed=Number(value=25)),
        Disagreement(id=f"{name}0", calculator=6, label=Date(value="01/02/2020"), recomputed=Date(value="01/03/2020")),
    )
    unread = (Unchecked(id=f"{name}9", calculator=6, reason=f"{title} is unreadable"),)
    return LabelReport(calculators=(counted,), disagreements=differing, not_recomputable=unread)


def leak(source: str = "own", name: str = "own/7") -> Leak:
    return Leak(
        id=name, group=name, source=source, evaluation=f"{name}!", evaluation_source=source, share=0.5, kind="text"
    )


def repeats(source: str = "own") -> DuplicateReport:
    """One exact repeat that goes, one of a declared set that stays."""
    pair = Pair(first=f"{source}/1", first_source=source, again=f"{source}/11", source=source, similarity=0.9)
    found = Found(rows={source: 1}, pairs=(pair,))
    return DuplicateReport(
        read=31, exact=found, near=found, conflicts=Found(), dropped={source: 1}, declared={"medcalc": 1}
    )


def phi(source: str = "own") -> PhiReport:
    """Two rows with an identifier, one of which goes."""
    return PhiReport(
        read=31,
        action="redact",
        rows={Kind.PHONE: {source: 2}, Kind.DATE: {source: 1}},
        ids={Kind.PHONE: (f"{source}/12",), Kind.DATE: (f"{source}/13",)},
        flagged={source: 2},
        redacted={source: 1},
        dropped={source: 1},
    )


def told(source: str = "own", entry: str = "medquad:own.jsonl", **changed: Any) -> PrepareReport:
    """A report by hand of 31 rows, two of them without a label to trust, that adds up."""
    return PrepareReport(
        sources=(
            SourceRows(entry=entry, digest="d1", read=21, malformed=0),
            SourceRows(entry="medcalc:calc.csv", digest="d2", read=10, malformed=0),
        ),
        seed=7,
        max_prompt_tokens=256,
        max_rows_per_source=12,
        licences={source: f"licence of {source}", "medcalc": ""},
        duplicates=(f"{source}/a/1", f"{source}/2"),
        asked_elsewhere={source: 2},
        labels={f"medcalc:{entry}": labels(f"medcalc/{source}")},
        labels_policy="drop",
        labels_dropped={"medcalc": 2},
        contamination=contamination([leak(source, f"{source}/7")]),
        contaminated={source: 3},
        leaks=(leak(source, f"{source}/7"),),
        too_long={source: 1},
        too_long_rows=(LongPrompt(id=f"{source}/9", source=source, tokens=1300),),
        over_cap={source: 4},
        kept={source: {"train": {"open": 8}, "test": {"open": 3}}, "medcalc": {"test": {"calculation": 8}}},
        demonstrations=5,
    ).model_copy(update=changed)


def read(report: PrepareReport) -> Reader:
    return Reader(page.render(report))


class Aloud(Reader):
    """One who pauses after cells and lines."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        super().handle_starttag(tag, attrs)
        self.text += " " if tag == "small" else ""

    def handle_endtag(self, tag: str) -> None:
        self.text += " " if tag in {"td", "th", "p", "small", "span"} else ""


def plain(report: PrepareReport) -> str:
    """The text as read aloud, a dash for every count of zero."""
    return " ".join(Aloud(page.render(report)).text.replace(NOTHING, "-").split())


def account_of(report: PrepareReport, source: str) -> dict[Fate, int]:
    (found,) = [each for each in accounts(report).sources if each.source == source]
    return {fate: rows for fate, rows in found.rows.items() if rows}


def test_what_is_kept_and_where_the_others_went_stands_on_top() -> None:
    text = plain(told())
    found = "19 of 31 rows are kept (61.3%). The others: 4 over the cap, 3 contaminated, 2 dropped for the label, "
    assert found + "2 asked in another split, 1 too long. 2 labels differ from what the formula gives." in text
    assert text.index(found) < text.index("What became of every row")


def test_every_row_is_told_of_once_and_the_page_shows_the_sum() -> None:
    assert accounts(told()).adds_up
    assert "adds up 31 read = 0 malformed + 2 dropped for the label" in plain(told())


def test_a_row_lost_on_the_way_is_said_aloud() -> None:
    report = told(over_cap={})
    assert not accounts(report).adds_up
    assert "does not add up 31 read ≠ 0 malformed" in plain(report)
    assert "The gates tell of 27" in plain(report)


def test_every_source_has_its_own_account() -> None:
    assert account_of(told(), "medcalc") == {Fate.LABEL: 2, Fate.KEPT: 8}
    expected = {Fate.ASKED: 2, Fate.CONTAMINATED: 3, Fate.TOO_LONG: 1, Fate.OVER_CAP: 4, Fate.KEPT: 11}
    assert account_of(told(), "own") == expected


def test_what_becomes_of_disagreeing_labels_is_told() -> None:
    assert "Questions whose label differs are left out. (prepare.labels: drop)" in plain(told())
    kept = told(labels_policy="keep", labels_dropped={})
    assert "Labels that differ are kept as published. (prepare.labels: keep)" in plain(kept)


def test_repeats_and_named_persons_have_a_column_and_a_section_where_they_are_looked_for() -> None:
    bare, full = plain(told()), plain(told(repeats=repeats(), phi=phi()))
    for words in ("asked again", "naming a person", "Protected health information"):
        assert words not in bare
        assert words in full


def test_repeats_are_told_by_kind_with_their_pairs() -> None:
    report = told(repeats=repeats())
    assert account_of(report, "own")[Fate.REPEATED] == 1
    text = plain(report)
    assert "Of 31 rows, 1 asks again what an earlier row asks in the same words, 1 in nearly the same" in text
    assert "own/1 own/11 90.0%" in text
    assert "1 row of declared test and out-of-distribution sets asks again and stays" in text


def test_rows_that_may_name_a_person_are_told_by_what_they_hold() -> None:
    report = told(phi=phi())
    assert account_of(report, "own")[Fate.IDENTIFIED] == 1
    text = plain(report)
    assert "2 rows of 31 may name a person. A mark takes the identifier's place" in text
    assert "1 row is redacted, 1 left out" in text
    assert "source phone date rows with any own 2 1 2" in text
    assert "own/12 and 1 more" in text


def test_malformed_rows_refuse_the_lot_and_every_one_is_named() -> None:
    bad = Malformed(file="own.jsonl", place="line 3", field="answer", reason="is empty")
    rows = SourceRows(entry="medquad:own.jsonl", digest="d", read=4, malformed=1)
    report = PrepareReport(sources=(rows,), seed=7, max_prompt_tokens=256, max_rows_per_source=None, malformed=(bad,))
    text = plain(report)
    assert "Nothing is made. 1 row of 4 cannot be read" in text
    assert "own.jsonl line 3 answer is empty" in text
    assert "Splits" not in text


def test_sources_are_told_with_digest_publisher_and_licence() -> None:
    text = plain(told())
    assert "medquad:own.jsonl d1 21 - CC-BY-4.0 MedQuAD open Ben Abacha" in text
    assert "own licence of own" in text
    assert "medcalc none known" in text


@pytest.mark.parametrize("entry", ["table:t.csv", "nonsense", "mimic-iv:notes.csv", HOSTILE])
def test_an_entry_that_names_no_publisher_points_to_the_parameters(entry: str) -> None:
    assert page.publication(entry) is None
    assert "as prepare.tables states" in plain(told(entry=entry))


def test_splits_are_counted_by_source_and_family() -> None:
    text = plain(told())
    assert "medcalc calculation - - 8 - 8" in text
    assert "own open 8 - 3 - 11" in text
    assert "all sources 8 - 11 - 19" in text


def test_a_calculator_is_told_with_its_cause_and_labels_that_differ() -> None:
    text = plain(told())
    assert "7 of 10 labels are reproduced, 2 differ, 1 cannot be recomputed" in text
    assert "Body Mass Index 6 10 7 2 1 Cause of Body Mass Index." in text
    assert "medcalc/own 20 25" in text
    assert "Body Mass Index is unreadable" in text


def test_long_lists_are_cut_and_say_so() -> None:
    many = tuple(f"own/{number}" for number in range(page.SHOWN + 3))
    report = told(duplicates=many, asked_elsewhere={"own": len(many)})
    assert "and 3 more" in plain(report)
    assert f"own/{page.SHOWN + 2}" not in plain(report)


def test_a_stratum_without_test_questions_is_named() -> None:
    strata = (
        Stratum(family="calculation", topic="Body Mass Index", rows={"train": 8, "test": 2}),
        Stratum(family="calculation", topic="Anion Gap", rows={"train": 3}),
    )
    text = plain(told(strata=strata))
    assert "1 stratum has no test question: calculation, Anion Gap." in text
    assert "calculation Body Mass Index 8 - 2 -" in text


def test_contamination_is_told_by_pair_of_sources_with_the_first_leaks() -> None:
    text = plain(told())
    assert "1 training question gives an evaluation question away" in text
    assert "own own 1 - 1 1" in text
    assert "own/7 own/7! words 50.0%" in text


def test_a_gate_that_finds_nothing_says_so() -> None:
    report = told(
        duplicates=(),
        asked_elsewhere={},
        labels={},
        contamination=contamination([]),
        contaminated={},
        leaks=(),
        too_long={},
        too_long_rows=(),
    )
    text = plain(report)
    for sentence in (
        "No two splits ask the same in the same words.",
        "there is nothing to recompute.",
        "No training question gives an evaluation question away.",
        "Every prompt has at most 256 tokens.",
    ):
        assert sentence in text


def test_long_prompts_are_named_with_their_tokens() -> None:
    assert "own/9 1,300" in plain(told())


def test_hostile_data_stays_text() -> None:
    bad = Malformed(file=HOSTILE, place=HOSTILE, field=HOSTILE, reason=HOSTILE)
    audited = {HOSTILE: labels(HOSTILE, HOSTILE)}
    full = told(HOSTILE, HOSTILE, labels=audited, repeats=repeats(HOSTILE), phi=phi(HOSTILE))
    for report in (full, told(HOSTILE, HOSTILE, malformed=(bad,))):
        reader = read(report)
        assert not {"script", "a"} & set(reader.elements)
        assert reader.elements.count("img") <= 1
        assert not any(name.startswith("on") for name, _ in reader.attributes)
        assert HOSTILE in reader.text


def test_the_page_loads_nothing_from_elsewhere() -> None:
    text = page.render(told())
    reader = Reader(text)
    assert not {"link", "iframe", "object", "base", "form", "script"} & set(reader.elements)
    addresses = [value or "" for name, value in reader.attributes if name in {"src", "href", "srcset", "action"}]
    assert [address[:26] for address in addresses] == ["data:image/svg+xml;base64,"]
    assert "default-src 'none'" in text
    assert not re.search(r"@import|url\(", text)


def test_the_same_report_gives_the_same_bytes() -> None:
    report = told(repeats=repeats(), phi=phi())
    again = PrepareReport.model_validate_json(report.model_dump_json())
    assert page.render(report) == page.render(report) == page.render(again)


def test_nothing_read_is_a_page_too() -> None:
    empty = PrepareReport(sources=(), seed=7, max_prompt_tokens=256, max_rows_per_source=None)
    assert "0 of 0 rows are kept. No row is left out." in plain(empty)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Choice(letter="B"), "B"),
        (Number(value=24.25), "24.25"),
        (Number(value=24, lower=22.8, upper=25.2), "24 (22.8 to 25.2)"),
        (Integer(value=1200), "1,200"),
        (Date(value="01/02/2020"), "01/02/2020"),
        (WeeksDays(weeks=3, days=2), "3 weeks, 2 days"),
        (FreeText(text="iron"), "iron"),
    ],
)
def test_a_gold_is_written_as_a_person_writes_it(value: Gold, words: str) -> None:
    assert page.gold(value) == words


def account(source: str, rows: int) -> Account:
    return Account(source, {fate: rows if fate is Fate.KEPT else 0 for fate in Fate})


def test_the_figure_has_the_largest_sources_and_a_colour_a_fate() -> None:
    many = [account(f"s{number:03}", number + 1) for number in range(data_bars.BARS + 5)]
    drawn = data_bars.largest(many)
    assert [each.source for each in drawn] == [each.source for each in many[5:]]
    assert data_bars.COLOURS.keys() == set(Fate)


@pytest.mark.parametrize(
    ("name", "words"), [("own", "own  1,200"), ("数\n", "??  1,200"), ("x" * 40, "x" * 25 + "...  1,200")]
)
def test_names_in_the_figure_are_plain_and_short(name: str, words: str) -> None:
    assert data_bars.label(account(name, 1200)) == words


def test_any_name_can_be_drawn() -> None:
    assert data_bars.bars([account("数 $x^$ \N{PILE OF POO}", 1)]).startswith("data:image/svg+xml;base64,")
