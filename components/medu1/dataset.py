"""Prepared questions on disk: a few Parquet shards a split, read by every step after prepare.

A row is the question's canonical JSON beside the few plain columns a person filters by; the JSON alone is read back,
so no nested Parquet type has to follow the question's. `schema.json` beside the shards says what each column is. Equal
rows in equal order give equal bytes (one row group size, one codec, no time stamp), which is what makes a dataset's
digest an identity. The raw built-in files are JSON Lines.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from medu1 import record
from medu1.errors import Stop
from medu1.question import Question

SPLITS: Final = ("train", "validation", "test", "ood")
DEMONSTRATIONS: Final = "demonstrations"  # built-in training questions with a worked answer, for the warm start
COLUMNS: Final = {  # each a text that is never null
    "json": "the whole question, canonical JSON: the column that steps read",
    "id": "unique in the dataset",
    "source": "the question source, such as medquad",
    "family": "choice, open or calculation",
    "group": "what no two splits share",
    "topic": "the calculator or the relation asked for",
}
SCHEMA: Final = "schema.json"
ROW_GROUP: Final = 4096  # rows
SHARD: Final = 1 << 18  # rows


class Writer:
    """Shards of any number of splits, filled as tables come."""

    def __init__(self, folder: Path, splits: Iterable[str]) -> None:
        self._splits = {split: _Shards(folder, split) for split in splits}
        record.write_text(folder / SCHEMA, json.dumps({"columns": COLUMNS, "type": "string"}, indent=1) + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for shards in self._splits.values():
            shards.close()

    def add(self, split: str, table: Any) -> None:
        """Rows in order, a pyarrow table with `COLUMNS`."""
        self._splits[split].add(table)


class _Shards:
    """One split: whole row groups go to disk, the rest waits."""

    def __init__(self, folder: Path, split: str) -> None:
        import pyarrow as pa

        self._folder, self._split = folder, split
        self._schema = pa.schema([pa.field(name, pa.string(), nullable=False) for name in COLUMNS])
        self._waiting = self._schema.empty_table()
        self._number, self._room = 0, 0
        self._file: Any = None

    def add(self, table: Any) -> None:
        import pyarrow as pa

        self._waiting = pa.concat_tables([self._waiting, table.select(list(COLUMNS)).cast(self._schema)])
        whole = len(self._waiting) - len(self._waiting) % ROW_GROUP
        self._write(self._waiting.slice(0, whole))
        self._waiting = self._waiting.slice(whole)

    def _write(self, table: Any) -> None:
        while len(table):
            if not self._room:
                self._begin()
            part = table.slice(0, self._room)
            self._file.write_table(part, row_group_size=ROW_GROUP)
            self._room -= len(part)
            table = table.slice(len(part))

    def _begin(self) -> None:
        import pyarrow.parquet as pq

        self._end()
        path = self._folder / f"{self._split}-{self._number:05d}.parquet"
        self._file = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._number, self._room = self._number + 1, SHARD

    def _end(self) -> None:
        if self._file:
            self._file.close()

    def close(self) -> None:
        """Write what waits; a split without rows is a shard without rows."""
        self._write(self._waiting)
        if not self._number:
            self._begin()
        self._end()


def write(folder: Path, split: str, questions: Iterable[Question]) -> None:
    """Write one split, rows in the order given."""
    import pyarrow as pa

    rows = list(questions)
    columns = {"json": [question.canonical() for question in rows]}
    columns |= {name: [str(getattr(question, name)) for question in rows] for name in COLUMNS if name != "json"}
    with Writer(folder, [split]) as writer:
        writer.add(split, pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()}))


def shards(folder: Path, split: str) -> list[Path]:
    """The files of a split, in the order of their rows. Raises Stop where there is none."""
    found = sorted(folder.glob(f"{split}-*.parquet"))
    if not found:
        raise Stop(
            f"The prepared dataset has no file {split}-00000.parquet.",
            "It was deleted, or is no prepared dataset.",
            "Run prepare again.",
        )
    return found


def read(folder: Path, split: str) -> list[Question]:
    """The questions of one split, in file order. Raises Stop where a file is absent or is no such file."""
    return [Question.model_validate_json(row) for path in shards(folder, split) for row in _rows(path)]


def _rows(path: Path) -> Iterator[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(ROW_GROUP, columns=["json"]):
                yield from batch.column("json").to_pylist()
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise Stop(
            f"{path.name} of the prepared dataset cannot be read ({error}).",
            "It is no Parquet file with a column json.",
            "Run prepare again.",
        ) from None


def lines(questions: Iterable[Question]) -> str:
    """JSON Lines: one canonical question a line."""
    return "".join(question.canonical() + "\n" for question in questions)
