"""A checkpoint's copy in an object store: the same folder below `<key>/`, where nothing found is believed.

What lies there, what a marker from there may name, and whether a file is the one it names: shared by what sends
checkpoints and what brings them back.
"""

from collections import defaultdict
from hashlib import file_digest
from io import BufferedReader
from os import fstat
from pathlib import Path, PurePosixPath
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from medu1.bucket import Absent, Bucket, Torn
from medu1.errors import Stop
from medu1.record import Below
from medu1.train.checkpoints import MARKER, STEP, name

Folders = dict[str, dict[str, int]]  # step folder -> relative path -> bytes


class Damaged(Exception):
    """A folder is not the checkpoint its marker describes."""


def _is_no_marker(path: str) -> str:
    if path == MARKER:
        raise ValueError(f"{path!r} is no file of a checkpoint")
    return path


def _is_tree(files: dict[str, "Entry"]) -> dict[str, "Entry"]:
    """No file of a marker is a folder of another one."""
    for path in files:
        if inside := next((str(up) for up in PurePosixPath(path).parents if str(up) in files), None):
            raise ValueError(f"{inside!r} is a file and a folder")
    return files


class Entry(BaseModel):
    """A file, by what it holds."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]


class Marker(BaseModel):
    """What a copy needs of a marker; its other fields are the training's."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    step: int
    files: Annotated[dict[Annotated[Below, AfterValidator(_is_no_marker)], Entry], AfterValidator(_is_tree)]

    @classmethod
    def of(cls, folder: str, content: bytes) -> Self:
        """Raises Damaged where the content is no marker, or one of another step."""
        try:
            marker = cls.model_validate_json(content)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise Damaged(f"{MARKER} cannot be read ({where + ': ' if where else ''}{first['msg']}).") from None
        if name(marker.step) != folder:
            raise Damaged(f"{MARKER} is of step {marker.step}.")
        return marker


def check_at(folder: Path, path: str, entry: Entry) -> None:
    """Raises Damaged where the file in a folder is not the one its marker names."""
    with (folder / path).open("rb") as file:
        check(path, file, entry)


def check(path: str, file: BufferedReader, entry: Entry) -> None:
    """Raises Damaged where a file is not the one its marker names."""
    size = fstat(file.fileno()).st_size
    if size != entry.size:
        raise Damaged(f"{path} has {size} bytes and not {entry.size}.")
    file.seek(0)
    if file_digest(file, "sha256").hexdigest() != entry.sha256:
        raise Damaged(f"{path} does not have the checksum that {MARKER} names.")


def folders(bucket: Bucket, key: str) -> Folders:
    """What lies in the store, by step folder."""
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for path, size in bucket.sizes(key).items():
        folder, _, rest = path.partition("/")
        if rest and STEP.fullmatch(folder):
            found[folder][rest] = size
    return dict(found)


def complete(folders: Folders) -> list[str]:
    """The folders that have a marker, newest first."""
    return sorted((folder for folder, sizes in folders.items() if MARKER in sizes), key=step_of, reverse=True)


def step_of(folder: str) -> int:
    """The step a folder is named by."""
    return int(folder.removeprefix("step-"))


def said(error: Exception) -> str:
    """An error's own words, and its type where it is not one of ours."""
    if isinstance(error, Absent | Torn):
        return error.fact
    return str(error) if isinstance(error, Damaged | Stop) else f"{type(error).__name__}: {error}"
