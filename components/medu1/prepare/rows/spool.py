"""The texts of all blocks, read in order, a few columns at a time, or one row at a time wherever it is.

What is read in order is read and let go, so it takes the memory of one block. One row is read through a memory map, of
which the pages that are touched, and some around them, stay in memory until the maps are released.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from medu1.prepare.rows.block import Bits, stems
from medu1.question import Question


class Portion(NamedTuple):
    """The chosen rows of one block."""

    rows: Any  # numpy array: their places among all rows
    table: Any  # pyarrow RecordBatch with the columns asked for


class Spool:
    """All blocks below a folder."""

    def __init__(self, folder: Path, sizes: Sequence[int]) -> None:
        """`sizes` are the rows of each block, in order."""
        self._files = [stem.with_suffix(".arrow") for stem in stems(folder)]
        self._starts = np.concatenate([[0], np.cumsum(np.array(sizes, np.int64))])
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def release(self) -> None:
        """Let the memory go that single rows took; they can still be read."""
        self.__dict__.pop("_mapped", None)
        self._open.close()

    def portions(self, chosen: Bits, columns: Sequence[str]) -> Iterator[Portion]:
        """The chosen rows, block by block."""
        import pyarrow as pa

        for file, start, end in zip(self._files, self._starts[:-1], self._starts[1:], strict=True):
            places = np.flatnonzero(chosen[start:end])
            if not len(places):
                continue
            with pa.OSFile(str(file), "rb") as source, pa.ipc.open_file(source) as opened:
                batch = opened.get_batch(0).select(list(columns))
                yield Portion(places + start, batch if len(places) == end - start else batch.take(pa.array(places)))

    def questions(self, chosen: Bits) -> Iterator[tuple[Any, list[Question]]]:
        """The chosen rows as questions, block by block, after their places."""
        for rows, table in self.portions(chosen, ["json"]):
            yield rows, [Question.model_validate_json(text) for text in table.column("json").to_pylist()]

    def question(self, row: int) -> Question:
        """One row."""
        return Question.model_validate_json(self.text(row, "json"))

    def text(self, row: int, column: str) -> str:
        """One column of one row."""
        block = int(np.searchsorted(self._starts, row, side="right")) - 1
        return str(self._mapped[block].column(column)[row - int(self._starts[block])].as_py())

    @cached_property
    def _mapped(self) -> list[Any]:
        import pyarrow as pa

        maps = [self._open.enter_context(pa.memory_map(str(file))) for file in self._files]
        return [pa.ipc.open_file(each).get_batch(0) for each in maps]
