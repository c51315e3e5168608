"""A yes or no with a confidence, read from a reply, as one figure of support.

Verbalised confidence as in Tian et al. 2023, "Just Ask for Calibration" (arXiv:2305.14975); asking whether a proposed
answer is true as in Kadavath et al. 2022, "Language Models (Mostly) Know What They Know" (arXiv:2207.05221).
"""

import re
from typing import Final

from medu1.evaluate.strategies.answers import after_thought, is_tagged, stated
from medu1.generation.backend import Reply

FORM: Final = "Answer with yes or no, a comma, and how sure you are of that from 0 to 100, such as: yes, 80."

_UNSTATED: Final = 50.0  # confidence of a reply that states none
_READ: Final = 160  # characters of a line
_SAID = re.compile(r"\b(yes|no)\b", re.IGNORECASE)
_FIGURE = re.compile(r"(?<![0-9.])[0-9]{1,3}(?:\.[0-9]{1,6})?(?![0-9])")


def support(reply: Reply) -> float | None:
    """In [-100, 100]: the confidence, negative where the reply says no; None where no single yes or no can be read.

    Outside of tags the first line or the last one says it, in its beginning. Of a cut-off reply the last word is left
    out: it may be half a figure.
    """
    text = after_thought(reply.text)
    if is_tagged(text):
        return _support(stated(reply) or "")
    if reply.finish == "length":
        text = "".join(text.rsplit(maxsplit=1)[:-1])
    lines = [line for line in text.splitlines() if line.strip()]
    ends = {_support(line) for line in lines[:1] + lines[-1:]} - {None}
    return ends.pop() if len(ends) == 1 else None


def _support(line: str) -> float | None:
    said = {word.lower() for word in _SAID.findall(line[:_READ])}
    if len(said) != 1:
        return None
    confidence = _confidence(line[:_READ])
    return confidence if said == {"yes"} else -confidence


def _confidence(line: str) -> float:
    """The last figure in [0, 100], or a share of 1 such as 0.8; what is stated otherwise counts as not stated."""
    figures = _FIGURE.findall(line)
    if not figures or float(figures[-1]) > 100:
        return _UNSTATED
    value = float(figures[-1])
    return value * 100 if "." in figures[-1] and value <= 1 else value
