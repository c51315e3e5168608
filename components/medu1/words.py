"""Words that others wrote, such as a server's or an error's, made fit for one line of ours."""

import re
from typing import Final

LONGEST: Final = 400  # characters
CREDENTIALS: Final = re.compile(r"://[^/@\s]{1,500}@")  # of an address


def line(words: object, longest: int = LONGEST) -> str:
    """On one line, without control characters and the credentials of addresses, cut."""
    text = CREDENTIALS.sub("://", str(words)[: 8 * longest])
    shown = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def first_line(words: str, longest: int = LONGEST) -> str:
    """The first line that says something."""
    return next((found for each in words[: 64 * longest].splitlines() if (found := line(each, longest))), "")
