"""Compiled packages, one a placement: what each step finds in its pod, and what must stand nowhere in a package."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from medu1.placements import STEPS
from packages import GOLDEN, PARAMS, PROFILES, Package, changed, compiled, shipped
from pipelines import cli
from pipelines.images import BY_DIGEST
from pipelines.placement import CONFIG, SECRET, SECRETS

ROOT = Path(__file__).parents[1]
A_SECRET = re.compile(  # forms of keys that a registry of them gives out
    r"hf_[A-Za-z0-9]{20,}|A[KS]IA[A-Z0-9]{16}|gh[pousr]_\w{20,}|AIza[\w-]{30,}|xox[abps]-|eyJ[\w-]{10,}\.eyJ|sk-\w{20,}"
    r"|-----BEGIN|hooks\.slack\.com|://[^/\s@]+:[^/\s@]+@"
)


@pytest.fixture(params=PROFILES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def built(name: str) -> Package:
    return shipped(name)


STORE = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
OWN_KEYS = {
    "preflight": STORE | {"HF_TOKEN", "MEDU1_ENDPOINT_KEY"},
    "tokenizer": STORE | {"HF_TOKEN"},
    "prepare": STORE | {"HF_TOKEN"},
    "audit": STORE,
    "base": STORE | {"HF_TOKEN"},
    "train": STORE,
    "evaluate": STORE | {"MEDU1_ENDPOINT_KEY"},
    "decide": STORE,
    "register": STORE | {"MEDU1_PROMOTION_HOOK"},
    "finalize": {"MEDU1_NOTIFY_URL", "MEDU1_SMTP_USER", "MEDU1_SMTP_PASSWORD"},
}


def test_a_step_gets_the_keys_that_it_reads_and_no_other(built: Package) -> None:
    tracking = {"MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"}
    for step, pod in built.pods.items():
        (given,) = pod["secretAsEnv"]
        assert (given["secretName"], given["optional"]) == (SECRET, True), step
        assert {each["envVar"] for each in given["keyToEnv"]} == OWN_KEYS[step] | tracking, step
        assert {each["secretKey"]: each["envVar"] for each in given["keyToEnv"]}.items() <= SECRETS.items()
        assert "secretAsVolume" not in pod


def test_addresses_come_from_the_config_map_and_who_runs_from_the_pod(built: Package) -> None:
    for step, pod in built.pods.items():
        given = [
            (each["configMapName"], each["optional"], {key["configMapKey"]: key["envVar"] for key in each["keyToEnv"]})
            for each in pod["configMapAsEnv"]
        ]
        assert given == [
            (CONFIG, False, {"store": "MEDU1_STORE", "tracking_uri": "MLFLOW_TRACKING_URI"}),
            (CONFIG, True, {"s3_endpoint": "AWS_ENDPOINT_URL", "s3_region": "AWS_DEFAULT_REGION"}),
        ], step
        assert pod["fieldPathAsEnv"] == [{"name": "MEDU1_RUN", "fieldPath": "metadata.labels['pipeline/runid']"}], step


def test_a_task_knows_its_home_and_its_own_image(built: Package) -> None:
    for step, container in built.executors.items():
        variables = {each["name"]: each["value"] for each in container["env"]}
        assert variables == {"HOME": "/scratch", "MEDU1_HOME": "/scratch", "MEDU1_IMAGE": container["image"]}, step


def test_no_step_runs_as_root(built: Package) -> None:
    user = {"runAsUser": "10001", "runAsGroup": "10001", "runAsNonRoot": True}
    assert built.each(lambda pod: pod.get("securityContext")) == dict.fromkeys(STEPS, user)


EVICTION = "cluster-autoscaler.kubernetes.io/safe-to-evict"
ANNOTATIONS = {
    "gke-a100": {EVICTION: "false"},
    "eks-h100-spot": {EVICTION: "false", "karpenter.sh/do-not-disrupt": "true"},
}


def test_pods_say_whose_they_are_and_that_they_may_not_be_moved(name: str, built: Package) -> None:
    for step, pod in built.pods.items():
        labels = {"app.kubernetes.io/part-of": "medu1", "app.kubernetes.io/component": step}
        assert pod["podMetadata"]["labels"] == labels
        assert pod["podMetadata"].get("annotations", {}) == ANNOTATIONS.get(name, {})


def test_images_are_pulled_by_the_profiles_policy_and_secrets(name: str, built: Package, tmp_path: Path) -> None:
    assert built.each(lambda pod: pod.get("imagePullPolicy")) == dict.fromkeys(STEPS, "IfNotPresent")
    assert not built.each(lambda pod: pod.get("imagePullSecret"))
    other = changed(tmp_path, name, pull_secrets=["own-registry"], pull_policy="Always", labels={"team": "x"})
    for step, pod in other.pods.items():
        assert [each["secretName"] for each in pod["imagePullSecret"]] == ["own-registry"], step
        assert pod["imagePullPolicy"] == "Always", step
        assert pod["podMetadata"]["labels"]["team"] == "x", step


def test_a_package_holds_no_secret_no_path_of_this_machine_and_no_tag(name: str, tmp_path: Path) -> None:
    """Compiled where every key is in the environment, as on a machine that people run the chain on."""
    secrets = {variable: f"value-of-{variable.lower()}-0123456789" for variable in SECRETS.values()}
    path = tmp_path / "package.yaml"
    command = ["compile", "--images", str(GOLDEN), "--params", str(PARAMS), "--allow-skew", "--placement", name]
    subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *command, "--out", str(path)],
        cwd=ROOT, env={**os.environ, **secrets, "PYTHONHASHSEED": "7"}, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    text = path.read_text(encoding="utf-8")
    assert not [value for value in secrets.values() if value in text]
    assert not A_SECRET.search(text)
    assert "hostPath" not in text
    here = {str(ROOT), str(Path.home()), sys.prefix, sys.base_prefix, str(tmp_path)} - {"/"}
    assert not [folder for folder in here if folder in text]
    used = [each["image"] for each in compiled(text).executors.values()]
    assert all(BY_DIGEST.fullmatch(image) for image in used)
    named = re.findall(r"[\w./-]*medu1-[cg]pu\S{0,8}", text)
    assert named
    assert all("@sha256" in each for each in named)
    assert ":latest" not in text
    assert text == shipped(name).text, "another process wrote another package"


def test_the_command_places_on_any_cluster_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    path = tmp_path / "package.yaml"
    words = ["compile", "--images", str(GOLDEN), "--allow-skew", "--json", "--out", str(path)]
    done = CliRunner().invoke(cli.app, words, catch_exceptions=False)
    assert json.loads(done.stdout) == {"package": str(path)}
    assert path.read_text(encoding="utf-8") == shipped("cpu").text
