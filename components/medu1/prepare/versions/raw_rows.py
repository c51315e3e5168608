"""The rows of a raw file by source and id, whatever its format: what two versions of the data are compared by.

Rows are read as their publisher wrote them, not as questions: a changed explanation is a change too. A row without an
id is known by its content, so that changing it reads as one removed and one added; a file without rows is one row.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b, file_digest
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from medu1.prepare.formats.builtin import FOLDER
from medu1.prepare.versions.importing import REAL

IDS = (("Row Number",), ("question_id",), ("prompt_id",), ("source", "id"), ("id",))  # columns that name a row
NAMED_BY_ROW = {FOLDER, ""}  # formats whose rows name their source
BATCH = 4096  # rows of a Parquet file held at once


class RawRow(NamedTuple):
    """One row."""

    source: str
    id: str
    content: int  # 64-bit digest of its values

    @property
    def key(self) -> int:
        """64-bit digest of what the row is known by."""
        return digest64(f"{self.source}\n{self.id}".encode())


def digest64(content: bytes) -> int:
    """Two of a million rows collide with a chance of 3 in 10^8."""
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "big")


def rows(raw: Path, name: str) -> Iterator[RawRow]:
    """Every row of the file `name` below a raw directory."""
    path, kind = raw / name, _format(name)
    read = READERS.get(path.suffix.lower())
    if read is None:
        return iter([_whole(path, name)])
    return _or_whole((_row(kind, name, place, row) for place, row in read(path)), path, name)


def _or_whole(found: Iterator[RawRow], path: Path, name: str) -> Iterator[RawRow]:
    """The rows, or the file as one where it is not what its name says."""
    try:
        yield from found
    except (ValueError, csv.Error, RecursionError):  # JSON's, UTF-8's and Arrow's errors are ValueErrors
        yield _whole(path, name)


def _whole(path: Path, name: str) -> RawRow:
    with path.open("rb") as file:
        return RawRow(name, name, digest64(file_digest(file, "md5").digest()))


def _format(name: str) -> str:
    """`builtin`, the format an imported file is kept under, or "" for a file of neither."""
    match Path(name).parts:
        case (folder, *_) if folder == FOLDER:
            return FOLDER
        case (folder, kind, _, *_) if folder == REAL:
            return kind
        case _:
            return ""


def _row(kind: str, name: str, place: tuple[str, ...], row: object) -> RawRow:
    text = json.dumps(row, sort_keys=True, default=str)
    content = digest64(text.encode())
    if not isinstance(row, Mapping):
        return RawRow(kind or name, f"#{content:016x}", content)
    source = str(row["source"]) if kind in NAMED_BY_ROW and row.get("source") else kind or name
    if place:
        *part, identity = place
        return RawRow("/".join([source, *part]), identity, content)
    columns = next((columns for columns in IDS if all(row.get(column) is not None for column in columns)), ())
    identity = "/".join(str(row[column]) for column in columns)
    return RawRow(source, identity or f"#{content:016x}", content)


Placed = tuple[tuple[str, ...], object]  # what the file itself calls the row, (id) or (set, id); and the row


def _lines(path: Path) -> Iterator[Placed]:
    with path.open(encoding="utf-8-sig") as file:
        yield from (((), _parsed(line)) for line in file if line.strip())


def _parsed(line: str) -> object:
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return line.strip()


def _table(path: Path) -> Iterator[Placed]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            yield (), {str(key): value for key, value in row.items()}


def _parquet(path: Path) -> Iterator[Placed]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=BATCH):
            yield from (((), row) for row in batch.to_pylist())


def _document(path: Path) -> Iterator[Placed]:
    """A list of rows, {id: row}, or MIRAGE's {set: {id: row}}."""
    with path.open(encoding="utf-8-sig") as file:
        held = json.load(file)
    match held:
        case list():
            yield from (((), row) for row in held)
        case dict() if _all_objects(held) and all(_all_objects(inner) for inner in held.values()):
            yield from (((name, key), row) for name, inner in held.items() for key, row in inner.items())
        case dict() if _all_objects(held):
            yield from (((key,), row) for key, row in held.items())
        case _:
            yield (), held


def _all_objects(held: Mapping[str, object]) -> bool:
    return bool(held) and all(isinstance(inner, dict) for inner in held.values())


READERS: Mapping[str, Callable[[Path], Iterator[Placed]]] = {
    ".jsonl": _lines,
    ".ndjson": _lines,
    ".csv": _table,
    ".parquet": _parquet,
    ".json": _document,
}


def all_rows(raw: Path, names: Iterable[str]) -> Iterator[RawRow]:
    """Every row of several files."""
    return chain.from_iterable(rows(raw, name) for name in names)
