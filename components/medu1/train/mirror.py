"""Checkpoints of a training, copied to an object store while it goes on.

In flow folders `step-00000020` that their marker makes complete; out flow the same below `<key>/` of a bucket, marker
last, so that a folder without one does not exist there either. Training never waits for the store and never fails with
it: one thread sends, and the newest folder goes first, also before one that fails. Those it passes follow once there is
time, newest first, as long as they are kept: the best checkpoint is often an older one, and a machine that takes over
needs it. Files are held open while they are sent, so a folder that is pruned meanwhile still arrives; one that is
pruned before is left out.
"""

from collections.abc import Collection
from concurrent.futures import CancelledError
from contextlib import ExitStack
from io import BufferedReader, BytesIO
from pathlib import Path
from threading import Condition, Thread
from time import monotonic
from typing import Final, NamedTuple

from medu1.bucket import Absent, Bucket
from medu1.train.checkpoints import MARKER, name
from medu1.train.copies import Damaged, Marker, check, complete, folders, said

RETRY_SECONDS: Final = 1.0  # after the first failure, then twice as long each time
LONGEST_RETRY_SECONDS: Final = 60.0
HURRIED_RETRY_SECONDS: Final = 2.0  # at most, while someone waits in `flush`
CLOSE_SECONDS: Final = 2.0  # for a transfer to notice that it is cancelled


class Pruned(Exception):
    """A folder is gone before it is sent."""


class Status(NamedTuple):
    """How far the copying is."""

    uploaded: tuple[str, ...]  # folders sent by this process and not removed since, in the order sent
    uploading: str | None
    waiting: tuple[str, ...]  # folders, in the order they are taken
    error: str  # of the last attempt, or of the last removal; "": it went well
    failures: int  # attempts that failed, so far
    bytes: int  # of files sent
    seconds: float  # spent sending, waits between attempts left out


class Mirror:
    """Copies checkpoint folders to `key` in a bucket, in the background. One process writes there at a time."""

    def __init__(self, bucket: Bucket, key: str) -> None:
        self._bucket, self._key = bucket, key
        self._change = Condition()  # guards all below
        self._current: Path | None = None
        self._waiting: dict[str, Path] = {}  # by name, which sorts as steps do
        self._kept: frozenset[str] | None = None
        self._uploaded: list[str] = []
        self._error, self._failures, self._bytes, self._seconds = "", 0, 0, 0.0
        self._hurried, self._flushing, self._closed = False, 0, False
        self._thread = Thread(target=self._run, name="mirror", daemon=True)
        self._thread.start()

    def offer(self, folder: Path) -> None:
        """Copy a complete folder some time; returns at once. Ignored after `close`."""
        with self._change:
            if not self._closed:
                self._waiting[folder.name] = folder.absolute()
                self._change.notify_all()

    def keep(self, names: Collection[str]) -> None:
        """Leave out the others that wait; after the next copy, remove them in the store but the newest complete one."""
        with self._change:
            self._kept = frozenset(names)
            self._waiting = {name: folder for name, folder in self._waiting.items() if name in self._kept}
            self._change.notify_all()

    def status(self) -> Status:
        """How far the copying is, now."""
        with self._change:
            return Status(
                uploaded=tuple(self._uploaded),
                uploading=self._current.name if self._current else None,
                waiting=tuple(sorted(self._waiting, reverse=True)),
                error=self._error,
                failures=self._failures,
                bytes=self._bytes,
                seconds=self._seconds,
            )

    def flush(self, seconds: float) -> bool:
        """Wait until nothing is pending, at most so long; says whether that is so. A failed copy is tried at once."""
        with self._change:
            self._hurried = True
            self._flushing += 1
            self._change.notify_all()
            try:
                self._change.wait_for(lambda: self._closed or self._is_idle(), seconds)
            finally:
                self._flushing -= 1
            return self._is_idle()

    def close(self) -> None:
        """End the copying, whatever is pending; what is sent half does not exist in the store."""
        with self._change:
            self._closed = True
            self._waiting.clear()
            self._change.notify_all()
        end = monotonic() + CLOSE_SECONDS
        while self._thread.is_alive() and monotonic() < end:
            self._bucket.cancel()
            self._thread.join(0.1)

    def _is_idle(self) -> bool:
        return self._current is None and not self._waiting

    def _run(self) -> None:
        failures = 0  # in a row, of whichever folders
        while folder := self._next():
            sent: set[str] = set()
            while not self._attempt(folder, sent):
                failures += 1
                if not self._pause(folder, failures):
                    break
            else:
                failures = 0

    def _next(self) -> Path | None:
        with self._change:
            self._current, self._hurried = None, False
            self._change.notify_all()
            self._change.wait_for(lambda: self._closed or self._waiting)
            if not self._closed:
                self._current = self._waiting.pop(max(self._waiting))
            return self._current

    def _pause(self, folder: Path, failures: int) -> bool:
        """Wait before the next attempt; says whether to make it, since a newer folder is worth more and goes first."""
        with self._change:
            longest = HURRIED_RETRY_SECONDS if self._flushing else LONGEST_RETRY_SECONDS
            delay = min(RETRY_SECONDS * 2.0 ** min(failures - 1, 10), longest)
            self._change.wait_for(lambda: self._closed or self._hurried, delay)
            self._hurried = False
            if self._closed or max(self._waiting, default="") <= folder.name:
                return not self._closed
            if self._kept is None or folder.name in self._kept:
                self._waiting[folder.name] = folder
            return False

    def _attempt(self, folder: Path, sent: set[str]) -> bool:
        """Send what is left of a folder; False where another attempt may help."""
        began = monotonic()
        try:
            with ExitStack() as held:
                self._send(_open(folder, held), sent)
        except Pruned:
            return True
        except Exception as error:
            self._failed(folder.name, "The training ends first." if self._closed else said(error))
            return isinstance(error, Damaged)
        finally:
            with self._change:
                self._seconds += monotonic() - began
        self._arrived(folder.name)
        return True

    def _send(self, opened: "_Opened", sent: set[str]) -> None:
        """The files, then the marker. A marker there is removed first where it is of other files."""
        there = f"{self._key}/{name(opened.marker.step)}"
        if self._is_there(f"{there}/{MARKER}", opened.content):
            return
        for path, entry in opened.marker.files.items():
            if path not in sent:
                check(path, opened.files[path], entry)
                self._upload(opened.files[path], f"{there}/{path}")
                sent.add(path)
                self._count(entry.size)
        self._upload(BytesIO(opened.content), f"{there}/{MARKER}")

    def _is_there(self, marker: str, content: bytes) -> bool:
        try:
            if self._bucket.read(marker) == content:
                return True
        except Absent:
            return False
        self._bucket.delete([marker])
        return False

    def _upload(self, file: BufferedReader | BytesIO, name: str) -> None:
        if self._closed:
            raise CancelledError
        file.seek(0)
        self._bucket.upload(file, name)

    def _count(self, size: int) -> None:
        with self._change:
            self._bytes += size

    def _failed(self, folder: str, reason: str) -> None:
        with self._change:
            self._error = f"{folder} is not copied to {self._bucket.at(self._key)}. {reason}"
            self._failures += 1

    def _arrived(self, folder: str) -> None:
        """Note a copy, and remove what is not kept; a removal that fails is told, and tried again after the next."""
        with self._change:
            self._error = ""
            self._uploaded = [each for each in self._uploaded if each != folder] + [folder]
            kept = self._kept
        try:
            if kept is not None:
                self._prune(kept)
        except Exception as error:
            with self._change:
                self._error = f"Old checkpoints stay in {self._bucket.at(self._key)}: {said(error)}"

    def _prune(self, kept: frozenset[str]) -> None:
        """Remove the other folders, marker first: a kill in between leaves no half that counts as whole."""
        there = folders(self._bucket, self._key)
        for folder in sorted(there.keys() - kept - set(complete(there)[:1])):
            paths = sorted(there[folder], key=lambda path: (path != MARKER, path))
            self._bucket.delete(f"{self._key}/{folder}/{path}" for path in paths)
            with self._change:
                self._uploaded = [each for each in self._uploaded if each != folder]


class _Opened(NamedTuple):
    """A checkpoint on this machine whose bytes stay while it is open, also where it is pruned."""

    content: bytes  # of the marker
    marker: Marker
    files: dict[str, BufferedReader]


def _open(folder: Path, held: ExitStack) -> _Opened:
    """The marker and the files it names. Raises Pruned where the folder is gone, or Damaged."""
    try:
        content = (folder / MARKER).read_bytes()
        marker = Marker.of(folder.name, content)
        return _Opened(content, marker, {path: held.enter_context((folder / path).open("rb")) for path in marker.files})
    except FileNotFoundError as error:
        if (folder / MARKER).exists():  # pruning removes it first
            raise Damaged(f"{error.filename} is not there.") from None
        raise Pruned from None
