"""`medu1 data pull` and `push`: the raw directory of a checkout, and a DVC remote.

The directory is replaced whole, by a rename, once every byte of it has been checked; what DVC has fetched by then stays
in the checkout's cache, so a killed pull goes on where it was. Bytes that no pin and no cache hold are never replaced
unasked. One command works on a checkout at a time.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medu1.errors import Stop
from medu1.prepare.formats.builtin import FOLDER
from medu1.prepare.location import RAW
from medu1.prepare.versions.exchange import cached, laid_out, sent, stored
from medu1.prepare.versions.pin import PIN, Listing, Pin, listing
from medu1.prepare.versions.remote import Remote
from medu1.prepare.versions.revision import pin_at
from medu1.question import Frozen


class Moved(Frozen):
    """What a pull or a push did."""

    digest: str  # of the raw directory
    files: int  # in it
    size: int  # bytes
    changed: bool  # False: everything was there
    sent: int = 0  # files that the remote did not have


def cache_of(root: Path) -> Path:
    """Where a checkout keeps the bytes of every version it has seen, as DVC lays them out."""
    return root / ".dvc" / "cache"


def pull(root: Path, remote: Remote | None, revision: str | None = None, force: bool = False) -> Moved:
    """Bring data/ to the bytes that data.dvc pins, or pinned at a git revision; data.dvc itself stays as it is."""
    pin = pin_at(root, revision) if revision else Pin.read(root / PIN)
    with scratch(root) as folder:
        present = listing(root / RAW)
        if present.digest == pin.digest:
            return _moved(present, changed=False)
        new = laid_out(pin.digest, folder / "new", remote, cache_of(root))
        found = listing(new)
        if not force:
            _refuse_loss(present, found, cache_of(root))
        _swap(root / RAW, new, folder / "old")
    return _moved(found, changed=True)


def push(root: Path, remote: Remote) -> Moved:
    """Send the bytes that data.dvc pins from data/ to a remote; what it has is not sent again."""
    pin = Pin.read(root / PIN)
    with scratch(root) as folder:
        found = here(root, pin)
        if found is None:
            raise Stop(
                f"{RAW}/ does not hold what {PIN} pins, {pin.digest}.",
                "Only pinned bytes are pushed.",
                "Run medu1 data build for the built-in files, medu1 data pull for the others, or pin what is meant.",
            )
        keep(root, found, folder)
        count = sent(pin.digest, folder / "sent", remote, cache_of(root))
    return _moved(found, changed=count > 0).model_copy(update={"sent": count})


def _moved(found: Listing, changed: bool) -> Moved:
    return Moved(digest=found.digest, files=len(found.files), size=found.size, changed=changed)


def here(root: Path, pin: Pin) -> Listing | None:
    """The files of data/ that a pin is of: all of them, or the built-in and the imported ones; None where some lack."""
    present = listing(root / RAW)
    owned = {path: file for path, file in present.files.items() if path.startswith(f"{FOLDER}/")}
    owned |= {path: file for path, file in present.files.items() if path in pin.imported.files}
    known = (present, Listing(files=owned))
    return next((found for found in known if found.digest == pin.digest), None)


def keep(root: Path, found: Listing, folder: Path) -> None:
    """Put files of data/ into the cache, so that this version can be laid out again whatever becomes of data/."""
    cache = cache_of(root)
    if all(cached(cache, md5).is_file() for md5 in (found.digest, *found.md5s.values())):
        return
    tree = folder / "tree"
    for name in found.files:
        link(root / RAW / name, tree / name)
    digest = stored(tree, folder / "kept", cache)
    shutil.rmtree(tree)
    if digest != found.digest:
        raise Stop(f"{RAW}/ changed while it was read.", f"It was {found.digest} and is {digest}.", "Run again.")


def link(file: Path, place: Path) -> None:
    """One more name for a file, or a copy where the file system has no such names."""
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, place)
    except OSError:
        shutil.copyfile(file, place)


def _refuse_loss(present: Listing, coming: Listing, cache: Path) -> None:
    """Built-in files are generated anew at any time; others that nothing else holds would be gone."""
    lost = [
        path
        for path, file in present.files.items()
        if not path.startswith(f"{FOLDER}/")
        and coming.md5s.get(path) != file.md5
        and not cached(cache, file.md5).is_file()
    ]
    if lost:
        raise Stop(
            f"{RAW}/ holds bytes that no pin and no cache know: {', '.join(lost)}.",
            "A pull replaces the directory.",
            "Move them elsewhere, import them (medu1 data import), or pull with --force.",
        )


def _swap(raw: Path, new: Path, old: Path) -> None:
    if raw.exists():
        raw.rename(old)
    new.rename(raw)


@contextmanager
def scratch(root: Path) -> Iterator[Path]:
    """An empty folder on the checkout's file system, for one command at a time; what a killed one left is removed."""
    folder = root / ".dvc" / "tmp" / "medu1"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "medu1.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Stop(
                f"Another medu1 data command is at work in {root}.", next_step="Run again when it is done."
            ) from None
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        except OSError as error:
            raise Stop(
                f"The raw data cannot be written: {error.strerror}.",
                f"It is about {error.filename}." if error.filename else "",
                "Free space or correct the access, and run again: what is already fetched is kept.",
            ) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)
