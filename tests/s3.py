"""An object store on loopback: moto's S3 server, with dummy keys and this endpoint in the environment of each test."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

KEYS = {"AWS_ACCESS_KEY_ID": "dummy", "AWS_SECRET_ACCESS_KEY": "dummy", "AWS_DEFAULT_REGION": "us-east-1"}


class S3(NamedTuple):
    """A running server, empty at the start of each test."""

    endpoint: str  # http://127.0.0.1:PORT

    @property
    def client(self) -> Any:
        """A client that reads the environment, as the code under test does."""
        import boto3

        return boto3.client("s3")

    def bucket(self, name: str = "") -> str:
        """Make an empty bucket; its name, of three letters or more."""
        name = name or f"bucket-{uuid4().hex[:8]}"
        self.client.create_bucket(Bucket=name)
        return name

    def put(self, bucket: str, key: str, content: bytes) -> str:
        """Write an object; its URL."""
        self.client.put_object(Bucket=bucket, Key=key, Body=content)
        return f"s3://{bucket}/{key}"


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """One server a session: starting it takes a second."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """The emptied server; no key, profile or region of this machine is read."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "no-aws-configuration"))
    environment = {"AWS_ENDPOINT_URL": s3_endpoint, "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1"}
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)  # it keeps the keys it was made with
    for name, value in (KEYS | environment).items():
        monkeypatch.setenv(name, value)
    reset = urllib.request.Request(f"{s3_endpoint}/moto-api/reset", method="POST")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(reset, timeout=30):
        yield S3(s3_endpoint)
