"""What the jobs and the start of the store do: buckets on real S3, accounts on a real MLflow, a file of accounts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from manifests import DEPLOY
from s3 import S3
from services import ADMIN, Services

PLATFORM = DEPLOY / "base" / "platform"
KEYS = {name: f"key-of-{name.lower()}" for name in ("ADMIN_KEY", "MLFLOW_KEY", "RUNS_KEY")}
KEYS |= {name: f"word/of+{name.lower()}=" for name in ("ADMIN_SECRET", "MLFLOW_SECRET", "RUNS_SECRET")}
BUCKETS = {"ARTIFACTS": "artifacts", "MODELS": "models", "DATA": "data"}


def start(home: Path, **changed: str) -> "subprocess.CompletedProcess[str]":
    """The store's start, with a `weed` that only shows its words."""
    weed = home / "weed"
    weed.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n', encoding="utf-8")
    weed.chmod(0o700)
    variables = {"PATH": f"{home}:{os.environ['PATH']}", "ACCOUNTS": str(home / "accounts.json"), **KEYS, **BUCKETS}
    words = ["/bin/sh", str(PLATFORM / "store" / "serve.sh")]
    return subprocess.run(words, env=variables | changed, capture_output=True, text=True, timeout=30)


def test_the_store_knows_three_accounts_with_no_more_rights_than_they_need(tmp_path: Path) -> None:
    done = start(tmp_path)
    assert done.returncode == 0, done.stderr
    accounts = json.loads((tmp_path / "accounts.json").read_text("utf-8"))["identities"]
    assert {each["name"]: each["actions"] for each in accounts} == {
        "admin": ["Admin"],
        "mlflow": ["Read:artifacts", "Write:artifacts", "List:artifacts"],
        "runs": [f"{right}:{bucket}" for bucket in ("models", "data") for right in ("Read", "Write", "List")],
    }
    assert accounts[2]["credentials"] == [{"accessKey": KEYS["RUNS_KEY"], "secretKey": KEYS["RUNS_SECRET"]}]
    assert f"-s3.config={tmp_path / 'accounts.json'}" in done.stdout.splitlines()


def test_its_file_of_accounts_is_for_the_store_alone(tmp_path: Path) -> None:
    done = start(tmp_path)
    assert (tmp_path / "accounts.json").stat().st_mode & 0o077 == 0
    assert not [value for value in KEYS.values() if value in done.stdout + done.stderr]


@pytest.mark.parametrize("value", ['a"b', "a\nb", "a b", "$(id)"])
def test_a_key_that_would_break_the_file_stops_the_start(tmp_path: Path, value: str) -> None:
    done = start(tmp_path, RUNS_SECRET=value)
    assert done.returncode == 2
    assert not done.stdout
    assert value not in done.stderr


@pytest.mark.parametrize("name", [*KEYS, *BUCKETS])
def test_a_value_that_is_missing_stops_the_start(tmp_path: Path, name: str) -> None:
    done = start(tmp_path, **{name: ""})
    assert done.returncode != 0
    assert name in done.stderr
    assert not done.stdout


def test_buckets_are_made_once_and_the_job_may_run_again(s3: S3) -> None:
    asked = {"BUCKETS": "deployed-artifacts deployed-models", "AWS_ENDPOINT_URL": s3.endpoint, "NO_PROXY": "127.0.0.1"}
    words = [sys.executable, str(PLATFORM / "store" / "buckets.py")]
    told = []
    for _ in range(2):
        done = subprocess.run(words, env={**os.environ, **asked}, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        told.append(done.stdout)
    assert told[0] == "deployed-artifacts: made\ndeployed-models: made\n"
    assert told[1] == "deployed-artifacts: there already\ndeployed-models: there already\n"


@pytest.mark.services
def test_an_account_is_signed_up_and_a_second_time_gets_its_password(services: Services) -> None:
    words = [sys.executable, str(PLATFORM / "mlflow" / "accounts.py")]
    admin = {"MLFLOW_AUTH_ADMIN_USERNAME": ADMIN, "MLFLOW_AUTH_ADMIN_PASSWORD": services.passwords[ADMIN]}
    told = []
    for password in ("the first password", "another password"):
        asked = {"MLFLOW_URI": services.server.uri, "ACCOUNT_NAME": "runs", "ACCOUNT_PASSWORD": password, **admin}
        asked |= {"NO_PROXY": "127.0.0.1"}
        done = subprocess.run(words, env={**os.environ, **asked}, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert password not in done.stdout + done.stderr
        told.append(done.stdout)
    assert told == ["runs: made\n", "runs: there already, its password set\n"]
    account = {"MLFLOW_TRACKING_USERNAME": "runs", "MLFLOW_TRACKING_PASSWORD": "another password"}
    listed = services.command("versions", "--json", **account)
    assert listed.returncode == 0, listed.stderr
