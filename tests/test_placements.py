"""Profiles of the parameter file: what is wrong with one is said by its key and with the reason, before it compiles."""

import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.utils.quantity import parse_quantity

from medu1.errors import Stop
from medu1.params import overridden
from medu1.placements import STEPS, Placement, Placements, TrainJobPlan
from medu1.quantity import GIB, UNITS, cores, gib
from pipelines import request
from pipelines.images import Images
from pipelines.placement import STEP_KEYS, placement
from pipelines.progress import ORDER

FILE = Path(__file__).parents[1] / "params.yaml"
IMAGES = Images.read(Path(__file__).parent / "golden" / "images.json")
A100 = "placements.gke-a100"


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    """The repository's own parameters."""
    return dict(yaml.safe_load(FILE.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def profiles(data: dict[str, Any]) -> dict[str, Placement]:
    return dict(Placements.read(data, "params.yaml"))


def refusal(data: dict[str, Any], settings: dict[str, object]) -> str:
    """What is said of a file with these settings."""
    with pytest.raises(Stop) as stop:
        Placements.read(overridden(data, settings), "params.yaml")
    return stop.value.fact


def without(data: dict[str, Any], *path: str) -> dict[str, Any]:
    """The file without one key."""
    copy = overridden(data, {})
    section = copy
    for key in path[:-1]:
        section = section[key]
    del section[path[-1]]
    return copy


def test_three_profiles_ship(profiles: dict[str, Placement]) -> None:
    assert list(profiles) == ["cpu", "gke-a100", "eks-h100-spot"]


def test_the_steps_of_a_profile_are_those_of_the_chain() -> None:
    assert (*ORDER, "finalize") == STEPS
    assert set(STEP_KEYS) == set(STEPS)


def test_a_profile_that_ships_trains_on_what_the_parameters_ask_for(
    data: dict[str, Any], profiles: dict[str, Placement]
) -> None:
    for name, profile in profiles.items():
        assert profile.nodes == data["train"]["nodes"], name
        assert profile.accelerators in (0, data["train"]["processes"]), name


def test_accelerators_without_a_type_are_refused(data: dict[str, Any]) -> None:
    with pytest.raises(Stop) as stop:
        Placements.read(without(data, "placements", "gke-a100", "accelerator"), "params.yaml")
    assert stop.value.fact == (
        f"params.yaml: {A100}: accelerators 1 without accelerator: name the resource, such as nvidia.com/gpu."
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"accelerators": 0}, ": accelerator nvidia.com/gpu without accelerators: say how many a pod gets"),
        ({"accelerators": -1}, ".accelerators = -1: Input should be greater than or equal to 0"),
        ({"accelerator": "nvida.com/gpu"}, ".accelerator = 'nvida.com/gpu': no resource PyTorch trains on; nvidia.com"),
        ({"accelerator": "google.com/tpu"}, ".accelerator = 'google.com/tpu': no resource PyTorch trains on"),
        ({"accelerated": ["trian"]}, ".accelerated.0 = 'trian': Input should be 'base', 'train' or 'evaluate'"),
        ({"accelerated": ["audit"]}, ".accelerated.0 = 'audit': Input should be 'base', 'train' or 'evaluate'"),
        ({"gpu": None}, ": gpu, the pool of accelerated steps, and accelerators go together"),
        ({"nodes": 2, "runtime": None}, ": nodes 2 without runtime: name the Kubeflow Trainer runtime"),
        ({"nodes": 2, "accelerated": ["evaluate"]}, ": nodes 2 without accelerators for train"),
        ({"nodes": 0}, ".nodes = 0: Input should be greater than 0"),
        ({"runtime": "Medu1 Torch"}, ".runtime = 'Medu1 Torch': no name of a Kubernetes object"),
        ({"gpu.requests.gpu": 1}, ".gpu.requests.gpu is not a parameter; the nearest is placements.gke-a100.gpu.req"),
        ({"gpu.requests.memory": "64GB"}, ".gpu.requests.memory = '64GB': no quantity of bytes; write a whole number"),
        ({"gpu.requests.memory": "1.5Gi"}, ".gpu.requests.memory = '1.5Gi': no quantity of bytes"),
        ({"gpu.requests.memory": "64gi"}, ".gpu.requests.memory = '64gi': no quantity of bytes"),
        ({"gpu.requests.memory": -1}, ".gpu.requests.memory = -1: no quantity of bytes"),
        ({"gpu.requests.cpu": "two"}, ".gpu.requests.cpu = 'two': no quantity of CPUs; write a number such as 4"),
        ({"gpu.requests.cpu": 0}, ".gpu.requests.cpu = 0: no quantity of CPUs"),
        ({"gpu.requests.cpu": True}, ".gpu.requests.cpu = True: Input should be a valid string"),
        ({"gpu.requests.memory": "65Gi"}, ".gpu: limits.memory 64Gi is below requests.memory 65Gi"),
        ({"cpu.limits.cpu": "500m"}, ".cpu: limits.cpu 500m is below requests.cpu 1"),
        ({"steps.audit": {"requests": {"memory": "9Gi"}}}, ": steps.audit: limits.memory 8Gi is below requests.memory"),
        ({"steps.trian": {}}, ".steps.trian cannot be named so: Input should be 'preflight', 'tokenizer'"),
        ({"steps.train": {"time": 1}}, ".steps.train.time is not a parameter; the nearest is placements.gke-a100.st"),
        ({"shm": "65Gi"}, ": shm 65Gi is more than train may have of memory, 64Gi"),
        ({"scratch": {"size": "200Gi"}}, ".scratch.storage_class is missing"),
        ({"scratch": {"storage_class": "gp3"}}, ".scratch.size is missing"),
        ({"scratch.storage_class": "Premium RWO"}, ".scratch.storage_class = 'Premium RWO': no name of a Kubernetes"),
        ({"scratch.size": "lots"}, ".scratch.size = 'lots': no quantity of bytes"),
        ({"cpu.selector": {"a/b/c": "x"}}, ".cpu.selector.a/b/c cannot be named so: no key of a label or taint"),
        ({"cpu.selector": {"Pool.Example/kind": "x"}}, ".cpu.selector.Pool.Example/kind cannot be named so: no key"),
        ({"cpu.selector": {"pool": "a b"}}, ".cpu.selector.pool = 'a b': no value of a label or taint"),
        ({"cpu.selector": {"pool": "a" * 64}}, f".cpu.selector.pool = '{'a' * 64}': no value of a label or taint"),
        ({"cpu.selector": {"spot": True}}, ".cpu.selector.spot = True: Input should be a valid string"),
        ({"labels": {"-team": "x"}}, ".labels.-team cannot be named so: no key of a label or taint"),
        ({"cpu.tolerations": [{"key": "a", "operator": "Equal"}]}, ".cpu.tolerations.0: a value goes with operator"),
        ({"cpu.tolerations": [{"key": "a", "value": "b"}]}, ".cpu.tolerations.0: a value goes with operator Equal"),
        ({"cpu.tolerations": [{"operator": "Exists"}]}, ".cpu.tolerations.0.key is missing"),
        ({"cpu.tolerations": [{"key": "a", "effect": "NoShedule"}]}, ".cpu.tolerations.0.effect = 'NoShedule'"),
        ({"cpu.require": [{"key": "a", "operator": "In"}]}, ".cpu.require.0: operator In needs values"),
        ({"cpu.require": [{"key": "a", "operator": "Exists", "values": ["b"]}]}, ".cpu.require.0: operator Exists tak"),
        ({"cpu.require": [{"key": "a", "operator": "Gt", "values": ["b"]}]}, ".cpu.require.0: operator Gt needs one"),
        ({"cpu.require": [{"key": "a", "operator": "Is"}]}, ".cpu.require.0.operator = 'Is': Input should be 'In'"),
        ({"cpu.prefer": [{"key": "a", "operator": "Exists"}]}, ".cpu.prefer.0.weight is missing"),
        ({"cpu.prefer": [{"key": "a", "operator": "Exists", "weight": 101}]}, ".cpu.prefer.0.weight = 101"),
        ({"cpu.timeout": "1 day"}, ".cpu.timeout = '1 day': Input should be a valid integer"),
        ({"cpu.timeout": 0}, ".cpu.timeout = 0: Input should be greater than 0"),
        ({"retries.times": -1}, ".retries.times = -1: Input should be greater than or equal to 0"),
        ({"retries.backoff": "1m"}, ".retries.backoff = '1m': Input should be a valid integer"),
        ({"retries.factor": 0.5}, ".retries.factor = 0.5: Input should be greater than or equal to 1"),
        ({"pull_policy": "Sometimes"}, ".pull_policy = 'Sometimes': Input should be 'Always', 'IfNotPresent' or"),
        ({"pull_secrets": ["Key"]}, ".pull_secrets.0 = 'Key': no name of a Kubernetes object"),
        ({"shmm": "1Gi"}, ".shmm is not a parameter; the nearest is placements.gke-a100.shm"),
    ],
)
def test_a_wrong_profile_names_the_key_and_why(data: dict[str, Any], settings: dict[str, Any], said: str) -> None:
    fact = refusal(data, {f"{A100}.{key}": value for key, value in settings.items()})
    assert fact.startswith(f"params.yaml: {A100}{said}")


def test_several_nodes_need_accelerators(data: dict[str, Any]) -> None:
    assert "placements.cpu: nodes 2 without accelerators for train" in refusal(data, {"placements.cpu.nodes": 2})


@pytest.mark.parametrize(("name", "why"), [("none", "none is this machine"), ("My GPUs", "no name of a Kubernetes")])
def test_a_profile_may_not_have_every_name(data: dict[str, Any], name: str, why: str) -> None:
    assert f"placements.{name} cannot be named so: {why}" in refusal(
        data, {f"placements.{name}": data["placements"]["cpu"]}
    )


@pytest.mark.parametrize("section", [None, [], "cpu", {"cpu": 5}])
def test_a_section_that_is_no_mapping_of_profiles_is_refused(data: dict[str, Any], section: object) -> None:
    assert refusal(data, {"placements": section}).startswith("params.yaml: placements")


def test_an_unknown_placement_names_the_known_ones(profiles: dict[str, Placement]) -> None:
    with pytest.raises(Stop, match=r"no placement 'moon'\. Known are none, cpu, gke-a100, eks-h100-spot"):
        placement("moon", profiles, IMAGES)


def test_accelerators_are_not_given_to_the_cpu_image(profiles: dict[str, Placement]) -> None:
    alone = IMAGES.model_copy(update={"gpu": IMAGES.cpu})
    with pytest.raises(Stop, match=r"gke-a100 asks for nvidia\.com/gpu, and the image list has no GPU image"):
        placement("gke-a100", profiles, alone)
    assert placement("cpu", profiles, alone).placed.images == (IMAGES.cpu,)


def test_a_step_that_the_chain_has_not_is_refused(profiles: dict[str, Placement]) -> None:
    with pytest.raises(Stop, match="The chain has no step 'tain'"):
        placement("cpu", profiles, IMAGES)(object(), "tain")


def test_a_file_without_placements_runs_here_and_compiles_for_none_alone(data: dict[str, Any], tmp_path: Path) -> None:
    """What `medu1 reproduce` writes is such a file."""
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(without(data, "placements")), encoding="utf-8")
    assert request.read_params(path, []).train.seed == data["train"]["seed"]
    assert request.placements(path) == {}
    with pytest.raises(Stop, match=r"Known are none\. Choose one with --placement, or add it to placements"):
        placement("cpu", request.placements(path), IMAGES)


def test_wrong_placements_do_not_stop_a_run_here(data: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump({**data, "placements": {"mine": {}}}), encoding="utf-8")
    assert request.read_params(path, []).train.seed == data["train"]["seed"]
    with pytest.raises(Stop, match=r"params\.yaml: placements\.mine\.cpu is missing"):
        request.placements(path)


def test_quantities_are_what_kubernetes_reads() -> None:
    draw = random.Random(0)
    for unit in UNITS:
        number = int(draw.random() * 10_000) + 1
        assert gib(f"{number}{unit}") == pytest.approx(float(parse_quantity(f"{number}{unit}")) / GIB, rel=1e-12)
    for cpu in ("1", "250m", "0.5", "16", "1.25"):
        assert cores(cpu) == pytest.approx(float(parse_quantity(cpu)))


@pytest.mark.parametrize("wrong", ["", "1k", "1K", "1e3", ".5Gi", "0", "0Gi", "1Zi", "1 Gi", "Gi", "1Gi\n", "٣Gi"])
def test_what_kubernetes_and_kfp_do_not_both_read_is_no_quantity(wrong: str) -> None:
    with pytest.raises(ValueError, match="no quantity of bytes"):
        gib(wrong)


def test_a_plan_reads_back_its_canonical_text() -> None:
    plan = TrainJobPlan(runtime="medu1-torch", image=IMAGES.gpu, nodes=2, resources={"nvidia.com/gpu": "8"})
    assert TrainJobPlan.parse(plan.canonical()) == plan
