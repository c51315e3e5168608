"""Random draws that are the same on every machine and Python version: a hash of what is drawn, nothing else.

`random.choice` and NumPy generators are not promised to be stable over versions; SHA-256 is.
"""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

from medu1.question import Split

T = TypeVar("T")

TEST, VALIDATION = 0.2, 0.1  # shares of the groups


def uniform(*key: object) -> float:
    """A number in [0, 1) that depends on the key alone."""
    text = "\x1f".join(map(str, key))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7]) / 2**56


def one(items: Sequence[T], *key: object) -> T:
    """One of the items."""
    return items[int(uniform(*key) * len(items))]


def ordered(items: Sequence[T], *key: object) -> list[T]:
    """The items in an order that depends on the key; equal items keep their places."""
    return [item for _, _, item in sorted((uniform(*key, item), index, item) for index, item in enumerate(items))]


def split_of(group: str) -> Split:
    """Which split a group of values or options belongs to, by hash: everywhere the same, whatever else is drawn."""
    share = uniform("split", group)
    return "test" if share < TEST else "validation" if share < TEST + VALIDATION else "train"
