"""Schedules and their differences in words, and as data for `--json`. What an endpoint says is text to a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from pipelines import terminal
from pipelines.cron import Cron
from pipelines.reconciliation import Applied, Difference, Kind
from pipelines.terms import Held, Scope

WORDS: Final[Mapping[Kind, str]] = {
    "added": "+ {}: not on the endpoint",
    "changed": "~ {}: changed in the file",
    "edited": "! {}: edited by hand on the endpoint",
    "paused": "! {}: paused on the endpoint, enabled in the file",
    "running": "~ {}: enabled on the endpoint, not in the file",
    "copies": "! {}: more than one on the endpoint",
    "removed": "- {}: not in the file",
}
DONE: Final = {"create": "made", "enable": "switched on", "disable": "switched off", "delete": "deleted"}
LONGEST: Final = 100  # characters of a value


def differences(found: Sequence[Difference], environment: str, url: str) -> list[str]:
    """A line for each, and below it its fields: what the endpoint has, what the file says."""
    if not found:
        return [f"No difference between the file and {environment} at {url}."]
    return [f"{environment} at {url}:", *(line for each in found for line in _lines(each))]


def applied(done: Applied, environment: str, url: str) -> list[str]:
    """What was otherwise, and what was done about it."""
    if not done.done:
        return [f"Nothing to do: {environment} at {url} is as the file has it."]
    return [*differences(done.before, environment, url), *(f"{DONE[act.verb]} {act.name}" for act in done.done)]


def _lines(difference: Difference) -> Iterator[str]:
    yield WORDS[difference.kind].format(difference.name)
    for field, here, there in difference.fields:
        yield f"    {field}: endpoint {_shown(there)}, file {_shown(here)}"


def _shown(value: Any) -> str:
    text = terminal.line(repr(value) if isinstance(value, str) else str(value))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def as_data(found: Sequence[Difference]) -> list[dict[str, Any]]:
    """`here` is the file's value, `there` the endpoint's."""
    return [
        {"name": each.name, "kind": each.kind, "fields": [field._asdict() for field in each.fields]} for each in found
    ]


def row(held: Held, scope: Scope, zone: str, now: datetime) -> dict[str, Any]:
    """One schedule of the endpoint; `next` is in the zone that the endpoint counts in, None where it will not fire."""
    upcoming = _next(held, ZoneInfo(zone), now) if held.enabled else None
    return {
        "name": held.name(scope),
        "display_name": held.display,
        "id": held.id,
        "enabled": held.enabled,
        "cron": held.terms.cron,
        "time_zone": zone,
        "next": upcoming.isoformat() if upcoming else None,
    }


def _next(held: Held, zone: ZoneInfo, now: datetime) -> datetime | None:
    try:
        cron = Cron.parse(held.terms.cron)
    except ValueError:
        return None  # another's, by an interval or with a zone of its own
    start, end = (datetime.fromisoformat(text) if text else now for text in (held.terms.start, held.terms.end))
    found = cron.next(max(now, start), zone)
    return found if found and not (held.terms.end and found > end) else None


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line a schedule."""
    if not rows:
        return ["No schedules."]
    cells = [("schedule", "state", "cron", "next"), *(_cells(each) for each in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(4)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def _cells(row: Mapping[str, Any]) -> tuple[str, str, str, str]:
    name = row["name"] or f"({row['display_name']}, another's)"
    upcoming = f"{row['next'][:16].replace('T', ' ')} {row['time_zone']}" if row["next"] else "-"
    state = "enabled" if row["enabled"] else "paused"
    return terminal.line(name), state, terminal.line(row["cron"]) or "-", upcoming
