"""HealthBench's conversations as JSON Lines, each with the physicians' rubric: criteria that gain or lose points.

The last message is the question and those before it its context. No rule grades a rubric, so the gold is a free text,
what the positive criteria ask for, heaviest first: similarity to it can be reported, but a right answer cannot be told
from a wrong one, and `sources` admits these questions to evaluation only. The whole rubric goes along as it was
published, for a judge that can read it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from medu1.prepare.formats.records import records
from medu1.prepare.formats.row import Fields, Row, WrongField, judged
from medu1.prepare.publication import PUBLICATIONS
from medu1.question import Criterion, FreeText, Question, Split

COLUMNS = ("prompt_id", "prompt", "rubrics", "example_tags")
SPEAKERS = {"user": "User", "assistant": "Assistant", "system": "System"}
THEME = "theme:"


class Message(NamedTuple):
    """One turn of the conversation."""

    role: str
    text: str


def questions(path: Path, split: Split | None) -> Iterator[Row]:
    """Every conversation."""
    return judged(path, records(path, COLUMNS), lambda row: _question(row, split))


def _question(row: object, split: Split | None) -> Question:
    fields = Fields(row)
    *before, last = conversation(fields)
    if last.role != "user":
        raise WrongField("prompt", f"ends with the {last.role}, not with the user's question")
    criteria = rubric(fields)
    wanted = sorted((one for one in criteria if one.points > 0), key=lambda one: -one.points)
    if not wanted:
        raise WrongField("rubrics", "has no criterion that gains points")
    return Question(
        id=f"healthbench/{fields.label('prompt_id')}",
        source="healthbench",
        context="\n".join(f"{SPEAKERS[turn.role]}: {turn.text}" for turn in before),
        text=last.text,
        gold=FreeText(text="\n".join(one.text for one in wanted)),
        licence=PUBLICATIONS["healthbench"].licence,
        split=split,
        topic=_theme(fields),
        rubric=criteria,
    )


def conversation(fields: Fields) -> list[Message]:
    """The messages in order, at least one."""
    messages = [Message(each.text("role"), each.text("content")) for each in _items(fields, "prompt")]
    if unknown := [message.role for message in messages if message.role not in SPEAKERS]:
        raise WrongField("prompt", f"the role {unknown[0]!r} is none of {', '.join(SPEAKERS)}")
    return messages


def rubric(fields: Fields) -> tuple[Criterion, ...]:
    """Every criterion in the published order, at least one."""
    items = _items(fields, "rubrics")
    return tuple(Criterion(text=each.text("criterion"), points=each.number("points")) for each in items)


def _items(fields: Fields, name: str) -> list[Fields]:
    items = fields.row.get(name)
    if not isinstance(items, list) or not items:
        raise WrongField(name, "is not a list of one or more mappings")
    return [Fields(item) for item in items]


def _theme(fields: Fields) -> str:
    tags = fields.row.get("example_tags")
    themes = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    return next((tag.removeprefix(THEME) for tag in themes if tag.startswith(THEME)), "")
