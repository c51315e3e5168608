"""The raw data directory `data/` and its pin, `data.dvc`, the repository's only pointer to raw bytes.

The digest is DVC's own: the MD5 of the directory's listing. Where a remote is configured the bytes are pulled from it,
else they are generated anew; either way they have the pinned digest or nothing goes on. Pulling needs no repository:
the pin travels as text, and a scratch folder without git holds what DVC wants to see.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import yaml

from medu1.builtin import questions
from medu1.errors import Stop
from medu1.prepare.builtin import FOLDER
from medu1.prepare.sources import file_digest
from medu1.question import Frozen

PIN, RAW = "data.dvc", "data"
NEW_PIN = "If the change is intended, run: medu1 data build --pin"


class Digests(NamedTuple):
    """What the raw bytes hash to: the argument `data` of prepare, an identity without which a cache would be blind."""

    pin: str  # of the raw directory, MD5 with the suffix .dir
    files: Mapping[str, str]  # MD5 of each file that prepare.sources names, by path

    def text(self) -> str:
        """Canonical JSON: the pin under the name of its file, each file's MD5 under its path."""
        return json.dumps({PIN: self.pin, **self.files}, sort_keys=True, separators=(",", ":"))

    def identity(self) -> str:
        """The digests alone, the pin first: where files lie is no part of what they are."""
        return " ".join([self.pin, *sorted(self.files.values())])

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `text` writes. Raises Stop on anything else."""
        try:
            digests = {str(path): str(md5) for path, md5 in json.loads(text).items()}
            return cls(digests.pop(PIN), digests)
        except (ValueError, AttributeError, KeyError):
            raise Stop(
                f"The argument data of prepare is {text!r}.",
                f"It is a JSON mapping of {PIN} to the digest it pins and of each source file to its MD5; the pin is "
                "always there, since the demonstrations are built-in questions.",
                "Pass the digests of the raw data.",
            ) from None


class Listing(Frozen):
    """The files of a directory as DVC lists them."""

    md5: dict[str, str]  # relative path -> MD5
    size: int  # bytes

    @property
    def digest(self) -> str:
        """The MD5 of the listing's JSON, rows by path, with DVC's suffix."""
        rows = [{"md5": md5, "relpath": path} for path, md5 in sorted(self.md5.items())]
        return hashlib.md5(json.dumps(rows, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def listing(folder: Path) -> Listing:
    """Every file below a directory. Raises Stop where there is none."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        raise Stop(f"There is no raw data in {folder}.", next_step="Run: medu1 data build")
    return Listing(
        md5={path.relative_to(folder).as_posix(): file_digest(path) for path in files},
        size=sum(path.stat().st_size for path in files),
    )


def pinned(path: Path) -> str:
    """The digest in a `data.dvc`. Raises Stop where there is none."""
    try:
        digest = yaml.safe_load(path.read_text(encoding="utf-8"))["outs"][0]["md5"]
    except FileNotFoundError:
        raise Stop(
            f"There is no {path}.", "It pins the raw data.", "Restore it, or run: medu1 data build --pin"
        ) from None
    except (yaml.YAMLError, TypeError, KeyError, IndexError):
        raise Stop(
            f"{path} is no DVC file with an output and its md5.", next_step="Restore it, or run: medu1 data build --pin"
        ) from None
    return str(digest)


def build(root: Path, pin: bool = False) -> str:
    """Write the built-in raw files below `root`, then pin the raw directory or check it against its pin.

    Gives the directory's digest. Raises Stop where the bytes are not the pinned ones; they stay for comparison.
    """
    changed = write(root / RAW)
    found = listing(root / RAW)
    if pin:
        _write_pin(root / PIN, found)
    elif found.digest != (expected := pinned(root / PIN)):
        named = changed or sorted(found.md5)
        raise Stop(
            f"The raw data in {RAW}/ has the digest {found.digest}, {PIN} pins {expected}.",
            f"{'Changed by this build' if changed else 'Files'}: {', '.join(named)}.",
            f"Restore the sources of the built-in questions. {NEW_PIN}",
        )
    return found.digest


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


def _write_pin(path: Path, found: Listing) -> None:
    out = {"md5": found.digest, "size": found.size, "nfiles": len(found.md5), "hash": "md5", "path": RAW}
    path.write_text(yaml.safe_dump({"outs": [out]}, sort_keys=False, default_flow_style=False), encoding="utf-8")


def obtain(pin: str, remote: str, into: Path) -> Path:
    """The raw directory with the pinned digest below `into`: pulled from a DVC remote, or generated where it is ""."""
    raw = into / RAW
    if remote:
        _pull(pin, remote, into)
    else:
        write(raw)
    found = listing(raw).digest
    if found != pin:
        origin = f"The DVC remote {remote} gave" if remote else "The built-in questions of this version have"
        raise Stop(
            f"{origin} the digest {found}, {PIN} pins {pin}.",
            "The pin is of other bytes than these.",
            "Restore data.dvc, or set prepare.dvc_remote to where its bytes were pushed. " + NEW_PIN,
        )
    return raw


def _pull(pin: str, remote: str, into: Path) -> None:
    (into / ".dvc").mkdir(parents=True)
    (into / ".dvc" / "config").write_text(_config(remote, into), encoding="utf-8")
    out = {"md5": pin, "hash": "md5", "path": RAW}
    (into / PIN).write_text(yaml.safe_dump({"outs": [out]}, sort_keys=False), encoding="utf-8")
    done = dvc(["pull"], into)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith(("ERROR", "md5"))]
        raise Stop(
            f"The raw data {pin} cannot be pulled from the DVC remote {remote}.",
            "DVC says: " + "; ".join(said or done.stderr.splitlines()[-1:]) + ".",
            'Push it there (dvc push), correct prepare.dvc_remote, or set it to "" to generate the built-in data.',
        )


def _config(remote: str, into: Path) -> str:
    """What `dvc init --no-scm` and `dvc remote add -d` write; every cache stays in the folder."""
    url = remote if "://" in remote else str(Path(remote).expanduser().resolve())
    return (
        "[core]\n    no_scm = True\n    analytics = false\n    check_update = false\n    remote = origin\n"
        f"    site_cache_dir = {into / '.dvc' / 'site'}\n['remote \"origin\"']\n    url = {url}\n"
    )


def dvc(arguments: Sequence[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    """DVC as a process of its own: it is heavy to import and keeps global state."""
    environment: Mapping[str, Any] = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
