"""The pin `data.dvc`: the one pointer to the raw bytes, and the listing of files whose digest it holds.

The digest is DVC's own: the MD5 of a directory's listing. Two owners fill the directory, the built-in questions and
the imported files, and a machine may hold only the first; so the pin also lists the imported files, in the field DVC
leaves to its users. What is pinned is then known without the bytes; a pin of built-in files alone has no such field.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import ValidationError

from medu1 import record
from medu1.errors import Stop
from medu1.prepare.location import RAW
from medu1.prepare.sources import file_digest
from medu1.question import Frozen

PIN = "data.dvc"
NEW_PIN = "If the change is intended, run: medu1 data build --pin"
RESTORE = "Restore it from git, or delete it and run: medu1 data build --pin"


class File(Frozen):
    """One raw file."""

    md5: str
    size: int  # bytes


class Listing(Frozen):
    """Files by their path below a directory."""

    files: dict[str, File]

    @property
    def digest(self) -> str:
        """What DVC calls a directory with these files."""
        return directory_digest(self.md5s)

    @property
    def md5s(self) -> dict[str, str]:
        """The MD5 of each file."""
        return {path: file.md5 for path, file in self.files.items()}

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())

    def __or__(self, other: Self) -> Self:
        """These files, and the others in their place where a path is of both."""
        return type(self)(files=self.files | other.files)

    def below(self, folder: str) -> Self:
        """The files of one folder of the directory."""
        return type(self)(files={path: file for path, file in self.files.items() if path.startswith(folder + "/")})


class Pin(Frozen):
    """What `data.dvc` says."""

    digest: str  # of the whole directory, with DVC's suffix .dir
    imported: Listing  # files that are not built-in

    @classmethod
    def parse(cls, text: str, where: str) -> Self:
        """A pin file's text. Raises Stop where it is no DVC file of one output."""
        try:
            held: Any = yaml.safe_load(text)
            imported = (held.get("meta") or {}).get("imported") or {}
            return cls(digest=str(held["outs"][0]["md5"]), imported=Listing(files=imported))
        except (yaml.YAMLError, AttributeError, TypeError, KeyError, IndexError, ValidationError):
            raise Stop(
                f"{where} is no DVC file with an output and its md5.", "It pins the raw data.", RESTORE
            ) from None

    @classmethod
    def read(cls, path: Path) -> Self:
        """A `data.dvc`. Raises Stop where there is none."""
        try:
            return cls.parse(path.read_text(encoding="utf-8"), str(path))
        except FileNotFoundError:
            raise Stop(f"There is no {path}.", "It pins the raw data.", RESTORE) from None


def pinned(path: Path) -> str:
    """The digest in a `data.dvc`. Raises Stop where there is none."""
    return Pin.read(path).digest


def write_pin(path: Path, found: Listing, imported: Listing) -> None:
    """Pin a listing, whole or not at all; `imported` are those of its files that are not built-in."""
    out = {"md5": found.digest, "size": found.size, "nfiles": len(found.files), "hash": "md5", "path": RAW}
    held: dict[str, Any] = {"outs": [out]}
    if imported.files:
        held["meta"] = {"imported": {name: file.model_dump() for name, file in sorted(imported.files.items())}}
    record.write_text(path, yaml.safe_dump(held, sort_keys=False, default_flow_style=False))


def directory_digest(md5s: Mapping[str, str]) -> str:
    """The MD5 of a listing's JSON, rows by path, with DVC's suffix."""
    rows = [{"md5": md5, "relpath": path} for path, md5 in sorted(md5s.items())]
    return hashlib.md5(json.dumps(rows, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def listing(folder: Path) -> Listing:
    """Every file below a directory; none where there is no directory."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return Listing(
        files={
            path.relative_to(folder).as_posix(): File(md5=file_digest(path), size=path.stat().st_size) for path in files
        }
    )
