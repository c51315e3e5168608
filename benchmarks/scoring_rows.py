"""The rows of the scoring benchmark: completions of exactly 300 tokens whose verdict is known by construction.

A third each of choice, number and free text, half of each right, made here from a seed: reasoning with figures and
option letters in it, then the answer, plainly or with its option's text, its unit or an opening phrase.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from random import Random
from typing import Final, Literal, NamedTuple

from medu1.question import Choice, FreeText, Number, Question

Kind = Literal["choice", "number", "free_text"]
KINDS: Final[tuple[Kind, ...]] = ("choice", "number", "free_text")
TOKENS: Final = 300  # words and punctuation marks
GROUP: Final = 8  # completions a question is asked for at a time

_TOKEN = re.compile(r"\w+|[^\w\s]")
_TEMPLATES: Final = """
The patient is {0} years old and has had a cough for {1} days without fever.
Creatinine is {2} mg/dL and was {3} mg/dL a year ago, so the kidney is not the first suspect.
Option {letter} would fit a slow onset, but the course here took {1} hours.
If {letter} were right, the sodium of {4} mmol/L would be hard to explain.
Let me compute: {0} x {2} = {5}, and dividing by {1} gives about {3}.
Blood pressure is {4}/{0} mmHg with a pulse of {0} beats a minute.
I first thought of {letter}; the white count of {2} x 10^9/L makes me less sure.
The guideline asks for {1} of {0} criteria, and I count them one by one.
Wait, the weight is given in pounds: {4} lb is about {0} kg.
Sensitivity was {0}.{1}% in the trial of {5} patients, which is not enough to rule it out.
The drug is cleared by the liver, hence no change of dose below {0} mL/min.
Between {letter} and the others, only one explains both the rash and the joints.
On examination the lungs are clear, the abdomen is soft, and there is no oedema.
So the estimate moves from {2} to {3}, which does not change the conclusion.
"""
_DRUGS: Final = """
metformin|warfarin|digoxin|lithium|amiodarone|heparin|naloxone|propranolol|furosemide|prednisone|isoniazid|rifampin
vancomycin|gentamicin|cisplatin|methotrexate|allopurinol|colchicine|levothyroxine|insulin
"""
_ACTS: Final = "lowers|raises|slows|protects|damages|stabilizes"
_TARGETS: Final = """
serum potassium|bone density|gastric acid secretion|platelet aggregation|heart rate|uric acid excretion|hearing
airway inflammation|hepatic glucose output|thyroid hormone release|renal blood flow|peripheral nerve conduction
"""
_GROUPS: Final = "adults|children|pregnant women|elderly people|smokers|newborns"


class Row(NamedTuple):
    """A completion of 300 tokens whose verdict is known by construction."""

    question: Question
    text: str
    right: bool


class Sentence(NamedTuple):
    """`ends[n - 1]` is where its n-th token ends."""

    text: str
    ends: tuple[int, ...]


def of_kind(kind: Kind, count: int) -> list[Row]:
    """The first rows of one kind, question by question in groups of GROUP, as a trainer asks for verdicts."""
    asked, first = len(questions()), KINDS.index(kind)
    places = range(first, first + len(KINDS) * -(-count // GROUP), len(KINDS))
    return [row(place + attempt * asked) for place in places for attempt in range(GROUP)][:count]


def rows_from(start: int, count: int) -> Iterator[Row]:
    """Rows of all kinds in turn."""
    return map(row, range(start, start + count))


def row(index: int) -> Row:
    """The same for the same index everywhere: only `Random.random`, which is promised to be stable, is drawn from."""
    question, right = questions()[index % len(questions())], is_right(index)
    tail = f"</think>\n<answer>\n{answer(question, index, right)}\n</answer>"
    room = TOKENS - len(_TOKEN.findall("<think>" + tail))
    return Row(question, f"<think>{thought(Random(index), room)}{tail}", right)


def is_right(index: int) -> bool:
    """Half of each kind, and each question both ways."""
    return (index // len(KINDS) + index // len(questions())) % 2 == 0


def thought(draw: Random, tokens: int) -> str:
    """Reasoning of exactly so many tokens, the last sentence cut."""
    pool, parts = sentences(), []
    while tokens > 0:
        sentence = pool[int(draw.random() * len(pool))]
        taken = min(tokens, len(sentence.ends))
        parts.append(sentence.text[: sentence.ends[taken - 1]])
        tokens -= taken
    return " ".join(parts)


@cache
def sentences() -> tuple[Sentence, ...]:
    """Reasoning with numbers and option letters in it."""
    draw = Random(0)
    templates = _TEMPLATES.strip().splitlines()
    texts = [filled(template, draw) for template in templates for _ in range(100)]
    return tuple(Sentence(text, tuple(found.end() for found in _TOKEN.finditer(text))) for text in texts)


def filled(template: str, draw: Random) -> str:
    """A template with figures and a letter of its own."""
    small, large = int(20 + draw.random() * 60), int(100 + draw.random() * 80)
    figures = (small, int(2 + draw.random() * 8), *(round(draw.random() * 9, 1) for _ in "ab"), large, small * large)
    return template.format(*figures, letter="ABCD"[int(draw.random() * 4)])


@cache
def questions() -> tuple[Question, ...]:
    """1,000 of each kind."""
    return tuple(question_of(KINDS[index % len(KINDS)], index) for index in range(3000))


def question_of(kind: Kind, index: int) -> Question:
    """One question; free-text golds have 5 to 40 words."""
    name, draw = f"{kind}-{index}", Random(index)
    match kind:
        case "choice":
            drugs = listed(_DRUGS)
            options = {letter: one(drugs[place::4], draw) for place, letter in enumerate("ABCD")}
            gold = Choice(letter=one("ABCD", draw))
            return Question(id=name, source="benchmark", text="Which drug is it?", gold=gold, options=options)
        case "number":
            value = round(1 + draw.random() * 200, 1)
            return Question(id=name, source="benchmark", text="How much is it?", gold=Number(value=value))
        case "free_text":
            text = ". ".join(clause(draw) for _ in range(1 + int(draw.random() * 5))) + "."
            return Question(id=name, source="benchmark", text="What does it do?", gold=FreeText(text=text))


def clause(draw: Random) -> str:
    """Four to seven words."""
    drug, act, target, group = (one(listed(words), draw) for words in (_DRUGS, _ACTS, _TARGETS, _GROUPS))
    return f"{drug.capitalize()} {act} {target} in {group}"


def listed(words: str) -> list[str]:
    """The items of a list written with bars and line ends."""
    return re.split(r"[|\n]", words.strip())


def one(items: Sequence[str], draw: Random) -> str:
    """One of the items."""
    return items[int(draw.random() * len(items))]


def gold_of(question: Question) -> str:
    """The gold as the peers are given it."""
    match question.gold:
        case Choice(letter=letter):
            return letter
        case Number(value=value):
            return str(value)
        case FreeText(text=text):
            return text
        case other:
            raise TypeError(f"no row has a gold of kind {other.kind}")


def answer(question: Question, index: int, right: bool) -> str:
    """Right or wrong, in one of two forms each."""
    plain = (index // len(KINDS) // 2 + index // len(questions()) // 2) % 2 == 0
    match question.gold:
        case Choice(letter=letter):
            said = letter if right else "BCDA"["ABCD".index(letter)]
            return said if plain else f"{said}: {question.options[said]}"
        case Number(value=value):
            return f"{value if right else round(value * 1.5, 1)}{'' if plain else ' mg/dL'}"
        case FreeText(text=text) if right:
            return text if plain else "In most patients " + reordered(text)
        case FreeText(text=text):
            other = questions()[(index + len(KINDS)) % len(questions())]
            return gold_of(other) if plain else f"It is not true that {text}"
        case other_kind:
            raise TypeError(f"no row has a gold of kind {other_kind.kind}")


def reordered(text: str) -> str:
    """The same sentences, last first."""
    return ". ".join(reversed(text.rstrip(".").split(". "))) + "."
