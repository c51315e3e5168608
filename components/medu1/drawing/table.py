"""A table of a report, said once for the page and for Markdown."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from medu1.drawing import markdown

Kind = Literal["", "level", "risen", "fallen"]


class Cell(NamedTuple):
    """A figure, and what stands beside it in small."""

    text: str
    small: str = ""
    kind: Kind = ""  # how it is coloured

    def __str__(self) -> str:
        return f"{self.text} ({self.small})" if self.small else self.text


class Table(NamedTuple):
    """The first cell of a row names it."""

    caption: str
    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]]

    def markdown(self) -> str:
        """Caption and table, everything in them as text."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{markdown.text(self.caption)}\n"
        yield markdown.table(self.columns, ([str(cell) for cell in row] for row in self.rows))
