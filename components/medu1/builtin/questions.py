"""The built-in dataset: questions in three families, drawn by hash, byte-identical on every machine.

Flows in: the calculators and the facts. Flows out: one JSONL text a file of the raw data directory.

What is held out: for calculation the tuple of values; for choice and open questions the wording and the set of options,
while the fact itself is taught and asked in the same form. A tuple or option set belongs to one split by its hash and a
wording by its index, so no split can borrow another's whatever is drawn. Facts of `UNTAUGHT` are never taught: they are
the out-of-distribution source.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from itertools import count

from medu1.builtin.draw import one, ordered, split_of, uniform
from medu1.builtin.facts import TAUGHT, UNTAUGHT
from medu1.builtin.relation import Fact, Relation
from medu1.calculators import CALCULATORS
from medu1.calculators.calculator import Calculator, Criterion, Day, Input, Measurement, Value
from medu1.question import Choice, FreeText, Question, Split

LICENCE = "Apache-2.0"
LETTERS = "ABCD"
WORDINGS: dict[Split, tuple[int, ...]] = {"train": (0, 1, 2, 3, 4), "validation": (5,), "test": (6, 7), "ood": (6, 7)}
OPTION_SETS: dict[Split, int] = {"train": 8, "validation": 1, "test": 1, "ood": 1}  # a fact and wording
PATIENTS = 800  # draws a calculator; equal tuples count once


def raw_files() -> dict[str, str]:
    """The raw data directory: file name -> JSONL text, one question a line."""
    return {
        "builtin/calculation.jsonl": _lines(calculation()),
        "builtin/facts.jsonl": _lines(taught(("train", "validation", "test"))),
        "builtin/untaught.jsonl": _lines(
            question
            for relation in UNTAUGHT
            for question in (*choice(relation, ("ood",)), *open_ended(relation, ("ood",)))
        ),
    }


def taught(splits: Iterable[Split]) -> Iterator[Question]:
    """Choice and open questions on the taught facts."""
    for relation in TAUGHT:
        yield from choice(relation, splits)
        yield from open_ended(relation, splits)


def _lines(questions: Iterable[Question]) -> str:
    return "".join(question.canonical() + "\n" for question in questions)


def calculation() -> Iterator[Question]:
    """One question a distinct tuple of values, calculator by calculator."""
    for calculator in CALCULATORS.values():
        seen: set[str] = set()
        for patient in range(PATIENTS):
            values = {part.name: _value(part, calculator.key, patient) for part in calculator.inputs}
            group = json.dumps(values, sort_keys=True, default=str)  # of whichever calculators read these values
            if group not in seen:
                seen.add(group)
                yield _patient(calculator, values, group)


def _value(part: Input, calculator: str, patient: int) -> Value:
    share = uniform("value", calculator, part.name, patient)
    match part:
        case Criterion(levels=levels):
            return levels[int(share * len(levels))].value
        case Measurement(low=low, high=high, step=step, decimals=decimals):
            drawn = round(low + step * int(share * (round((high - low) / step) + 1)), decimals)
            return drawn if decimals else int(drawn)
        case Day(first=first, last=last):
            return first + timedelta(days=int(share * ((last - first).days + 1)))


def _patient(calculator: Calculator, values: dict[str, Value], group: str) -> Question:
    said = (_says(part, values[part.name]) for part in calculator.inputs)
    findings = ", ".join(finding for finding in said if finding)
    return Question(
        id=f"calculation/{calculator.key}/{group}",
        source="calculators",
        text=f"Patient: {findings or 'no findings'}. {calculator.question}",
        gold=calculator.gold(values),
        licence=LICENCE,
        group=group,
        split=split_of(group),
        topic=calculator.key,
        rationale=calculator.working(values) if calculator.working else _points(calculator, values),
    )


def _says(part: Input, value: Value) -> str:
    match part, value:
        case Criterion(), _:
            return part.level(value).says
        case Measurement(decimals=decimals), int() | float():
            return part.says.format(value=f"{value:.{decimals}f}")
        case Day(), date():
            return part.says.format(value=f"{value:%m/%d/%Y}")
    raise TypeError(f"{part.name} cannot be {value!r}")


def _points(calculator: Calculator, values: dict[str, Value]) -> str:
    """The points one by one with their running sum, in the order of the vignette."""
    total, steps = 0.0, []
    for part in calculator.inputs:
        assert isinstance(part, Criterion), f"{calculator.key} sums points: {part.name} has none"
        level = part.level(values[part.name])
        total += level.points
        if level.says:
            steps.append(f"{level.says} {level.points:g} = {total:g}")
        elif level.points:
            steps.append(f"{part.name} {level.points:g} = {total:g}")
    return ", ".join(steps) or "0"


def choice(relation: Relation, splits: Iterable[Split]) -> Iterator[Question]:
    """Each fact under each wording of a split, with options drawn from the same relation."""
    for split in splits:
        for fact in relation.facts:
            for wording in _wordings(fact, split):
                for number in range(OPTION_SETS[split]):
                    yield _choice(relation, fact, wording, number, split)


def _wordings(fact: Fact, split: Split) -> tuple[int, ...]:
    """All of the training wordings; of another split's, one a fact."""
    return WORDINGS[split] if split == "train" else (one(WORDINGS[split], "wording", fact.subject),)


def _choice(relation: Relation, fact: Fact, wording: int, number: int, split: Split) -> Question:
    answers = _option_set(relation, fact, wording, number, split)
    options = dict(zip(LETTERS, ordered(answers, "order", fact.subject, wording, number), strict=True))
    letter = next(letter for letter, text in options.items() if text == fact.answer)
    shown = [f"{key}: {text} {'yes' if key == letter else 'no'}" for key, text in options.items() if key <= letter]
    group = f"{relation.key}:{fact.subject}:{wording}:{'|'.join(sorted(answers))}"
    return Question(
        id=f"choice/{relation.key}/{fact.subject}/{wording}/{number}",
        source=relation.source,
        text=relation.wordings[wording].format(subject=fact.subject),
        options=options,
        gold=Choice(letter=letter),
        licence=LICENCE,
        group=group,
        split=split,
        topic=relation.key,
        rationale="" if split == "ood" else "\n".join([f"{fact.subject}: {fact.answer}", *shown]),
    )


def _option_set(relation: Relation, fact: Fact, wording: int, number: int, split: Split) -> list[str]:
    """The answer and three others of the relation; drawn again until the set's hash belongs to the split."""
    others = [other.answer for other in relation.facts if other is not fact]
    for attempt in count():
        drawn = [fact.answer, *ordered(others, "options", fact.subject, wording, number, attempt)[: len(LETTERS) - 1]]
        if split in ("ood", split_of("options:" + "|".join(sorted(drawn)))):
            return drawn
    raise AssertionError("count() does not end")


def open_ended(relation: Relation, splits: Iterable[Split]) -> Iterator[Question]:
    """Each fact under each wording of a split, without options."""
    for split in splits:
        for fact in relation.facts:
            for wording in _wordings(fact, split):
                yield _open(relation, fact, wording, split)


def _open(relation: Relation, fact: Fact, wording: int, split: Split) -> Question:
    gold = FreeText(text=fact.answer, aliases=fact.aliases)
    return Question(
        id=f"open/{relation.key}/{fact.subject}/{wording}",
        source=relation.source,
        text=relation.wordings[wording].format(subject=fact.subject),
        gold=gold,
        licence=LICENCE,
        group=f"{relation.key}:{fact.subject}:{wording}:",
        split=split,
        topic=relation.key,
        rationale="" if split == "ood" else f"{fact.subject}: {fact.answer}",
    )
