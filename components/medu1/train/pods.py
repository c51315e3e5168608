"""Pods of a TrainJob, and why one does not train: what the cluster says, and what it means."""

from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

RANK: Final = "batch.kubernetes.io/job-completion-index"  # label: the pod's place among the nodes
QUIET: Final = frozenset({"ContainerCreating", "PodInitializing", "Completed"})
PULLING: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
HINTS: Final = {
    "OOMKilled": "its memory ran out: lower train.micro_batch, or raise the placement's memory",
    "Evicted": "the node was short of disk or memory",
    "ContainerCannotRun": "the image has no such command",
    "CreateContainerConfigError": "a config map or secret that it names is not there",
}


class Pod(NamedTuple):
    """One node's pod."""

    name: str
    rank: int
    phase: str  # Pending, Running, Succeeded, Failed, Unknown
    trouble: str  # why it does not train, or why it ended; "": nothing is wrong
    is_pulling: bool  # its image cannot be had
    created: datetime


def read(pod: Any) -> Pod:
    """A pod of the Kubernetes client."""
    labels, status = pod.metadata.labels or {}, pod.status
    troubles = [*_containers(status), *_conditions(status)]
    return Pod(
        name=pod.metadata.name,
        rank=int(labels.get(RANK, 0)),
        phase=status.phase or "Unknown",
        trouble="; ".join(dict.fromkeys(_hinted(*each) for each in troubles)),
        is_pulling=any(reason in PULLING for reason, _ in troubles),
        created=pod.metadata.creation_timestamp or datetime.min.replace(tzinfo=UTC),
    )


def _containers(status: Any) -> list[tuple[str, str]]:
    """Reason and words of each container that waits or ended badly."""
    found = []
    for each in [*(status.init_container_statuses or ()), *(status.container_statuses or ())]:
        for state in (each.state, each.last_state):
            waiting, ended = state and state.waiting, state and state.terminated
            if waiting and waiting.reason and waiting.reason not in QUIET:
                found.append((waiting.reason, waiting.message or ""))
            if ended and ended.exit_code:
                found.append((ended.reason or "Error", ended.message or f"exit code {ended.exit_code}"))
    return found


def _conditions(status: Any) -> list[tuple[str, str]]:
    """Reason and words of a pod that no node takes, or that is taken from its node."""
    found = [(status.reason, status.message or "")] if status.reason else []
    for each in status.conditions or ():
        if each.type == "PodScheduled" and each.status == "False":
            found.append((each.reason or "Unschedulable", each.message or ""))
        if each.type == "DisruptionTarget" and each.status == "True":
            found.append((each.reason or each.type, each.message or ""))
    return found


def _hinted(reason: str, words: str) -> str:
    told = f"{reason}: {words.strip()}" if words else reason
    return f"{told} ({HINTS[reason]})" if reason in HINTS else told
