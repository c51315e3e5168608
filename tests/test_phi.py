"""The screen for identifiers of patients: what it finds, what it lets pass, what it writes and what it never tells."""

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identified import IDENTIFIED, ROWS
from medu1.params import PhiPolicy
from medu1.prepare.health.glance import plain
from medu1.prepare.health.identifiers import GLANCE, OVERLAP, WINDOW, Kind, identifiers
from medu1.prepare.health.phi import DEFAULT_PHI, PhiScreen, exempt, redacted, screen
from medu1.question import Choice, Date, FreeText, Gold, Question

PUBLIC = exempt(DEFAULT_PHI)


def policy(**changes: object) -> PhiPolicy:
    """The policy that ships, changed."""
    return PhiPolicy.model_validate(DEFAULT_PHI.model_dump() | changes)


NOTE = (
    "Mr. John Smith (DOB: 01/02/1980, MRN 00482913) of 12 Elm Street, phone 555-201-4432, was admitted on 03/04/2021."
)
MARKED = "Mr. [NAME] (DOB: [DATE], MRN [RECORD]) of [ADDRESS], phone [PHONE], was admitted on 03/04/2021."
LONG = 100_000  # characters


def kinds(text: str) -> set[Kind]:
    return {span.kind for span in identifiers(text, PUBLIC)}


def question(text: str = "What is the dose?", gold: Gold | None = None, name: str = "q", **fields: object) -> Question:
    """An open question unless a gold is given."""
    row = {"id": name, "source": "own", "text": text, "gold": gold or FreeText(text="5 mg")} | fields
    return Question.model_validate(row)


@pytest.mark.parametrize("kind", Kind)
def test_nearly_every_planted_identifier_is_found(kind: Kind) -> None:
    rows = IDENTIFIED[kind]
    assert len(rows) == len(set(rows)) == ROWS
    missed = [text for text, _ in rows if kind not in kinds(text)]
    assert len(missed) <= 0.05 * ROWS, missed


@pytest.mark.parametrize("kind", Kind)
def test_a_redacted_row_holds_nothing_of_the_identifier(kind: Kind) -> None:
    """Titles and what else names the kind may stay."""
    left = [
        text
        for text, value in IDENTIFIED[kind]
        if value.split("@")[0].casefold() in redacted(question(text)).text.casefold()
    ]
    assert len(left) <= 0.05 * ROWS, left


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Pt John Smith c/o SOB", Kind.NAME),
        ("SMITH, JOHN is a 54 y/o male", Kind.NAME),
        ("Her husband, Mark Twain, says he snores", Kind.NAME),
        ("mr. john smith is 50", Kind.NAME),
        ("DOB=02/03/1990", Kind.DATE),
        ("(b. 01/02/1955)", Kind.DATE),
        ("tel: 555 201 4432", Kind.PHONE),
        ("ring her on 07700 900123", Kind.PHONE),
        ("MR# 4829134", Kind.RECORD),
        ("NHS number 943 476 5919", Kind.RECORD),
        ("lives at 4 privet drive", Kind.ADDRESS),
        ("1 Sample Loop, Springfield, CA 95014", Kind.ADDRESS),
        ("JOHNSMITH.COM", Kind.URL),
        ("2001:db8::ff00:42:8329", Kind.IP),
    ],
)
def test_other_forms_are_found_too(text: str, kind: Kind) -> None:
    assert kind in kinds(text)


@pytest.mark.parametrize(
    "text",
    [
        "Parkinson disease and Graves Disease, treated with a Foley catheter.",
        "Dr. Virchow's node is a sign of cancer.",
        "He was referred to Dr. Soetomo General Hospital.",
        "MR. Imaging showed a mass; MR spectroscopy followed.",
        "She has a diagnosis of MS. Magnetic resonance imaging is planned.",
        "A trip to Costa Rica 7 weeks ago.",
        "Duchenne Muscular Dystrophy, MD for short",
        "An organism called Giardia lamblia; the name is derived from Greek.",
        "Patient: Alert and oriented. Patient: Male, 45 years.",
        "Admitted on 01/02/2020 at 3 pm; last menstrual period 12/20/2019.",
        "He was born at 38 weeks to a 36-year-old mother, in 1950.",
        "White cells 7,000-8,000, sodium 140, blood pressure 120/80.",
        "EC 3.4.21.5 is thrombin; GenBank accession number AF139175.",
        "A 12 Lead ST elevation was seen in Case 1: 2000 mg.",
        "Call 911 or the hotline at 1-800-555-0100.",
        "See https://www.cdc.gov/flu and www.who.int for more.",
    ],
)
def test_what_names_nobody_passes(text: str) -> None:
    assert not kinds(text)


def test_what_is_public_is_a_parameter() -> None:
    strict = policy(toll_free=False, public_hosts=())
    found = screen(question("Call 1-800-555-0100 or see www.cdc.gov"), strict)
    assert [finding.kind for finding in found] == [Kind.PHONE, Kind.URL]


def test_every_field_a_model_reads_is_screened_and_findings_point_into_it() -> None:
    asked = question(
        context="Seen by Dr. Smith.",
        options={"A": "Mail to a@example.com", "B": "MRN: 00482913"},
        gold=Choice(letter="A"),
        rationale="My name is Jane Doe.",
    )
    found = {(finding.field, finding.kind): finding for finding in screen(asked)}
    fields = {("context", Kind.NAME), ("options.A", Kind.EMAIL), ("options.B", Kind.RECORD), ("rationale", Kind.NAME)}
    assert found.keys() == fields
    context = found["context", Kind.NAME]
    assert asked.context[context.start : context.end] == "Smith"
    option = found["options.A", Kind.EMAIL]
    assert asked.options["A"][option.start : option.end] == "a@example.com"


def test_a_gold_of_free_text_is_screened() -> None:
    (finding,) = screen(question(gold=FreeText(text="Call 555-201-4432.")))
    assert finding.field == "gold"


def test_redaction_marks_identifiers_and_leaves_the_rest() -> None:
    asked = question(context=NOTE, rationale="Mr. Smith needs 5 mg.")
    marked = redacted(asked)
    assert marked.context == MARKED
    assert marked.rationale == "Mr. [NAME] needs 5 mg."
    assert marked.model_copy(update={"context": NOTE, "rationale": asked.rationale}) == asked
    assert redacted(marked) == marked


def test_dates_stay_where_the_gold_is_one() -> None:
    asked = question(gold=Date(value="01/02/2020"), context="Mr. Smith, DOB 01/02/1980.")
    assert redacted(asked).context == "Mr. [NAME], DOB 01/02/1980."
    assert PhiScreen(policy(action="redact")).passed([asked]) == []
    (kept,) = PhiScreen(policy(action="redact", dated="keep")).passed([asked])
    assert kept == redacted(asked)


def test_a_row_whose_gold_would_have_to_be_redacted_goes() -> None:
    asked = question(gold=FreeText(text="Call 555-201-4432."))
    phi = PhiScreen(policy(action="redact"))
    assert phi.passed([asked]) == []
    assert phi.report().dropped == {"own": 1}
    assert redacted(asked) == asked


def test_a_row_whose_options_become_equal_goes() -> None:
    asked = question(options={"A": "Dr. Smith", "B": "Dr. Jones"}, gold=Choice(letter="A"))
    assert PhiScreen(policy(action="redact")).passed([asked]) == []


@pytest.mark.parametrize(("action", "texts"), [("report", [NOTE, "x"]), ("redact", [MARKED, "x"]), ("drop", ["x"])])
def test_the_policy_decides_what_goes_on(action: str, texts: list[str]) -> None:
    phi = PhiScreen(policy(action=action))
    kept = phi.passed([question(NOTE, name="one"), question("x", name="two")])
    assert [row.text for row in kept] == texts
    report = phi.report()
    assert report.read == 2
    assert report.flagged == {"own": 1}
    assert report.rows[Kind.NAME] == {"own": 1}
    assert report.ids[Kind.DATE] == ("one",)
    assert report.redacted == ({"own": 1} if action == "redact" else {})
    assert report.dropped == ({"own": 1} if action == "drop" else {})


def test_a_report_holds_nothing_of_what_was_found() -> None:
    phi = PhiScreen()
    for kind, rows in IDENTIFIED.items():
        phi.passed(question(text, name=f"{kind} {place}") for place, (text, _) in enumerate(rows))
    phi.passed([question("Mr. Smith", name="patients/john.smith@example.com")])
    report = phi.report().model_dump_json()
    assert not [value for rows in IDENTIFIED.values() for _, value in rows if value in report]
    assert "smith" not in report.lower()


def test_a_report_is_the_same_in_any_order() -> None:
    rows = [question(NOTE, name=f"row {place}") for place in range(3000)]
    reports = set()
    for order in (rows, rows[::-1]):
        phi = PhiScreen()
        phi.passed(order)
        reports.add(phi.report().model_dump_json())
    assert len(reports) == 1


@pytest.mark.parametrize(
    "before", [0, 1, WINDOW - OVERLAP - 40, WINDOW - OVERLAP, WINDOW - 60, WINDOW - 20, WINDOW, 20_000]
)
def test_an_identifier_is_found_wherever_it_stands_in_a_long_text(before: int) -> None:
    for kind, rows in IDENTIFIED.items():
        text, _ = rows[0]
        start = ("word " * before)[:before] + "\n"
        own = [
            (span.start + len(start), span.end + len(start)) for span in identifiers(text, PUBLIC) if span.kind is kind
        ]
        found = [span[:2] for span in identifiers(start + text + "\n" + "word " * 2000, PUBLIC) if span.kind is kind]
        assert found == own, kind


PIECES = [
    *(
        "a",
        "A",
        "Aa ",
        "Ab Cd ",
        "A. ",
        "O'Aa",
        "1",
        "1-",
        "1.",
        "(",
        "+",
        "555-",
        "1 Aa ",
        "12 Aa Bb Cc Dd ",
        "\n",
        " ",
    ),
    *(
        "Mr. ",
        "Mr. Aa ",
        "Dr. A. B. ",
        "patient name: ",
        "my name is ",
        "signed by ",
        "Aa, MD ",
        "I am Aa ",
        "van der ",
    ),
    *(
        "born ",
        "DOB ",
        "1/2/",
        "a@",
        "a.",
        "@",
        "www.",
        "a.com/",
        "MRN: A",
        "account number: 12-",
        "call me at ",
        "1 ()",
    ),
    *("lives at 1 a ", "0:", "::"),
]


@pytest.mark.parametrize("piece", PIECES)
def test_no_text_takes_long(piece: str) -> None:
    """Twice the length takes about twice the time: no pattern backtracks over a text."""
    text = piece * (LONG // len(piece))
    assert _seconds(lambda: identifiers(text, PUBLIC)) < 0.15  # 0.05 on a core of its own


def _seconds(act: Callable[[], object]) -> float:
    """The least of three runs, in processor time."""
    times = []
    for _ in range(3):
        start = time.process_time()
        act()
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.parametrize("kind", Kind)
def test_no_text_that_holds_an_identifier_is_passed_over_at_a_glance(kind: Kind) -> None:
    texts = [
        form.format(text) for text, _ in IDENTIFIED[kind] for form in ("{}", "\u0130s it? {}", "x\n\x1f\n{}\u2019s")
    ]
    held = [text for text in texts if identifiers(text, PUBLIC)]
    assert len(held) > 2 * ROWS
    assert all(GLANCE.likely(held))


def test_the_glance_spares_most_texts_that_hold_nothing() -> None:
    texts = [f"A {n}-year-old man has a potassium of {n / 10} mEq/L, given 40 mg on day {n}; why?" for n in range(99)]
    assert not any(GLANCE.likely(texts))


@given(st.text(max_size=80))
def test_a_plain_text_has_the_kinds_of_the_characters_of_the_text(text: str) -> None:
    seen = plain(text)
    assert seen.isascii()
    assert len(seen) == len(text)
    assert [each.isdigit() for each in seen] == [each.isdigit() for each in text]
    assert [each.isalnum() for each in seen] == [each.isalnum() for each in text]


@given(st.lists(st.text(alphabet="Mr.s DOB:12/09-JohnSmit@,\u00e9\u2019\u212a ", max_size=60), min_size=1, max_size=8))
def test_the_glance_never_says_no_to_what_the_search_finds(texts: list[str]) -> None:
    likely = GLANCE.likely(texts)
    assert all(holds for text, holds in zip(texts, likely, strict=True) if identifiers(text, PUBLIC))
