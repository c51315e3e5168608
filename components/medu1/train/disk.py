"""A full disk while training, told from other errors and put into words: what is kept, and what to do.

Python says ENOSPC by number; safetensors (Rust) says it in words, and torch (C++) fails without a reason and leaves the
disk full behind it.
"""

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from medu1.errors import Stop
from medu1.train import checkpoints

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
SAID: Final = re.compile(r"No space left on device|StorageFull|QuotaExceeded|Disk quota exceeded")
LEAST: Final = 2**20  # bytes; with fewer free nothing of a training can be written


@contextmanager
def explained(root: Path) -> Iterator[None]:
    """Raises Stop in place of any error that the full disk of `root`, a training's folder, is the reason of.

    What was being saved is removed first, so that there is room to say so.
    """
    try:
        yield
    except Stop:
        raise
    except Exception as error:
        if not is_full(error, root):
            raise
        shutil.rmtree(root / checkpoints.SAVING, ignore_errors=True)
        raise Stop(
            f"The disk of {root} is full.",
            f"What was being written is removed; {_kept(root)}.",
            "Free space, name another place with --home or keep fewer checkpoints (train.keep), and run again.",
        ) from error


def is_full(error: Exception, folder: Path) -> bool:
    """Whether an error comes from a full disk: by its number, its words, or the room that is left."""
    if isinstance(error, OSError):
        return error.errno in FULL
    return bool(SAID.search(str(error))) or shutil.disk_usage(folder).free < LEAST


def _kept(root: Path) -> str:
    newest = checkpoints.newest(root)
    return (
        f"the checkpoint of step {newest.marker.step} is whole, and training goes on from it"
        if newest
        else ("no checkpoint was complete before")
    )
