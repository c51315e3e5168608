"""Text of others on a terminal: what a model or a data file says must not move the cursor, hide text or set colours."""

import unicodedata

KEPT = frozenset("\n\t")


def shown(text: str) -> str:
    """The text without control, formatting and unassigned characters: no escape sequence survives, nor a bidi mark."""
    return "".join(each for each in text if each in KEPT or not unicodedata.category(each).startswith("C"))


def line(text: str) -> str:
    """The same on one line."""
    return " ".join(shown(text).split())
