"""MMLU, as the authors' CSV files, one a subject and without a header, or the hub's Parquet.

CSV: question, four options, the right letter; the subject is the file's name (`anatomy_test.csv`), which also names the
questions, since rows have no id. Parquet: question, subject, choices, and the right option's place from 0; the hub
calls the files of all subjects alike, so there the subject names the questions too.
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from medu1.errors import Stop
from medu1.prepare.formats import options
from medu1.prepare.formats.records import numbered
from medu1.prepare.formats.row import Fields, Row, WrongField, judged
from medu1.prepare.formats.text import group_by_wording, opened
from medu1.prepare.publication import PUBLICATIONS
from medu1.question import Choice, Question, Split

COLUMNS = ("question", "A", "B", "C", "D", "answer")  # of the CSV
NAMES = ("question", "subject", "choices", "answer")  # of the Parquet


def questions(path: Path, split: Split | None) -> Iterator[Row]:
    """Every row of one file."""
    if path.suffix.lower() == ".parquet":
        return judged(path, numbered(path, NAMES), lambda row: _of_hub(path.stem, *row, split))
    return judged(path, _rows(path), lambda row: _of_authors(path.stem, *row, split))


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


def _of_authors(file: str, number: int, row: Sequence[str], split: Split | None) -> Question:
    if len(row) != len(COLUMNS):
        raise WrongField("(row)", f"has {len(row)} fields, not {len(COLUMNS)}: {', '.join(COLUMNS)}")
    fields = Fields(dict(zip(COLUMNS, row, strict=True)))
    choices = {letter: fields.text(letter) for letter in "ABCD"}
    subject = file.removesuffix("_test").removesuffix("_val").removesuffix("_dev")
    gold = options.letter(fields, "answer", choices)
    return _question(f"mmlu/{file}/{number}", subject, fields.text("question"), choices, gold, split)


def _of_hub(file: str, number: int, row: object, split: Split | None) -> Question:
    fields = Fields(row)
    choices = options.lettered(fields.texts("choices"), "choices")
    subject = fields.text("subject")
    gold = options.place(fields, "answer", choices, first=0)
    return _question(f"mmlu/{subject}/{file}/{number}", subject, fields.text("question"), choices, gold, split)


def _question(
    name: str, subject: str, text: str, choices: dict[str, str], gold: Choice, split: Split | None
) -> Question:
    return Question(
        id=name,
        source="mmlu",
        text=text,
        options=choices,
        gold=gold,
        licence=PUBLICATIONS["mmlu"].licence,
        group=group_by_wording("mmlu", text, split),
        split=split,
        topic=subject,
    )
