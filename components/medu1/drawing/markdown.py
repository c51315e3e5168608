"""Markdown that other programs render, MLflow's and KFP's interfaces among them: what data says is text and no more.

Renderers differ in what they take for markup, so whatever could open any (HTML, links, code, emphasis, table cells)
is escaped by the means all of them know: named entities, and a backslash before punctuation.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

LONGEST: Final = 2000  # characters of one piece of text
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_MARKUP: Final = re.compile(
    r"[\\`*_{}\[\]|~]"
    r"|:(?=//)|(?<=[wW]{3})\.|@(?=[\w-]+\.\w)"  # bare links
    r"|^[#+=-](?=[\s#=-]|$)"  # headings, rules, lists
)
_NUMBERED: Final = re.compile(r"^(\d+)\.(?=\s|$)")
_UNSEEN: Final = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}  # controls, marks of direction, line ends


def text(value: object) -> str:
    """One line that reads as `value` and holds no markup; characters that cannot be seen become spaces."""
    seen = "".join(" " if unicodedata.category(letter) in _UNSEEN else letter for letter in str(value)[: LONGEST + 1])
    line = " ".join(seen.split())
    cut = line if len(line) <= LONGEST else f"{line[:LONGEST]}…"
    inert = _NUMBERED.sub(r"\1\.", _MARKUP.sub(lambda found: f"\\{found.group()}", cut))
    return "".join(_ENTITIES.get(letter, letter) for letter in inert)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], numbers: bool = True) -> str:
    """A table of plain texts; of `numbers`, all columns but the first are to the right."""
    rule = [":---", *("---:" if numbers else ":---" for _ in columns[1:])]
    lines = [list(map(text, columns)), rule, *(list(map(text, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def shortened(document: str, longest: int) -> str:
    """Whole lines of a document, at most so many characters, with a word where some are left out."""
    left_out = "\n\n… the rest is in the run's files."
    if len(document) <= longest:
        return document
    kept = document[: longest - len(left_out)].rpartition("\n")[0]
    return kept + left_out
