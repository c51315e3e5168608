"""PubMedQA's labelled questions: an abstract without its conclusion, and yes, no or maybe.

`ori_pqal.json` and what the authors' own script splits it into (`test_set.json`, each fold's `train_set.json`) are one
JSON mapping, `{pmid: {QUESTION, CONTEXTS, final_decision}}`. The hub's Parquet (`pqa_labeled/`) has a row a question:
pubid, question, context.contexts, final_decision. Both hold the 500 official test questions among their 1,000, so
without a stated split all of them are for evaluation.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from medu1.errors import Stop
from medu1.prepare.formats.records import records
from medu1.prepare.formats.row import Fields, Row, WrongField, judged
from medu1.prepare.formats.text import opened
from medu1.prepare.publication import PUBLICATIONS
from medu1.question import Choice, Question, Split

OPTIONS = {"A": "yes", "B": "no", "C": "maybe"}
COLUMNS = ("pubid", "question", "context", "final_decision")  # of the hub's Parquet
LETTERS = {text: letter for letter, text in OPTIONS.items()}


def questions(path: Path, split: Split | None) -> Iterator[Row]:
    """Every question; places are PubMed ids, or rows of Parquet."""
    if path.suffix.lower() == ".parquet":
        return judged(path, records(path, COLUMNS), lambda row: _of_hub(row, split))
    return judged(path, _rows(path), lambda row: _of_authors(*row, split))


def _rows(path: Path) -> Iterator[tuple[str, tuple[str, object]]]:
    with opened(path) as file:
        questions = json.load(file)
    if not isinstance(questions, Mapping):
        raise Stop(
            f"{path.name} is a JSON {type(questions).__name__}, not a mapping of PubMed ids to questions.",
            next_step="Give ori_pqal.json or a file the authors' script splits it into.",
        )
    yield from ((pmid, (pmid, row)) for pmid, row in questions.items())


def _of_authors(pmid: str, row: object, split: Split | None) -> Question:
    fields = Fields(row)
    return _question(pmid, fields, fields.text("QUESTION"), fields.texts("CONTEXTS"), split)


def _of_hub(row: object, split: Split | None) -> Question:
    fields = Fields(row)
    context = fields.row.get("context")
    if not isinstance(context, Mapping):
        raise WrongField("context", "is not a mapping that holds contexts")
    return _question(fields.label("pubid"), fields, fields.text("question"), Fields(context).texts("contexts"), split)


def _question(pmid: str, fields: Fields, text: str, contexts: Sequence[str], split: Split | None) -> Question:
    decision = fields.text("final_decision")
    if decision not in LETTERS:
        raise WrongField("final_decision", f"{decision!r} is none of {', '.join(LETTERS)}")
    return Question(
        id=f"pubmedqa/{pmid}",
        source="pubmedqa",
        context="\n".join(contexts),
        text=text,
        options=OPTIONS,
        gold=Choice(letter=LETTERS[decision]),
        licence=PUBLICATIONS["pubmedqa"].licence,
        group=f"pmid/{pmid}",
        split=split,
    )
