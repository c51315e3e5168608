"""Real containers: the Docker engine of this machine, an image registry on loopback, and this checkout's images in it.

Fixtures for the whole session: `engine`, `registry`, `bases`, `images`. A running engine and registry are used as they
are; where no registry answers, Debian's is started on a free port and ends with the tests. What is not there is a skip
with its reason; in CI, where `.ci/engine.sh` starts all of it, it is a failure.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import pytest

from mlflow_server import free_port
from tiny import ROOT

REGISTRY = "127.0.0.1:5000"  # where .ci/engine.sh starts one; MEDU1_TEST_REGISTRY names another
SECONDS = 30.0
BUILD_SECONDS = 1800  # with nothing there yet
CONFIGURATION = """\
version: 0.1
log: {{level: warn}}
storage: {{filesystem: {{rootdirectory: {store}}}}}
http: {{addr: {address}}}
"""


def absent(told: str) -> NoReturn:
    """What the machine lacks: a skip here, a failure in CI, where all is to be there."""
    if os.environ.get("CI"):
        pytest.fail(told)
    pytest.skip(told)


class Engine(NamedTuple):
    """The Docker engine that answers on this machine."""

    version: str

    def asked(self, *words: str, timeout: float = 300) -> "subprocess.CompletedProcess[str]":
        """A docker command to its end, whatever it answers."""
        return subprocess.run(["docker", *words], capture_output=True, text=True, timeout=timeout)

    def __call__(self, *words: str, timeout: float = 300) -> str:
        """What a docker command prints; it is to succeed."""
        done = self.asked(*words, timeout=timeout)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The engine, which is not started here: that takes root, and `.ci/engine.sh` does it."""
    if shutil.which("docker") is None:
        absent("Docker is not installed; on Debian: apt-get install docker.io")
    words = ["docker", "version", "--format", "{{.Server.Version}}"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS)
    if done.returncode:
        absent(f"No Docker engine answers; as root: .ci/engine.sh ({done.stderr.strip()})")
    return Engine(done.stdout.strip())


@pytest.fixture(scope="session")
def registry(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HOST:PORT of an image registry on loopback, which the engine takes without TLS."""
    given = os.environ.get("MEDU1_TEST_REGISTRY", REGISTRY)
    if answers(given):
        yield given
        return
    if shutil.which("docker-registry") is None:
        absent(f"No image registry answers at {given}; on Debian: apt-get install docker-registry")
    home = tmp_path_factory.mktemp("registry")
    own = f"127.0.0.1:{free_port()}"
    (home / "config.yml").write_text(CONFIGURATION.format(store=home / "store", address=own), encoding="utf-8")
    with (home / "registry.log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", str(home / "config.yml")], stdout=log, stderr=log)
    try:
        until = time.monotonic() + SECONDS
        while not answers(own):
            assert process.poll() is None, (home / "registry.log").read_text("utf-8")
            assert time.monotonic() < until, (home / "registry.log").read_text("utf-8")
            time.sleep(0.1)
        yield own
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def bases(engine: Engine) -> Mapping[str, str]:
    """Variables of docker/build.sh: the base images of this machine, made where they cannot be pulled."""
    done = subprocess.run([ROOT / ".ci" / "base_image.sh"], capture_output=True, text=True, timeout=BUILD_SECONDS)
    if done.returncode:
        absent(f"No base image: {done.stderr.strip()}")
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


@pytest.fixture(scope="session")
def images(registry: str, bases: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of an image list, as `medu1 compile --images` takes it, whose images lie in the loopback registry.

    `{"cpu": "127.0.0.1:PORT/medu1-cpu@sha256:...", "gpu": the same, "commit": "<40 digits>[-dirty]"}`: this checkout as
    it is now, uncommitted changes included, built by docker/build.sh. The engine has the image too, under that name.
    The first build on a machine takes minutes; later ones, while the packages stand, seconds.
    """
    out = tmp_path_factory.mktemp("images") / "images.json"
    done = build("cpu", "--registry", registry, "--allow-dirty", "--out", str(out), **bases)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def build(*words: str, place: Path = ROOT, **variables: str) -> "subprocess.CompletedProcess[str]":
    """docker/build.sh of a checkout, to its end."""
    return subprocess.run(
        [place / "docker" / "build.sh", *words],
        cwd=place,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
    )


def answers(registry: str) -> bool:
    """Whether an image registry serves its API there."""
    try:
        with build_opener(ProxyHandler({})).open(f"http://{registry}/v2/", timeout=2):
            return True
    except (URLError, OSError):
        return False
