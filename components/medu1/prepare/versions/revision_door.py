"""`data.dvc` and `data/` of a repository at a revision, for `revision.obtain_from`: a process of its own.

No command of DVC gives a pin, and its library keeps its clone of a repository open and in place until the process ends.
Arguments: repository, revision, an empty folder, which the clone lies in too. The cause of an error goes to stderr.
"""

import sys
import tempfile
from pathlib import Path

PIN, RAW = "data.dvc", "data"


def fetch(repository: str, revision: str, into: Path) -> None:
    """Write both into the folder."""
    from dvc.api import DVCFileSystem

    tempfile.tempdir = str(into)
    settings = {"core": {"site_cache_dir": str(into / "site"), "analytics": False, "check_update": False}}
    files = DVCFileSystem(repository, rev=revision, config=settings)
    (into / PIN).write_text(files.read_text(PIN), encoding="utf-8")
    files.get(RAW, str(into / RAW), recursive=True)


def innermost(error: BaseException) -> BaseException:
    """The cause that began it: what is raised above says less."""
    return innermost(error.__cause__) if error.__cause__ else error


if __name__ == "__main__":
    try:
        fetch(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
    except Exception as error:  # of DVC, of git's and of the store's libraries: they share no type
        cause = innermost(error)
        sys.exit(f"ERROR: {type(cause).__name__}: {' '.join(str(cause).split())}")
