"""Every row that went by, kept small: candidates for duplicates are confirmed by their words, long after they passed.

Rows are lines of JSON in small compressed blocks: a question of 60 words takes about 200 bytes, and one is read back in
tens of microseconds, since only its block is unpacked.
"""

from typing import Any, Final

from medu1.question import Question

BLOCK: Final = 64  # rows
_UNREAD: Final = {"rationale", "licence", "group", "topic"}  # no comparison reads them


class Archive:
    """Questions by their row, the first of which is 0."""

    def __init__(self) -> None:
        import pyarrow as pa

        self._codec: Any = pa.Codec("zstd", compression_level=1)
        self._blocks: list[tuple[bytes, int]] = []  # compressed, and its size unpacked
        self._open: list[str] = []  # the last block's rows
        self._unpacked: tuple[int, list[bytes]] = (-1, [])  # the block read last

    def __len__(self) -> int:
        return len(self._blocks) * BLOCK + len(self._open)

    def append(self, question: Question) -> None:
        """Add a row."""
        self._open.append(question.model_dump_json(exclude=_UNREAD))
        if len(self._open) == BLOCK:
            block = "\n".join(self._open).encode()
            self._blocks.append((self._codec.compress(block, asbytes=True), len(block)))
            self._open = []

    def __getitem__(self, row: int) -> Question:
        """The question, without what no comparison reads."""
        block, place = divmod(row, BLOCK)
        line = self._rows(block)[place] if block < len(self._blocks) else self._open[place]
        return Question.model_validate_json(line)

    def _rows(self, block: int) -> list[bytes]:
        if self._unpacked[0] != block:
            packed, size = self._blocks[block]
            self._unpacked = (block, self._codec.decompress(packed, size, asbytes=True).split(b"\n"))
        return self._unpacked[1]
