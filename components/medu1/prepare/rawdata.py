"""The raw data directory `data/`: its built-in files, and how a step obtains the bytes that `data.dvc` pins.

Whoever starts a run reads the pin and hands its digests on as text; a step pulls the bytes from a DVC remote, which the
parameters or the pinned repository names, and where neither does it generates the built-in ones anew and takes the
imported ones from the checkout it runs in. Either way they have the pinned digest or nothing goes on.
"""

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Self

from medu1.builtin import questions
from medu1.errors import Stop
from medu1.params import Prepare
from medu1.prepare.formats.builtin import FOLDER
from medu1.prepare.location import RAW, fetched, inside
from medu1.prepare.sources import file_digest, parse
from medu1.prepare.versions.exchange import laid_out
from medu1.prepare.versions.pin import NEW_PIN, PIN, Listing, Pin, directory_digest, listing, write_pin
from medu1.prepare.versions.remote import Remote
from medu1.prepare.versions.revision import obtain_from
from medu1.prepare.versions.transfer import link

NONE: Mapping[str, str] = MappingProxyType({})
NOWHERE = "Neither a DVC remote nor a repository is named that would give it."
NAME_ONE = (
    "set prepare.dvc_remote, or prepare.repository and prepare.revision, to where it was pushed (medu1 data push)."
)


class Digests(NamedTuple):
    """What the raw bytes hash to: the argument `data` of prepare, an identity without which a cache would be blind."""

    pin: str  # of the raw directory, MD5 with the suffix .dir
    files: Mapping[str, str]  # MD5 of each file that prepare.sources names, by path
    imported: Mapping[str, str] = NONE  # MD5 of each pinned file that is not built-in, by its path below data/

    def text(self) -> str:
        """Canonical JSON: the pin and each imported file under the name of its file, each source under its path."""
        imported = {f"{PIN}/{path}": md5 for path, md5 in self.imported.items()}
        return json.dumps({PIN: self.pin, **imported, **self.files}, sort_keys=True, separators=(",", ":"))

    def identity(self) -> str:
        """The digests alone, the pin first: where files lie is no part of what they are."""
        return " ".join([self.pin, *sorted(self.files.values())])

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `text` writes. Raises Stop on anything else."""
        try:
            digests = {str(path): str(md5) for path, md5 in json.loads(text).items()}
            pin = digests.pop(PIN)
        except (ValueError, AttributeError, KeyError):
            raise Stop(
                f"The argument data of prepare is {text!r}.",
                f"It is a JSON mapping of {PIN} to the digest it pins and of each source file to its MD5; the pin is "
                "always there, since the demonstrations are built-in questions.",
                "Pass the digests of the raw data.",
            ) from None
        inside = {path: md5 for path, md5 in digests.items() if path.startswith(PIN + "/")}
        outside = {path: md5 for path, md5 in digests.items() if path not in inside}
        return cls(pin, outside, {path.removeprefix(PIN + "/"): md5 for path, md5 in inside.items()})


def build(root: Path, pin: bool = False) -> str:
    """Write the built-in raw files below `root`, then pin them anew or check them against the pin.

    Imported files are none of its business: they stay in the pin as they are, here or not. Gives the pinned digest.
    Raises Stop where the built-in bytes are not the pinned ones; they stay for comparison.
    """
    changed = write(root / RAW)
    path, own = root / PIN, listing(root / RAW).below(FOLDER)
    held = Pin.read(path) if path.exists() or not pin else Pin(digest="", imported=Listing(files={}))
    found = own | held.imported
    if pin:
        write_pin(path, found, held.imported)
        return found.digest
    if held.digest != found.digest and held.digest != listing(root / RAW).digest:
        raise _other_bytes(found, held, changed)
    return held.digest


def _other_bytes(found: Listing, held: Pin, changed: list[str]) -> Stop:
    named = ", ".join(changed or sorted(found.files))
    beside = f" with {len(held.imported.files)} imported files" if held.imported.files else ""
    return Stop(
        f"The built-in data in {RAW}/{beside} has the digest {found.digest}, {PIN} pins {held.digest}.",
        f"{'Changed by this build' if changed else 'Files'}: {named}.",
        f"Restore the sources of the built-in questions. {NEW_PIN}",
    )


def write(raw: Path) -> list[str]:
    """Write the built-in files below a raw directory and remove others from their folder; the names that changed."""
    files = questions.raw_files()
    present = [path.relative_to(raw).as_posix() for path in (raw / FOLDER).rglob("*") if path.is_file()]
    gone = [name for name in present if name not in files]
    for name in gone:
        (raw / name).unlink()
    return sorted([*gone, *(name for name, text in files.items() if _write(raw / name, text.encode()))])


def _write(path: Path, content: bytes) -> bool:
    """Whether the file was something else before."""
    if path.exists() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return True


def digests(params: Prepare, pin: Pin, cache: Path) -> Digests:
    """What the raw bytes of the parameters hash to: a source below data/ by what the pin says, so that its bytes need
    not be here; another by reading it, from `cache` where it is remote."""
    paths = [path for path in (parse(source).path for source in params.sources) if path]
    files = {path: _pinned(path, pin, params) if inside(path) else file_digest(fetched(path, cache)) for path in paths}
    return Digests(pin.digest, files, pin.imported.md5s)


def _pinned(path: str, pin: Pin, params: Prepare) -> str:
    """The MD5 of a source below data/. Raises Stop where a step could not obtain it."""
    held = pin.imported.md5s.get(inside(path))
    if not (params.dvc_remote or params.repository):
        return _lying(path, held)
    if held is None:
        nearest = difflib.get_close_matches(inside(path), pin.imported.md5s, n=1, cutoff=0.0)
        raise Stop(
            f"prepare.sources: {path} is not among the imported files that {_pin_of(params)} pins.",
            f"The nearest is {RAW}/{nearest[0]}." if nearest else "It lists none.",
            "Correct the path, or import the file (medu1 data import), push it and commit the pin.",
        )
    return held


def _pin_of(params: Prepare) -> str:
    return f"{PIN} of {params.repository} at {params.revision}" if params.repository else PIN


def _lying(path: str, held: str | None) -> str:
    """The MD5 of a source in this checkout's data/, where steps without a remote take it from."""
    if held and not Path(path).is_file():
        raise Stop(
            f"prepare.sources: {path} is pinned and not on this machine.",
            NOWHERE,
            f"Run medu1 data pull, or {NAME_ONE}",
        )
    found = file_digest(Path(path))
    if held and found != held:
        raise Stop(
            f"prepare.sources: {path} has the MD5 {found}, {PIN} pins {held}.",
            "It was changed after it was imported.",
            f"Bring it back (medu1 data pull --force), or pin what it is now: medu1 data import --force FORMAT:{path}",
        )
    return found


def obtain(params: Prepare, data: Digests, into: Path) -> Path:
    """The raw directory with the pinned digest below `into`, where nothing lies yet.

    Where neither a DVC remote nor a repository is named it holds the built-in files and of the others only those that
    are sources.
    """
    if params.dvc_remote:
        return laid_out(data.pin, into, Remote.at(params.dvc_remote), links="hardlink")
    if params.repository:
        return obtain_from(params.repository, params.revision, into, data.pin)
    raw = into / RAW
    write(raw)
    if (found := directory_digest({**listing(raw).md5s, **data.imported})) != data.pin:
        raise Stop(
            f"The built-in questions of this version have the digest {found}, {PIN} pins {data.pin}.",
            "The pin is of other bytes than these.",
            f"Restore {PIN}, or name where its bytes were pushed: prepare.dvc_remote, or prepare.repository and "
            f"prepare.revision. {NEW_PIN}",
        )
    for path in filter(inside, data.files):
        _take(Path(path), raw / inside(path))
    return raw


def _take(file: Path, place: Path) -> None:
    """One file of the checkout that the step runs in; whether it has its checksum is looked at when it is read."""
    if not file.is_file():
        raise Stop(
            f"{file} is not where the step prepare runs.", NOWHERE, f"Start the run in the checkout, or {NAME_ONE}"
        )
    if not place.exists():
        link(file.resolve(), place)
