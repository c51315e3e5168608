"""Raw text files: opened so that what is wrong with one is said, and texts named by what they say."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from csv import Error as CsvError
from pathlib import Path
from typing import TextIO

from medu1.errors import Stop
from medu1.prompt import normalised
from medu1.question import Split


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """A UTF-8 text file. Raises Stop where it is absent, is not text, or is not what its format says."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file
    except OSError as error:
        raise Stop(
            f"The source file {path} cannot be read ({error.strerror}).",
            next_step="Correct its path in prepare.sources.",
        ) from None
    except UnicodeDecodeError:
        raise Stop(
            f"{path.name} is not UTF-8 text: {_undecodable(path)}.",
            "A text in another encoding would be read as other characters.",
            "Fetch the file from its publisher again, or convert it to UTF-8.",
        ) from None
    except json.JSONDecodeError as error:
        raise Stop(
            f"{path.name} is not JSON: line {error.lineno}, column {error.colno}: {error.msg}.",
            next_step="Fetch the file from its publisher again.",
        ) from None
    except CsvError as error:
        raise Stop(f"{path.name} is not CSV: {error}.", next_step="Fetch the file from its publisher again.") from None


def _undecodable(path: Path) -> str:
    """Where the first bytes stand that are no UTF-8: the decoder itself counts from its last block."""
    offset = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                return f"line {number}, byte {offset + error.start} of the file ({line[error.start]:#04x})"
            offset += len(line)
    return "its end"


def numbered_lines(path: Path) -> Iterator[tuple[str, str]]:
    """The lines that are not blank, each after its place."""
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield f"line {number}", line


def group_of(kind: str, text: str) -> str:
    """A group's name: equal texts, whatever their typography, share it."""
    return f"{kind}/{hashlib.sha256(normalised(text).encode()).hexdigest()[:16]}"


def group_by_wording(source: str, text: str, split: Split | None) -> str:
    """The group of a question that shares no note with others: its wording.

    A stated split is part of the name: publishers ask in the same words in several of their files, and no such group
    can lie in two splits. What two splits ask alike is found by what it says, not by its group.
    """
    return group_of(f"{source}/{split}" if split else source, text)
