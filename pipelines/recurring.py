"""The schedules of a file, compiled and ready for an endpoint; and an endpoint's recurring runs as schedules.

Whatever a schedule runs is fixed here by content, as for a run that is submitted: the package and so its images by
digest, parameters, and the data. A package is published only when a schedule is made that needs it, so a look at the
differences leaves nothing on the endpoint.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from medu1.errors import Stop
from pipelines import submission
from pipelines.answers import Cron as Clock
from pipelines.answers import Recurring
from pipelines.cron import Cron
from pipelines.endpoint import Endpoint, version_name
from pipelines.reconciliation import Wanted
from pipelines.schedules import Environment, Schedule, Schedules, moment, settings
from pipelines.terms import Held, Scope, Terms
from pipelines.wire import Refused

NEVER = datetime.min.replace(tzinfo=UTC)


class Prepared(NamedTuple):
    """The file's schedules for one environment, the packages that they run, by name, and what could not be checked."""

    scope: Scope
    wanted: Mapping[str, Wanted]
    packages: Mapping[str, Path]
    doubts: tuple[str, ...] = ()


@contextmanager
def prepared(file: Schedules, environment: str, home: Path, allow_skew: bool) -> Iterator[Prepared]:
    """Checked and compiled as `submit` does it. Raises Stop that names the schedule which cannot be made."""
    where = file.environment(environment)
    with ExitStack() as stack:
        found = {}
        for name, schedule in file.of(environment).items():
            with _naming(name):
                asked = stack.enter_context(submission.checked(_order(schedule, where, home, allow_skew)))
                found[name] = asked, Wanted(_terms(schedule, where, asked), schedule.enabled)
        yield Prepared(
            scope=Scope(file.owner, environment),
            wanted={name: wanted for name, (_, wanted) in found.items()},
            packages={version_name(asked.package): asked.package for asked, _ in found.values()},
            doubts=tuple(dict.fromkeys(doubt for asked, _ in found.values() for doubt in asked.doubts)),
        )


@contextmanager
def _naming(name: str) -> Iterator[None]:
    try:
        yield
    except Stop as stop:
        raise Stop(f"schedules.{name}: {stop.fact}", stop.reason, stop.next_step) from None


def _order(schedule: Schedule, environment: Environment, home: Path, allow_skew: bool) -> submission.Order:
    return submission.Order(
        params=schedule.params,
        images=schedule.images,
        placement=schedule.placement,
        experiment=schedule.experiment,
        service_account=schedule.service_account,
        settings=tuple(settings(schedule.set, environment.set)),
        home=home,
        allow_skew=allow_skew,
    )


def _terms(schedule: Schedule, environment: Environment, asked: submission.Checked) -> Terms:
    there = ZoneInfo(environment.time_zone)
    here = ZoneInfo(schedule.time_zone) if schedule.time_zone else there
    return Terms(
        cron=str(Cron.parse(schedule.cron).moved(here, there)),
        start=_iso(moment(schedule.start, here)),
        end=_iso(moment(schedule.end, here)),
        concurrency=schedule.concurrency,
        no_catchup=schedule.no_catchup,
        experiment=schedule.experiment,
        service_account=schedule.service_account,
        package=version_name(asked.package),
        parameters=asked.arguments,
    )


class RecurringRuns:
    """An endpoint's, as `reconciliation` wants them. Every method raises Stop where the endpoint does not do it."""

    def __init__(self, endpoint: Endpoint, prepared: Prepared | None = None) -> None:
        self.endpoint, self.prepared = endpoint, prepared

    def held(self) -> list[Held]:
        """Every recurring run of the namespace; packages and the file's experiments by name, others by id."""
        versions = {each.pipeline_version_id: each.name for each in self.endpoint.versions()}
        wanted = self.prepared.wanted.values() if self.prepared else ()
        names = sorted({each.terms.experiment for each in wanted})
        experiments = {self.endpoint.find_experiment(name): name for name in names}
        return [_held(each, versions, experiments) for each in self.endpoint.recurring()]

    def create(self, name: str, wanted: Wanted, enabled: bool) -> None:
        """Make one with our mark, and before it what it needs: the package's version and the experiment."""
        assert self.prepared is not None  # only what was prepared is made
        terms, scope = wanted.terms, self.prepared.scope
        self.endpoint.create_recurring(
            self.endpoint.publish(self.prepared.packages[terms.package]),
            self.endpoint.experiment(terms.experiment),
            scope.display(name),
            terms.cron,
            terms.parameters,
            enabled=enabled,
            concurrency=terms.concurrency,
            catchup=not terms.no_catchup,
            start=terms.start,
            end=terms.end,
            description=scope.description(name, terms.digest),
            service_account=terms.service_account,
        )

    def enable(self, id: str) -> None:
        """Let it start runs; nothing where it is gone, which the next look shows."""
        with _gone_is_fine():
            self.endpoint.enable_recurring(id)

    def disable(self, id: str) -> None:
        """Let it start none; nothing where it is gone."""
        with _gone_is_fine():
            self.endpoint.disable_recurring(id)

    def delete(self, id: str) -> None:
        """Its runs stay; nothing where it is gone."""
        self.endpoint.delete_recurring(id)


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except Refused as refused:
        if refused.status != 404:
            raise


def _held(found: Recurring, versions: Mapping[str, str], experiments: Mapping[str, str]) -> Held:
    clock = found.trigger.cron_schedule or Clock()
    version = found.version.pipeline_version_id
    return Held(
        id=found.id,
        display=found.name,
        description=found.description,
        enabled=found.enabled,
        created=_instant(found.created) or NEVER,
        terms=Terms(
            cron=clock.cron,
            start=_iso(_instant(clock.start_time)),
            end=_iso(_instant(clock.end_time)),
            concurrency=found.max_concurrency,
            no_catchup=found.no_catchup,
            experiment=experiments.get(found.experiment, found.experiment),
            service_account=found.service_account,
            package=versions.get(version, version),
            parameters={name: _text(value) for name, value in found.config.parameters.items()},
        ),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _instant(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if text else None
    except ValueError:
        return None


def _iso(at: datetime | None) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else ""
