"""medical-o1's two sets as JSON lists, both open-ended and told apart by their columns.

`medical-o1-reasoning-SFT` writes Question, Complex_CoT and Response: an answer of paragraphs, whose published reasoning
is kept as the worked answer. `medical-o1-verifiable-problem` writes a question and a short ground truth, which a rule
can grade: the set for GRPO. Rows have no id: a question is named by its file and its number. The first set is made
from problems of the second, so both are one source, in which equal wordings are one group.
"""

from collections.abc import Iterator
from pathlib import Path

from medu1.prepare.formats.records import records
from medu1.prepare.formats.row import Fields, Row, judged
from medu1.prepare.formats.text import group_by_wording
from medu1.prepare.publication import PUBLICATIONS
from medu1.question import FreeText, Question, Split

QUESTION, REASONING, RESPONSE = "Question", "Complex_CoT", "Response"
PROBLEM, TRUTH = "Open-ended Verifiable Question", "Ground-True Answer"
COLUMNS = (QUESTION, REASONING, RESPONSE, PROBLEM, TRUTH)


def questions(path: Path, split: Split | None) -> Iterator[Row]:
    """Every row of one file."""
    numbered = enumerate(records(path, (), also=COLUMNS), start=1)
    rows = ((place, (number, row)) for number, (place, row) in numbered)
    return judged(path, rows, lambda row: _question(path.stem, *row, split))


def _question(file: str, number: int, row: object, split: Split | None) -> Question:
    fields = Fields(row)
    verifiable = PROBLEM in fields.row
    text = fields.text(PROBLEM if verifiable else QUESTION)
    return Question(
        id=f"medical-o1/{file}/{number}",
        source="medical-o1",
        text=text,
        gold=FreeText(text=fields.text(TRUTH if verifiable else RESPONSE)),
        licence=PUBLICATIONS["medical-o1"].licence,
        group=group_by_wording("medical-o1", text, split),
        split=split,
        rationale="" if verifiable else fields.text(REASONING),
    )
