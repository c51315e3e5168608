"""The step record beside every output: from what it was made and what it holds.

An output without a complete record does not exist: the record is written last, and reading it checks that every file
it names is there with its size. `fingerprint` is what changes the result (parameters, input digests, code); hosts,
paths and run ids are not part of it.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final

from pydantic import AfterValidator, ValidationError

from medu1.question import Frozen

NAME = "record.json"
LONGEST_NAME: Final = 255  # bytes of one file name, as file systems have it


def below(path: str) -> str:
    """A file's path from elsewhere, once it is known to lie below its folder. Raises ValueError where it may not."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or str(pure) != path or "\\" in path or "\0" in path:
        raise ValueError(f"{path!r} is no path below a folder")
    if path == "." or any(len(part.encode()) > LONGEST_NAME for part in pure.parts):
        raise ValueError(f"{path!r} is no file's path")
    return path


Below = Annotated[str, AfterValidator(below)]


class FileEntry(Frozen):
    """One file of an output."""

    sha256: str
    size: int  # bytes


class StepRecord(Frozen):
    """One execution of one step."""

    step: str
    fingerprint: str
    params: dict[str, Any]
    inputs: dict[str, str]  # name -> digest
    code: str  # digest of the sources the step may import
    outputs: dict[Below, FileEntry]  # relative path -> entry
    facts: dict[str, Any]  # what the step wants the next one, or a reader, to know
    commit: str
    dirty: bool
    image: str
    versions: dict[str, str]  # package -> version
    run: str  # the pipeline run that made it
    mlflow_run: str
    started: str  # ISO 8601, UTC
    seconds: float


def digest(value: object) -> str:
    """SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def fingerprint(step: str, params: Mapping[str, object], inputs: Mapping[str, str], code: str) -> str:
    """The identity of a result before it is made: 16 hexadecimal digits."""
    return digest({"step": step, "params": dict(params), "inputs": dict(inputs), "code": code})[:16]


def checksum(path: Path) -> str:
    """SHA-256 of a file's bytes, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def entries(folder: Path) -> dict[str, FileEntry]:
    """Every file below a folder but the record itself, by relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / NAME)
    return {
        path.relative_to(folder).as_posix(): FileEntry(sha256=checksum(path), size=path.stat().st_size)
        for path in files
    }


def content_digest(folder: Path) -> str:
    """The digest of a folder's files by relative path: equal bytes, equal digest."""
    return digest({name: entry.sha256 for name, entry in entries(folder).items()})


def write(record: StepRecord, folder: Path) -> None:
    """Write the record whole, after everything it names."""
    write_text(folder / NAME, record.model_dump_json(indent=1))


def read(folder: Path) -> StepRecord | None:
    """The record of a complete output; None where there is none, it is torn, or a file it names is not whole."""
    try:
        record = StepRecord.model_validate_json((folder / NAME).read_bytes())
    except (OSError, ValidationError):
        return None
    whole = all(_size(folder / name) == entry.size for name, entry in record.outputs.items())
    return record if whole else None


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
