"""What a model wrote, made fit to stand inside another prompt: one bounded line that cannot end its own frame.

The text is hostile. It has no line break, so that a quotation is the rest of its line; no brackets that tags or chat
marks such as `<|im_end|>` and `[INST]` are made of, since a tokenizer would take those in any text for the end of a
turn; and no invisible or control characters.
"""

from typing import Final

_BRACKETS: Final = str.maketrans(
    dict.fromkeys("<\uff1c\ufe64\u2329\u3008\u27e8", "\u2039")
    | dict.fromkeys(">\uff1e\ufe65\u232a\u3009\u27e9", "\u203a")
    | dict.fromkeys("[\uff3b", "(")
    | dict.fromkeys("]\uff3d", ")")
)
_GAP: Final = " \u2026 "


def quoted(text: str, limit: int) -> str:
    """A line `> text` of at most `limit` characters after the mark."""
    return f"> {line(text, limit)}"


def line(text: str, limit: int) -> str:
    """Harmless and on one line; of a text longer than `limit` characters its beginning and its end."""
    half = (limit - len(_GAP)) // 2
    kept = text if len(text) <= limit else text[:half] + _GAP + text[-half:]
    spaced = "".join(sign if sign.isprintable() else " " for sign in unbracketed(kept))
    return " ".join(spaced.split())


def unbracketed(text: str) -> str:
    """No tag and no chat mark is left: angle brackets become quotation marks that look alike, square ones round."""
    return text.translate(_BRACKETS)
