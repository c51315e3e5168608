"""Recurring runs as a file: which, when, where, and with which parameters.

`pipelines/schedules.yaml` is all there is to know of them: `medu1 schedule apply` makes an endpoint agree with it. An
environment is one endpoint and namespace with the parameters that hold there; parameters come from `params.yaml`, then
from the schedule's `set`, then from the environment's. No secret stands in it: who may call an endpoint is said by the
environment variables and options of `medu1 submit`.
"""

import difflib
from collections.abc import Hashable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import yaml
from pydantic import AfterValidator, Field, ValidationError, model_validator

from medu1.errors import Stop
from medu1.section import Section, explained
from pipelines.cron import Cron

FILE: Final = Path("pipelines/schedules.yaml")


def _zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        nearest = difflib.get_close_matches(name, available_timezones(), n=1, cutoff=0.0)
        hint = f"; the nearest is {nearest[0]}" if nearest else "; this machine has no zones, install tzdata"
        raise ValueError(f"there is no such IANA time zone{hint}") from None


def _url(address: str) -> str:
    parts = urlsplit(address)
    if address and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise ValueError("an endpoint is an http or https address")
    if parts.username or parts.password:  # a Stop, since a ValueError's message would show the value
        raise Stop("An endpoint among the schedules holds a user or a password.", next_step="Take it out of the file.")
    return address


def _cron(text: str) -> str:
    return str(Cron.parse(text))


Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$")]
Short = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$")]
Zone = Annotated[str, AfterValidator(_zone)]
Settings = dict[Annotated[str, Field(pattern=r"^[a-z_]+\.\S+$")], Any]  # section.key -> value, as `--set` takes them


class Environment(Section):
    """An endpoint and what holds there."""

    endpoint: Annotated[str, AfterValidator(_url)] = ""  # "": the one that --endpoint or its variable names
    namespace: str = ""  # "": an endpoint for one user
    time_zone: Zone = "UTC"  # in which the endpoint counts: its controller's CRON_SCHEDULE_TIMEZONE
    set: Settings = Field(default_factory=dict)


class Schedule(Section):
    """A recurring run."""

    cron: Annotated[str, AfterValidator(_cron)]  # six fields, seconds first; five: a crontab's
    time_zone: Zone | None = None  # of cron, start and end; None: the environment's
    start: datetime | None = None
    end: datetime | None = None
    concurrency: Annotated[int, Field(ge=1, le=10)] = 1  # runs of it at the same time
    no_catchup: bool = True  # a time that was missed is not made up for, beyond the latest one
    enabled: bool = True
    experiment: Annotated[str, Field(min_length=1)] = "medu1"
    service_account: str = ""  # "": the endpoint's default
    placement: str
    params: Path = Path("params.yaml")
    images: Path = Path("docker/images.json")
    only: tuple[str, ...] = ()  # environments it is for; (): all
    set: Settings = Field(default_factory=dict)

    @model_validator(mode="after")
    def _ends_after_start(self) -> Self:
        zone = ZoneInfo(self.time_zone or "UTC")
        start, end = moment(self.start, zone), moment(self.end, zone)
        if start and end and start >= end:
            raise ValueError("end is not after start")
        return self


class Schedules(Section):
    """The file."""

    owner: Short  # whose they are: files of one owner must not share an environment's name on one endpoint
    environments: dict[Short, Environment]
    schedules: dict[Name, Schedule]

    @model_validator(mode="after")
    def _environments_are_known(self) -> Self:
        for name, schedule in self.schedules.items():
            for each in schedule.only:
                if each not in self.environments:
                    raise ValueError(f"schedules.{name}.only: {unknown('environment', each, self.environments)}")
        return self

    @classmethod
    def read(cls, path: Path = FILE) -> "Schedules":
        """Raises Stop that names every wrong key and the nearest right one."""
        try:
            return cls.model_validate(_parsed(path))
        except ValidationError as error:
            raise explained(error, cls, str(path)) from None

    def environment(self, name: str) -> Environment:
        """Raises Stop where the file has none of this name."""
        if name not in self.environments:
            told = f"The file of schedules: {unknown('environment', name, self.environments)}."
            raise Stop(told, next_step="Choose one with --environment.")
        return self.environments[name]

    def of(self, environment: str) -> Mapping[str, Schedule]:
        """Those of an environment, by name."""
        return {name: each for name, each in self.schedules.items() if not each.only or environment in each.only}


def moment(at: datetime | None, zone: ZoneInfo) -> datetime | None:
    """An instant, to the second, in UTC; one that names no offset counts in the zone."""
    return at and (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC).replace(microsecond=0)


def settings(*given: Settings) -> Sequence[str]:
    """As `--set` takes them; a later one wins."""
    merged = {key: value for each in given for key, value in each.items()}
    return [f"{key}={_yaml(value)}" for key, value in merged.items()]


def _yaml(value: object) -> str:
    """A value as `--set` reads it back: JSON's 1e-06 would come back as text."""
    return str(yaml.safe_dump(value, default_flow_style=True)).removesuffix("...\n").strip()


def unknown(kind: str, name: str, known: Mapping[str, object]) -> str:
    """That there is no such thing, and the nearest one that there is."""
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"there is no {kind} {name!r}" + (f"; the nearest is {nearest[0]}" if nearest else "; there is none at all")


class _Strict(yaml.SafeLoader):  # type: ignore[misc]
    """YAML in which a key may stand once: two schedules of one name would silently be the second."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen: list[object] = []
        for at, _ in node.value:
            key = self.construct_object(at, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key} is there twice", at.start_mark)
            seen.append(key)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping


def _parsed(path: Path) -> object:
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _Strict)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise Stop(f"The schedules {path} cannot be read: {reason}.", next_step="Name a file with --file.") from None
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or "it cannot be parsed"
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise Stop(f"{path} is not usable YAML: {place}{problem}.", next_step="Correct the line.") from None
