"""The dataset from the ledger: every row that is kept in its split's shards, and a list of all that are left out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from medu1 import dataset
from medu1.frozen import FrozenSets
from medu1.prepare.rows.block import Bits
from medu1.prepare.rows.fate import CODE, FATES, Fate
from medu1.prepare.rows.ledger import Ledger
from medu1.prepare.rows.spool import Spool
from medu1.prepare.selection import Selection
from medu1.prepare.split import STRICTEST
from medu1.question import Question, Split

SHOWN: Final = 200  # rows that a report lists of a fate
LEFT_OUT: Final = "left_out.parquet"  # every row that is not kept: id, source, fate, and what for


def write(folder: Path, ledger: Ledger, spool: Spool) -> FrozenSets:
    """Every split and the demonstrations; the digests of the sets to select and to judge by."""
    frozen = FrozenSets()
    with dataset.Writer(folder, [*dataset.SPLITS, dataset.DEMONSTRATIONS]) as writer:
        for split, table in _tables(ledger, spool, ledger.kept):
            writer.add(split, table)
            for source, text in _judging(table, split):
                frozen.add(split, source, text)
        for _, table in _tables(ledger, spool, ledger.demonstrations):
            writer.add(dataset.DEMONSTRATIONS, table)
    return frozen


def _judging(table: Any, split: Split) -> Iterator[tuple[str, str]]:
    """Source and canonical JSON of each row, but for those to train on."""
    columns = ([], []) if split == "train" else (table.column(name).to_pylist() for name in ("source", "json"))
    return zip(*columns, strict=True)


def _tables(ledger: Ledger, spool: Spool, chosen: Bits) -> Iterator[tuple[Split, Any]]:
    """The chosen rows in order, by split and block."""
    import pyarrow as pa

    for rows, batch in spool.portions(chosen, list(dataset.COLUMNS)):
        table = _carried(pa.Table.from_batches([batch]), ledger, rows)
        splits = ledger.marks.split[rows]
        for code in np.unique(splits).tolist():
            yield STRICTEST[code], table.filter(pa.array(splits == code))


def _carried(table: Any, ledger: Ledger, rows: Any) -> Any:
    """The table with the splits that rows got from others of their group."""
    import pyarrow as pa

    moved = np.flatnonzero(ledger.moved[rows])
    if not len(moved):
        return table
    texts = table.column("json").to_pylist()
    for place in moved.tolist():
        split = STRICTEST[ledger.marks.split[rows[place]]]
        texts[place] = Question.model_validate_json(texts[place]).canonical(split)
    return table.set_column(table.schema.get_field_index("json"), "json", pa.array(texts, pa.string()))


def write_left_out(folder: Path, ledger: Ledger, spool: Spool, selection: Selection) -> None:
    """Every row of the sources that is not kept, with its fate and the row or the number of tokens that sealed it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([pa.field(name, pa.string(), nullable=False) for name in ("id", "source", "fate", "reason")])
    with pq.ParquetWriter(folder / LEFT_OUT, schema, compression="zstd") as file:
        for rows, batch in spool.portions(ledger.marks.asked & ~ledger.left, ["id", "source", "group"]):
            fates = [FATES[code] for code in ledger.marks.fate[rows].tolist()]
            groups = batch.column("group").to_pylist()
            reasons = [_reason(*each, selection) for each in zip(rows.tolist(), fates, groups, strict=True)]
            columns = [
                batch.column("id"),
                batch.column("source"),
                pa.array(map(str, fates), pa.string()),
                pa.array(reasons, pa.string()),
            ]
            file.write_table(pa.Table.from_arrays(columns, schema=schema))


def _reason(row: int, fate: Fate, group: str, selection: Selection) -> str:
    match fate:
        case Fate.REPEATED:
            return f"asks again {selection.reasons[row]}"
        case Fate.CONTAMINATED if row in selection.reasons:
            return f"gives away {selection.reasons[row]}"
        case Fate.CONTAMINATED:
            return f"is of the group {group}"
        case Fate.TOO_LONG:
            return f"{selection.tokens[row]} tokens"
        case _:
            return ""


class LeftOut(NamedTuple):
    """A row that is not kept."""

    place: int
    id: str
    source: str


def first_left_out(ledger: Ledger, spool: Spool, fate: Fate, shown: int = SHOWN) -> list[LeftOut]:
    """The first rows with a fate."""
    rows = np.flatnonzero(ledger.marks.asked & (ledger.marks.fate == CODE[fate]))[:shown].tolist()
    return [LeftOut(row, spool.text(row, "id"), spool.text(row, "source")) for row in rows]
