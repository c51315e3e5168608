"""Raw data at a git revision: the pin as it stood there, and the bytes of any repository's pin.

`obtain_from` needs neither git nor a checkout here, so that a step in a container reads (repository, revision); DVC
clones the repository itself. In a checkout the pin of a revision is asked from git, which is where `data.dvc` lives.
"""

import shutil
import subprocess
from pathlib import Path

from medu1.errors import Stop
from medu1.prepare.versions import revision_door
from medu1.prepare.versions.exchange import process
from medu1.prepare.versions.pin import PIN, RAW, Pin, listing
from medu1.prepare.versions.refusal import refusal, without_secrets


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


def obtain_from(repository: str, revision: str, into: Path) -> Path:
    """The raw directory that a repository's `data.dvc` pins at a revision, below `into`; nothing else is needed there.

    `repository` is a git URL or a folder; the bytes come from its default DVC remote, with credentials from the
    environment. Raises Stop where there is no such repository, revision, pin, or byte.
    """
    part = into / ".dvc" / "part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    done = process([revision_door.__file__, repository, revision, str(part.resolve())], part)
    if done.returncode:
        place = without_secrets(repository)
        raise refusal(f"{PIN} and {RAW}/ of {place} at the revision {revision} cannot be obtained.", done.stderr)
    held, raw = Pin.read(part / PIN), part / RAW
    if (found := listing(raw).digest) != held.digest:
        raise Stop(
            f"The raw data of {without_secrets(repository)} at {revision} has the digest {found}, its {PIN} pins "
            f"{held.digest}.",
            "The bytes of its DVC remote were changed.",
            "Delete the objects there and push them again from where they are whole (medu1 data push).",
        )
    shutil.rmtree(into / RAW, ignore_errors=True)
    raw.rename(into / RAW)
    shutil.rmtree(part)
    return into / RAW
