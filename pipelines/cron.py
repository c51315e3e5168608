"""When a schedule fires: a cron expression as Kubeflow Pipelines takes it, and its equal in another time zone.

Kubeflow Pipelines parses with robfig/cron 1.2 (`cron.Parse`): seconds come first, and of five fields the day of the
week is the one that is missing, so a crontab's `30 3 * * 1` would fire every hour. Here five fields are a crontab's,
and the second 0 is put before them. Its grammar is smaller than croniter's (no L, W or #, no 7 for Sunday, no range
that wraps around) and it has no prefix for a time zone: every schedule of an endpoint counts in the one zone that its
controller's CRON_SCHEDULE_TIMEZONE names, UTC as it ships. Where two zones keep a constant distance an expression is
moved; a zone with summer time has no equal in UTC and is refused, rather than firing an hour off for half of the year.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from medu1.errors import Stop

NAMED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "@yearly": "0 0 0 1 1 *",
        "@annually": "0 0 0 1 1 *",
        "@monthly": "0 0 0 1 * *",
        "@weekly": "0 0 0 * * 0",
        "@daily": "0 0 0 * * *",
        "@midnight": "0 0 0 * * *",
        "@hourly": "0 0 * * * *",
    }
)
EXAMPLE: Final = 'write "0 30 3 * * 1" (second, minute, hour, day of month, month, day of week) for Mondays at 3:30'
YEARS: Final = 3  # over which two zones must keep their distance
DAY: Final = 24 * 60  # minutes
MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


class Field(NamedTuple):
    """One of the six: its values from `low` to `high`, and names of them from `low` on."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def values(self, text: str) -> frozenset[int]:
        """What a field's text stands for. Raises ValueError that says what is wrong with it."""
        found = frozenset(value for part in text.split(",") if part for value in self._range(part))
        if not found:
            raise ValueError("it is empty")
        return found

    def _range(self, text: str) -> range:
        span, slash, step = text.partition("/")
        first, hyphen, last = span.partition("-")
        if first in ("*", "?") and not hyphen:
            low, high = self.low, self.high
        else:
            low = self._number(first)
            high = self._number(last) if hyphen else (self.high if slash else low)
        if not self.low <= low <= high <= self.high:
            raise ValueError(f"{text!r} is no range from {self.low} to {self.high}")
        if slash and (not step.isascii() or not step.isdigit() or not int(step)):
            raise ValueError(f"{step!r} is no step")
        return range(low, high + 1, int(step) if slash else 1)

    def _number(self, text: str) -> int:
        if text.lower() in self.names:
            return self.low + self.names.index(text.lower())
        if not text.isascii() or not text.isdigit():
            raise ValueError(f"{text!r} is no number from {self.low} to {self.high}")
        return int(text)


FIELDS: Final = (
    Field("second", 0, 59),
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of the month", 1, 31),
    Field("month", 1, 12, MONTHS),
    Field("day of the week", 0, 6, WEEKDAYS),
)


class Cron(NamedTuple):
    """Six fields, seconds first."""

    texts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "Cron":
        """Six fields, a crontab's five, or a name such as @weekly. Raises ValueError where KFP would not take it."""
        words = NAMED.get(text.strip().lower(), text).split()
        if words and words[0].startswith("@"):
            raise _refused(f"of names there are {', '.join(NAMED)}; an interval would begin anew at each change")
        if words and "TZ=" in words[0]:
            raise _refused("an endpoint takes no time zone in it; write time_zone beside it")
        if len(words) not in (5, 6):
            raise _refused(f"it has {len(words)} fields, not 6 or 5")
        cron = cls(tuple(words if len(words) == 6 else ["0", *words]))
        for field, written in zip(FIELDS, cron.texts, strict=True):
            try:
                field.values(written)
            except ValueError as problem:
                raise _refused(f"{field.name} {written!r}: {problem}") from None
        return cron._checked()

    def __str__(self) -> str:
        return " ".join(self.texts)

    def _checked(self) -> "Cron":
        if len(self._values()[0]) != 1:
            raise _refused("it fires several times a minute; the first of six fields is the second, one number")
        if self.next(datetime.now(UTC), ZoneInfo("UTC")) is None:
            raise _refused("there is no such date: it never fires")
        return self

    def next(self, after: datetime, zone: ZoneInfo) -> datetime | None:
        """The first time after another that it fires, in the zone it counts in; None: never."""
        from croniter import CroniterBadDateError, croniter

        plain = [_text(values, field) for values, field in zip(self._values(), FIELDS, strict=True)]
        either = not any(text.startswith(("*", "?")) for text in (self.texts[3], self.texts[5]))
        begin = after.astimezone(zone)
        try:
            times = croniter(" ".join(plain), begin, ret_type=datetime, day_or=either, second_at_beginning=True)
            found: datetime = times.get_next()
        except CroniterBadDateError:
            return None
        return found

    def moved(self, here: ZoneInfo, there: ZoneInfo) -> "Cron":
        """The expression that fires in the zone `there` when this one does in the zone `here`.

        Raises Stop where no expression does.
        """
        distances = _distances(here, there)
        if distances == {0}:
            return self
        if len(distances) > 1:
            raise _unmovable(self, here, there, "The two change their distance in the year (summer time).")
        return self._earlier(distances.pop(), here, there)

    def _earlier(self, minutes: int, here: ZoneInfo, there: ZoneInfo) -> "Cron":
        second, minute, _, day, month, weekday = self.texts
        _, in_hour, hours, *_ = self._values()
        times = {60 * each + at - minutes for each in hours for at in in_hour}
        days, clock = {at // DAY for at in times}, {(at % DAY // 60, at % 60) for at in times}
        new_hours, new_minutes = {at for at, _ in clock}, {at for _, at in clock}
        by_date, by_weekday = not (_all(day) and _all(month)), not _all(weekday)
        if len(new_hours) * len(new_minutes) != len(times):
            raise _unmovable(self, here, there, "Moved, its hours would each have other minutes.")
        if days != {0} and (by_date or (by_weekday and len(days) > 1)):
            raise _unmovable(self, here, there, "Moved, it would fire on the day before or after.")
        if by_weekday:
            weekday = _text({(each + min(days)) % 7 for each in self._values()[5]}, FIELDS[5])
        moved = (_text(new_minutes, FIELDS[1]), _text(new_hours, FIELDS[2]))
        return Cron((second, *(moved if minutes % 60 else (minute, moved[1])), day, month, weekday))

    def _values(self) -> tuple[frozenset[int], ...]:
        return tuple(field.values(text) for field, text in zip(FIELDS, self.texts, strict=True))


def _all(text: str) -> bool:
    return text in ("*", "?")


def _text(values: Iterable[int], field: Field) -> str:
    """Values written out; croniter reads some ranges and steps in its own way."""
    found = sorted(values)
    return "*" if len(found) == field.high - field.low + 1 else ",".join(map(str, found))


def _distances(here: ZoneInfo, there: ZoneInfo) -> set[int]:
    """Minutes that `here` is ahead of `there`, over the years to come."""
    days = (datetime.now(UTC) + timedelta(days=each) for each in range(YEARS * 366))
    return {_offset(day, here) - _offset(day, there) for day in days}


def _offset(at: datetime, zone: ZoneInfo) -> int:
    offset = at.astimezone(zone).utcoffset()
    return int(offset.total_seconds() // 60) if offset else 0


def _refused(reason: str) -> ValueError:
    return ValueError(f"{reason}; {EXAMPLE}")


def _unmovable(cron: Cron, here: ZoneInfo, there: ZoneInfo, reason: str) -> Stop:
    return Stop(
        f"cron {str(cron)!r} in {here} has no equal in {there}, the zone in which this endpoint counts. {reason}",
        "Kubeflow Pipelines keeps no zone with a schedule: its controller's CRON_SCHEDULE_TIMEZONE holds for all.",
        f"Write the schedule in {there}, or set the controller to {here} and say so as the environment's time_zone.",
    )
