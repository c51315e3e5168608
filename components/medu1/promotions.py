"""Who is champion, read off an append-only log of promotions and rollbacks.

MLflow moves an alias without a compare-and-swap, so the alias cannot be the truth. Each promotion or rollback is one
version of the registered model `NAME-promotions`, whose numbers only the registry gives, one after the other; `fold`
reads the champion off them.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from medu1.question import Frozen

Kind = Literal["promote", "rollback"]


def log_of(name: str) -> str:
    """The registered model whose versions are the promotions of another."""
    return f"{name}-promotions"


class Asked(Frozen):
    """A promotion or rollback as it was asked for; whether it moved the champion, its place in the log decides."""

    kind: Kind
    target: str  # version
    weights: str  # digest of the target's weights
    replaces: str  # the champion it was decided against; "" none
    since: int  # the entry that had made that one champion; 0 none
    asked: str  # the version or alias as it was given; "" where nobody asked
    who: str
    when: str  # ISO 8601, UTC
    why: str
    evidence: str  # digest of the target's evaluation
    request: str  # equal for the same move out of the same state, however often it is asked for


class Entry(Asked):
    """One version of the log."""

    number: int  # from 1, in the order the registry took them


class State(NamedTuple):
    """What a log comes to; versions are "" where there is none."""

    champion: str = ""
    previous: str = ""  # the champion before
    last: Entry | None = None  # the entry that made the champion
    void: Mapping[int, str] = {}  # entries that moved nothing -> why


def fold(entries: Iterable[Entry]) -> State:
    """The champion after these entries, in their order.

    An entry moves the champion where it was decided against the one that stands at its place, and says nothing new
    where it repeats an earlier one.
    """
    champion, previous, last = "", "", None
    void: dict[int, str] = {}
    requests: dict[str, int] = {}
    for entry in entries:
        if entry.request in requests:
            void[entry.number] = f"it repeats entry {requests[entry.request]}"
        elif entry.replaces != champion:
            void[entry.number] = f"{_named(champion)} was the champion by then, not {_named(entry.replaces)}"
        elif entry.target == champion:
            void[entry.number] = f"{_named(champion)} was the champion already"
        else:
            champion, previous, last = entry.target, champion, entry
        requests.setdefault(entry.request, entry.number)
    return State(champion, previous, last, void)


def _named(version: str) -> str:
    return f"version {version}" if version else "none"
