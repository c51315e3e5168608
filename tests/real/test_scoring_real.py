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
from medu1.scoring.audit import audit, negation
from medu1.scoring.score import score
from medu1.scoring.words import STOP_WORDS

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


def fewer_stop_words(question: Question) -> str:
    draw = random.Random(question.id)
    kept = (w for w in gold_text(question).split() if w.casefold() not in STOP_WORDS or draw.random() > 0.3)
    return " ".join(kept)


def reordered(question: Question) -> str:
    return " ".join(reversed(re.split(r"(?<=[.!?])\s+", gold_text(question).strip())))


HARMLESS = ("Please see a doctor for more information.", "Individual cases may vary.", "This is not medical advice.")
CHANGES: list[tuple[str, Callable[[Question], str], float, float]] = [  # least and largest rate accepted
    ("itself", gold_text, 1.0, 1.0),
    ("lead-in", lambda question: f"The answer is: {gold_text(question)}", 0.95, 1.0),
    ("sentences reordered", reordered, 0.95, 1.0),
    *((text, lambda question, text=text: f"{gold_text(question)} {text}", 0.95, 1.0) for text in HARMLESS),
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
    report = audit([*(question for question, _ in calculations), *choices[::10], *open_ended])
    assert report.false_rejects == ()
    worst = report.worst()
    assert worst is not None
    assert worst.rate <= 0.05
