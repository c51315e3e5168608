"""What a Kubeflow Pipelines API tells of runs, tasks and recurring runs, as far as medu1 reads it.

Fields that a newer server adds are passed over; one that is missing is a default, as protobuf leaves out what is empty.
"""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import AliasChoices, ConfigDict, Field

from medu1.question import Frozen

UNDER_WAY: Final = ("RUNTIME_STATE_UNSPECIFIED", "PENDING", "RUNNING", "PAUSED", "CANCELING")
SUCCEEDED: Final = "SUCCEEDED"


class Answer(Frozen):
    """A part of an answer."""

    model_config = ConfigDict(extra="ignore")


class Problem(Answer):
    """google.rpc.Status."""

    message: str = ""


class Reference(Answer):
    """A version of a pipeline."""

    pipeline_id: str = ""
    pipeline_version_id: str = ""


class Version(Answer):
    """A package that the endpoint holds."""

    pipeline_id: str
    pipeline_version_id: str
    name: str = ""
    display_name: str = ""

    def reference(self) -> dict[str, str]:
        """As runs name it."""
        return {"pipeline_id": self.pipeline_id, "pipeline_version_id": self.pipeline_version_id}


class Pipeline(Answer):
    """What holds versions."""

    id: str = Field(validation_alias="pipeline_id")


class Experiment(Answer):
    """What holds runs."""

    id: str = Field(validation_alias="experiment_id")


class Task(Answer):
    """One task of a run, or one of the pods that a task is made of."""

    display_name: str = ""
    state: str = "RUNTIME_STATE_UNSPECIFIED"
    create_time: str = ""  # RFC 3339
    start_time: str = ""
    end_time: str = ""
    error: Problem = Problem()


class Details(Answer):
    """Of a run."""

    task_details: tuple[Task, ...] = ()


class Config(Answer):
    """What a run was started with."""

    parameters: Mapping[str, Any] = Field(default_factory=dict)


class Run(Answer):
    """One run."""

    id: str = Field(validation_alias="run_id")
    name: str = Field("", validation_alias="display_name")
    description: str = ""
    experiment: str = Field("", validation_alias="experiment_id")
    state: str = "RUNTIME_STATE_UNSPECIFIED"
    created: str = Field("", validation_alias="created_at")
    finished: str = Field("", validation_alias="finished_at")
    recurring: str = Field("", validation_alias="recurring_run_id")
    error: Problem = Problem()
    version: Reference = Field(Reference(), validation_alias="pipeline_version_reference")
    config: Config = Field(Config(), validation_alias="runtime_config")
    details: Details = Field(Details(), validation_alias="run_details")

    @property
    def under_way(self) -> bool:
        """Whether it has not ended."""
        return self.state in UNDER_WAY

    @property
    def succeeded(self) -> bool:
        """Whether it ended well."""
        return self.state == SUCCEEDED

    def tasks(self) -> dict[str, Task]:
        """The newest of each name: a task that is tried again is listed again."""
        newest = sorted(self.details.task_details, key=lambda each: each.start_time or each.create_time)
        return {each.display_name: each for each in newest}


class Cron(Answer):
    """When a recurring run starts."""

    cron: str = ""
    start_time: str = ""
    end_time: str = ""


class Trigger(Answer):
    """What starts a recurring run; `cron_schedule` is None where it is an interval."""

    cron_schedule: Cron | None = None


class Recurring(Answer):
    """One recurring run."""

    id: str = Field(validation_alias="recurring_run_id")
    name: str = Field("", validation_alias="display_name")
    description: str = ""
    experiment: str = Field("", validation_alias="experiment_id")
    service_account: str = ""
    max_concurrency: int = 1
    no_catchup: bool = False
    mode: str = ""
    status: str = ""
    created: str = Field("", validation_alias="created_at")
    error: Problem = Problem()
    trigger: Trigger = Trigger()
    version: Reference = Field(Reference(), validation_alias="pipeline_version_reference")
    config: Config = Field(Config(), validation_alias="runtime_config")

    @property
    def enabled(self) -> bool:
        """Whether it starts runs; the status is what the server last did, the mode what it was told."""
        return self.status == "ENABLED" if self.status in ("ENABLED", "DISABLED") else self.mode == "ENABLE"


class Page(Answer):
    """One page of a list, whichever."""

    items: tuple[dict[str, Any], ...] = Field(
        (),
        validation_alias=AliasChoices(
            "runs", "recurringRuns", "recurring_runs", "pipelines", "pipeline_versions", "experiments"
        ),
    )
    next_page_token: str = ""
