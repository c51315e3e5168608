"""Every row that makes a question, and its fate so far: what the gates that compare rows with each other write in.

A row is its place among all; its texts lie in the spool. Hashes stand for prompts, ids and groups: equal texts have
equal ones, and any two of a million share one with a chance of 3 in 10^8. Of prompts and ids the words are asked before
a row is dropped; two groups that shared one would go one way together.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medu1.prepare.repeats.hints import Hints
from medu1.prepare.repeats.hints import joined as joined_hints
from medu1.prepare.rows.block import FAMILIES, Bits, Marks, Read, joined, read, stems
from medu1.prepare.rows.fate import CODE, FATES, Fate
from medu1.prepare.split import STRICTEST

TRAIN = STRICTEST.index("train")
KEPT = CODE[Fate.KEPT]


class Counted(NamedTuple):
    """Rows of one source with one fate, split and family."""

    source: str
    fate: Fate
    split: str
    family: str
    rows: int


@dataclass
class Ledger:
    """All rows. `marks` are written in place."""

    marks: Marks
    names: list[str]  # of question sources
    sizes: list[int]  # rows of each block
    searched: Bits  # rows that duplicates are looked for among
    hints: Hints | None  # of these, in their order
    moved: Bits  # rows whose split is no longer the one of their text

    @classmethod
    def of(cls, folder: Path) -> "Ledger":
        """From the blocks below a folder."""
        names: dict[str, int] = {}
        blocks = [_renamed(read(stem), names) for stem in stems(folder)]
        before, hinted = 0, []
        for block in blocks:
            if block.hints:
                hinted.append(block.hints._replace(long=block.hints.long + before))
                before += len(block.hints.gists)
        return cls(
            marks=joined([block.marks for block in blocks]),
            names=list(names),
            sizes=[len(block.searched) for block in blocks],
            searched=np.concatenate([block.searched for block in blocks]),
            hints=joined_hints(hinted) if hinted else None,
            moved=np.zeros(sum(len(block.searched) for block in blocks), np.bool_),
        )

    def __len__(self) -> int:
        return len(self.searched)

    @property
    def builtin(self) -> Bits:
        """Built-in rows."""
        bits: Bits = self.marks.entry == 0
        return bits

    @property
    def left(self) -> Bits:
        """Rows that no gate has kept back."""
        bits: Bits = self.marks.fate == KEPT
        return bits

    @property
    def kept(self) -> Bits:
        """Rows of the sources that no gate has kept back."""
        return self.left & self.marks.asked

    @property
    def demonstrations(self) -> Bits:
        """Built-in training questions to show: no cap is for them."""
        bits: Bits = self.marks.shown & (self.left | (self.marks.fate == CODE[Fate.OVER_CAP]))
        return bits

    @property
    def training(self) -> Bits:
        """Rows to learn from, demonstrations among them, that no gate has kept back."""
        bits: Bits = self.left & (self.marks.split == TRAIN)
        return bits

    def drop(self, rows: Bits, fate: Fate) -> None:
        """Tell the fate of some rows that are left."""
        self.marks.fate[rows & self.left] = CODE[fate]

    def counts(self) -> Iterator[Counted]:
        """Rows of the sources, in a fixed order."""
        marks = self.marks
        columns = (marks.source, marks.fate, marks.split, marks.family)
        keys = np.ravel_multi_index([column[marks.asked] for column in columns], self._shape)
        found, rows = np.unique(keys, return_counts=True)
        for source, fate, split, family, count in zip(*np.unravel_index(found, self._shape), rows, strict=True):
            yield Counted(self.names[source], FATES[fate], STRICTEST[split], FAMILIES[family], int(count))

    @property
    def _shape(self) -> tuple[int, ...]:
        return len(self.names), len(FATES), len(STRICTEST), len(FAMILIES)


def _renamed(block: Read, names: dict[str, int]) -> Read:
    """With the sources numbered as in all blocks."""
    numbers = np.array([names.setdefault(name, len(names)) for name in block.names], np.int32)
    return block._replace(marks=block.marks._replace(source=numbers[block.marks.source]))
