"""How every page and message writes a share."""

from typing import Final

NOTHING: Final = "\N{EN DASH}"


def percent(share: float | None) -> str:
    """0.612 as 61.2%; a dash where there is nothing to say."""
    return NOTHING if share is None else f"{share:.1%}"
