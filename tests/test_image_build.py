"""docker/build.sh: what it refuses, in whose words, and what it lists. The real image stands in test_built_image.py."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from engine import Engine, build
from pipelines.images import Images
from tiny import ROOT

DOCKER = ROOT / "docker"
containers = pytest.mark.containers


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A committed repository with the build script and a Dockerfile of one small layer."""
    place = tmp_path / "checkout"
    (place / "docker").mkdir(parents=True)
    for name in ("build.sh", "sbom.py"):
        shutil.copy(DOCKER / name, place / "docker" / name)
    lines = (
        "ARG BASE_IMAGE",
        "FROM ${BASE_IMAGE}",
        "ARG COMMIT",
        "LABEL commit=${COMMIT}",
        "RUN ln -sf python3 /usr/bin/python",
    )
    (place / "docker" / "Dockerfile").write_text("\n".join(lines) + "\n")
    (place / "pyproject.toml").write_text('version = "1.2.3"\n')
    (place / ".gitignore").write_text("build/\n.venv\ndocker/images.json\n")
    (place / ".venv").symlink_to(ROOT / ".venv")
    who = ("-c", "user.name=a", "-c", "user.email=a@b.invalid")
    for words in (("init", "--quiet"), ("add", "."), (*who, "commit", "--quiet", "-m", "one")):
        subprocess.run(["git", *words], cwd=place, check=True)
    return place


def refused(place: Path, *words: str, **variables: str) -> str:
    """What the build says as it stops, having written no list."""
    done = build("cpu", *words, place=place, **variables)
    assert done.returncode == 2, done.stdout + done.stderr
    assert not (place / "docker" / "images.json").exists()
    return done.stderr


def test_a_build_without_a_registry_is_told_why_it_needs_one(checkout: Path) -> None:
    assert "--registry" in refused(checkout, MEDU1_REGISTRY="")


def test_a_dirty_checkout_is_refused(checkout: Path) -> None:
    (checkout / "new.py").write_text("")
    assert "--allow-dirty" in refused(checkout, "--registry", "127.0.0.1:9")


def test_an_unknown_word_is_refused_with_the_usage(checkout: Path) -> None:
    assert "docker/build.sh [cpu|all]" in refused(checkout, "--registri", "127.0.0.1:9")


def test_a_machine_without_docker_is_told_so(checkout: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "env", "dirname", "git", "sed", "wc"):
        (tools / name).symlink_to(str(shutil.which(name)))
    assert "Docker is not installed" in refused(checkout, "--registry", "127.0.0.1:9", PATH=str(tools))


@pytest.mark.skipif(shutil.which("docker") is None, reason="no docker command")
def test_a_docker_command_without_an_engine_is_told_so(checkout: Path, tmp_path: Path) -> None:
    nowhere = f"unix://{tmp_path}/none.sock"
    assert "No Docker engine answers" in refused(checkout, "--registry", "127.0.0.1:9", DOCKER_HOST=nowhere)


@containers
def test_a_registry_that_is_down_stops_the_build_before_it_begins(checkout: Path, engine: Engine) -> None:
    told = refused(checkout, "--registry", "127.0.0.1:9")
    assert "does not answer" in told
    assert "building" not in told


class Refusing(BaseHTTPRequestHandler):
    """A registry that takes nothing from those who have not signed in."""

    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="of this test"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_POST = do_PUT = do_GET

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def refusing() -> Iterator[str]:
    """The address of a registry that refuses every push."""
    server = HTTPServer(("127.0.0.1", 0), Refusing)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@containers
def test_a_refused_push_says_how_to_sign_in(checkout: Path, bases: Mapping[str, str], refusing: str) -> None:
    assert "docker login" in refused(checkout, "--registry", refusing, **bases)


@containers
def test_a_push_without_a_digest_is_no_push(
    checkout: Path, bases: Mapping[str, str], registry: str, tmp_path: Path
) -> None:
    """As of an engine that does not keep repository digests."""
    silent = tmp_path / "silent" / "docker"
    silent.parent.mkdir()
    real = shutil.which("docker")
    silent.write_text(f'#!/bin/sh\ncase "$*" in *RepoDigests*) ;; *) exec {real} "$@" ;; esac\n')
    silent.chmod(0o755)
    path = f"{silent.parent}:{os.environ['PATH']}"
    assert "digest" in refused(checkout, "--registry", f"{registry}/probe", PATH=path, **bases)


@containers
def test_a_build_that_fails_shows_the_end_of_its_log(checkout: Path, bases: Mapping[str, str], registry: str) -> None:
    with (checkout / "docker" / "Dockerfile").open("a") as file:
        file.write("RUN echo the reason && false\n")
    told = refused(checkout, "--registry", registry, "--allow-dirty", **bases)
    assert "the reason" in told
    assert "cannot be built" in told


@containers
def test_a_clean_commit_is_listed_labelled_and_tagged_by_it(
    checkout: Path, bases: Mapping[str, str], registry: str, engine: Engine
) -> None:
    done = build("cpu", "--registry", f"{registry}/probe", place=checkout, **bases)
    assert done.returncode == 0, done.stderr
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=checkout, capture_output=True, text=True).stdout.strip()
    listed = Images.read(checkout / "docker" / "images.json")
    assert listed.commit == head
    assert listed.cpu == listed.gpu
    assert engine("image", "inspect", "--format", "{{.Config.Labels.commit}}", listed.cpu) == head
    assert engine("image", "inspect", "--format", "{{.Id}}", f"{registry}/probe/medu1-cpu:{head[:12]}")
