"""`data.dvc` of a repository at a revision, or the bytes it pins, for `revision`: a process of its own.

No command of DVC gives a pin, and its library keeps its clone of a repository open and in place until the process ends.
Arguments: what to write (`pin` or `raw`), repository, revision, an empty folder, which the clone lies in too. The cause
of an error goes to stderr.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

PIN, RAW, COMMIT = "data.dvc", "data", "commit"
SETTINGS = ".dvc/config"  # where DVC finds the bytes


def write_pin(repository: str, revision: str, into: Path) -> None:
    """Write the pin into the folder, and the commit that made it so."""
    from dvc.scm import Git, clone, resolve_rev

    here = Path(repository).is_dir()
    git = Git(repository) if here else clone(repository, str(into / "clone"))  # all of its history
    commit = git.pygit2.repo[resolve_rev(git, revision)]
    (into / PIN).write_bytes(commit.tree[PIN].data)
    (into / COMMIT).write_text(str(pinning(commit).id), encoding="utf-8")


def pinning(commit: Any) -> Any:
    """The commit from which on the pin and DVC's settings are what they are here, as libgit2 gives commits.

    The commits after it are about other things; naming one of them would make a new input of the same data.
    """
    while earlier := next((parent for parent in commit.parents if told(parent) == told(commit)), None):
        commit = earlier
    return commit


def told(commit: Any) -> tuple[Any, ...]:
    """What a commit says of the data."""
    return tuple(commit.tree[path].id if path in commit.tree else None for path in (PIN, SETTINGS))


def write_raw(repository: str, revision: str, into: Path) -> None:
    """Write the pin and the bytes into the folder."""
    from dvc.api import DVCFileSystem

    tempfile.tempdir = str(into)
    settings = {"core": {"site_cache_dir": str(into / "site"), "analytics": False, "check_update": False}}
    files = DVCFileSystem(repository, rev=revision, config=settings)
    (into / PIN).write_text(files.read_text(PIN), encoding="utf-8")
    files.get(RAW, str(into / RAW), recursive=True)


def innermost(error: BaseException) -> BaseException:
    """The cause that began it: what is raised above says less."""
    return innermost(error.__cause__) if error.__cause__ else error


WRITERS = {"pin": write_pin, "raw": write_raw}

if __name__ == "__main__":
    try:
        WRITERS[sys.argv[1]](sys.argv[2], sys.argv[3], Path(sys.argv[4]))
    except Exception as error:  # of DVC, of git's and of the store's libraries: they share no type
        cause = innermost(error)
        sys.exit(f"ERROR: {type(cause).__name__}: {' '.join(str(cause).split())}")
