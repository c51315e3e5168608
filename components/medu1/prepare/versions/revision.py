"""Raw data at a git revision: the pin as it stood there, and the bytes of any repository's pin.

`pin_from` and `obtain_from` need neither git nor a checkout here, so that a step in a container reads (repository,
revision); DVC clones the repository itself, with git's own credentials. In a checkout the pin of a revision is asked
from git, which is where `data.dvc` lives.
"""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from medu1.errors import Stop
from medu1.prepare.location import RAW
from medu1.prepare.versions import revision_door
from medu1.prepare.versions.exchange import process
from medu1.prepare.versions.pin import PIN, Pin, listing
from medu1.prepare.versions.refusal import refusal, without_secrets

SECRET = re.compile(r"://[^/@\s]*:[^/@\s]*@|^https?://[^/@\s]+@")  # a password, or a token in place of a user


class Commit(NamedTuple):
    """A repository's pin, and the commit that made it so."""

    pin: Pin
    sha: str


def pin_at(root: Path, revision: str) -> Pin:
    """What `data.dvc` says at a revision of the checkout. Raises Stop where there is none of either."""
    commit = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if commit is None:
        raise Stop(
            f"There is no git revision {revision!r} in {root}.",
            "It is no commit, tag or branch here; a shallow clone has the newest commit only.",
            "Correct it, or fetch the history: git fetch --unshallow --tags.",
        )
    text = _git(root, "show", f"{commit.strip()}:./{PIN}")
    if text is None:
        raise Stop(
            f"There is no {PIN} at the git revision {revision!r}.",
            "It was committed later.",
            f"Name one of: git log --format=%h -- {PIN}",
        )
    return Pin.parse(text, f"{PIN} at {revision}")


def _git(root: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Stop("git is not installed.", "A revision is a git revision.", "Install git.") from None
    return None if done.returncode else done.stdout


def pin_from(repository: str, revision: str) -> Commit:
    """What a repository's `data.dvc` says at a revision; no bytes are pulled.

    `repository` is a git URL or a folder. The commit is that from which on the pin is this one, so a branch that moves
    on without touching the data gives the same. Raises Stop where there is no such repository, revision, or pin.
    """
    with tempfile.TemporaryDirectory(prefix="medu1-") as scratch:
        _door("pin", repository, revision, Path(scratch))
        sha = (Path(scratch) / revision_door.COMMIT).read_text(encoding="utf-8")
        where = f"{PIN} of {without_secrets(repository)} at {revision}"
        return Commit(Pin.parse((Path(scratch) / PIN).read_text(encoding="utf-8"), where), sha)


def obtain_from(repository: str, revision: str, into: Path, pin: str = "") -> Path:
    """The raw directory that a repository's `data.dvc` pins at a revision, below `into`; nothing else is needed there.

    The bytes come from the repository's default DVC remote, with credentials from the environment. Raises Stop where
    there is no such repository, revision, pin, or byte, and where another digest than `pin` is pinned.
    """
    part = into / ".dvc" / "part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    _door("raw", repository, revision, part)
    _check(part, f"{without_secrets(repository)} at the revision {revision}", pin)
    shutil.rmtree(into / RAW, ignore_errors=True)
    (part / RAW).rename(into / RAW)
    shutil.rmtree(part)
    return into / RAW


def _door(wanted: str, repository: str, revision: str, into: Path) -> None:
    """Have the pin, or the pin and the bytes, written into a folder."""
    place = without_secrets(repository)
    if SECRET.search(repository):
        raise Stop(
            f"The repository {place} is given with a password or a token.",
            "Files, logs and process lists would show it.",
            "Leave it out and let git's credential helper, GIT_ASKPASS or an SSH key give it where the data is read.",
        )
    done = process([revision_door.__file__, wanted, repository, revision, str(into.resolve())], into)
    if done.returncode:
        what = PIN if wanted == "pin" else f"{PIN} and {RAW}/"
        raise refusal(f"{what} of {place} at the revision {revision} cannot be obtained.", done.stderr)


def _check(part: Path, place: str, pin: str) -> None:
    """The bytes are those of the pin, and the pin is the one that was asked for."""
    held, found = Pin.read(part / PIN), listing(part / RAW)
    if pin and held.digest != pin:
        raise Stop(
            f"{PIN} of {place} pins {held.digest}, and the run was started with {pin}.",
            "The digest and the revision are of different versions, or the revision is a branch or tag that moved.",
            "Start the run again with medu1, which takes the digest from a fixed commit.",
        )
    if found.digest != held.digest:
        changed = [path for path, md5 in held.imported.md5s.items() if found.md5s.get(path) != md5]
        raise Stop(
            f"The raw data of {place} has the digest {found.digest}, its {PIN} pins {held.digest}.",
            f"The bytes of its DVC remote were changed{': ' + ', '.join(changed) if changed else ''}.",
            "Delete the objects there and push them again from where they are whole (medu1 data push).",
        )
