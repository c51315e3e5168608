"""The rows of a raw file as mappings, whatever holds them: JSON Lines, a JSON list, CSV with a header, or Parquet.

One benchmark travels in several containers (a publisher's JSON Lines, a hub's Parquet), so a reader of rows asks here
and says nothing of the container. A row that cannot be taken apart is the WrongField that says why, which `Fields`
raises; a file that cannot is a Stop. Text is read line by line and Parquet by batches; only a JSON list, which has no
lines, is read whole.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from medu1.errors import Stop
from medu1.prepare.formats.row import Line, WrongField
from medu1.prepare.formats.text import numbered_lines, opened

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 1024  # rows of Parquet in memory at once

Records = Iterator[tuple[str, object]]


def records(path: Path, columns: Sequence[str], also: Sequence[str] = ()) -> Records:
    """Each row after its place; `also` are columns that may be absent.

    Raises Stop where the file is broken, or is a table without one of the columns.
    """
    match path.suffix.lower():
        case ".parquet":
            return _parquet(path, columns, also)
        case ".csv":
            return _csv(path, columns)
        case ".json" if _begins_a_list(path):
            return _list(path)
        case _:
            return _lines(path)


def numbered(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, tuple[int, object]]]:
    """Each row with its number from 1, for a publisher who names none."""
    return ((place, (number, row)) for number, (place, row) in enumerate(records(path, columns), start=1))


def _lines(path: Path) -> Records:
    return ((place, Line(line)) for place, line in numbered_lines(path))


def _begins_a_list(path: Path) -> bool:
    """Files named .json hold a list or lines, as their publishers please."""
    with opened(path) as file:
        return next((line.lstrip()[0] == "[" for line in file if line.strip()), False)


def _list(path: Path) -> Records:
    with opened(path) as file:
        rows = json.load(file)
    for place, row in enumerate(rows):
        yield f"[{place}]", row


def _csv(path: Path, columns: Sequence[str]) -> Records:
    """A row begins where the one before it ends: a field may hold line breaks."""
    with opened(path) as file:
        table = csv.reader(file, strict=True)
        try:
            header = next(table, [])
            check_columns(path, header, columns, "line 1")
            line = table.line_num + 1
            for row in table:
                if row:
                    yield f"line {line}", _named(header, row)
                line = table.line_num + 1
        except csv.Error as error:
            raise Stop(
                f"{path.name} is not CSV: the row that ends at line {table.line_num}: {error}.",
                "It is cut short, or a quotation mark in it stands alone.",
                "Fetch the file from its publisher again.",
            ) from None


def _named(header: Sequence[str], row: Sequence[str]) -> object:
    if len(row) != len(header):
        return WrongField("(row)", f"has {len(row)} fields, the header {len(header)}: its columns are shifted")
    return dict(zip(header, row, strict=True))


def check_columns(path: Path, found: Sequence[str], wanted: Sequence[str], place: str) -> None:
    """Raises Stop that names the first column that is not there."""
    if absent := [name for name in wanted if name not in found]:
        raise Stop(
            f"{path.name}, {place}: the column {absent[0]} is missing.",
            f"The columns read are {', '.join(wanted)}; the file has {', '.join(found) or 'none'}.",
            "Give the file as its publisher wrote it.",
        )


def _parquet(path: Path, columns: Sequence[str], also: Sequence[str]) -> Records:
    """Places are rows from 1. Only the columns asked for are read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    read = 0
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            check_columns(path, names, columns, "schema")
            for batch in file.iter_batches(BATCH, columns=[*columns, *(name for name in also if name in names)]):
                for number, row in enumerate(_rows(path, batch, read), start=read + 1):
                    yield f"row {number}", row
                read += batch.num_rows
    except (OSError, pa.ArrowException) as error:
        raise Stop(
            f"{path.name} cannot be read as Parquet beyond row {read}: {str(error).splitlines()[0]}",
            "It is absent, cut short, or another kind of file.",
            "Fetch it from its publisher again, or correct its path in prepare.sources.",
        ) from None


def _rows(path: Path, batch: "pa.RecordBatch", before: int) -> list[dict[str, object]]:
    try:
        rows: list[dict[str, object]] = batch.to_pylist()
        return rows
    except UnicodeDecodeError:
        number, name = next(place for place in _cells(batch) if _is_undecodable(batch, *place))
        raise Stop(
            f"{path.name}, row {before + number + 1}, column {name}: the text is not UTF-8.",
            next_step="Fetch the file from its publisher again, or convert the column to UTF-8.",
        ) from None


def _cells(batch: "pa.RecordBatch") -> Iterator[tuple[int, str]]:
    return ((number, name) for number in range(batch.num_rows) for name in batch.schema.names)


def _is_undecodable(batch: "pa.RecordBatch", number: int, name: str) -> bool:
    try:
        batch.column(name)[number].as_py()
    except UnicodeDecodeError:
        return True
    return False
