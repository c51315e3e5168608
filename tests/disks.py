"""A small file system of its own, to fill up."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[None]:
    """What lies at the place, on a file system of so many megabytes."""
    kept = place.with_name(f"{place.name}-kept")
    shutil.copytree(place, kept)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can make a small disk")
    try:
        shutil.copytree(kept, place, dirs_exist_ok=True)
        yield
    finally:  # models loaded from it stay mapped
        subprocess.run(["umount", "-l", str(place)], check=True)
