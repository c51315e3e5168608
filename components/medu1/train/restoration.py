"""Checkpoints of a training, brought back from an object store where this machine's disk has none.

Nothing in the store is believed: a checkpoint is taken when every file its marker names has its size and its SHA-256.
"""

import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from medu1.bucket import Absent, Bucket, Torn
from medu1.train.checkpoints import MARKER, name
from medu1.train.copies import Damaged, Marker, check_at, complete, folders, said, step_of

CHECKERS: Final = 4  # files hashed at a time


class Restored(NamedTuple):
    """What a bucket gave."""

    folder: Path | None  # of the checkpoint on this machine; None: there is none that is whole
    notes: tuple[str, ...]  # one a checkpoint passed over, and why


def newest(bucket: Bucket, key: str) -> int | None:
    """The step of the newest complete checkpoint below `key`, by its marker alone. Raises Stop, as all of `Bucket`."""
    return max((step_of(folder) for folder in complete(folders(bucket, key))), default=None)


def restore(bucket: Bucket, key: str, into: Path, step: int | None = None) -> Restored:
    """Copy the newest whole checkpoint below `key` to `into/step-XXXXXXXX`, or that of one step.

    It is there whole or not at all, and nothing is fetched where it is there already; a folder of that step that is
    damaged, or of another training, is replaced. A checkpoint that is damaged in the store is passed over for the next
    older one, with a note. Raises Stop where the store cannot be read, OSError where the disk is full. One process
    restores into a folder at a time.
    """
    held = folders(bucket, key)
    notes: list[str] = []
    for folder in complete(held):
        if step is None or folder == name(step):
            try:
                return Restored(_fetch(bucket, f"{key}/{folder}", held[folder], into / folder), tuple(notes))
            except (Damaged, Absent, Torn) as error:
                notes.append(f"{bucket.at(key)}/{folder} is passed over. {said(error)}")
    return Restored(None, tuple(notes))


def _fetch(bucket: Bucket, there: str, sizes: Mapping[str, int], folder: Path) -> Path:
    """One checkpoint. Raises Damaged, Absent or Torn."""
    content = bucket.read(f"{there}/{MARKER}")
    marker = Marker.of(folder.name, content)
    if _is_held(folder, content, marker):
        return folder
    for path, entry in marker.files.items():
        if sizes.get(path) != entry.size:
            raise Damaged(f"{path} has {sizes.get(path, 'no')} bytes there and not {entry.size}.")
    part = folder.with_name(f".restoring-{folder.name}")
    shutil.rmtree(part, ignore_errors=True)
    try:
        _download(bucket, there, marker, part)
        (part / MARKER).write_bytes(content)
        _replace(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _download(bucket: Bucket, there: str, marker: Marker, part: Path) -> None:
    """All files at once, each hashed as soon as it is whole. Raises Damaged, Absent or Torn."""
    part.mkdir(parents=True)
    wanted = {f"{there}/{path}": part / path for path in marker.files}
    for path in wanted.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(CHECKERS) as checkers:
        paths = (got.removeprefix(f"{there}/") for got in bucket.download(wanted))
        list(checkers.map(lambda path: check_at(part, path, marker.files[path]), paths))


def _replace(part: Path, folder: Path) -> None:
    """Rename a folder into its place; what stands there is removed."""
    old = folder.with_name(f".replaced-{folder.name}")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _is_held(folder: Path, content: bytes, marker: Marker) -> bool:
    """Whether a folder on this machine has this marker, and every file of it whole."""
    try:
        if (folder / MARKER).read_bytes() != content:
            return False
        for path, entry in marker.files.items():
            check_at(folder, path, entry)
    except (OSError, Damaged):
        return False
    return True
