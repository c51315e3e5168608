"""MIRAGE's benchmark JSON: `{set: {id: {question, options, answer}}}`, multiple choice from several benchmarks.

MedQA's, MMLU's, PubMedQA's and BioASQ's rows are official test questions, so the reader declares them evaluation only,
MMLU out of distribution; a MedQA question is therefore never trained on while MedQA is reported. MedMCQA's are its
validation questions and are split by group, the question's wording within its set.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from medu1.prepare.formats import options
from medu1.prepare.formats.row import Fields, Reading, Row, judged, reading
from medu1.prepare.formats.text import group_of, opened
from medu1.question import Question, Split

LICENCES = {"medqa": "MIT", "medmcqa": "Apache-2.0", "mmlu": "MIT", "pubmedqa": "MIT", "bioasq": "CC-BY-2.5"}
DECLARED: dict[str, Split] = {"medqa": "test", "pubmedqa": "test", "bioasq": "test", "mmlu": "ood"}

Entry = tuple[str, str, object]  # set, id, fields


def read(path: Path) -> Reading:
    """Every question of a file, in memory."""
    return reading(questions(path))


def questions(path: Path) -> Iterator[Row]:
    """Every question of every set; places are key paths."""
    return judged(path, _entries(path), _question)


def _entries(path: Path) -> Iterator[tuple[str, Entry]]:
    with opened(path) as file:
        sets = json.load(file)
    for name, entries in sets.items() if isinstance(sets, Mapping) else [("(file)", sets)]:
        if not isinstance(entries, Mapping):
            yield name, (name, "", entries)
            continue
        for key, entry in entries.items():
            yield f"{name}.{key}", (name, key, entry)


def _question(entry: Entry) -> Question:
    name, key, row = entry
    fields = Fields(row)
    text, choices = fields.text("question"), options.mapped(fields, "options")
    subject = re.fullmatch(r"([a-z_]+)-\d+", key)
    return Question(
        id=f"mirage/{name}/{key}",
        source=f"mirage/{name}",
        text=text,
        options=choices,
        gold=options.letter(fields, "answer", choices),
        licence=LICENCES.get(name, ""),
        group=group_of(f"mirage/{name}", text),
        split=DECLARED.get(name),
        topic=subject[1] if subject else "",
    )
