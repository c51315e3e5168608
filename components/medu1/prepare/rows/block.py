"""A block of rows as the gates leave them: texts, which go to disk, and marks, which come back into memory.

Texts take a thousand bytes a row and are read a few times, in order; marks take some fifty and are sorted, compared and
drawn from. So each block is two files below a folder, an Arrow file of texts and the marks beside it, and a million
rows need the memory of their marks alone.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from medu1.prepare.repeats.hints import Hints
from medu1.question import Family

Bits = NDArray[np.bool_]
Codes = NDArray[np.int8]
Hashes = NDArray[np.uint64]

FAMILIES: Final[tuple[Family, ...]] = get_args(Family)
TEXTS: Final = ("id", "source", "family", "group", "topic", "place", "json")  # `json` is the canonical question
PROSE: Final = "prose"  # bytes, as `contamination.prose.Said.packed` gives it


class Texts(NamedTuple):
    """What the rows of a block say, a list a column."""

    id: list[str]
    source: list[str]
    family: list[str]
    group: list[str]
    topic: list[str]
    place: list[str]  # file and place, as an error names them
    json: list[str]
    prose: list[bytes]


class Marks(NamedTuple):
    """What is known of each row of a block, or of all blocks."""

    entry: NDArray[np.int32]  # which entry of the sources it is of, the built-in one first
    source: NDArray[np.int32]  # place in the list of names
    family: Codes  # place in `FAMILIES`
    split: Codes  # place in `STRICTEST`: declared, or drawn for the row's group
    declared: Bits  # whether the source states the split
    fate: Codes
    asked: Bits  # of a source that the parameters name
    shown: Bits  # a demonstration, whether asked or not
    group: Hashes
    identity: Hashes  # of the id
    prompt: Hashes
    options: Hashes  # 0: none
    cap: NDArray[np.float64]  # a draw a group, in [0, 1)


class Block(NamedTuple):
    """Some rows of one source, in order."""

    texts: Texts
    marks: Marks
    names: list[str]  # of question sources
    hints: Hints | None  # of the rows that duplicates are looked for among; None: there are none
    searched: Bits  # which these are


def write(block: Block, stem: Path) -> None:
    """Both files."""
    import pyarrow as pa

    columns = [pa.array(values, pa.string()) for values in block.texts[: len(TEXTS)]]
    batch = pa.record_batch([*columns, pa.array(block.texts.prose, pa.binary())], names=[*TEXTS, PROSE])
    with pa.OSFile(str(stem.with_suffix(".arrow")), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as file:
        file.write_batch(batch)
    arrays: dict[str, Any] = {**block.marks._asdict(), "searched": block.searched, "names": np.array(block.names)}
    if block.hints:
        arrays |= {f"hint_{name}": values for name, values in block.hints._asdict().items()}
    with stem.with_suffix(".npz").open("wb") as file:
        np.savez(file, **arrays)


class Read(NamedTuple):
    """The marks of one block, back from disk."""

    marks: Marks
    names: list[str]
    hints: Hints | None
    searched: Bits


def read(stem: Path) -> Read:
    """The marks of one block."""
    with np.load(stem.with_suffix(".npz"), allow_pickle=False) as held:
        hinted = "hint_gists" in held.files
        return Read(
            marks=Marks(*(held[name] for name in Marks._fields)),
            names=[str(name) for name in held["names"]],
            hints=Hints(*(held[f"hint_{name}"] for name in Hints._fields)) if hinted else None,
            searched=held["searched"],
        )


def stems(folder: Path) -> list[Path]:
    """The blocks of a folder in the order of their rows."""
    return sorted(path.with_suffix("") for path in folder.glob("*.npz"))


def stem_of(folder: Path, source: int, block: int) -> Path:
    """Where a block lies: sources in the order of the parameters, blocks in the order of the file."""
    return folder / f"{source:04d}-{block:08d}"


def joined(found: Iterable[Marks]) -> Marks:
    """The marks of all blocks."""
    return Marks(*map(np.concatenate, zip(*found, strict=True)))
