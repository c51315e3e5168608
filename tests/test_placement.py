"""Compiled packages, one a placement: each knob on the step it belongs to, and on no other.

The tables stand here in full, so that a profile of `params.yaml` that changes is seen to change.
"""

from pathlib import Path

import pytest

from medu1.placements import STEPS
from packages import CLOUD, GPU_STEPS, IMAGES, PROFILES, Package, changed, share, shipped

WEIGHTS = {"base", "train", "evaluate", "decide", "register"}


@pytest.fixture(params=PROFILES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def built(name: str) -> Package:
    return shipped(name)


def test_every_step_is_placed(built: Package) -> None:
    assert set(built.pods) == set(built.executors) == set(STEPS)


def test_accelerators_are_given_to_the_steps_that_compute_with_weights(name: str, built: Package) -> None:
    given = {step: each["resources"].get("accelerator", {}) for step, each in built.executors.items()}
    asked = {step: (each["resourceType"], each["resourceCount"]) for step, each in given.items() if each}
    assert asked == (dict.fromkeys(GPU_STEPS, ("nvidia.com/gpu", "1")) if name in CLOUD else {})
    assert all(built.executors[step]["image"] == IMAGES.gpu for step in asked)


SELECTOR = {"gke-a100": {"cloud.google.com/gke-accelerator": "nvidia-tesla-a100"}}


def test_node_selectors_stand_on_accelerated_steps(name: str, built: Package) -> None:
    selected = built.each(lambda pod: pod.get("nodeSelector", {}).get("labels"))
    assert selected == (dict.fromkeys(GPU_STEPS, SELECTOR[name]) if name in SELECTOR else {})


def term(key: str, operator: str, *values: str, weight: int | None = None) -> dict[str, object]:
    expression: dict[str, object] = {"key": key, "operator": operator}
    if values:
        expression["values"] = list(values)
    return {"matchExpressions": [expression]} | ({} if weight is None else {"weight": weight})


P5 = ("node.kubernetes.io/instance-type", ("p5.4xlarge", "p5.48xlarge"))
KARPENTER, MANAGED = "karpenter.sh/capacity-type", "eks.amazonaws.com/capacityType"
AFFINITY: dict[str, tuple[object, object]] = {  # of accelerated steps, of the others
    "cpu": (None, None),
    "gke-a100": (
        [term("cloud.google.com/gke-spot", "DoesNotExist", weight=100)],
        [term("cloud.google.com/gke-accelerator", "DoesNotExist")],
    ),
    "eks-h100-spot": (
        [
            term(P5[0], "In", *P5[1]),
            term(KARPENTER, "In", "spot", weight=100),
            term(MANAGED, "In", "SPOT", weight=100),
        ],
        [
            term(P5[0], "NotIn", *P5[1]),
            term(KARPENTER, "In", "on-demand", weight=100),
            term(MANAGED, "In", "ON_DEMAND", weight=100),
        ],
    ),
}


def test_accelerated_steps_and_the_others_ask_for_nodes_of_their_own(name: str, built: Package) -> None:
    """A capacity is preferred, never required: where it is not to be had the other is taken."""
    accelerated, other = AFFINITY[name]
    for step, pod in built.pods.items():
        assert pod.get("nodeAffinity") == (accelerated if step in GPU_STEPS else other), step


def test_what_a_node_must_be_is_one_term(tmp_path: Path) -> None:
    """Kubernetes takes a node that meets any one term, so what must all hold stands in one."""
    both = [{"key": "zone", "operator": "In", "values": ["a"]}, {"key": "disk", "operator": "Exists"}]
    pool = {"requests": {"cpu": 1}, "timeout": 60, "require": both}
    pods = changed(tmp_path, "cpu", cpu=pool, shm=None, steps={}).pods
    assert {step: len(pod["nodeAffinity"]) for step, pod in pods.items()} == dict.fromkeys(STEPS, 1)
    keys = [each["key"] for each in pods["train"]["nodeAffinity"][0]["matchExpressions"]]
    assert keys == ["zone", "disk"]


GPU_TAINT = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


def spot(key: str, value: str) -> dict[str, str]:
    return {"key": key, "operator": "Equal", "value": value, "effect": "NoSchedule"}


TOLERATED: dict[str, list[dict[str, str]]] = {
    "gke-a100": [GPU_TAINT, spot("cloud.google.com/gke-spot", "true")],
    "eks-h100-spot": [GPU_TAINT, spot(KARPENTER, "spot"), spot(MANAGED, "SPOT")],
}


def test_taints_of_accelerated_nodes_are_tolerated_by_accelerated_steps_alone(name: str, built: Package) -> None:
    tolerated = built.each(lambda pod: pod.get("tolerations"))
    assert tolerated == (dict.fromkeys(GPU_STEPS, TOLERATED[name]) if name in TOLERATED else {})


SMALL = ("1", "4Gi", "4", "8Gi")
SHARES: dict[str, dict[str, tuple[str, str, str, str]]] = {  # cpu and memory, requested, and at most
    "cpu": {
        "base": ("2", "4Gi", "4", "8Gi"),
        "train": ("4", "8Gi", "8", "16Gi"),
        "evaluate": ("4", "8Gi", "8", "16Gi"),
    },
    "gke-a100": {
        "base": ("4", "24Gi", "8", "48Gi"),
        "train": ("8", "64Gi", "12", "64Gi"),
        "evaluate": ("8", "64Gi", "12", "64Gi"),
    },
    "eks-h100-spot": {
        "base": ("4", "24Gi", "8", "48Gi"),
        "train": ("12", "192Gi", "16", "192Gi"),
        "evaluate": ("12", "192Gi", "16", "192Gi"),
    },
}


def test_each_step_has_its_share_of_cpu_and_memory(name: str, built: Package) -> None:
    for step, container in built.executors.items():
        assert share(container) == SHARES[name].get(step, SMALL), step


def test_each_step_has_a_deadline(name: str, built: Package) -> None:
    day_long = {"train"} if name == "cpu" else GPU_STEPS
    deadlines = {step: int(pod["activeDeadlineSeconds"]) for step, pod in built.pods.items()}
    assert deadlines == {step: 86400 if step in day_long else 14400 for step in STEPS}


SCRATCH = {"gke-a100": ("200Gi", "premium-rwo"), "eks-h100-spot": ("200Gi", "gp3")}


def test_steps_that_hold_weights_have_a_volume_of_the_placements_class_at_home(name: str, built: Package) -> None:
    volumes = built.each(lambda pod: pod.get("genericEphemeralVolume"))
    assert set(volumes) == (WEIGHTS if name in SCRATCH else set())
    for step, given in volumes.items():
        assert given == [
            {
                "volumeName": "medu1-home",
                "mountPath": "/scratch",
                "accessModes": ["ReadWriteOnce"],
                "size": SCRATCH[name][0],
                "storageClassName": SCRATCH[name][1],
            }
        ], step


SHM = {"cpu": "1Gi", "gke-a100": "16Gi", "eks-h100-spot": "32Gi"}


def test_the_other_places_that_are_written_lie_on_the_node_and_in_memory(name: str, built: Package) -> None:
    for step, pod in built.pods.items():
        mounted = {each["mountPath"]: (each.get("medium"), each["sizeLimit"]) for each in pod["emptyDirMounts"]}
        expected: dict[str, tuple[str | None, str]] = {"/tmp": (None, "20Gi")}
        if name not in SCRATCH or step not in WEIGHTS:
            expected["/scratch"] = (None, "20Gi")
        if step in GPU_STEPS:
            expected["/dev/shm"] = ("Memory", SHM[name])
        assert mounted == expected, step
        names = [each["volumeName"] for each in pod["emptyDirMounts"] + pod.get("genericEphemeralVolume", [])]
        assert len(set(names)) == len(names), step


def test_no_volume_outlives_its_pod(built: Package) -> None:
    assert not built.each(lambda pod: pod.get("pvcMount"))
    assert "createpvc" not in built.text


def test_accelerators_may_be_left_to_training_alone(tmp_path: Path) -> None:
    built = changed(tmp_path, "gke-a100", accelerated=["train"])
    assert {step for step, each in built.executors.items() if "accelerator" in each["resources"]} == {"train"}
    assert built.each(lambda pod: pod.get("tolerations")).keys() == {"train"}
    assert built.pods["evaluate"]["nodeAffinity"] == AFFINITY["gke-a100"][1]


TIMES = {"cpu": 2, "gke-a100": 3, "eks-h100-spot": 5}
BACKOFF = {"cpu": "30s", "gke-a100": "60s", "eks-h100-spot": "60s"}


def test_every_step_but_the_last_is_tried_again_with_longer_waits(name: str, built: Package) -> None:
    policies = {step: built.tasks[step].get("retryPolicy") for step in STEPS}
    assert policies.pop("finalize") is None
    for step, policy in policies.items():
        assert policy is not None, step
        times = policy["maxRetryCount"], policy["backoffDuration"], policy["backoffFactor"]
        assert times == (TIMES[name], BACKOFF[name], 2.0), step


def test_a_retry_is_still_to_be_had_when_the_last_try_but_one_ran_to_its_deadline(name: str, built: Package) -> None:
    """Argo counts the longest duration from the start of the first try, and kfp's own default is an hour."""
    for step in set(STEPS) - {"finalize"}:
        policy, deadline = built.tasks[step]["retryPolicy"], int(built.pods[step]["activeDeadlineSeconds"])
        assert int(policy["backoffMaxDuration"].removesuffix("s")) > (TIMES[name] + 1) * deadline
