"""MedQA's US questions, with four or five options: question, options, answer_idx, answer, meta_info.

The authors' JSON Lines (`US/test.jsonl`, `US/4_options/phrases_no_exclude_test.jsonl`) write options as a mapping of
letters, the Parquet of bigbio/med_qa as pairs of key and value. Rows have no id: a question is named by its file and
its number there. The hub calls the Parquet of every split `0000`, so there the split is part of the name. The answer
stands twice, as a letter and in words; a row where the two differ is malformed, since one of them would be the wrong
gold.
"""

from collections.abc import Iterator
from pathlib import Path

from medu1.prepare.formats import options
from medu1.prepare.formats.records import numbered
from medu1.prepare.formats.row import Fields, Row, WrongField, judged
from medu1.prepare.formats.text import group_by_wording
from medu1.prepare.publication import PUBLICATIONS
from medu1.prompt import normalised
from medu1.question import Question, Split

COLUMNS = ("question", "options", "answer", "answer_idx", "meta_info")


def questions(path: Path, split: Split | None) -> Iterator[Row]:
    """Every row of one file, all of one split."""
    return judged(path, numbered(path, COLUMNS), lambda row: _question(_name(path, split), *row, split))


def _name(path: Path, split: Split | None) -> str:
    return f"{split}/{path.stem}" if split and path.suffix.lower() == ".parquet" else path.stem


def _question(file: str, number: int, row: object, split: Split | None) -> Question:
    fields = Fields(row)
    text, choices = fields.text("question"), options.mapped(fields, "options", padded=True)
    gold = options.letter(fields, "answer_idx", choices)
    answer, option = fields.label("answer"), choices[gold.letter]
    if answer != option and normalised(answer) != normalised(option):
        raise WrongField("answer", f"{answer!r} is not option {gold.letter}, which answer_idx names")
    return Question(
        id=f"medqa/{file}/{number}",
        source="medqa",
        text=text,
        options=choices,
        gold=gold,
        licence=PUBLICATIONS["medqa"].licence,
        group=group_by_wording("medqa", text, split),
        split=split,
        topic=fields.optional("meta_info"),
    )
