"""The raw data directory `data/`: its built-in files, and how a step obtains the bytes that `data.dvc` pins.

Where a remote is configured the bytes are pulled from it, else the built-in ones are generated anew; either way they
have the pinned digest or nothing goes on. Pulling needs no repository: the pin travels as text.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Self

from medu1.builtin import questions
from medu1.errors import Stop
from medu1.prepare.formats.builtin import FOLDER
from medu1.prepare.versions.exchange import laid_out
from medu1.prepare.versions.pin import NEW_PIN, PIN, RAW, Listing, Pin, directory_digest, listing, write_pin
from medu1.prepare.versions.remote import Remote

NONE: Mapping[str, str] = MappingProxyType({})


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


def obtain(pin: str, remote: str, into: Path, imported: Mapping[str, str] = NONE) -> Path:
    """The raw directory with the pinned digest below `into`: pulled from a DVC remote, or generated where it is "".

    What is generated are the built-in files alone; `imported` says what else the pin is of.
    """
    if remote:
        return laid_out(pin, into, Remote.at(remote))
    raw = into / RAW
    write(raw)
    if (found := directory_digest({**listing(raw).md5s, **imported})) != pin:
        raise Stop(
            f"The built-in questions of this version have the digest {found}, {PIN} pins {pin}.",
            "The pin is of other bytes than these.",
            "Restore data.dvc, or set prepare.dvc_remote to where its bytes were pushed. " + NEW_PIN,
        )
    return raw
