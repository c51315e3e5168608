"""Where a row that makes a question ends, in the order of the gates."""

from enum import StrEnum
from typing import Final


class Fate(StrEnum):
    """A row meets the gates in this order, and the first that keeps it back is its fate."""

    LABEL = "dropped for the label"
    IDENTIFIED = "naming a person"
    REPEATED = "asked again"
    ASKED = "asked in another split"
    CONTAMINATED = "contaminated"
    TOO_LONG = "too long"
    OVER_CAP = "over the cap"
    KEPT = "kept"


FATES: Final = tuple(Fate)
CODE: Final = {fate: code for code, fate in enumerate(FATES)}  # what arrays of rows hold
