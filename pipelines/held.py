"""What an image holds, as a container of it tells: this file's source is run there, since another commit's image may
lack it. The same is asked of this checkout, to compare.
"""

import hashlib
import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

SHAPES = (".py", ".jinja")


def held() -> dict[str, Any]:
    """Rooms by the digest of their sources, the digest of each step's code, and what the surroundings look like."""
    import medu1
    from medu1 import code, tracking

    version("kfp")  # its executor runs the steps
    home = os.environ.get("MEDU1_HOME", ".")
    return {
        "sources": sources(Path(medu1.__file__).parent),
        "code": {step: code.digest(step) for step in code.ROOMS},
        "writes": os.access(home, os.W_OK),
        "launcher_is_gone": tracking.launcher_is_gone(os.environ.get("MEDU1_LAUNCHER", "")),
    }


def sources(root: Path) -> dict[str, str]:
    """SHA-256 of each room's sources and templates, by room; "" is what stands at the top."""
    rooms: dict[str, Any] = {}
    for path in sorted(each for each in root.rglob("*") if each.suffix in SHAPES):
        name = path.relative_to(root)
        room = rooms.setdefault(name.parts[0] if len(name.parts) > 1 else "", hashlib.sha256())
        room.update(name.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return {room: found.hexdigest() for room, found in rooms.items()}


if __name__ == "__main__":
    print(json.dumps(held()))
