"""deploy/ as kubectl renders it: every object fits the schemas, whatever is named exists, no secret has a value."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import kubernetes_validate
import pytest
import yaml

from manifests import DEPLOY, KUBERNETES, OVERLAYS, RUNTIME_KIND, Object, Pod, named, namespace, of, one, pods, rendered
from pipelines import placement

ROOT = DEPLOY.parent
TRAINER = "trainer.kubeflow.org/v1alpha1"
SECRETS = DEPLOY / "secrets.example.yaml"
RUNS = {"base": "medu1-runs", "overlays/dev": "kubeflow", "overlays/gke": "medu1-runs", "overlays/eks": "medu1-runs"}
KUBEFLOW_ACCOUNTS = {"default-editor", "pipeline-runner"}  # Kubeflow's own, in the namespace of runs
CLOUD = ("overlays/gke", "overlays/eks")

every_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


@cache
def fits(text: str, version: str) -> str:
    """What the schema of a version says against an object, unknown fields included; "" where it fits."""
    try:
        kubernetes_validate.validate(yaml.safe_load(text), version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{'.'.join(map(str, error.absolute_path))}: {error.message}"
    return ""


def runtime_fits(found: Object) -> bool:
    """Whether Kubeflow Trainer's model knows every field of a TrainingRuntime, and each has its type."""
    from kubeflow_trainer_api.models import TrainerV1alpha1TrainingRuntime

    read = TrainerV1alpha1TrainingRuntime.from_dict(dict(found))
    return read is not None and read.to_dict() == found


@every_overlay
@pytest.mark.parametrize("version", KUBERNETES)
def test_every_object_fits_the_schemas_of_kubernetes(overlay: str, version: str) -> None:
    own = [each for each in rendered(overlay) if each["apiVersion"] != TRAINER]
    refused = {named(each): told for each in own if (told := fits(yaml.safe_dump(each, sort_keys=True), version))}
    assert not refused
    assert len(own) > 20


def test_an_unknown_field_is_refused() -> None:
    broken = dict(one(rendered("base"), "Service", "mlflow")) | {"selektor": {}}
    assert "selektor" in fits(yaml.safe_dump(broken), KUBERNETES[0])


@every_overlay
def test_the_training_runtime_fits_the_api_of_kubeflow_trainer(overlay: str) -> None:
    found = [each for each in rendered(overlay) if each["apiVersion"] == TRAINER]
    assert [each["kind"] for each in found] == [RUNTIME_KIND]
    assert all(runtime_fits(each) for each in found)


def test_an_unknown_field_of_a_training_runtime_is_refused() -> None:
    (found,) = of(rendered("base"), RUNTIME_KIND)
    assert not runtime_fits({**found, "spec": {**found["spec"], "nodes": 2}})


@every_overlay
def test_no_two_objects_are_the_same_and_each_has_its_namespace(overlay: str) -> None:
    names = [named(each) for each in rendered(overlay)]
    assert len(names) == len(set(names))
    whole_cluster = {each["kind"] for each in rendered(overlay) if not namespace(each)}
    assert whole_cluster <= {"Namespace", "StorageClass"}
    assert {namespace(each) for each in rendered(overlay)} <= {"", "medu1", RUNS[overlay]}


def secrets() -> dict[tuple[str, str], Object]:
    """The template's secrets, by namespace and name."""
    return {
        (namespace(each), each["metadata"]["name"]): each for each in yaml.safe_load_all(SECRETS.read_text("utf-8"))
    }


def test_the_template_of_secrets_holds_no_value_and_fits_the_schema() -> None:
    for each in secrets().values():
        assert not fits(yaml.safe_dump(each), KUBERNETES[0])
        assert set(each["stringData"].values()) == {""}, named(each)


def test_the_template_names_the_keys_that_a_placement_reads() -> None:
    assert set(secrets()["medu1-runs", placement.SECRET]["stringData"]) == set(placement.SECRETS)


@every_overlay
def test_the_config_map_has_the_keys_that_a_placement_reads(overlay: str) -> None:
    given = set(one(rendered(overlay), "ConfigMap", placement.CONFIG)["data"])
    assert set(placement.ADDRESSES) <= given <= set(placement.ADDRESSES) | set(placement.OPTIONAL_ADDRESSES)


@every_overlay
def test_no_secret_is_rendered_and_no_variable_holds_one(overlay: str) -> None:
    assert not of(rendered(overlay), "Secret")
    told = ("PASSWORD", "SECRET", "TOKEN", "ACCESS_KEY", "_KEY")
    for pod in pods(rendered(overlay)):
        for each in (variable for container in pod.containers for variable in container.get("env", ())):
            assert "value" not in each or not each["name"].endswith(told), f"{pod.where}: {each['name']}"


def referred(pod: Pod) -> Iterator[tuple[str, str, str | None]]:
    """Kind, name and key (None: all) of what a pod reads."""
    for container in pod.containers:
        for each in container.get("env", ()):
            source = each.get("valueFrom", {})
            for kind, field in (("Secret", "secretKeyRef"), ("ConfigMap", "configMapKeyRef")):
                if field in source and not source[field].get("optional"):
                    yield kind, source[field]["name"], source[field]["key"]
    for volume in pod.spec.get("volumes", ()):
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"]["name"], None
        if "secret" in volume:
            yield "Secret", volume["secret"]["secretName"], None
        assert "persistentVolumeClaim" not in volume, f"{pod.where}: claims come from templates"


@every_overlay
def test_every_config_map_and_secret_that_a_pod_reads_exists(overlay: str) -> None:
    for pod in pods(rendered(overlay)):
        at = namespace(pod.owner)
        for kind, name, key in referred(pod):
            known: dict[str, Any]
            if kind == "Secret":
                known = dict(secrets()[at, name]["stringData"])
            else:
                (found,) = (each for each in of(rendered(overlay), kind) if each["metadata"]["name"] == name)
                assert namespace(found) == at
                known = dict(found["data"])
            assert key is None or key in known, f"{pod.where}: {kind} {name} has no key {key}"


@every_overlay
def test_every_service_account_exists_where_its_pods_are(overlay: str) -> None:
    there = {(namespace(each), each["metadata"]["name"]) for each in of(rendered(overlay), "ServiceAccount")}
    for pod in pods(rendered(overlay)):
        if not pod.from_trainjob:  # each TrainJob names its own
            assert (namespace(pod.owner), pod.spec["serviceAccountName"]) in there, pod.where


@every_overlay
def test_every_mount_has_its_volume(overlay: str) -> None:
    for pod in pods(rendered(overlay)):
        claims = pod.owner["spec"].get("volumeClaimTemplates", ())
        volumes = {each["name"] for each in pod.spec.get("volumes", ())} | {c["metadata"]["name"] for c in claims}
        mounts = {mount["name"] for each in pod.containers for mount in each.get("volumeMounts", ())}
        assert mounts <= volumes, pod.where
        assert volumes <= mounts, f"{pod.where}: a volume nobody mounts"


@every_overlay
def test_selectors_match_and_services_reach_a_port(overlay: str) -> None:
    found = list(pods(rendered(overlay)))
    for pod in found:
        if "selector" in pod.owner["spec"]:
            assert pod.owner["spec"]["selector"]["matchLabels"].items() <= pod.labels.items(), pod.where
    for service in of(rendered(overlay), "Service"):
        asked = service["spec"]["selector"].items()
        behind = [p for p in found if namespace(p.owner) == namespace(service) and asked <= p.labels.items()]
        assert [pod.owner["kind"] for pod in behind] in (["Deployment"], ["StatefulSet"]), named(service)
        ports = {port["name"]: port["containerPort"] for each in behind[0].containers for port in each["ports"]}
        for each in service["spec"]["ports"]:
            assert ports[each["targetPort"]] == each["port"], named(service)


@every_overlay
def test_a_stateful_set_has_a_headless_service(overlay: str) -> None:
    for each in of(rendered(overlay), "StatefulSet"):
        assert one(rendered(overlay), "Service", each["spec"]["serviceName"])["spec"]["clusterIP"] == "None"


@every_overlay
def test_mlflow_is_asked_under_a_name_that_it_allows(overlay: str) -> None:
    (server,) = one(rendered(overlay), "Deployment", "mlflow")["spec"]["template"]["spec"]["containers"]
    (allowed,) = (each.partition("=")[2].split(",") for each in server["args"] if each.startswith("--allowed-hosts="))
    uri = one(rendered(overlay), "ConfigMap", "medu1")["data"]["tracking_uri"]
    host = uri.removeprefix("http://")
    assert {host, host.partition(":")[0]} <= set(allowed)
    assert "*" not in "".join(allowed)
    assert {each for each in allowed if ":" not in each} == {each.partition(":")[0] for each in allowed if ":" in each}


@pytest.mark.parametrize("overlay", ["base", "overlays/dev"])
def test_the_store_has_the_buckets_that_are_asked_for(overlay: str) -> None:
    made = one(rendered(overlay), "Job", "buckets")["spec"]["template"]["spec"]["containers"][0]["env"][0]
    assert made["name"] == "BUCKETS"
    (server,) = one(rendered(overlay), "StatefulSet", "store")["spec"]["template"]["spec"]["containers"]
    known = {each["value"] for each in server["env"] if each["name"] in {"ARTIFACTS", "MODELS", "DATA"}}
    store = one(rendered(overlay), "ConfigMap", "medu1")["data"]["store"]
    (mlflow,) = one(rendered(overlay), "Deployment", "mlflow")["spec"]["template"]["spec"]["containers"]
    assert set(made["value"].split()) == known
    assert store.split("/")[2] in known
    assert "--artifacts-destination=s3://artifacts" in mlflow["args"]


@pytest.mark.parametrize("overlay", CLOUD)
def test_a_managed_bucket_leaves_nothing_of_the_store(overlay: str) -> None:
    assert not [named(each) for each in rendered(overlay) if "store" in each["metadata"]["name"]]
    text = yaml.safe_dump_all(rendered(overlay))
    assert "http://store" not in text
    assert "seaweedfs" not in text


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_quota_holds_the_largest_placement(overlay: str) -> None:
    quota = one(rendered(overlay), "ResourceQuota", "medu1")["spec"]["hard"]
    for name, each in yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))["placements"].items():
        if (resource := each.get("accelerator")) and overlay != "overlays/dev":  # which has no accelerators
            asked = each.get("nodes", 1) * each["accelerators"]
            assert int(quota[f"requests.{resource}"]) >= asked, name


def test_storage_classes_of_placements_exist_on_their_cloud() -> None:
    given = {"eks": {each["metadata"]["name"] for each in of(rendered("overlays/eks"), "StorageClass")}}
    given["gke"] = {"standard-rwo", "premium-rwo"}  # GKE makes these itself
    for name, each in yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))["placements"].items():
        if scratch := each.get("scratch"):
            assert scratch["storage_class"] in given[name.partition("-")[0]], name


def test_the_runtime_is_the_one_that_placements_name() -> None:
    named_there = {each["metadata"]["name"] for each in of(rendered("base"), RUNTIME_KIND)}
    asked = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))["placements"].values()
    assert {each["runtime"] for each in asked if each.get("runtime")} <= named_there


def test_the_scratch_volumes_belong_to_the_user_of_the_images() -> None:
    """Argo's defaults give pods of pipelines the group that the runtime gives those of a TrainJob."""
    told = yaml.safe_load((DEPLOY / "workflow-defaults.yaml").read_text("utf-8"))["data"]["workflowDefaults"]
    patch = json.loads(yaml.safe_load(told)["spec"]["podSpecPatch"])
    assert patch["securityContext"]["fsGroup"] == placement.USER
    (runtime,) = (pod for pod in pods(rendered("base")) if pod.from_trainjob)
    assert runtime.spec["securityContext"]["fsGroup"] == placement.USER
