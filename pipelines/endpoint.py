"""A Kubeflow Pipelines endpoint: packages, experiments, runs and recurring runs, as medu1 uses them.

A package is published under the digest of its bytes, in one pipeline. `api.py` says how a thing is made only once.
"""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

from pipelines.access import Access
from pipelines.answers import Experiment, Pipeline, Recurring, Run, Version
from pipelines.api import Api, equals
from pipelines.wire import Patience, Refused

API: Final = "/apis/v2beta1"
PIPELINE: Final = "medu1-retraining"
NEWEST_FIRST: Final = "created_at desc"


class Endpoint:
    """One endpoint in one caller's name. Every method raises Stop where the endpoint does not do what is asked."""

    def __init__(self, access: Access, patience: Patience = Patience()) -> None:  # noqa: B008, a frozen value
        self.access = access
        self.api = Api(access, patience)

    def publish(self, package: Path, pipeline: str = PIPELINE) -> Version:
        """The version that holds a package, uploaded where the endpoint has it not; its name is the bytes' digest."""
        holder = self._pipeline(pipeline)
        name = version_name(package)
        path = f"{API}/pipelines/{holder}/versions"

        def upload() -> object:
            query = {"name": name, "display_name": name, "pipelineid": holder}
            return self.api.wire.call("POST", f"{API}/pipelines/upload_version", query, file=package)

        return self.api.named(path, "display_name", name, Version, upload)

    def versions(self, pipeline: str = PIPELINE) -> list[Version]:
        """Every package that was published, newest first."""
        holder = self.api.first(f"{API}/pipelines", "display_name", pipeline, Pipeline)
        path = f"{API}/pipelines/{holder.id}/versions" if holder else ""
        return list(self.api.entries(path, Version, {"sort_by": NEWEST_FIRST})) if path else []

    def experiment(self, name: str) -> str:
        """The id of an experiment, made where there is none of this name."""
        body = {"display_name": name, "description": "Retraining by medu1.", **self.api.where()}
        path = f"{API}/experiments"
        return self.api.named(
            path, "display_name", name, Experiment, lambda: self.api.wire.call("POST", path, body=body)
        ).id

    def find_experiment(self, name: str) -> str:
        """The id of an experiment; "" where there is none."""
        found = self.api.first(f"{API}/experiments", "display_name", name, Experiment)
        return found.id if found else ""

    def submit(
        self,
        version: Version,
        experiment: str,
        name: str,
        arguments: Mapping[str, str],
        service_account: str = "",
        description: str = "",
    ) -> Run:
        """Start one run of a version. Who must not start a second one looks at `named` first."""
        body = {
            "display_name": name,
            "description": description,
            "experiment_id": experiment,
            "pipeline_version_reference": version.reference(),
            "runtime_config": {"parameters": dict(arguments)},
            **({"service_account": service_account} if service_account else {}),
        }
        return self.api.once(
            look=lambda: self.named(experiment, name),
            make=lambda: self.api.read(Run, self.api.wire.call("POST", f"{API}/runs", body=body)),
            undo=lambda run: self.terminate(run.id),
        )

    def run(self, id_: str) -> Run:
        """A run as it stands: its state, its tasks', its error, its parameters."""
        return self.api.read(Run, self.api.wire.get(f"{API}/runs/{quote(id_, safe='')}"))

    def runs(self, experiment: str) -> Iterator[Run]:
        """Of an experiment, newest first; pages are asked for as they are needed."""
        return self.api.entries(f"{API}/runs", Run, {"experiment_id": experiment, "sort_by": NEWEST_FIRST})

    def named(self, experiment: str, name: str) -> list[Run]:
        """The runs of a name in an experiment, newest first."""
        query = {"experiment_id": experiment, "sort_by": NEWEST_FIRST, "filter": equals("display_name", name)}
        return list(self.api.entries(f"{API}/runs", Run, query))

    def terminate(self, id_: str) -> None:
        """End a run; one that has ended is left as it is."""
        try:
            self.api.wire.again(
                lambda: self.api.wire.call("POST", f"{API}/runs/{quote(id_, safe='')}:terminate", body={})
            )
        except Refused:
            if self.run(id_).under_way:
                raise

    def link(self, id_: str) -> str:
        """Where a browser shows a run."""
        return self.access.link(id_)

    def recurring(self, experiment: str = "") -> list[Recurring]:
        """All recurring runs of an experiment, or of the namespace; newest first."""
        below = {"experiment_id": experiment} if experiment else self.api.where()
        return list(self.api.entries(f"{API}/recurringruns", Recurring, {**below, "sort_by": NEWEST_FIRST}))

    def create_recurring(
        self,
        version: Version,
        experiment: str,
        name: str,
        cron: str,
        arguments: Mapping[str, str],
        *,
        enabled: bool = True,
        concurrency: int = 1,
        catchup: bool = False,
        start: str = "",
        end: str = "",
        description: str = "",
        service_account: str = "",
    ) -> Recurring:
        """Start runs by a clock: six fields of cron in the server's zone, the second first; start and end are RFC 3339.
        At most `concurrency` runs, 1 to 10, are under way at once."""
        times = {key: value for key, value in {"start_time": start, "end_time": end}.items() if value}
        body = {
            "display_name": name,
            "description": description,
            "experiment_id": experiment,
            "pipeline_version_reference": version.reference(),
            "runtime_config": {"parameters": dict(arguments)},
            "trigger": {"cron_schedule": {"cron": cron, **times}},
            "max_concurrency": str(concurrency),
            "no_catchup": not catchup,
            "mode": "ENABLE" if enabled else "DISABLE",
            **self.api.where(),
            **({"service_account": service_account} if service_account else {}),
        }
        return self.api.once(
            look=lambda: [each for each in self.recurring(experiment) if each.name == name],
            make=lambda: self.api.read(Recurring, self.api.wire.call("POST", f"{API}/recurringruns", body=body)),
            undo=lambda made: self.delete_recurring(made.id),
        )

    def delete_recurring(self, id_: str) -> None:
        """Delete one; the runs it started stay. One that is gone is fine."""
        try:
            self.api.wire.again(lambda: self.api.wire.call("DELETE", f"{API}/recurringruns/{quote(id_, safe='')}"))
        except Refused as refused:
            if refused.status != 404:
                raise

    def enable_recurring(self, id_: str) -> None:
        """Let it start runs."""
        self._switch(id_, "enable")

    def disable_recurring(self, id_: str) -> None:
        """Keep it and let it start none."""
        self._switch(id_, "disable")

    def _switch(self, id_: str, to: str) -> None:
        path = f"{API}/recurringruns/{quote(id_, safe='')}:{to}"
        self.api.wire.again(lambda: self.api.wire.call("POST", path, body={}))

    def _pipeline(self, name: str) -> str:
        body = {"name": name, "display_name": name, "description": "Retraining by medu1.", **self.api.where()}
        path = f"{API}/pipelines"
        return self.api.named(
            path, "display_name", name, Pipeline, lambda: self.api.wire.call("POST", path, body=body)
        ).id


def version_name(package: Path) -> str:
    """A package by content: who publishes the same bytes finds them there."""
    return f"{PIPELINE}-{hashlib.sha256(package.read_bytes()).hexdigest()[:16]}"
