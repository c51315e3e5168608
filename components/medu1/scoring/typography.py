"""One spelling of digits and signs, whatever script or typography an answer uses: no digit is ever passed over."""

import unicodedata
from typing import Final

_SIGNS: Final = str.maketrans(
    {"\u2212": "-", "\u2013": "-", "\u2014": "-", "\u2010": "-", "\u2011": "-", "\u00d7": "x"}
    | {"\u22c5": "*", "\u00b7": "*", "\u2044": "/", "\u223c": "~"}
)


def plain(text: str) -> str:
    """The text with ASCII digits, dashes, slashes and operators; compatibility forms folded (NFKC)."""
    if text.isascii():
        return text
    folded = unicodedata.normalize("NFKC", text).translate(_SIGNS)
    digits = {ord(sign): str(unicodedata.digit(sign)) for sign in set(folded) if sign.isdigit() and not sign.isascii()}
    return folded.translate(digits) if digits else folded


def folded(text: str) -> str:
    """`plain`, in lower case and with single spaces."""
    return " ".join(plain(text).casefold().split())
