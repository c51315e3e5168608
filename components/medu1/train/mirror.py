"""Checkpoints of a training in an object store: copied there while it goes on, and back where its disk is gone.

In flow folders `step-00000020` that their marker makes complete; out flow the same below `<key>/` of a bucket, marker
last, so that a folder without one does not exist there either. Training never waits for the store and never fails with
it: one thread sends, at most one folder waits, and a newer one takes its place, also the place of one that fails. Files
are held open while they are sent, so a folder that is pruned meanwhile still arrives; one that is pruned before is left
out. Nothing in the store is believed: a checkpoint is taken when every file it names has its size and its SHA-256.
"""

import shutil
from collections import defaultdict
from collections.abc import Collection, Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import ExitStack
from hashlib import file_digest
from io import BufferedReader, BytesIO
from os import fstat
from pathlib import Path, PurePosixPath
from threading import Condition, Thread
from time import monotonic
from typing import Annotated, Final, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from medu1.errors import Stop
from medu1.storage import Absent, Bucket, Torn
from medu1.train.checkpoints import MARKER, STEP, name

RETRY_SECONDS: Final = 1.0  # after the first failure, then twice as long each time
LONGEST_RETRY_SECONDS: Final = 60.0
HURRIED_RETRY_SECONDS: Final = 2.0  # at most, while someone waits in `flush`
CLOSE_SECONDS: Final = 2.0  # for a transfer to notice that it is cancelled
CHECKERS: Final = 4  # files hashed at a time
LONGEST_NAME: Final = 255  # bytes of one file name, as file systems have it

Folders = dict[str, dict[str, int]]  # step folder -> relative path -> bytes


class Damaged(Exception):
    """A folder is not the checkpoint its marker describes."""


class Pruned(Exception):
    """A folder is gone before it is sent."""


def _is_below(path: str) -> str:
    """A path of a marker that comes from elsewhere: below the checkpoint's folder, written in one way only."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or str(pure) != path or "\\" in path or "\0" in path:
        raise ValueError(f"{path!r} is no path below a checkpoint")
    if path in (".", MARKER) or any(len(part.encode()) > LONGEST_NAME for part in pure.parts):
        raise ValueError(f"{path!r} is no file of a checkpoint")
    return path


def _is_tree(files: dict[str, "_Entry"]) -> dict[str, "_Entry"]:
    """No file of a marker is a folder of another one."""
    for path in files:
        if inside := next((str(up) for up in PurePosixPath(path).parents if str(up) in files), None):
            raise ValueError(f"{inside!r} is a file and a folder")
    return files


class _Entry(BaseModel):
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]


class _Marker(BaseModel):
    """What a copy needs of a marker; its other fields are the training's."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    step: int
    files: Annotated[dict[Annotated[str, AfterValidator(_is_below)], _Entry], AfterValidator(_is_tree)]

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


class Status(NamedTuple):
    """How far the copying is."""

    uploaded: tuple[str, ...]  # folders sent by this process and not removed since, in the order sent
    uploading: str | None
    waiting: str | None
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
        self._waiting: Path | None = None
        self._kept: frozenset[str] | None = None
        self._uploaded: list[str] = []
        self._error, self._failures, self._bytes, self._seconds = "", 0, 0, 0.0
        self._hurried, self._flushing, self._closed = False, 0, False
        self._thread = Thread(target=self._run, name="mirror", daemon=True)
        self._thread.start()

    def offer(self, folder: Path) -> None:
        """Copy a complete folder some time; returns at once. It replaces one that waits; ignored after `close`."""
        with self._change:
            if not self._closed:
                self._waiting = folder.absolute()
                self._change.notify_all()

    def keep(self, names: Collection[str]) -> None:
        """After the next copy, remove every other folder in the store but the newest complete one."""
        with self._change:
            self._kept = frozenset(names)

    def status(self) -> Status:
        """How far the copying is, now."""
        with self._change:
            return Status(
                uploaded=tuple(self._uploaded),
                uploading=self._current.name if self._current else None,
                waiting=self._waiting.name if self._waiting else None,
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
            self._closed, self._waiting = True, None
            self._change.notify_all()
        end = monotonic() + CLOSE_SECONDS
        while self._thread.is_alive() and monotonic() < end:
            self._bucket.cancel()
            self._thread.join(0.1)

    def _is_idle(self) -> bool:
        return self._current is None and self._waiting is None

    def _run(self) -> None:
        failures = 0  # in a row, of whichever folders
        while folder := self._next():
            sent: set[str] = set()
            while not self._attempt(folder, sent):
                failures += 1
                if not self._pause(failures):
                    break
            else:
                failures = 0

    def _next(self) -> Path | None:
        with self._change:
            self._current, self._hurried = None, False
            self._change.notify_all()
            self._change.wait_for(lambda: self._closed or self._waiting)
            if not self._closed:
                self._current, self._waiting = self._waiting, None
            return self._current

    def _pause(self, failures: int) -> bool:
        """Wait before the next attempt; says whether to make it, since a newer folder that waits is worth more."""
        with self._change:
            longest = HURRIED_RETRY_SECONDS if self._flushing else LONGEST_RETRY_SECONDS
            delay = min(RETRY_SECONDS * 2.0 ** min(failures - 1, 10), longest)
            self._change.wait_for(lambda: self._closed or self._hurried, delay)
            self._hurried = False
            return not self._closed and self._waiting is None

    def _attempt(self, folder: Path, sent: set[str]) -> bool:
        """Send what is left of a folder; False where another attempt may help."""
        began = monotonic()
        try:
            with ExitStack() as held:
                self._send(_open(folder, held), sent)
        except Pruned:
            return True
        except Exception as error:
            self._failed(folder.name, "The training ends first." if self._closed else _said(error))
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
                _check(path, opened.files[path], entry)
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
                self._error = f"Old checkpoints stay in {self._bucket.at(self._key)}: {_said(error)}"

    def _prune(self, kept: frozenset[str]) -> None:
        """Remove the other folders, marker first: a kill in between leaves no half that counts as whole."""
        folders = _folders(self._bucket, self._key)
        for folder in sorted(folders.keys() - kept - set(_complete(folders)[:1])):
            paths = sorted(folders[folder], key=lambda path: (path != MARKER, path))
            self._bucket.delete(f"{self._key}/{folder}/{path}" for path in paths)
            with self._change:
                self._uploaded = [each for each in self._uploaded if each != folder]


class Restored(NamedTuple):
    """What a bucket gave."""

    folder: Path | None  # of the checkpoint on this machine; None: there is none that is whole
    notes: tuple[str, ...]  # one a checkpoint passed over, and why


def newest(bucket: Bucket, key: str) -> int | None:
    """The step of the newest complete checkpoint below `key`, by its marker alone. Raises Stop, as all of `Bucket`."""
    return max((_step(folder) for folder in _complete(_folders(bucket, key))), default=None)


def restore(bucket: Bucket, key: str, into: Path, step: int | None = None) -> Restored:
    """Copy the newest whole checkpoint below `key` to `into/step-XXXXXXXX`, or that of one step.

    It is there whole or not at all, and nothing is fetched where it is there already; a folder of that step that is
    damaged, or of another training, is replaced. A checkpoint that is damaged in the store is passed over for the next
    older one, with a note. Raises Stop where the store cannot be read, OSError where the disk is full. One process
    restores into a folder at a time.
    """
    folders = _folders(bucket, key)
    notes: list[str] = []
    for folder in _complete(folders):
        if step is None or folder == name(step):
            try:
                return Restored(_fetch(bucket, f"{key}/{folder}", folders[folder], into / folder), tuple(notes))
            except (Damaged, Absent, Torn) as error:
                notes.append(f"{bucket.at(key)}/{folder} is passed over. {_said(error)}")
    return Restored(None, tuple(notes))


def _fetch(bucket: Bucket, there: str, sizes: Mapping[str, int], folder: Path) -> Path:
    """One checkpoint. Raises Damaged, Absent or Torn."""
    content = bucket.read(f"{there}/{MARKER}")
    marker = _Marker.of(folder.name, content)
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


def _download(bucket: Bucket, there: str, marker: _Marker, part: Path) -> None:
    """All files at once, each hashed as soon as it is whole. Raises Damaged, Absent or Torn."""
    part.mkdir(parents=True)
    wanted = {f"{there}/{path}": part / path for path in marker.files}
    for path in wanted.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(CHECKERS) as checkers:
        paths = (got.removeprefix(f"{there}/") for got in bucket.download(wanted))
        list(checkers.map(lambda path: _check_at(part, path, marker.files[path]), paths))


def _replace(part: Path, folder: Path) -> None:
    """Rename a folder into its place; what stands there is removed."""
    old = folder.with_name(f".replaced-{folder.name}")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _is_held(folder: Path, content: bytes, marker: _Marker) -> bool:
    """Whether a folder on this machine has this marker, and every file of it whole."""
    try:
        if (folder / MARKER).read_bytes() != content:
            return False
        for path, entry in marker.files.items():
            _check_at(folder, path, entry)
    except (OSError, Damaged):
        return False
    return True


class _Opened(NamedTuple):
    """A checkpoint on this machine whose bytes stay while it is open, also where it is pruned."""

    content: bytes  # of the marker
    marker: _Marker
    files: dict[str, BufferedReader]


def _open(folder: Path, held: ExitStack) -> _Opened:
    """The marker and the files it names. Raises Pruned where the folder is gone, or Damaged."""
    try:
        content = (folder / MARKER).read_bytes()
        marker = _Marker.of(folder.name, content)
        return _Opened(content, marker, {path: held.enter_context((folder / path).open("rb")) for path in marker.files})
    except FileNotFoundError as error:
        if (folder / MARKER).exists():  # pruning removes it first
            raise Damaged(f"{error.filename} is not there.") from None
        raise Pruned from None


def _check_at(folder: Path, path: str, entry: _Entry) -> None:
    with (folder / path).open("rb") as file:
        _check(path, file, entry)


def _check(path: str, file: BufferedReader, entry: _Entry) -> None:
    """Raises Damaged where a file is not the one its marker names."""
    size = fstat(file.fileno()).st_size
    if size != entry.size:
        raise Damaged(f"{path} has {size} bytes and not {entry.size}.")
    file.seek(0)
    if file_digest(file, "sha256").hexdigest() != entry.sha256:
        raise Damaged(f"{path} does not have the checksum that {MARKER} names.")


def _folders(bucket: Bucket, key: str) -> Folders:
    """What lies in the store, by step folder."""
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for path, size in bucket.sizes(key).items():
        folder, _, rest = path.partition("/")
        if rest and STEP.fullmatch(folder):
            found[folder][rest] = size
    return dict(found)


def _complete(folders: Folders) -> list[str]:
    """The folders that have a marker, newest first."""
    return sorted((folder for folder, sizes in folders.items() if MARKER in sizes), key=_step, reverse=True)


def _step(folder: str) -> int:
    return int(folder.removeprefix("step-"))


def _said(error: Exception) -> str:
    """An error's own words, and its type where it is not one of ours."""
    if isinstance(error, Absent | Torn):
        return error.fact
    return str(error) if isinstance(error, Damaged | Stop) else f"{type(error).__name__}: {error}"
