"""MIRAGE's benchmark JSON: `{set: {id: {question, options, answer}}}`, multiple choice from several benchmarks.

MedQA's, MMLU's, PubMedQA's and BioASQ's rows are official test questions, so the reader declares them evaluation only,
MMLU out of distribution; a MedQA question is therefore never trained on while MedQA is reported. MedMCQA's are its
validation questions and are split by group, the question's wording within its set.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from medu1.prepare.row import Fields, Reading, WrongField, collected
from medu1.prepare.text import group_of, opened
from medu1.question import Choice, Question, Split

LICENCES = {"medqa": "MIT", "medmcqa": "Apache-2.0", "mmlu": "MIT", "pubmedqa": "MIT", "bioasq": "CC-BY-2.5"}
DECLARED: dict[str, Split] = {"medqa": "test", "pubmedqa": "test", "bioasq": "test", "mmlu": "ood"}

Row = tuple[str, str, object]  # set, id, fields


def read(path: Path) -> Reading:
    """Every question of every set; places are key paths."""
    return collected(path, _rows(path), _question)


def _rows(path: Path) -> Iterator[tuple[str, Row]]:
    with opened(path) as file:
        sets = json.load(file)
    for name, rows in sets.items() if isinstance(sets, Mapping) else [("(file)", sets)]:
        if not isinstance(rows, Mapping):
            yield name, (name, "", rows)
            continue
        for key, row in rows.items():
            yield f"{name}.{key}", (name, key, row)


def _question(row: Row) -> Question:
    name, key, values = row
    fields = Fields(values)
    text, options, letter = fields.text("question"), _options(fields), fields.text("answer")
    if letter not in options:
        raise WrongField("answer", f"{letter!r} is not among the options {', '.join(options)}")
    subject = re.fullmatch(r"([a-z_]+)-\d+", key)
    return Question(
        id=f"mirage/{name}/{key}",
        source=f"mirage/{name}",
        text=text,
        options=options,
        gold=Choice(letter=letter),
        licence=LICENCES.get(name, ""),
        group=group_of(f"mirage/{name}", text),
        split=DECLARED.get(name),
        topic=subject[1] if subject else "",
    )


def _options(fields: Fields) -> dict[str, str]:
    options = fields.row.get("options")
    if not isinstance(options, Mapping) or len(options) < 2:
        raise WrongField("options", "is not a mapping of two or more letters to texts")
    if wrong := [letter for letter in options if not re.fullmatch("[A-Z]", letter)]:
        raise WrongField("options", f"{wrong[0]!r} is not a single capital letter")
    texts = Fields(options)
    try:
        return {letter: texts.text(letter) for letter in sorted(options)}
    except WrongField as error:
        raise WrongField(f"options.{error.field}", error.reason) from None
