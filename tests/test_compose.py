"""docker/compose.yaml: the servers of deploy/ on one machine, reached from it alone, and no secret stands in it."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from manifests import Object, of, one, rendered
from pipelines import placement
from test_deploy_pods import PINNED

DOCKER = Path(__file__).parents[1] / "docker"
FILE = DOCKER / "compose.yaml"
VARIABLE = re.compile(r"\$\{(\w+)(?:(:?[-?])([^}]*))?\}")
SERVERS = ("postgres", "store", "mlflow")
JOBS = ("buckets", "accounts")
SECRET = re.compile(r"PASSWORD|SECRET|_KEY")


def told(name: str) -> dict[str, str]:
    """An env file's variables."""
    lines = (line for line in (DOCKER / name).read_text("utf-8").splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


PLATFORM, CLIENT = told("platform.env.example"), told("client.env.example")


def services() -> dict[str, Any]:
    """By name, merge keys resolved, variables as they are written."""
    return yaml.safe_load(FILE.read_text("utf-8"))["services"]  # type: ignore[no-any-return]


def filled(value: Any, variables: Mapping[str, str]) -> Any:
    """A value with its variables, as compose puts them in. Raises ValueError where a required one is empty."""
    if isinstance(value, Mapping):
        return {key: filled(each, variables) for key, each in value.items()}
    if isinstance(value, list):
        return [filled(each, variables) for each in value]
    return VARIABLE.sub(lambda found: _one(found, variables), value) if isinstance(value, str) else value


def _one(found: "re.Match[str]", variables: Mapping[str, str]) -> str:
    name, how, said = found.groups()
    if value := variables.get(name):
        return value
    if how == ":?":
        raise ValueError(f"{name}: {said}")
    assert how == ":-", f"{name} may be unset, and nothing says so"
    return str(said)


def asked() -> Iterator["re.Match[str]"]:
    """Every variable of the file."""
    lines = (line for line in FILE.read_text("utf-8").splitlines() if not line.lstrip().startswith("#"))
    return VARIABLE.finditer("\n".join(lines))


def test_every_port_is_bound_to_this_machine() -> None:
    published = {name: each["ports"] for name, each in services().items() if "ports" in each}
    assert published.keys() == {"store", "mlflow"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_no_container_is_root_or_writes_beside_its_volumes() -> None:
    for name, each in services().items():
        assert each["user"].split(":")[0] not in {"0", "root"}, name
        assert each["read_only"] is True, name
        assert each["cap_drop"] == ["ALL"], name
        assert each["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in each, name
        assert each["mem_limit"], name
        assert not [volume for volume in each.get("volumes", ()) if "docker.sock" in volume], name


def test_what_is_mounted_from_the_checkout_exists_and_is_read_only() -> None:
    for name, each in services().items():
        for source, target, *mode in (volume.split(":") for volume in each.get("volumes", ())):
            if source.startswith("."):
                assert (DOCKER / source).resolve().is_dir(), f"{name}: {source}"
                assert mode == ["ro"], f"{name}: {target}"


def test_every_server_is_watched_and_jobs_wait_for_it() -> None:
    found = services()
    assert found.keys() == {*SERVERS, *JOBS}
    assert all({"healthcheck", "restart"} <= found[name].keys() for name in SERVERS)
    assert {found[name]["restart"] for name in JOBS} == {"no"}
    assert found["buckets"]["depends_on"]["store"] == {"condition": "service_healthy"}
    assert found["accounts"]["depends_on"]["mlflow"] == {"condition": "service_healthy"}
    assert {each["condition"] for each in found["mlflow"]["depends_on"].values()} == {"service_healthy"}


def test_images_are_pinned_and_those_of_the_cluster() -> None:
    for name, each in services().items():
        image = filled(each["image"], {})
        assert PINNED.fullmatch(image), name
        assert filled(each["image"], {each["image"][2:].partition(":")[0]: "other:1.0"}) == "other:1.0"
    cluster = {kind: one(rendered("base"), kind, name) for kind, name in (("Deployment", "mlflow"),)}
    cluster |= {each["metadata"]["name"]: each for each in of(rendered("base"), "StatefulSet")}
    for name, each in cluster.items():
        (container,) = each["spec"]["template"]["spec"]["containers"]
        assert container["image"] == filled(services()["mlflow" if name == "Deployment" else name]["image"], {})


@pytest.mark.parametrize(
    ("kind", "name"), [("StatefulSet", "postgres"), ("StatefulSet", "store"), ("Deployment", "mlflow")]
)
def test_a_server_knows_here_what_it_knows_on_the_cluster(kind: str, name: str) -> None:
    (container,) = one(rendered("base"), kind, name)["spec"]["template"]["spec"]["containers"]
    cluster: dict[str, Object] = {each["name"]: each for each in container["env"]}
    here = services()[name]["environment"]
    only_there = {"PGDATA"}  # a disk's root may hold lost+found
    assert here.keys() == cluster.keys() - only_there
    same = {key for key, each in cluster.items() if "value" in each} - only_there - {"AWS_ENDPOINT_URL", "PGHOST"}
    assert {key: here[key] for key in same} == {key: cluster[key]["value"] for key in same}
    assert {key for key in here if ":?" in here[key]} == {key for key, each in cluster.items() if "valueFrom" in each}


def test_the_server_takes_the_same_words_as_on_the_cluster_but_for_its_names() -> None:
    (container,) = one(rendered("base"), "Deployment", "mlflow")["spec"]["template"]["spec"]["containers"]
    here = filled(services()["mlflow"]["command"], {})
    assert here[:-1] == [*container["command"], *container["args"][:-1]]
    allowed = here[-1].partition("=")[2].split(",")
    assert {"127.0.0.1:5000", "127.0.0.1", "mlflow:5000", "mlflow"} <= set(allowed)
    assert filled(services()["mlflow"]["command"], {"MLFLOW_PORT": "6000"})[-1].count(":6000") == 2


def test_no_value_of_a_secret_stands_in_a_file() -> None:
    for name, each in services().items():
        for key, value in each.get("environment", {}).items():
            assert not SECRET.search(key) or VARIABLE.fullmatch(value), f"{name}: {key}"
    for found in (PLATFORM, CLIENT):
        assert not [key for key, value in found.items() if SECRET.search(key) and value]


def test_a_value_that_is_left_empty_stops_the_start() -> None:
    required = {found[1] for found in asked() if found[2] == ":?"}
    assert required == {key for key, value in PLATFORM.items() if not value}
    whole = {key: value or "filled" for key, value in PLATFORM.items()}
    filled(services(), whole)
    for name in required:
        with pytest.raises(ValueError, match=f"{name}: Fill in docker/platform.env"):
            filled(services(), {**whole, name: ""})


def test_env_files_are_kept_out_of_git() -> None:
    for name in ("platform.env", "client.env"):
        done = subprocess.run(["git", "check-ignore", "--quiet", f"docker/{name}"], cwd=DOCKER.parent)
        assert done.returncode == 0, name
    for name in ("platform.env.example", "client.env.example"):
        done = subprocess.run(["git", "check-ignore", "--quiet", f"docker/{name}"], cwd=DOCKER.parent)
        assert done.returncode == 1, name


def test_a_run_on_this_machine_is_led_there_by_the_variables_of_a_placement() -> None:
    variables = {*placement.ADDRESSES.values(), *placement.OPTIONAL_ADDRESSES.values(), *placement.STORE.values()}
    assert variables | set(placement.USERS.values()) <= CLIENT.keys()
    store, mlflow = (services()[name]["ports"][0] for name in ("store", "mlflow"))
    assert CLIENT["AWS_ENDPOINT_URL"] == f"http://{filled(store, {}).rpartition(':')[0]}"
    assert CLIENT["MLFLOW_TRACKING_URI"] == f"http://{filled(mlflow, {}).rpartition(':')[0]}"
    assert CLIENT["MEDU1_STORE"].split("/")[2] in services()["buckets"]["environment"]["BUCKETS"].split()


def test_a_run_on_this_machine_downloads_through_the_server() -> None:
    """The server signs addresses with a name that only its containers can resolve."""
    assert services()["mlflow"]["environment"]["AWS_ENDPOINT_URL"] != CLIENT["AWS_ENDPOINT_URL"]
    assert CLIENT["MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD"] == "false"


def test_docker_compose_reads_the_file_as_meant(tmp_path: Path) -> None:
    if not shutil.which("docker") or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        pytest.skip("docker's compose plugin is not installed: the file is looked at, not given to it")
    (tmp_path / "env").write_text("".join(f"{k}={v or 'filled'}\n" for k, v in PLATFORM.items()), encoding="utf-8")
    words = ["docker", "compose", "--env-file", str(tmp_path / "env"), "-f", str(FILE), "config"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, env={"PATH": os.environ["PATH"]})
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(done.stdout)["services"].keys() == services().keys()
