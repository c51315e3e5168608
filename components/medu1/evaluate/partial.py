"""Blocks of a sheet that is under way, on this machine: a killed evaluation goes on after the last whole one.

They lie below the identity of the verdicts they become part of, so nothing else can take them up, and go when the sheet
is published.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from pyarrow import ArrowException
from pydantic import ValidationError

from medu1.evaluate import verdicts
from medu1.evaluate.asking import Asking
from medu1.evaluate.verdicts import Identity, JudgedAnswer
from medu1.workspace import Workspace

FOLDER = "partial"  # below the home


class Partial:
    """The blocks of one sheet."""

    def __init__(self, workspace: Workspace, identity: Identity) -> None:
        self._folder = workspace.home / FOLDER / identity.short

    def read(self, number: int, askings: Sequence[Asking]) -> list[JudgedAnswer] | None:
        """A block's verdicts; None where it is not there or not whole."""
        try:
            rows = verdicts.read(self._path(number))
        except (OSError, ArrowException, ValidationError):
            return None
        asked = [(asking.question.id, asking.variant) for asking in askings]
        return rows if asked == [(row.question_id, row.variant) for row in rows] else None

    def write(self, number: int, rows: Sequence[JudgedAnswer]) -> None:
        """Whole or not at all."""
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._folder / f".part-{os.getpid()}"
        verdicts.save(part, rows)
        part.replace(self._path(number))

    def remove(self) -> None:
        """All blocks; what another process of the same evaluation still needs of them, it makes again."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self._folder / f"block-{number:05d}.parquet"
