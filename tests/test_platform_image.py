"""The tracking server's image as docker/compose.yaml starts it: real containers, PostgreSQL and S3 beside them.

It and the jobs run with compose's own words, user, mounts and limits; only addresses are those of this test, and the
network is this machine's, whose loopback the database and the store are bound to.
"""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

import pytest

import postgres
from engine import BUILD_SECONDS, Engine, absent
from mlflow_server import free_port
from services import Store
from test_compose import CLIENT, DOCKER, PLATFORM, filled, services
from tiny import ROOT, environment

pytestmark = pytest.mark.containers

IMAGE = "medu1-mlflow:test"
PORT = 5000  # in compose.yaml
SECONDS = 120.0
SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"


class Platform(NamedTuple):
    """MLflow in its container, and what it stands on."""

    engine: Engine
    name: str  # of the container
    port: int
    store: Store
    values: Mapping[str, str]  # of platform.env
    addresses: Mapping[str, str]  # of this test, in place of compose's

    def words(self, service: str) -> list[str]:
        """Of `docker run`, as compose starts a service."""
        each = filled(services()[service], self.values)
        words = ["--network=host", f"--user={each['user']}", "--read-only", f"--memory={each['mem_limit']}"]
        words += [f"--cap-drop={name}" for name in each["cap_drop"]]
        words += [f"--security-opt={name.removesuffix(':true')}" for name in each["security_opt"]]
        words += [f"--tmpfs={path}" for path in each.get("tmpfs", ())]
        words += [
            f"--volume={(DOCKER / volume.partition(':')[0]).resolve()}:{volume.partition(':')[2]}"
            for volume in each["volumes"]
        ]
        known = {
            **each["environment"],
            **{key: self.addresses[key] for key in self.addresses if key in each["environment"]},
        }
        words += [f"--env={key}={value}" for key, value in known.items()]
        return [*words, IMAGE, *(word.replace(str(PORT), str(self.port)) for word in each["command"])]

    def job(self, service: str) -> str:
        """What a job of compose says; it is to succeed."""
        return self.engine("run", "--rm", *self.words(service))

    def answer(self, path: str, **headers: str) -> int:
        """The status of an answer; 0 where nobody answers."""
        try:
            request = Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
            with build_opener(ProxyHandler({})).open(request, timeout=10) as found:
                return int(found.status)
        except HTTPError as error:
            return error.code
        except (URLError, OSError):
            return 0


@pytest.fixture(scope="module")
def image(engine: Engine, bases: Mapping[str, str]) -> str:
    """The tracking server's image, on the base images of this machine."""
    given = [f"--build-arg={name}={bases[name]}" for name in ("BASE_IMAGE", "BUILD_IMAGE") if name in bases]
    words = ["build", "--quiet", f"--tag={IMAGE}", "--file", str(DOCKER / "Dockerfile.mlflow"), *given, str(ROOT)]
    return engine(*words, timeout=BUILD_SECONDS)


@pytest.fixture(scope="module")
def platform(engine: Engine, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """MLflow started, its database made by the file that PostgreSQL's container runs."""
    if (programs := postgres.programs()) is None:
        absent("PostgreSQL is not installed; on Debian: apt-get install postgresql")
    values = {key: value or secrets.token_hex(12) for key, value in PLATFORM.items()}
    cluster, store = postgres.Cluster(programs), Store(tmp_path_factory.mktemp("platform"))
    port, name = free_port(), f"medu1-mlflow-{secrets.token_hex(4)}"
    try:
        cluster.start()
        store.start()
        _databases(cluster, values["POSTGRES_PASSWORD"])
        addresses = {"PGHOST": "127.0.0.1", "AWS_ENDPOINT_URL": store.url, "MLFLOW_URI": f"http://127.0.0.1:{port}"}
        found = Platform(engine, name, port, store, values, addresses)
        engine("run", "--detach", f"--name={name}", f"--env=PGPORT={cluster.port}", *found.words("mlflow"))
        until = time.monotonic() + SECONDS
        while found.answer("/health") != 200:
            assert time.monotonic() < until, engine.asked("logs", name)
            time.sleep(0.3)
        yield found
    finally:
        engine.asked("rm", "--force", name)
        store.stop()
        cluster.stop()


def _databases(cluster: postgres.Cluster, password: str) -> None:
    """As the image of PostgreSQL does on an empty volume."""
    import psycopg
    from psycopg import sql

    address = cluster.database("unused").replace("+psycopg", "").replace("/unused", "/postgres")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE mlflow LOGIN PASSWORD {}").format(sql.Literal(password)))
        connection.execute("CREATE DATABASE mlflow OWNER mlflow")
        file = ROOT / "deploy" / "base" / "platform" / "postgres" / "accounts.sql"
        connection.execute(file.read_bytes())


def logged(platform: Platform, **changed: str) -> "subprocess.CompletedProcess[str]":
    """A run with an artifact, by MLflow's client with the variables of client.env."""
    variables = {**CLIENT, "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{platform.port}", "NO_PROXY": "127.0.0.1"}
    variables |= {name: platform.values[name] for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")}
    variables |= {"PATH": os.environ["PATH"], **environment(), **changed}
    words = [sys.executable, "-W", "ignore", "-c", CLIENT_PROGRAM]
    return subprocess.run(words, env=variables, capture_output=True, text=True, timeout=120)


CLIENT_PROGRAM = """
import mlflow
mlflow.set_experiment("platform")
with mlflow.start_run() as run:
    mlflow.log_text("some text", "note.txt")
print(mlflow.artifacts.load_text(run.info.artifact_uri + "/note.txt"))
"""


def test_the_server_runs_with_nothing_but_its_rights(platform: Platform) -> None:
    assert platform.engine("exec", platform.name, "id", "-u") == "10001"
    assert platform.engine.asked("exec", platform.name, "touch", "/opt/mlflow/there").returncode != 0
    assert platform.engine.asked("exec", platform.name, "sh", "-c", "command -v gcc").returncode != 0


def test_it_asks_who_is_there_and_under_what_name(platform: Platform) -> None:
    assert platform.answer("/health", Host="10.1.2.3:5000") == 200  # as a kubelet asks
    assert platform.answer(SEARCH) == 401
    assert platform.answer(SEARCH, Host="elsewhere.invalid") == 403


def test_jobs_make_what_a_run_needs_and_may_run_again(platform: Platform) -> None:
    assert platform.job("buckets").splitlines()[1:] == ["models: there already", "data: made"]
    assert platform.job("buckets").splitlines()[2] == "data: there already"
    assert platform.job("accounts").endswith(": made")
    assert platform.job("accounts").endswith(": there already, its password set")
    done = logged(platform)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "some text"
    assert [key for key in platform.store.keys("artifacts") if key.endswith("/note.txt")]


def test_another_password_is_refused(platform: Platform) -> None:
    done = logged(platform, MLFLOW_TRACKING_PASSWORD="another")
    assert done.returncode != 0
    assert "401" in done.stderr or "not authenticated" in done.stderr.lower()


def test_no_secret_is_told_by_the_image_or_the_log(platform: Platform) -> None:
    log = platform.engine.asked("logs", platform.name)
    told = log.stdout + log.stderr + platform.engine("image", "inspect", IMAGE)
    assert not [name for name, value in platform.values.items() if not PLATFORM[name] and value in told]
