"""Duplicates planted among the real questions are found, and real questions stay apart. `pytest -s` shows the rates.

A planted row is a real one with other case, other punctuation, one or two light words more, fewer or changed, or, where
text and options are long, with one or two of its other words changed or left out. A content word of a short question
is no such change: it is its subject.
"""

import os
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pytest

from medu1.prepare.formats import medcalc, medquad, mirage
from medu1.prepare.repeats.duplicates import among
from medu1.prepare.repeats.wording import Wording
from medu1.prepare.split import prompt_of
from medu1.question import Question
from medu1.scoring.denial import NEGATORS
from medu1.scoring.opposites import POLES
from medu1.scoring.words import words

ROOT = Path(os.environ.get("MEDU1_REAL_DATA") or Path(__file__).parents[3] / "shared" / "data")

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not ROOT.is_dir(), reason="no real data: MEDU1_REAL_DATA names no folder, ../shared/data is absent"
    ),
]

PLANTED = 500
LONG = 80  # words of text and options
LIGHT = ("the", "a", "an", "is", "are", "of", "in", "for", "to", "with", "by", "and", "was", "that", "this")
OTHERS = ("nearby", "colour", "basket", "window", "river", "garden", "seemed", "gathers", "pencil", "moving")

TURNING = POLES.keys() | NEGATORS | {"most", "least"}

assert TURNING.isdisjoint(OTHERS)

Change = Callable[[str, random.Random], str]


@cache
def distinct(name: str) -> list[Question]:
    """The questions of a file, one a prompt."""
    asked = {
        "medquad": lambda: medquad.read(ROOT / "medquad_short.jsonl"),
        "mirage": lambda: mirage.read(ROOT / "mirage_mcq.json"),
        "medcalc": lambda: medcalc.read(ROOT / "medcalc_bench_v1_test.csv"),
    }[name]().asked
    return list({prompt_of(row.question): row.question for row in asked}.values())


def cased(text: str, draw: random.Random) -> str:
    return draw.choice([str.upper, str.lower, str.title])(text)


def punctuated(text: str, draw: random.Random) -> str:
    bare = re.sub(r"(?<=[A-Za-z])[?.,:;]+(?=\s|$)", "", text)
    return draw.choice([bare, f"{bare} ?", f"\u201c{bare}\u201d", f"  {bare} :-", bare.replace(" ", "  ") + " ..."])


def lightly(text: str, draw: random.Random) -> str:
    """One or two light words: changed or left out where there are some, else added."""
    for _ in range(draw.choice([1, 2])):
        parts = text.split()
        light = [place for place, word in enumerate(parts) if word in LIGHT[:9]]
        if light and draw.random() < 0.7:
            parts[draw.choice(light)] = draw.choice(["", draw.choice(LIGHT[1:9])])
        else:
            parts.insert(draw.randrange(1, len(parts)), draw.choice(LIGHT[1:9]))
        text = " ".join(filter(None, parts))
    return text


def heavily(text: str, draw: random.Random) -> str:
    """One or two words that are no number, no negation and have no opposite: changed or left out."""
    for _ in range(draw.choice([1, 2])):
        parts = text.split()
        places = [place for place, word in enumerate(parts) if not turns(word)]
        parts[draw.choice(places)] = draw.choice(["", draw.choice(OTHERS)])
        text = " ".join(filter(None, parts))
    return text


def turns(word: str) -> bool:
    return not word.isalpha() or any(part in TURNING or part.isdigit() for part in words(word))


def planted(question: Question, change: Change, draw: random.Random) -> Question:
    """A training row that asks the same."""
    update = {"id": f"planted/{question.id}", "text": change(question.text, draw), "split": "train"}
    return question.model_copy(update=update)


def found(questions: Sequence[Question], changes: Sequence[Change], seed: int) -> dict[str, tuple[int, int]]:
    """By change: rows planted among all questions, and those of them found beside their own question."""
    draw = random.Random(seed)
    rows = [(changes[n % len(changes)], question) for n, question in enumerate(draw.sample(questions, PLANTED))]
    copies = [(change, planted(question, change, draw)) for change, question in rows]
    declared = {question.id for _, question in rows}
    asked = [q.model_copy(update={"split": "test" if q.id in declared else q.split}) for q in questions]
    every = [*asked, *(copy for _, copy in copies)]
    dropped = {every[place].id for place in among(every, shown=10_000).firsts}
    total = Counter(change.__name__ for change, _ in copies)
    hits = Counter(change.__name__ for change, copy in copies if copy.id in dropped)
    return {name: (total[name], hits[name]) for name in total}


def rate(by_change: dict[str, tuple[int, int]]) -> float:
    return sum(hits for _, hits in by_change.values()) / sum(total for total, _ in by_change.values())


@pytest.mark.parametrize("name", ["medquad", "mirage"])
def test_planted_rows_are_found(name: str) -> None:
    by_change = found(distinct(name), [cased, punctuated, lightly], seed=5)
    print(f"\n{name}: {rate(by_change):.1%} of {PLANTED} found {by_change}")
    assert rate(by_change) >= 0.95


def test_long_questions_are_found_with_one_or_two_words_changed() -> None:
    asked = [
        q for q in distinct("mirage") if len(q.text.split()) + sum(len(o.split()) for o in q.options.values()) >= LONG
    ]
    by_change = found(asked, [heavily], seed=5)
    print(f"\nmirage, {len(asked)} of {LONG} words and more: {by_change}")
    assert rate(by_change) >= 0.95


@pytest.mark.parametrize(("name", "most"), [("medquad", 0), ("mirage", 10), ("medcalc", 0)])
def test_real_questions_stay_apart(name: str, most: int) -> None:
    """The ten of MIRAGE are real: MedMCQA asks them twice, in other words."""
    by_id = {question.id: question for question in distinct(name)}
    report = among(distinct(name), shown=1000).report()
    for pair in report.near.pairs:
        print(f"\n{pair.similarity:.2f} {by_id[pair.first].text[-160:]}\n     {by_id[pair.again].text[-160:]}")
    assert report.near.total <= most
    assert report.exact.total == 0


@pytest.mark.parametrize("name", ["medquad", "mirage", "medcalc"])
def test_exact_duplicates_are_those_of_equal_prompts_and_signs(name: str) -> None:
    readers = {"medquad": medquad.read, "mirage": mirage.read, "medcalc": medcalc.read}
    files = {"medquad": "medquad_short.jsonl", "mirage": "mirage_mcq.json", "medcalc": "medcalc_bench_v1_test.csv"}
    asked = [row.question for row in readers[name](ROOT / files[name]).asked]
    forms = {(wording.prompt, wording.marks) for wording in map(Wording.of, asked)}
    report = among(asked).report()
    print(f"\n{name}: exact {report.exact.rows}, near {report.near.rows}, conflicts {report.conflicts.rows}")
    assert report.exact.total == len(asked) - len(forms)
