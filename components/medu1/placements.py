"""Placements: what a cluster gives the chain's steps, by the names of `params.yaml`; and what a package tells of its own.

A placement is chosen while a package is compiled, so no step reads one: `Placed` is the part that preflight holds against
the parameters, `TrainJobPlan` the part that the step train needs to ask for pods of its own.
"""

from collections.abc import Mapping
from types import MappingProxyType

from medu1.question import Frozen
from medu1.section import Section

PLACEMENTS = "placements"  # their key in params.yaml
TRAINJOB = "MEDU1_TRAINJOB"  # in the environment of the step train, where the placement gives it several nodes


class Placement(Section):
    """A profile: what pods ask of the cluster's nodes."""


class Placed(Section):
    """What a compiled package says of where it runs; empty on one machine."""

    name: str = ""
    accelerator: str = ""  # resource name, such as nvidia.com/gpu; "": none
    accelerators: int = 0  # of each training pod
    nodes: int = 1  # training pods; above 1 the step train asks for a TrainJob
    scratch_gib: float = 0.0  # of a training pod's scratch volume; 0: none is stated
    images: tuple[str, ...] = ()  # by digest


class TrainJobPlan(Frozen):
    """What each pod of a TrainJob gets, beside its argv; no value of a secret."""

    runtime: str  # of Kubeflow Trainer, a ClusterTrainingRuntime or TrainingRuntime
    image: str  # by digest
    nodes: int
    resources: Mapping[str, str] = MappingProxyType({})  # a node's, such as {"nvidia.com/gpu": "8", "memory": "200Gi"}
    config: str = ""  # config map whose keys become variables
    addresses: Mapping[str, str] = MappingProxyType({})  # variable by the config map's key
    secret: str = ""  # secret whose keys become variables, each optional
    keys: Mapping[str, str] = MappingProxyType({})  # variable by the secret's key
    node_selector: Mapping[str, str] = MappingProxyType({})
    tolerations: tuple[Mapping[str, str], ...] = ()
    labels: Mapping[str, str] = MappingProxyType({})
    service_account: str = ""
    image_pull_secrets: tuple[str, ...] = ()
    scratch_gib: float = 0.0  # of a generic ephemeral volume at the home; 0: none
    storage_class: str = ""
