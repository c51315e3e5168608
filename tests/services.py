"""Tracking as a service, as a team runs it: MLflow behind basic authentication, on PostgreSQL, with artifacts on S3.

Every server is a process of its own on loopback and ends with the tests, which run on a target of their own
(`make test-services`). What is not installed here is a skip with its reason; in CI it is a failure.
"""

import base64
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from urllib.error import URLError
from urllib.request import ProxyHandler, Request, build_opener

import pytest

import postgres
from mlflow_server import Server, free_port
from s3 import KEYS
from tiny import ROOT, TINY, environment

ARTIFACTS, MODELS = "artifacts", "models"  # buckets
ADMIN, TRAINER, READER = "admin", "trainer", "reader"  # accounts
SECONDS = 60.0
ACCEPTING = {
    "decide.min_gain": -1,
    "decide.above_chance": "false",
    "decide.max_truncated": "null",
    "decide.max_malformed": "null",
    "decide.veto": 0.0001,
    "evaluate.suites": "{}",
}
STEPS = (2, 3)  # of the two trainings
SECOND = {"train.steps": STEPS[1], "train.warm_start.steps": 1}  # answers that are all wrong teach GRPO nothing


def absent(what: str, package: str) -> NoReturn:
    """What the machine lacks: a skip here, a failure in CI, where all is to be there."""
    told = f"{what} is not installed; on Debian: apt-get install {package}"
    if os.environ.get("CI"):
        pytest.fail(told)
    pytest.skip(told)


class Store:
    """moto's S3 server in a process of its own."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, wait until it answers, and make the buckets."""
        words = ["-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        with (self.home / "s3.log").open("ab") as log:
            self._process = subprocess.Popen([sys.executable, *words], stdout=log, stderr=log, cwd=self.home)
        until = time.monotonic() + SECONDS
        while not _answers(f"{self.url}/moto-api/"):
            assert self._process.poll() is None, (self.home / "s3.log").read_text("utf-8")
            assert time.monotonic() < until, (self.home / "s3.log").read_text("utf-8")
            time.sleep(0.1)
        for bucket in (ARTIFACTS, MODELS):
            self.client.create_bucket(Bucket=bucket)

    def stop(self) -> None:
        """End it, started or not."""
        if self._process:
            self._process.kill()
            self._process.wait()

    @property
    def client(self) -> Any:
        """A client with this store's address and keys, whatever the environment says."""
        from boto3.session import Session

        names = {"aws_access_key_id": "AWS_ACCESS_KEY_ID", "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY"}
        keys = {name: KEYS[variable] for name, variable in names.items()}
        return Session().client("s3", endpoint_url=self.url, region_name=KEYS["AWS_DEFAULT_REGION"], **keys)

    def keys(self, bucket: str) -> list[str]:
        """The names of all objects in a bucket."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [each["Key"] for page in pages for each in page.get("Contents", ())]

    def variables(self) -> dict[str, str]:
        """What leads a process to this store, and to no other one of this machine's."""
        nowhere = {name: str(self.home / "none") for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")}
        endpoints = {"AWS_ENDPOINT_URL": self.url, "MLFLOW_S3_ENDPOINT_URL": self.url}
        return {**KEYS, **nowhere, **endpoints, "AWS_EC2_METADATA_DISABLED": "true"}


class Secured(Server):
    """An MLflow server that asks who is there; two workers, so that requests can meet."""

    def __init__(self, home: Path, store: Store, runs: str, accounts: str, passwords: Mapping[str, str]) -> None:
        super().__init__(home)
        self._store, self._runs = store, runs
        self._configuration = home / "basic_auth.ini"
        self._configuration.touch(0o600)
        lines = {"default_permission": "READ", "database_uri": accounts.replace("%", "%%")}
        lines |= {"admin_username": ADMIN, "admin_password": passwords[ADMIN]}
        lines |= {"auth_cache_ttl_seconds": "60"}  # else every request hashes a password: a third of a second of work
        told = "".join(f"{key} = {value}\n" for key, value in lines.items())
        self._configuration.write_text(f"[mlflow]\n{told}", encoding="utf-8")

    def _words(self) -> list[str]:
        words = ["--app-name", "basic-auth", "--workers", "2", "--backend-store-uri", self._runs]
        return [*words, "--artifacts-destination", f"s3://{ARTIFACTS}"]

    def _environment(self) -> dict[str, str]:
        own = {"MLFLOW_AUTH_CONFIG_PATH": str(self._configuration), "MLFLOW_FLASK_SERVER_SECRET_KEY": "of this test"}
        return {**own, **self._store.variables()}


class Services(NamedTuple):
    """The running servers, and the accounts of MLflow."""

    store: Store
    server: Secured
    cluster: postgres.Cluster
    passwords: Mapping[str, str]  # by account

    def environment(self, account: str, password: str | None = None) -> dict[str, str]:
        """Of a process that tracks here as this account."""
        said = self.passwords[account] if password is None else password
        mlflow = {"MLFLOW_TRACKING_URI": self.server.uri, "MLFLOW_TRACKING_USERNAME": account}
        mlflow |= {"MLFLOW_TRACKING_PASSWORD": said, "MEDU1_STORE": f"s3://{MODELS}/medu1", "NO_PROXY": "127.0.0.1"}
        return {**environment(), **self.store.variables(), **mlflow, "OMP_NUM_THREADS": "1"}

    def medu1(
        self, home: Path, *words: str, account: str = TRAINER, **variables: str
    ) -> "subprocess.CompletedProcess[str]":
        """A command on a home, against these servers, to its end."""
        return self.command(*words, "--home", str(home), account=account, **variables)

    def command(self, *words: str, account: str = TRAINER, **variables: str) -> "subprocess.CompletedProcess[str]":
        """A command with the environment of an account, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "pipelines.cli", *words],
            cwd=ROOT,
            env={**self.environment(account), **variables},
            capture_output=True,
            text=True,
            timeout=550,
        )

    def told(self, home: Path, *words: str) -> Any:
        """What a command says with --json."""
        done = self.medu1(home, *words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """All of them, for the whole session: they take half a minute to start."""
    programs = postgres.programs()
    if programs is None:
        absent("PostgreSQL", "postgresql")
    home = tmp_path_factory.mktemp("services")
    passwords = {account: secrets.token_hex(16) for account in (ADMIN, TRAINER, READER)}
    with ExitStack() as stack:
        cluster, store = postgres.Cluster(programs), Store(home)
        stack.callback(cluster.stop)
        cluster.start()
        stack.callback(store.stop)
        store.start()
        server = Secured(home, store, cluster.database("mlflow"), cluster.database("accounts"), passwords)
        stack.callback(server.stop)
        server.start()
        found = Services(store, server, cluster, passwords)
        _sign_up(found)
        yield found


class Served(NamedTuple):
    """Two runs of the chain against the servers: version 1, and version 2 that is judged against it."""

    services: Services
    home: Path
    first: Mapping[str, Any]  # summaries
    second: Mapping[str, Any]
    shown: str  # everything the commands printed


@pytest.fixture(scope="session")
def served(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """The real chain, tiny, whose decision accepts anything: the registry is what is looked at."""
    home = tmp_path_factory.mktemp("served")
    done = []
    for changed in ({}, SECOND):
        settings = {**TINY, **ACCEPTING, **changed}
        words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        done.append(services.medu1(home, "run", "--json", *words))
        assert done[-1].returncode == 0, done[-1].stderr
    first, second = (json.loads(each.stdout) for each in done)
    return Served(services, home, first, second, "".join(each.stdout + each.stderr for each in done))


def _sign_up(services: Services) -> None:
    """The accounts besides the administrator's, by MLflow's own endpoint."""
    word = base64.b64encode(f"{ADMIN}:{services.passwords[ADMIN]}".encode()).decode()
    headers = {"Authorization": f"Basic {word}", "Content-Type": "application/json"}
    for account in (TRAINER, READER):
        asked = json.dumps({"username": account, "password": services.passwords[account]}).encode()
        request = Request(f"{services.server.uri}/api/2.0/mlflow/users/create", asked, headers)
        with build_opener(ProxyHandler({})).open(request, timeout=SECONDS):
            pass


def _answers(url: str) -> bool:
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=1):
            return True
    except (URLError, OSError):
        return False
