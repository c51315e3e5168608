"""Placements: what a cluster gives the chain's steps, by the names of `params.yaml`; and what a package tells of it.

A placement is chosen while a package is compiled, so no step reads one: `Placed` is the part that preflight holds
against the parameters, `TrainJobPlan` the part that the step train needs to ask for pods of its own. What a profile
leaves out, its pods do not ask for.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import AfterValidator, Field, ValidationError, model_validator

from medu1.nodes import LabelKey, LabelValue, ObjectName, Preference, Requirement, Toleration
from medu1.quantity import Bytes, Cpu, cores, gib
from medu1.section import Positive, Section, Whole, explained

PLACEMENTS = "placements"  # their key in params.yaml
NONE = "none"  # this machine, which needs no profile
TRAINJOB = "MEDU1_TRAINJOB"  # in the environment of the step train, where the placement gives it several nodes

Step = Literal[
    "preflight", "tokenizer", "prepare", "audit", "base", "train", "evaluate", "decide", "register", "finalize"
]
STEPS: Final[tuple[Step, ...]] = get_args(Step)
GpuStep = Literal["base", "train", "evaluate"]  # those that run the GPU image
HOLDING: Final = frozenset({"base", "train", "evaluate", "decide", "register"})  # they have weights on their disk
RESOURCE = re.compile(r"(?:nvidia|amd)\.com/gpu|nvidia\.com/mig-\d+g\.\d+gb")


def _resource(value: str) -> str:
    if value and not RESOURCE.fullmatch(value):
        raise ValueError("no resource PyTorch trains on; nvidia.com/gpu, nvidia.com/mig-1g.10gb, amd.com/gpu are")
    return value


class Resources(Section):
    """Of a pod's container; None leaves it to the namespace's own defaults."""

    cpu: Cpu | None = None
    memory: Bytes | None = None


class Share(Section):
    """What a step may take: the scheduler finds a node for the requests, the node holds the pod to the limits."""

    requests: Resources = Resources()
    limits: Resources = Resources()
    timeout: Positive | None = None  # seconds that one try may take, the pull of its image included

    @model_validator(mode="after")
    def _limits_reach_requests(self) -> Self:
        for name, read in (("cpu", cores), ("memory", gib)):
            asked, most = getattr(self.requests, name), getattr(self.limits, name)
            if asked and most and read(asked) > read(most):
                raise ValueError(f"limits.{name} {most} is below requests.{name} {asked}")
        return self


class Pool(Share):
    """Nodes, and what a step takes of one where `steps` says nothing of it."""

    requests: Resources
    timeout: Positive
    selector: dict[LabelKey, LabelValue] = Field(default_factory=dict)  # labels of a node, all of them
    require: tuple[Requirement, ...] = ()  # what else its labels must be, all of it
    prefer: tuple[Preference, ...] = ()
    tolerations: tuple[Toleration, ...] = ()


class Scratch(Section):
    """A volume that lives as long as its pod. The class is fixed here, so no run's name enters a cache key."""

    size: Bytes
    storage_class: ObjectName


class Retries(Section):
    """Of a step that failed or lost its node: outputs that are complete are found again, training resumes."""

    times: Whole
    backoff: Positive  # seconds before the first
    factor: Annotated[float, Field(ge=1)]  # by which each later wait is longer


class Placement(Section):
    """A profile: what pods ask of the cluster's nodes."""

    cpu: Pool  # of every step that is not accelerated
    gpu: Pool | None = None  # of those that are
    accelerator: Annotated[str, AfterValidator(_resource)] = ""  # resource name
    accelerators: Whole = 0  # of a pod
    accelerated: tuple[GpuStep, ...] = ("train", "evaluate")  # base copies or warms up on CPUs
    nodes: Positive = 1  # pods that train; above 1 they are a TrainJob, and the step train only starts and follows it
    runtime: ObjectName | None = None  # Kubeflow Trainer's, of that TrainJob
    service_account: ObjectName | None = None  # of its pods; the steps' own is the run's
    steps: dict[Step, Share] = Field(default_factory=dict)  # what a step takes in place of its pool's share
    shm: Bytes | None = None  # /dev/shm of accelerated steps, in memory
    scratch: Scratch | None = None  # at the home of steps that hold weights; None: the node's disk
    local: Bytes  # of the node's disk at most: for temporary files, and again for a home without scratch
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    pull_secrets: tuple[ObjectName, ...] = ()
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)  # of pods
    annotations: dict[LabelKey, str] = Field(default_factory=dict)
    retries: Retries

    @model_validator(mode="after")
    def _accelerators_have_a_type_and_nodes(self) -> Self:
        if self.accelerators and not self.accelerator:
            raise ValueError(
                f"accelerators {self.accelerators} without accelerator: name the resource, such as nvidia.com/gpu"
            )
        if self.accelerator and not self.accelerators:
            raise ValueError(f"accelerator {self.accelerator} without accelerators: say how many a pod gets")
        if bool(self.accelerators) != bool(self.gpu):
            raise ValueError("gpu, the pool of accelerated steps, and accelerators go together")
        return self

    @model_validator(mode="after")
    def _several_nodes_train_on_accelerators(self) -> Self:
        if self.nodes > 1 and (not self.accelerators or "train" not in self.accelerated):
            raise ValueError(f"nodes {self.nodes} without accelerators for train: several nodes train on accelerators")
        if self.nodes > 1 and not self.runtime:
            raise ValueError(f"nodes {self.nodes} without runtime: name the Kubeflow Trainer runtime of the TrainJob")
        return self

    @model_validator(mode="after")
    def _shares_go_together(self) -> Self:
        for step in STEPS:
            try:
                share = self.share(step)
            except ValidationError as error:
                raise ValueError(f"steps.{step}: {error.errors()[0]['ctx']['error']}") from None
            if self.shm and step in self.accelerated and gib(self.shm) > gib(share.limits.memory or self.shm):
                raise ValueError(f"shm {self.shm} is more than {step} may have of memory, {share.limits.memory}")
        return self

    def pool(self, step: Step) -> Pool:
        """The nodes of a step."""
        return self.gpu if self.gpu and step in self.accelerated else self.cpu

    def share(self, step: Step) -> Share:
        """What a step takes: its own where the profile says something, its pool's where not."""
        own = self.steps.get(step, Share()).model_dump(exclude_none=True)
        stated = self.pool(step).model_dump(include=set(Share.model_fields))
        resources = {name: {**stated[name], **own[name]} for name in ("requests", "limits")}
        return Share.model_validate({**stated, **own, **resources})

    def disk_gib(self, step: Step) -> float:
        """GiB of a step's home."""
        return gib(self.scratch.size if self.scratch and step in HOLDING else self.local)


def _profile(name: str) -> str:
    if name == NONE:
        raise ValueError(f"{NONE} is this machine, where nothing is placed")
    return name


Profile = Annotated[ObjectName, AfterValidator(_profile)]


class Placements(Section):
    """The profiles of a parameter file."""

    placements: dict[Profile, Placement] = Field(default_factory=dict)

    @classmethod
    def read(cls, data: Any, where: str) -> Mapping[str, Placement]:
        """By name; none where the file has no such section. Raises Stop that names every wrong key."""
        given = {name: section for name, section in data.items() if name == PLACEMENTS}
        try:
            return cls.model_validate(given).placements
        except ValidationError as error:
            raise explained(error, cls, where) from None


class Placed(Section):
    """What a compiled package says of where it runs; empty on one machine."""

    name: str = ""
    accelerator: str = ""  # resource name, such as nvidia.com/gpu; "": none
    accelerators: int = 0  # of each training pod
    nodes: int = 1  # training pods; above 1 the step train asks for a TrainJob
    scratch_gib: float = 0.0  # of a training pod's scratch volume; 0: none is stated
    images: tuple[str, ...] = ()  # by digest


class TrainJobPlan(Section):
    """What each pod of a TrainJob gets, beside its argv; no value of a secret."""

    runtime: str  # of Kubeflow Trainer, a ClusterTrainingRuntime or TrainingRuntime
    image: str  # by digest
    nodes: int
    resources: Mapping[str, str] = Field(
        default_factory=dict
    )  # a node's, such as {"nvidia.com/gpu": "8", "memory": "200Gi"}
    config: str = ""  # config map whose keys become variables
    addresses: Mapping[str, str] = Field(default_factory=dict)  # variable by the config map's key
    optional_addresses: Mapping[str, str] = Field(default_factory=dict)  # the same, of keys that may be absent
    secret: str = ""  # secret whose keys become variables, each optional
    keys: Mapping[str, str] = Field(default_factory=dict)  # variable by the secret's key
    node_selector: Mapping[str, str] = Field(default_factory=dict)
    require: tuple[Requirement, ...] = ()  # one term of the node affinity
    prefer: tuple[Preference, ...] = ()
    tolerations: tuple[Mapping[str, str], ...] = ()
    labels: Mapping[str, str] = Field(default_factory=dict)
    annotations: Mapping[str, str] = Field(default_factory=dict)
    service_account: str = ""
    image_pull_secrets: tuple[str, ...] = ()
    scratch_gib: float = 0.0  # of a generic ephemeral volume at the home; 0: none
    storage_class: str = ""
    home: str = ""  # where it is mounted, MEDU1_HOME
    shm: str = ""  # of an in-memory /dev/shm, a quantity; "": the pod's own
    timeout: int | None = None  # seconds
    user: int | None = None  # of the container's process and of its volumes' group
