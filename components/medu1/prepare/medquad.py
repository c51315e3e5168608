"""MedQuAD as JSON Lines: consumer health questions with short answers in free text.

Questions about one subject (`focus`) repeat each other's answers, so the subject is the group. Ids repeat between
MedQuAD's collections, so a question's id holds its collection.
"""

import json
from pathlib import Path

from medu1.prepare.row import Fields, Reading, WrongField, collected
from medu1.prepare.text import group_of, numbered_lines
from medu1.question import FreeText, Question

LICENCE = "CC-BY-4.0"


def read(path: Path) -> Reading:
    """Every line that is not blank; places are lines of the file."""
    return collected(path, numbered_lines(path), _question)


def _question(line: str) -> Question:
    fields = Fields(_parsed(line))
    return Question(
        id=f"medquad/{fields.text('source')}/{fields.text('id')}",
        source="medquad",
        text=fields.text("question"),
        gold=FreeText(text=fields.text("answer")),
        licence=LICENCE,
        group=group_of("focus", fields.text("focus")),
        topic=fields.text("qtype"),
    )


def _parsed(line: str) -> object:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise WrongField("(line)", f"is not JSON: column {error.colno}: {error.msg}") from None
