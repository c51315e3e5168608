"""The signs and words that make a bound of a value ("< 3", "at least 3", "3 or more"): one list for every gold kind."""

import re

_COMPARED = "(?:less|more|greater|fewer|higher|lower|larger|smaller|longer|shorter|older|younger|earlier|later)"
_BOUND = re.compile(
    r"[<>≤≥±≦≧≪≫]|\+ ?/? ?-|\b(?:"
    rf"{_COMPARED} than\b|at (?:the |a )?(?:very )?(?:least|most|minimum|maximum)\b|up to\b"
    r"|(?:between|below|above|under|over|beyond|before|after|until|exceed(?:s|ing)"
    r"|m(?<!of m)(?<!of a m)(?:ax(?:imum)?|inimum)\.?(?: of)?) [-+~≈(]?\.?[0-9]"
    rf"|(?:or|and) (?:{_COMPARED}|above|below|over|under|beyond|up|upwards?|onwards?)\b)"
)


def bounds(answer: str) -> bool:
    """True where a value is given as an end or a margin; "4 out of a maximum of 5" names a scale and bounds nothing."""
    return _BOUND.search(answer.lower()) is not None
