"""The grader's accuracy on real benchmark files: golds pass, degenerate answers do not, harmless changes do no harm.

The files lie in $MEDU1_REAL_DATA or in shared/data beside the checkout; without them the tests skip.
"""

import csv
import json
import os
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from medu1.completion import Completion
from medu1.question import Choice, Date, FreeText, Gold, Integer, Number, Question, WeeksDays, gold_text
from medu1.scoring.audit import audit
from medu1.scoring.battery import Probe, negation
from medu1.scoring.harmless import SENTENCES, fewer_stop_words, reordered, with_lead_in
from medu1.scoring.score import score

pytestmark = pytest.mark.real

DATA = Path(os.environ.get("MEDU1_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))
LETTER_STYLES = ("{}", "({})", "{}.", "{})", "**{}**", "Option {}")
DATE_CALCULATORS = {"13", "68"}
GESTATIONAL_AGE = "69"


def real_file(name: str) -> Path:
    if not (path := DATA / name).exists():
        pytest.skip(f"{name} is not in {DATA}: set MEDU1_REAL_DATA to the folder of the benchmark files")
    return path


def accepts(question: Question, answer: str) -> bool:
    completion = Completion(question_id=question.id, text=f"<think>t</think><answer>{answer}</answer>")
    return score(question, completion).correct is True


def calculation_gold(row: dict[str, str]) -> Gold:
    truth = row["Ground Truth Answer"]
    if row["Calculator ID"] in DATE_CALCULATORS:
        return Date(value=truth)
    if row["Calculator ID"] == GESTATIONAL_AGE:
        weeks, days = map(int, re.findall(r"\d+", truth))
        return WeeksDays(weeks=weeks, days=days)
    if row["Output Type"] == "integer":
        return Integer(value=int(truth))
    return Number(value=float(truth), lower=float(row["Lower Limit"]), upper=float(row["Upper Limit"]))


@pytest.fixture(scope="module")
def calculations() -> list[tuple[Question, str]]:
    with real_file("medcalc_bench_v1_test.csv").open(newline="", encoding="utf-8") as lines:
        return [
            (
                Question(
                    id=row["Row Number"],
                    source="medcalc",
                    topic=row["Calculator Name"],
                    text=row["Question"],
                    gold=calculation_gold(row),
                ),
                row["Ground Truth Answer"],
            )
            for row in csv.DictReader(lines)
        ]


@pytest.fixture(scope="module")
def calculators() -> dict[str, str]:
    """Row number to calculator id."""
    with real_file("medcalc_bench_v1_test.csv").open(newline="", encoding="utf-8") as lines:
        return {row["Row Number"]: row["Calculator ID"] for row in csv.DictReader(lines)}


@pytest.fixture(scope="module")
def choices() -> list[Question]:
    sets = json.loads(real_file("mirage_mcq.json").read_text(encoding="utf-8"))
    return [
        Question(
            id=name, source=source, text=row["question"], gold=Choice(letter=row["answer"]), options=row["options"]
        )
        for source, rows in sets.items()
        for name, row in rows.items()
    ]


@pytest.fixture(scope="module")
def open_ended() -> list[Question]:
    rows = map(json.loads, real_file("medquad_short.jsonl").read_text(encoding="utf-8").splitlines())
    return [
        Question(
            id=row["id"],
            source="medquad",
            topic=row["qtype"],
            text=row["question"],
            gold=FreeText(text=row["answer"]),
        )
        for row in rows
    ]


def test_medcalc_golds_pass_as_printed(calculations: list[tuple[Question, str]]) -> None:
    assert [printed for question, printed in calculations if not accepts(question, printed)] == []


def test_medcalc_golds_pass_as_a_model_writes_them(calculations: list[tuple[Question, str]]) -> None:
    assert [question.id for question, _ in calculations if not accepts(question, gold_text(question))] == []


UNITS = {  # as the questions and explanations of the benchmark write them; a score has points
    "2": "mL/min", "3": "mL/min/1.73 m\u00b2", "5": "mm Hg", "6": "kg/m\u00b2", "7": "mg/dL", "9": "mL/min/1.73m\u00b2",
    "10": "kg", "11": "msec", "19": "", "22": "mL/hr", "24": "mg PrednisoLONE PO", "26": "mEq/L", "30": "mOsm/kg",
    "31": "", "38": "L", "39": "mEq/L", "40": "%", "44": "mg/dL", "46": "%", "49": "mme/day", "56": "msec",
    "57": "msec", "58": "msec", "59": "msec", "60": "m^2", "61": "kg", "62": "kg", "63": "mEq/L", "64": "",
    "65": "mEq/L", "66": "mEq/L", "67": "",
}  # fmt: skip
PHRASES = ("{} {}", "{}{}", "**{} {}**", "The answer is {} {}.", "approximately {} {}", "= {} {}", "\\boxed{{{} {}}}")


def in_unit(question: Question, printed: str, calculator: str) -> list[str]:
    """The gold in the phrasings models use: with its unit, as a score, as a date, as weeks and days."""
    match question.gold:
        case Number():
            unit = UNITS.get(calculator, "points")
            comma = f"{float(printed):,}" if float(printed) == float(f"{float(printed):.3f}") else printed
            return [*(phrase.format(printed, unit) for phrase in PHRASES), f"{comma} {unit}"]
        case Integer():
            forms = (
                "{} points",
                "{} point",
                "A score of {}",
                "Score: {}",
                "**{}**",
                "{}.0",
                "{} points.",
                "Total = {}",
            )
            return [form.format(printed) for form in forms]
        case Date() as gold:
            day = gold.as_date()
            forms = (f"{day.month}/{day.day}/{day.year}", f"{day:%B} {day.day}, {day.year}", f"{day:%m-%d-%Y}")
            return [*forms, day.isoformat(), f"{day.day} {day:%b} {day.year}", f"The due date is {printed}."]
        case WeeksDays(weeks=weeks, days=days):
            forms = (
                "{} weeks and {} days",
                "{} weeks, {} days",
                "{}w{}d",
                "{} wk {} d",
                "{}+{} weeks",
                "{} {}/7 weeks",
            )
            return [form.format(weeks, days) for form in forms]
        case _:
            raise AssertionError(question.gold)


def test_medcalc_golds_pass_with_their_units_and_in_usual_phrasings(
    calculations: list[tuple[Question, str]], calculators: dict[str, str]
) -> None:
    refused = [
        (question.id, answer)
        for question, printed in calculations
        for answer in in_unit(question, printed, calculators[question.id])
        if not accepts(question, answer)
    ]
    assert refused == []


WRONG_NUMBERS = {Probe.TWO_NUMBERS, Probe.TEN_TIMES, Probe.THOUSAND_TIMES}


def test_no_wrong_number_passes_on_medcalc(calculations: list[tuple[Question, str]]) -> None:
    rates = audit([question for question, _ in calculations]).rates
    tried = {rate.probe: rate.accepted for rate in rates if rate.probe in WRONG_NUMBERS}
    assert tried == dict.fromkeys(WRONG_NUMBERS, 0)


@pytest.mark.parametrize("style", LETTER_STYLES)
def test_every_letter_is_judged_in_every_style(choices: list[Question], style: str) -> None:
    misjudged = [
        (question.id, letter)
        for question in choices
        for letter in question.options
        if accepts(question, style.format(letter)) is not (letter == gold_text(question))
    ]
    assert misjudged == []


def is_unique_and_no_letter(question: Question, text: str) -> bool:
    folded = [" ".join(option.casefold().split()).rstrip(" .,;:!?") for option in question.options.values()]
    bare = " ".join(text.casefold().split()).rstrip(" .,;:!?")
    return folded.count(bare) == 1 and bare.upper().strip("()") not in question.options


def test_option_text_stands_for_its_option_only(choices: list[Question]) -> None:
    misjudged = [
        (question.id, letter)
        for question in choices
        for letter, text in question.options.items()
        if is_unique_and_no_letter(question, text) and accepts(question, text) is not (letter == gold_text(question))
    ]
    assert misjudged == []


def rate(questions: list[Question], answer: Callable[[Question], str]) -> float:
    return sum(accepts(question, answer(question)) for question in questions) / len(questions)


CHANGES: list[tuple[str, Callable[[Question], str], float, float]] = [  # least and largest rate accepted
    ("itself", gold_text, 1.0, 1.0),
    ("lead-in", with_lead_in, 0.95, 1.0),
    ("sentences reordered", reordered, 0.95, 1.0),
    *((text, lambda question, text=text: f"{gold_text(question)} {text}", 0.95, 1.0) for text in SENTENCES),
    ("fewer stop words", fewer_stop_words, 0.85, 1.0),
    ("stop words", lambda _: "the of and is", 0.0, 0.0),
    ("first word", lambda question: gold_text(question).split()[0], 0.0, 0.0),
    ("negation", lambda question: negation(gold_text(question)), 0.0, 0.05),
    ("not true", lambda question: f"It is not true that {gold_text(question)}", 0.0, 0.05),
]


@pytest.mark.parametrize(("answer", "least", "most"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_medquad_acceptance(
    open_ended: list[Question], answer: Callable[[Question], str], least: float, most: float
) -> None:
    assert least <= rate(open_ended, answer) <= most


def test_medquad_golds_of_another_question_type_do_not_pass(open_ended: list[Question]) -> None:
    draw = random.Random(7)
    accepted = tried = 0
    for question in open_ended:
        other = draw.choice(open_ended)
        if other.topic != question.topic and gold_text(other) != gold_text(question):
            tried += 1
            accepted += accepts(question, gold_text(other))
    assert accepted / tried <= 0.01


def test_audit_of_real_questions_finds_no_false_reject_and_no_rewarding_probe(
    calculations: list[tuple[Question, str]], choices: list[Question], open_ended: list[Question]
) -> None:
    report = audit([*(question for question, _ in calculations), *choices, *open_ended])
    assert report.questions == 9592
    assert report.false_rejects == ()
    worst = report.worst()
    assert worst is not None
    assert worst.rate <= 0.01
