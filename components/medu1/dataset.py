"""Prepared questions on disk: one Parquet file a split, read by every step after prepare.

A row is the question's canonical JSON beside the few plain columns a person filters by; the JSON alone is read back, so
no nested Parquet type has to follow the question's. Equal rows in equal order give equal bytes (one row group size, one
codec, no time stamp), which is what makes a dataset's digest an identity. The raw built-in files are JSON Lines.
"""

from collections.abc import Iterable
from pathlib import Path

from medu1 import record
from medu1.errors import Stop
from medu1.question import Question

SPLITS = ("train", "validation", "test", "ood")
DEMONSTRATIONS = "demonstrations"  # built-in training questions with a worked answer, for the warm start
PLAIN = ("id", "source", "family", "group", "topic")
ROW_GROUP = 4096  # rows


def path_of(folder: Path, split: str) -> Path:
    """Where a split lies in a dataset folder."""
    return folder / f"{split}.parquet"


def write(folder: Path, split: str, questions: Iterable[Question]) -> None:
    """Write one split, rows in the order given."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = list(questions)
    columns = {"json": [question.canonical() for question in rows]}
    columns |= {name: [str(getattr(question, name)) for question in rows] for name in PLAIN}
    schema = pa.schema([pa.field(name, pa.string(), nullable=False) for name in columns])
    table = pa.Table.from_pydict(columns, schema)
    pq.write_table(table, path_of(folder, split), row_group_size=ROW_GROUP, compression="zstd")


def read(folder: Path, split: str) -> list[Question]:
    """The questions of one split, in file order. Raises Stop where the file is absent or is no such file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = path_of(folder, split)
    try:
        column = pq.read_table(path, columns=["json"]).column("json")
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise Stop(
            f"{path.name} of the prepared dataset cannot be read ({error}).",
            "It is absent, or is no Parquet file with a column json.",
            "Run prepare again.",
        ) from None
    return [Question.model_validate_json(row) for row in column.to_pylist()]


def lines(questions: Iterable[Question]) -> str:
    """JSON Lines: one canonical question a line."""
    return "".join(question.canonical() + "\n" for question in questions)


def frozen_digest(questions: Iterable[Question]) -> str:
    """The digest of the frozen test and out-of-distribution questions, whatever their order."""
    return record.digest(sorted(question.canonical() for question in questions))
