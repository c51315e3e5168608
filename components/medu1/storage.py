"""Where outputs live: one folder each under a key, whole or not at all, on this machine or in an object store."""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from pydantic import ValidationError

from medu1 import record
from medu1.bucket import Absent, Bucket
from medu1.errors import Stop
from medu1.workspace import Workspace

SCRATCH = ".scratch-"  # then the process, then a random part


class Store(Protocol):
    """Folders by key. A folder without a complete step record does not exist."""

    def fetch(self, key: str) -> Path | None:
        """The folder on this machine, or None where no complete one is stored."""

    def publish(self, folder: Path, key: str) -> Path:
        """Move a complete folder into the store and say where it is on this machine."""


class LocalStore:
    """Folders below one root; publishing is a rename, so a killed process leaves nothing half-written under a key."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def fetch(self, key: str) -> Path | None:
        """The folder itself: nothing is copied."""
        folder = self.root / key
        return folder if record.read(folder) else None

    def publish(self, folder: Path, key: str) -> Path:
        """Rename `folder`, which lies on the same file system; a torn folder in its place is removed first."""
        target = self.root / key
        if record.read(target):
            shutil.rmtree(folder)
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            torn = target.with_name(f".torn-{uuid4().hex}")
            target.rename(torn)
            shutil.rmtree(torn, ignore_errors=True)
        folder.rename(target)
        return target


class ObjectStore:
    """Folders below an S3 prefix, fetched once into a local cache; the record, uploaded last, marks completeness."""

    def __init__(self, url: str, cache: Path) -> None:
        self.bucket, self.cache = Bucket(url), LocalStore(cache)

    def fetch(self, key: str) -> Path | None:
        """Download what the record names, check every checksum, and keep it in the cache.

        Raises Stop where a file is another than the record names. A record that is torn is none.
        """
        if cached := self.cache.fetch(key):
            return cached
        part = self.cache.root / f".part-{uuid4().hex}"
        try:
            self._download(key, part)
        except (Absent, ValidationError):
            return None
        else:
            return self.cache.publish(part, key)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _download(self, key: str, part: Path) -> None:
        """Raises Absent where there is no record, ValidationError where it is torn or names a file elsewhere."""
        content = self.bucket.read(f"{key}/{record.NAME}")
        described = record.StepRecord.model_validate_json(content)
        wanted = {f"{key}/{name}": part / name for name in described.outputs}
        for path in (part / record.NAME, *wanted.values()):
            path.parent.mkdir(parents=True, exist_ok=True)
        (part / record.NAME).write_bytes(content)
        for got in self.bucket.download(wanted):
            if record.checksum(wanted[got]) != described.outputs[got.removeprefix(f"{key}/")].sha256:
                raise Stop(
                    f"{self.bucket.at(got)} does not have the checksum its record names.",
                    "The object was changed after it was published.",
                    "Delete the folder in the store; the step that made it runs again.",
                )

    def publish(self, folder: Path, key: str) -> Path:
        """Upload the files, the record last, then keep the folder in the cache; the first of two makers wins."""
        with suppress(Stop):  # nothing is there yet, or it is damaged and replaced
            self.bucket.read(f"{key}/{record.NAME}")
            if held := self.fetch(key):
                shutil.rmtree(folder)
                return held
        names = sorted((p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()), key=_record_last)
        for name in names:
            with (folder / name).open("rb") as file:
                self.bucket.upload(file, f"{key}/{name}")
        return self.cache.publish(folder, key)


def _record_last(name: str) -> tuple[bool, str]:
    return (name == record.NAME, name)


def open_store(workspace: Workspace) -> Store:
    """The object store where one is set, else the home folder."""
    if workspace.store.startswith("s3://"):
        return ObjectStore(workspace.store, workspace.home / "store")
    if workspace.store:
        raise Stop(f"MEDU1_STORE is {workspace.store!r}.", "Only s3:// is known.", "Unset it to use the home folder.")
    return LocalStore(workspace.home / "store")


def download(url: str, into: Path) -> Path:
    """One object, `s3://bucket/key`, as a local file: whole or not at all, and only where its version there is another.

    Raises Stop where it is not there or may not be read.
    """
    place, _, name = url.removeprefix("s3://").partition("/")
    bucket = Bucket(f"s3://{place}")
    version, part = into.with_name(f"{into.name}.version"), into.with_name(f".part-{uuid4().hex}")
    into.parent.mkdir(parents=True, exist_ok=True)
    try:
        there = bucket.version(name)
        if into.is_file() and version.is_file() and version.read_text(encoding="utf-8") == there:
            return into
        list(bucket.download({name: part}))
        part.replace(into)
        version.write_text(there, encoding="utf-8")
    finally:
        part.unlink(missing_ok=True)
    return into


def scratch(workspace: Workspace) -> Path:
    """A new empty folder on the store's own file system, so that publishing is a rename.

    Those of processes that are gone are removed: a killed step cannot tidy up.
    """
    store = workspace.home / "store"
    for left in store.glob(f"{SCRATCH}*"):
        if not _is_running(left.name.removeprefix(SCRATCH).partition("-")[0]):
            shutil.rmtree(left, ignore_errors=True)
    folder = store / f"{SCRATCH}{os.getpid()}-{uuid4().hex[:8]}"
    folder.mkdir(parents=True)
    return folder


def _is_running(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (ValueError, PermissionError):
        return True
    return True
