"""The digest of the code a step runs: kfp's cache is blind to package sources, so it travels as an input.

A step's digest covers the nouns, the rooms it may import, and the versions of the libraries that shape its result;
editing `train/` therefore leaves prepare and base alone.
"""

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parent
SHAPING = ("torch", "transformers", "trl")

Step = Literal["base", "prepare", "audit", "train", "evaluate"]

ROOMS: dict[Step, tuple[str, ...]] = {
    "base": ("base", "builtin", "calculators"),
    "prepare": ("prepare", "builtin", "calculators", "drawing"),
    "audit": ("prepare", "builtin", "calculators", "drawing", "scoring"),
    "train": ("train", "generation", "scoring"),
    "evaluate": ("evaluate", "drawing", "generation", "scoring"),
}


def digest(step: Step) -> str:
    """SHA-256, 16 digits, of the sources a step may import and the versions that shape its result."""
    return room_digest(*ROOMS[step])


def room_digest(*rooms: str) -> str:
    """SHA-256, 16 digits, of the nouns, these rooms' sources and templates, and the versions that shape a result."""
    paths = sorted(
        [*ROOT.glob("*.py"), *(path for room in rooms for path in (ROOT / room).rglob("*") if _shapes(path))]
    )
    total = hashlib.sha256()
    for path in paths:
        total.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    total.update(repr(versions(SHAPING)).encode())
    return total.hexdigest()[:16]


def _shapes(path: Path) -> bool:
    return path.suffix in {".py", ".jinja"}


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Installed versions; a package that is not installed is left out."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
