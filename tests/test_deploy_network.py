"""Who may talk to whom: nothing is open by default, rules lead to pods that exist, pods reach what they need."""

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from manifests import OVERLAYS, Object, namespace, of, one, pods, rendered, selects
from pipelines import placement

RUNS, SERVERS, PIPELINES = "medu1-runs", "medu1", "kubeflow"
WALLED = [each for each in OVERLAYS if each != "overlays/dev"]  # whose runs have a namespace of their own

every_overlay = pytest.mark.parametrize("overlay", OVERLAYS)
walled = pytest.mark.parametrize("overlay", WALLED)


class End(NamedTuple):
    """A pod as policies see it."""

    namespace: str
    labels: dict[str, str]


STEP = End(RUNS, {"pipelines.kubeflow.org/v2_component": "true", "app.kubernetes.io/part-of": "medu1"})
TRAINJOB = End(RUNS, {"jobset.sigs.k8s.io/jobset-name": "medu1-train-1", "app.kubernetes.io/part-of": "medu1"})
KUBEFLOW_UI = End(RUNS, {"app": "ml-pipeline-ui-artifact"})
KUBEFLOW = End(PIPELINES, {"app": "ml-pipeline"})
DNS = End("kube-system", {"k8s-app": "kube-dns"})
OTHER = End("default", {})


def server(name: str) -> End:
    """A pod of the platform."""
    return End(SERVERS, {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "medu1"})


def takes(peer: Object, end: End, home: str) -> bool:
    """Whether a peer of a policy of namespace `home` is this pod."""
    if "ipBlock" in peer:
        return False
    spaces = peer.get("namespaceSelector")
    known = {"kubernetes.io/metadata.name": end.namespace}
    there = end.namespace == home if spaces is None else selects(spaces, known)
    return there and selects(peer.get("podSelector", {}), end.labels)


def opened(rule: Object, port: int) -> bool:
    """Whether a rule opens a TCP port."""
    for each in rule.get("ports", [{"port": port}]):
        if each.get("protocol", "TCP") == "TCP" and each["port"] <= port <= each.get("endPort", each["port"]):
            return True
    return False


def passes(overlay: str, source: End, target: End, port: int) -> bool:
    """Whether the policies of an overlay let a TCP connection pass, at its start and at its end."""
    return _one_way(overlay, "egress", source, target, port) and _one_way(overlay, "ingress", target, source, port)


def _one_way(overlay: str, direction: str, held: End, other: End, port: int) -> bool:
    ours = [
        each
        for each in of(rendered(overlay), "NetworkPolicy")
        if namespace(each) == held.namespace
        and direction.capitalize() in each["spec"]["policyTypes"]
        and selects(each["spec"]["podSelector"], held.labels)
    ]
    peers = "to" if direction == "egress" else "from"
    rules = [rule for each in ours for rule in each["spec"].get(direction, ())]
    fits = [rule for rule in rules if opened(rule, port)]
    return not ours or any(
        peers not in rule or any(takes(peer, other, held.namespace) for peer in rule[peers]) for rule in fits
    )


@every_overlay
def test_the_servers_refuse_what_nobody_named(overlay: str) -> None:
    for name in ("postgres", "store", "mlflow"):
        assert not [port for port in (80, 443, 5000, 5432, 8333, 9333) if passes(overlay, OTHER, server(name), port)]


@walled
def test_the_runs_refuse_what_nobody_named(overlay: str) -> None:
    for end in (STEP, TRAINJOB):
        assert not [port for port in (80, 443, 8080, 29400) if passes(overlay, OTHER, end, port)]
        assert not [port for port in (80, 5432, 8080) if passes(overlay, end, OTHER, port)]


@walled
def test_a_step_and_a_trainjob_reach_mlflow_and_names(overlay: str) -> None:
    for end in (STEP, TRAINJOB):
        assert passes(overlay, end, server("mlflow"), 5000)
        assert passes(overlay, end, DNS, 53)


def test_they_reach_the_store_on_its_one_port_that_asks_who_is_there() -> None:
    for end in (STEP, TRAINJOB, server("mlflow"), server("buckets")):
        assert passes("base", end, server("store"), 8333)
        assert not [port for port in (8888, 9333, 8080, 18888, 19333) if passes("base", end, server("store"), port)]


@walled
def test_nobody_but_mlflow_reaches_the_database(overlay: str) -> None:
    assert passes(overlay, server("mlflow"), server("postgres"), 5432)
    for end in (STEP, TRAINJOB, server("accounts"), server("store")):
        assert not passes(overlay, end, server("postgres"), 5432)


def test_with_a_stand_alone_kubeflow_its_runs_reach_mlflow_and_store() -> None:
    step = End(PIPELINES, STEP.labels)
    assert passes("overlays/dev", step, server("mlflow"), 5000)
    assert passes("overlays/dev", step, server("store"), 8333)
    assert not passes("overlays/dev", STEP, server("mlflow"), 5000)


@walled
def test_the_pods_of_a_trainjob_meet_each_other_and_no_step_meets_them(overlay: str) -> None:
    for port in (29400, 40123):
        assert passes(overlay, TRAINJOB, TRAINJOB, port)
        assert not passes(overlay, STEP, TRAINJOB, port)


@walled
def test_a_step_reaches_the_apis_of_kubeflow_and_a_trainjob_does_not(overlay: str) -> None:
    for port in (8887, 8888, 8080):
        assert passes(overlay, STEP, KUBEFLOW, port)
        assert not passes(overlay, TRAINJOB, KUBEFLOW, port)


@walled
def test_kubeflows_own_pods_in_a_profile_are_left_alone(overlay: str) -> None:
    for each in of(rendered(overlay), "NetworkPolicy"):
        if namespace(each) == RUNS:
            assert not selects(each["spec"]["podSelector"], KUBEFLOW_UI.labels), each["metadata"]["name"]


def ends(overlay: str) -> Iterator[End]:
    """Every pod there can be: those rendered, those that Kubeflow makes."""
    yield from (End(namespace(pod.owner), dict(pod.labels)) for pod in pods(rendered(overlay)))
    yield from (STEP, TRAINJOB, KUBEFLOW, DNS, End(PIPELINES, STEP.labels))


@every_overlay
def test_every_policy_and_every_peer_selects_a_pod_that_exists(overlay: str) -> None:
    for each in of(rendered(overlay), "NetworkPolicy"):
        home, spec = namespace(each), each["spec"]
        here = [end for end in ends(overlay) if end.namespace == home]
        assert any(selects(spec["podSelector"], end.labels) for end in here), each["metadata"]["name"]
        rules = [*spec.get("ingress", ()), *spec.get("egress", ())]
        for peer in (peer for rule in rules for peer in (*rule.get("from", ()), *rule.get("to", ()))):
            assert "ipBlock" in peer or any(takes(peer, end, home) for end in ends(overlay)), each["metadata"]["name"]
        for asked in spec["podSelector"].get("matchExpressions", ()):
            names = {end.labels.get(asked["key"]) for end in here}
            assert asked["operator"] != "In" or set(asked["values"]) <= names, each["metadata"]["name"]


@every_overlay
def test_every_port_that_is_opened_in_the_platform_is_one_of_a_server(overlay: str) -> None:
    for each in of(rendered(overlay), "NetworkPolicy"):
        if namespace(each) == SERVERS and "ingress" in each["spec"]:
            behind = [p for p in pods(rendered(overlay)) if selects(each["spec"]["podSelector"], p.labels)]
            known = {port["containerPort"] for pod in behind for c in pod.containers for port in c.get("ports", ())}
            assert {port["port"] for rule in each["spec"]["ingress"] for port in rule["ports"]} <= known


@walled
def test_the_way_out_spares_the_clusters_own_addresses_and_the_nodes_metadata(overlay: str) -> None:
    (out,) = (
        rule["to"][0]["ipBlock"] for rule in one(rendered(overlay), "NetworkPolicy", "https-out")["spec"]["egress"]
    )
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} == set(out["except"])


def test_signed_addresses_of_the_store_mean_the_same_to_the_server_and_to_a_run() -> None:
    """MLflow's clients download from an address that the server signs: by its name for the store, not by theirs."""
    for overlay in ("base", "overlays/dev", "overlays/gke"):
        (found,) = one(rendered(overlay), "Deployment", "mlflow")["spec"]["template"]["spec"]["containers"]
        known = {each["name"]: each.get("value") for each in found["env"]}
        assert known["AWS_ENDPOINT_URL"] == one(rendered(overlay), "ConfigMap", placement.CONFIG)["data"]["s3_endpoint"]
