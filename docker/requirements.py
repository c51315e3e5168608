"""The requirements of some extras of pyproject.toml, one a line: an image's layer of packages changes with them alone.

`python requirements.py pyproject.toml EXTRA...`. An extra that names others of this project is followed.
"""

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

OWN = re.compile(r"medu1\[([\w,\s-]+)\]")


def requirements(project: Mapping[str, Any], extras: Sequence[str]) -> list[str]:
    """Sorted, each once. Raises KeyError for an extra that is not there."""
    found = {*project["dependencies"]}
    for extra in extras:
        found.update(_extra(project["optional-dependencies"], extra))
    return sorted(found)


def _extra(known: Mapping[str, Sequence[str]], name: str) -> Iterator[str]:
    for requirement in known[name]:
        if own := OWN.fullmatch(requirement):
            for other in own[1].split(","):
                yield from _extra(known, other.strip())
        else:
            yield requirement


if __name__ == "__main__":
    path, *names = sys.argv[1:]
    print("\n".join(requirements(tomllib.loads(Path(path).read_text(encoding="utf-8"))["project"], names)))
