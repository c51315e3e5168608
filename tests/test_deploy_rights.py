"""Who may do what on the cluster: the least that the code uses, in one namespace, by name."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from manifests import OVERLAYS, Object, namespace, of, one, rendered

KFP_RUNNER = {"base": "default-editor", "overlays/dev": "pipeline-runner"}

every_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


def granted(role: Object) -> Iterator[str]:
    """Each right of a role as `group/resource[=name] verb`."""
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                names = "".join(f"={name}" for name in rule.get("resourceNames", ()))
                yield from (f"{group}/{resource}{names} {verb}" for verb in rule["verbs"])


@every_overlay
def test_rights_end_at_the_namespace_and_name_what_they_allow(overlay: str) -> None:
    assert not of(rendered(overlay), "ClusterRole")
    assert not of(rendered(overlay), "ClusterRoleBinding")
    for role in of(rendered(overlay), "Role"):
        assert not [right for right in granted(role) if "*" in right]


@every_overlay
def test_a_run_may_ask_for_trainjobs_and_look_at_them_and_nothing_more(overlay: str) -> None:
    wanted = {f"trainer.kubeflow.org/trainjobs {verb}" for verb in ("get", "create", "delete")}
    wanted |= {"trainer.kubeflow.org/trainingruntimes get", "/pods list", "/pods/log get"}
    assert set(granted(one(rendered(overlay), "Role", "medu1-trainjobs"))) == wanted


@every_overlay
def test_a_run_reads_kubeflows_own_secret_and_no_other(overlay: str) -> None:
    rights = set(granted(one(rendered(overlay), "Role", "medu1-executor")))
    assert {each for each in rights if "secrets" in each} == {"/secrets=mlpipeline-minio-artifact get"}
    assert {each for each in rights if "configmaps" in each} == {"/configmaps=kfp-launcher get"}
    assert {each for each in rights if not each.endswith((" get", " list", " watch"))} == {
        "argoproj.io/workflowtaskresults create",
        "argoproj.io/workflowtaskresults patch",
    }


@every_overlay
def test_only_medu1_and_kubeflows_own_runner_ask_for_trainjobs(overlay: str) -> None:
    bound = one(rendered(overlay), "RoleBinding", "medu1-trainjobs")["subjects"]
    assert [each["name"] for each in bound] == ["medu1", KFP_RUNNER.get(overlay, "default-editor")]


@every_overlay
def test_every_binding_leads_to_a_role_and_accounts_of_its_namespace(overlay: str) -> None:
    there = {each["metadata"]["name"] for each in of(rendered(overlay), "ServiceAccount")}
    for each in of(rendered(overlay), "RoleBinding"):
        role = one(rendered(overlay), each["roleRef"]["kind"], each["roleRef"]["name"])
        assert namespace(role) == namespace(each)
        for subject in each["subjects"]:
            assert subject["namespace"] == namespace(each)
            assert subject["name"] in there | {KFP_RUNNER.get(overlay, "default-editor")}


@every_overlay
def test_every_role_is_bound(overlay: str) -> None:
    bound = {each["roleRef"]["name"] for each in of(rendered(overlay), "RoleBinding")}
    assert {each["metadata"]["name"] for each in of(rendered(overlay), "Role")} == bound


def test_the_kubeflow_sdk_calls_what_the_rights_allow() -> None:
    """Another call of another release would fail with 403, and on a cluster only."""
    (home,) = importlib.import_module("kubeflow").__path__
    source = (Path(home) / "trainer/backends/kubernetes/backend.py").read_text("utf-8")
    calls = {node.attr for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}
    assert {each for each in calls if each.endswith(("_custom_object", "_namespaced_pod", "_pod_log", "_event"))} == {
        *("create_namespaced_custom_object", "get_namespaced_custom_object", "list_namespaced_custom_object"),
        *("delete_namespaced_custom_object", "read_namespaced_pod_log", "list_namespaced_pod", "list_namespaced_event"),
        *("get_cluster_custom_object", "list_cluster_custom_object"),  # where no runtime of the namespace has the name
    }
