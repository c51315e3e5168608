"""MMLU's CSV files, one a subject and without a header: question, four options, the right letter.

The subject is the file's name (`anatomy_test.csv`), which also names the questions, since rows have no id.
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from medu1.errors import Stop
from medu1.prepare.formats import options
from medu1.prepare.formats.row import Fields, Row, WrongField, judged
from medu1.prepare.formats.text import group_by_wording, opened
from medu1.prepare.publication import PUBLICATIONS
from medu1.question import Question, Split

COLUMNS = ("question", "A", "B", "C", "D", "answer")


def questions(path: Path, split: Split | None) -> Iterator[Row]:
    """Every row of one subject's file."""
    return judged(path, _rows(path), lambda row: _question(path.stem, *row, split))


def _rows(path: Path) -> Iterator[tuple[str, tuple[int, Sequence[str]]]]:
    with opened(path) as file:
        table = csv.reader(file, strict=True)
        line, number = 1, 1
        try:
            for row in table:
                yield f"line {line}", (number, row)
                line, number = table.line_num + 1, number + 1
        except csv.Error as error:
            raise Stop(
                f"{path.name} is not CSV: the row that begins at line {line}: {error}.",
                next_step="Fetch the file from its publisher again.",
            ) from None


def _question(file: str, number: int, row: Sequence[str], split: Split | None) -> Question:
    if len(row) != len(COLUMNS):
        raise WrongField("(row)", f"has {len(row)} fields, not {len(COLUMNS)}: {', '.join(COLUMNS)}")
    fields = Fields(dict(zip(COLUMNS, row, strict=True)))
    text = fields.text("question")
    choices = {letter: fields.text(letter) for letter in "ABCD"}
    subject = file.removesuffix("_test").removesuffix("_val").removesuffix("_dev")
    return Question(
        id=f"mmlu/{file}/{number}",
        source="mmlu",
        text=text,
        options=choices,
        gold=options.letter(fields, "answer", choices),
        licence=PUBLICATIONS["mmlu"].licence,
        group=group_by_wording("mmlu", text, split),
        split=split,
        topic=subject,
    )
