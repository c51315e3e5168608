"""What every pod of deploy/ keeps to: not root, no writing beside its volumes, bounded, watched, its image pinned."""

import re

import pytest

from manifests import OVERLAYS, Object, Pod, namespace, of, pods, rendered

PINNED = re.compile(r"[^@:]+(?::\d+/[^@:]+)?(?::[\w.-]+)?@sha256:[0-9a-f]{64}|[^@:]+:\d+\.\d+(?:\.\d+)?[\w.-]*")
SERVERS = {"Deployment", "StatefulSet"}

every_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


def security(pod: Pod, container: Object) -> dict[str, object]:
    """What holds for a container: its own word goes before the pod's."""
    return {**pod.spec.get("securityContext", {}), **container.get("securityContext", {})}


@every_overlay
def test_no_container_is_root_or_can_become_it(overlay: str) -> None:
    for pod in pods(rendered(overlay)):
        for each in pod.containers:
            held = security(pod, each)
            assert held["runAsNonRoot"] is True, pod.where
            assert held["allowPrivilegeEscalation"] is False, pod.where
            assert held["capabilities"] == {"drop": ["ALL"]}, pod.where
            assert held["seccompProfile"] == {"type": "RuntimeDefault"}, pod.where
            assert held.get("runAsUser") != 0, pod.where
            assert not held.get("privileged"), pod.where


@every_overlay
def test_no_container_writes_beside_its_volumes(overlay: str) -> None:
    for pod in pods(rendered(overlay)):
        for each in pod.containers:
            assert security(pod, each)["readOnlyRootFilesystem"] is True, pod.where


@every_overlay
def test_no_pod_reaches_into_its_node(overlay: str) -> None:
    for pod in pods(rendered(overlay)):
        assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & pod.spec.keys(), pod.where
        assert not [each for each in pod.spec.get("volumes", ()) if "hostPath" in each], pod.where
        assert not [p for each in pod.containers for p in each.get("ports", ()) if "hostPort" in p], pod.where


@every_overlay
def test_every_container_says_what_it_needs_and_what_it_may_take(overlay: str) -> None:
    for pod in pods(rendered(overlay)):
        for each in [] if pod.from_trainjob else pod.containers:
            assert {"cpu", "memory"} <= each["resources"]["requests"].keys(), pod.where
            assert "memory" in each["resources"]["limits"], pod.where


@every_overlay
def test_every_server_is_watched(overlay: str) -> None:
    for pod in pods(rendered(overlay)):
        for each in pod.containers if pod.owner["kind"] in SERVERS else []:
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= each.keys(), pod.where
            ports = {port["name"] for port in each["ports"]}
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                assert "exec" in each[probe] or each[probe]["httpGet"]["port"] in ports, pod.where


@every_overlay
def test_every_image_is_pinned(overlay: str) -> None:
    images = {each["image"] for pod in pods(rendered(overlay)) for each in pod.containers if "image" in each}
    assert not [each for each in images if not PINNED.fullmatch(each)]
    assert images


@pytest.mark.parametrize(
    "image", ["mlflow", "mlflow:latest", "mlflow:3", "host:5000/mlflow", "mlflow:v3", "mlflow@sha256:12"]
)
def test_an_image_that_can_move_counts_as_not_pinned(image: str) -> None:
    assert not PINNED.fullmatch(image)


@every_overlay
def test_every_image_that_a_registry_holds_is_named_by_digest(overlay: str) -> None:
    images = {each["image"] for pod in pods(rendered(overlay)) for each in pod.containers if "image" in each}
    assert {each for each in images if "@sha256:" not in each} <= {"medu1-mlflow:0.1.0"}  # of this machine, for kind
    assert overlay in {"base", "overlays/dev"} or all("@sha256:" in each for each in images)


@every_overlay
def test_no_server_holds_a_token_of_the_cluster(overlay: str) -> None:
    for pod in pods(rendered(overlay)):
        if namespace(pod.owner) == "medu1":
            assert pod.spec["automountServiceAccountToken"] is False, pod.where
    for each in of(rendered(overlay), "ServiceAccount"):
        assert each["automountServiceAccountToken"] is (each["metadata"]["name"] == "medu1")


@every_overlay
def test_the_servers_namespace_takes_no_lesser_pod(overlay: str) -> None:
    for each in of(rendered(overlay), "Namespace"):
        held = {"medu1": "restricted", "medu1-runs": "baseline"}[each["metadata"]["name"]]
        assert each["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == held
