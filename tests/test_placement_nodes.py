"""A compiled placement of several nodes: the step train only launches them, and says what their pods get."""

from pathlib import Path

import pytest

from medu1.placements import TRAINJOB, Placed, TrainJobPlan
from packages import CLOUD, IMAGES, PROFILES, changed, share, shipped


@pytest.mark.parametrize("name", PROFILES)
def test_preflight_is_told_what_the_training_gets(name: str) -> None:
    text = shipped(name).tasks["preflight"]["inputs"]["parameters"]["placed"]["runtimeValue"]["constant"]
    cloud = name in CLOUD
    assert Placed.parse(text) == Placed(
        name=name,
        accelerator="nvidia.com/gpu" if cloud else "",
        accelerators=1 if cloud else 0,
        nodes=1,
        scratch_gib=200.0 if cloud else 20.0,
        images=(IMAGES.cpu, IMAGES.gpu),
    )


@pytest.mark.parametrize("name", PROFILES)
def test_one_node_has_no_trainjob(name: str) -> None:
    assert TRAINJOB not in shipped(name).text


def test_several_nodes_make_the_step_train_a_launcher_without_accelerators(tmp_path: Path) -> None:
    built = changed(tmp_path, "eks-h100-spot", nodes=2, accelerators=8, service_account="trainer")
    train, container = built.pods["train"], built.executors["train"]
    assert "accelerator" not in container["resources"]
    other = shipped("eks-h100-spot")
    assert share(container) == share(other.executors["audit"])
    assert train["nodeAffinity"] == other.pods["audit"]["nodeAffinity"] != other.pods["train"]["nodeAffinity"]
    assert "tolerations" not in train
    assert "/dev/shm" not in {each["mountPath"] for each in train["emptyDirMounts"]}
    assert int(train["activeDeadlineSeconds"]) == 86400
    assert {step for step, each in built.executors.items() if "accelerator" in each["resources"]} == {"evaluate"}
    given = {step for step, each in built.executors.items() if TRAINJOB in {one["name"] for one in each["env"]}}
    assert given == {"train"}


def test_a_launcher_hands_on_what_its_pods_get(tmp_path: Path) -> None:
    built = changed(tmp_path, "gke-a100", nodes=2, accelerators=8, service_account="trainer", pull_secrets=["own"])
    text = next(each["value"] for each in built.executors["train"]["env"] if each["name"] == TRAINJOB)
    plan = TrainJobPlan.parse(text)
    assert text == plan.canonical()
    assert plan.model_dump(exclude_defaults=True, exclude={"optional_addresses", "keys", "labels"}) == {
        "runtime": "medu1-torch",
        "image": IMAGES.gpu,
        "nodes": 2,
        "resources": {"nvidia.com/gpu": "8", "cpu": "8", "memory": "64Gi"},
        "config": "medu1",
        "addresses": {"store": "MEDU1_STORE"},
        "secret": "medu1",
        "node_selector": {"cloud.google.com/gke-accelerator": "nvidia-tesla-a100"},
        "prefer": ({"weight": 100, "key": "cloud.google.com/gke-spot", "operator": "DoesNotExist"},),
        "tolerations": tuple(shipped("gke-a100").pods["train"]["tolerations"]),
        "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
        "service_account": "trainer",
        "image_pull_secrets": ("own",),
        "scratch_gib": 200.0,
        "storage_class": "premium-rwo",
        "home": "/scratch",
        "shm": "16Gi",
        "timeout": 86400,
        "user": 10001,
    }
    assert set(plan.keys.values()) == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert plan.labels["app.kubernetes.io/component"] == "train"
    placed = built.tasks["preflight"]["inputs"]["parameters"]["placed"]["runtimeValue"]["constant"]
    assert (Placed.parse(placed).nodes, Placed.parse(placed).accelerators) == (2, 8)
