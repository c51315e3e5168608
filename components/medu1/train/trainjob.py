"""A training on several nodes as a TrainJob of Kubeflow Trainer: what is asked for, from a placement's plan and a job.

The name comes from the training's fingerprint, so whoever is asked for the same training finds the TrainJob that runs
already. Addresses and keys reach the pods as the files of one projected volume, each the name of a variable: Trainer's
admission refuses variables patched into the container that trains, and the SDK writes its own as plain text. So no
value of a secret stands in a TrainJob.
"""

import os
import re
from collections.abc import Mapping
from typing import Any, Final

from medu1.errors import Stop
from medu1.params import Train
from medu1.placements import TRAINJOB, TrainJobPlan
from medu1.train.cluster import CONTAINER
from medu1.train.node import VARIABLES
from medu1.workspace import Workspace

ORDER_LABEL, RUN_LABEL = "medu1.order", "medu1.run"
VARIABLES_MOUNT: Final = "/etc/medu1"
LABEL_VALUE: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")


def planned(params: Train, workspace: Workspace) -> TrainJobPlan | None:
    """What the placement gives the nodes; None where the training has one node.

    Raises Stop where placement and parameters disagree, or nodes would share nothing.
    """
    given = os.environ.get(TRAINJOB, "")
    plan = TrainJobPlan.parse(given) if given else None
    placed = plan.nodes if plan else 1
    if params.nodes == placed == 1:
        return None
    if params.nodes != placed:
        raise Stop(
            f"train.nodes is {params.nodes}, and the placement gives the training {placed}.",
            "Several nodes are the pods of a TrainJob, which the placement describes while the package is compiled."
            if placed == 1
            else "The batch is divided among the nodes, so both must be the same.",
            f"Set train.nodes to {placed}, or compile with a placement of {params.nodes} nodes.",
        )
    if not workspace.store:
        raise Stop(
            f"train.nodes is {params.nodes}, and MEDU1_STORE is not set.",
            "Nodes share no disk: job, base, questions and checkpoints go through the object store.",
            "Set the key store of the config map to s3://bucket/prefix.",
        )
    return plan


def name(fingerprint: str) -> str:
    """The TrainJob of a training: a DNS label, short enough for what is appended in the names of its pods."""
    return f"medu1-train-{fingerprint}"


def labels(plan: TrainJobPlan, order: str, run: str) -> dict[str, str]:
    """Of the TrainJob and its pods: which order it carries out, for which run."""
    own = {ORDER_LABEL: order, RUN_LABEL: run}
    return {**plan.labels, **{key: value for key, value in own.items() if LABEL_VALUE.fullmatch(value)}}


def trainer(plan: TrainJobPlan, home: str) -> Any:
    """The container, for the SDK; its variables are plain and none is secret."""
    from kubeflow.trainer import CustomTrainerContainer

    return CustomTrainerContainer(
        image=plan.image,
        num_nodes=plan.nodes,
        resources_per_node=dict(plan.resources) or None,
        env={"MEDU1_HOME": home, VARIABLES: VARIABLES_MOUNT},
    )


def options(plan: TrainJobPlan, name: str, url: str, home: str, labels: Mapping[str, str]) -> list[Any]:
    """Name, command and the patch of the runtime, for the SDK."""
    from kubeflow.trainer import options as sdk

    pod = sdk.PodTemplatePatch(
        metadata={"labels": dict(labels), **({"annotations": dict(plan.annotations)} if plan.annotations else {})},
        spec=sdk.PodSpecPatch(
            service_account_name=plan.service_account or None,
            volumes=_volumes(plan),
            containers=[sdk.ContainerPatch(name=CONTAINER, volume_mounts=_mounts(plan, home))],
            image_pull_secrets=[{"name": each} for each in plan.image_pull_secrets] or None,
            security_context={"runAsUser": plan.user, "fsGroup": plan.user} if plan.user else None,
            node_selector=dict(plan.node_selector) or None,
            affinity=_affinity(plan),
            tolerations=[dict(each) for each in plan.tolerations] or None,
        ),
    )
    job = sdk.JobTemplatePatch(spec=sdk.JobSpecPatch(template=pod))
    jobs = sdk.JobSetSpecPatch(replicated_jobs=[sdk.ReplicatedJobPatch(name=CONTAINER, template=job)])
    patch = sdk.RuntimePatch(sdk.TrainingRuntimeSpecPatch(template=sdk.JobSetTemplatePatch(spec=jobs)))
    limit = [sdk.ActiveDeadlineSeconds(plan.timeout)] if plan.timeout else []
    command = sdk.TrainerCommand(["python3", "-m", "medu1.train", url])
    return [sdk.Name(name), sdk.Labels(dict(labels)), command, patch, *limit]


def _volumes(plan: TrainJobPlan) -> list[dict[str, Any]]:
    """The variables, the home, and shared memory where the plan says how much."""
    shm = {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": plan.shm}}
    return [_variables(plan), _home(plan), *([shm] if plan.shm else [])]


def _mounts(plan: TrainJobPlan, home: str) -> list[dict[str, Any]]:
    return [
        {"name": "variables", "mountPath": VARIABLES_MOUNT, "readOnly": True},
        {"name": "home", "mountPath": home},
        *([{"name": "shm", "mountPath": "/dev/shm"}] if plan.shm else []),
    ]


def _variables(plan: TrainJobPlan) -> dict[str, Any]:
    """Config map and secret as files. Kubernetes takes a source whole as optional or not, so a source has one kind."""
    sources = [
        *_source("configMap", plan.config, plan.addresses, False),
        *_source("configMap", plan.config, plan.optional_addresses, True),
        *_source("secret", plan.secret, plan.keys, True),
    ]
    return {"name": "variables", "projected": {"sources": sources}}


def _source(kind: str, name: str, variables: Mapping[str, str], is_optional: bool) -> list[dict[str, Any]]:
    if not (name and variables):
        return []
    items = [{"key": key, "path": variable} for key, variable in sorted(variables.items())]
    return [{kind: {"name": name, "items": items, **({"optional": True} if is_optional else {})}}]


def _home(plan: TrainJobPlan) -> dict[str, Any]:
    """A volume that is made and removed with its pod; the node's own disk where the plan has none."""
    if not plan.scratch_gib:
        return {"name": "home", "emptyDir": {}}
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": f"{plan.scratch_gib * 1024:.0f}Mi"}},
        **({"storageClassName": plan.storage_class} if plan.storage_class else {}),
    }
    return {"name": "home", "ephemeral": {"volumeClaimTemplate": {"spec": claim}}}


def _affinity(plan: TrainJobPlan) -> dict[str, Any] | None:
    """Of nodes: one term that is required, others by weight."""

    def expression(each: Any) -> dict[str, Any]:
        values = {"values": list(each.values)} if each.values else {}
        return {"key": each.key, "operator": each.operator, **values}

    required = [{"matchExpressions": [expression(each) for each in plan.require]}] if plan.require else []
    preferred = [
        {"weight": each.weight, "preference": {"matchExpressions": [expression(each)]}} for each in plan.prefer
    ]
    node: dict[str, Any] = {}
    if required:
        node["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": required}
    if preferred:
        node["preferredDuringSchedulingIgnoredDuringExecution"] = preferred
    return {"nodeAffinity": node} if node else None
