"""`medu1 data import`: real benchmark files, copied to data/real/FORMAT/NAME and pinned.

The pin is written last and is what counts: a file that lies in the directory without it is nobody's, so a killed
import has imported nothing and is simply run again. The files of the pin that are not on this machine stay in it. The
version before and the one after are kept in the cache, so that `medu1 data diff` can tell them apart.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from medu1.errors import Stop
from medu1.prepare import rawdata
from medu1.prepare.formats.builtin import FOLDER
from medu1.prepare.location import RAW, fetched
from medu1.prepare.sources import Source, file_digest, parse
from medu1.prepare.versions.pin import NEW_PIN, PIN, File, Listing, Pin, listing, write_pin
from medu1.prepare.versions.transfer import here, keep, scratch
from medu1.question import Frozen

REAL = "real"  # below the raw directory


class Imported(Frozen):
    """One file of the import."""

    path: str  # below data/
    md5: str
    size: int  # bytes
    state: Literal["new", "replaced", "there"]


class Import(Frozen):
    """What an import did."""

    digest: str  # of the raw directory, as pinned now
    before: str
    files: tuple[Imported, ...]


class Staged(NamedTuple):
    """A copy on its way into the raw directory."""

    path: str  # below data/
    copy: Path
    file: File


def import_files(root: Path, entries: Sequence[str], force: bool = False) -> Import:
    """Copy files, each FORMAT:PLACE as in prepare.sources, and pin them. Raises Stop, and then nothing is imported."""
    sources = _places(entries)
    with scratch(root) as folder:
        pin = Pin.read(root / PIN)
        own = _own(root, pin)
        if (before := here(root, pin)) is not None:
            keep(root, before, folder / "before")
        staged = [_staged(source, path, folder) for path, source in sources.items()]
        states = _states(root, pin, staged, force)
        imported = pin.imported | Listing(files={one.path: one.file for one in staged})
        _placed(root, staged)
        found = own | imported
        if found.digest != pin.digest:
            write_pin(root / PIN, found, imported)
        if here(root, Pin(digest=found.digest, imported=imported)) is not None:
            keep(root, found, folder / "after")
    files = [Imported(path=one.path, **one.file.model_dump(), state=states[one.path]) for one in staged]
    return Import(digest=found.digest, before=pin.digest, files=tuple(files))


def _places(entries: Sequence[str]) -> dict[str, Source]:
    """Where each source goes."""
    places: dict[str, Source] = {}
    for source in map(parse, entries):
        if not source.path:
            raise Stop(f"{source} is no file to import.", "It is generated.", "Run: medu1 data build")
        path = f"{REAL}/{source.format}/{source.path.rstrip('/').rpartition('/')[2]}"
        if path in places:
            raise Stop(
                f"{places[path]} and {source} would both be {RAW}/{path}.",
                "A file is known by its format and name.",
                "Rename one of them.",
            )
        places[path] = source
    return places


def _own(root: Path, pin: Pin) -> Listing:
    """The built-in files as pinned, generated where they are not here."""
    own = listing(root / RAW / FOLDER)
    if not own.files:
        rawdata.write(root / RAW)
    own = listing(root / RAW).below(FOLDER)
    if (found := (own | pin.imported).digest) != pin.digest:
        raise Stop(
            f"The built-in files and the imported ones have the digest {found}, {PIN} pins {pin.digest}.",
            f"Either {RAW}/{FOLDER} is not as pinned, or the pin is of files that were not imported.",
            f"Run medu1 data build, which names what differs. {NEW_PIN}",
        )
    return own


def _staged(source: Source, path: str, folder: Path) -> Staged:
    copy = folder / "staged" / path
    copy.parent.mkdir(parents=True, exist_ok=True)
    place = fetched(source.path, folder / "fetched").expanduser()
    if not place.is_file():
        raise Stop(f"There is no file {place} to import as {source.format}.", next_step="Correct the path.")
    shutil.copyfile(place, copy)
    return Staged(path, copy, File(md5=file_digest(copy), size=copy.stat().st_size))


def _states(
    root: Path, pin: Pin, staged: Sequence[Staged], force: bool
) -> dict[str, Literal["new", "replaced", "there"]]:
    """What each file is to the pin and the directory. Raises Stop where one would take other bytes' place unasked."""
    states = {one.path: _state(root, pin, one) for one in staged}
    others = [path for path, state in states.items() if state == "replaced"]
    if others and not force:
        raise Stop(
            f"{', '.join(f'{RAW}/{path}' for path in others)} would be replaced by other bytes.",
            "Who named the file meant the bytes it had.",
            "Rename the new file, or import it with --force.",
        )
    return states


def _state(root: Path, pin: Pin, one: Staged) -> Literal["new", "replaced", "there"]:
    place = root / RAW / one.path
    lying = file_digest(place) if place.is_file() else None
    held = pin.imported.md5s.get(one.path)
    if {lying, held} - {None, one.file.md5}:
        return "replaced"
    return "there" if held else "new"


def _placed(root: Path, staged: Sequence[Staged]) -> None:
    for one in staged:
        place = root / RAW / one.path
        place.parent.mkdir(parents=True, exist_ok=True)
        one.copy.replace(place)
