"""The CPU image as it is built from this checkout, pushed, and run by digest: `make test-containers`."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from engine import BUILD_SECONDS, Engine
from pipelines.images import Images
from tiny import ROOT

pytestmark = pytest.mark.containers

DOCKER = ROOT / "docker"
DIGEST = re.compile(r"[\w.:/-]+@sha256:[0-9a-f]{64}")
LIMIT = 2_200_000_000  # bytes
STALE = """# prints each imported source whose byte code is absent or of another time
import os, sys, medu1.train.trainer, trl.trainer.grpo_trainer
for spec in [getattr(module, "__spec__", None) for module in list(sys.modules.values())]:
    cached, origin = getattr(spec, "cached", None), str(getattr(spec, "origin", ""))
    if cached and origin.endswith(".py"):
        head = open(cached, "rb").read(12) if os.path.exists(cached) else b""
        if head[8:] != int(os.stat(origin).st_mtime).to_bytes(4, "little"):
            print(origin)
"""
READ_ONLY = ("run", "--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp")


@pytest.fixture(scope="session")
def image(images: Path) -> str:
    """The CPU image by digest."""
    return Images.read(images).cpu


def inspected(engine: Engine, image: str, what: str) -> str:
    return engine("image", "inspect", "--format", what, image)


def test_the_list_names_a_digest_that_the_registry_serves(image: str, engine: Engine) -> None:
    assert DIGEST.fullmatch(image)
    assert "up to date" in engine("pull", image)


def test_the_image_says_what_it_is(image: str, images: Path, engine: Engine) -> None:
    labels = json.loads(inspected(engine, image, "{{json .Config.Labels}}"))
    commit = Images.read(images).commit
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    prefix = "org.opencontainers.image"
    stated = {f"{prefix}.title": "medu1", f"{prefix}.revision": commit, f"{prefix}.version": version}
    assert labels.items() >= stated.items()
    assert engine(*READ_ONLY, image, "printenv", "MEDU1_COMMIT") == commit


def test_the_image_is_within_its_limit(image: str, engine: Engine) -> None:
    assert int(inspected(engine, image, "{{.Size}}")) <= LIMIT


@pytest.mark.parametrize("user", ["", "12345:23456"], ids=["its own user", "any user"])
def test_it_works_on_a_read_only_root_as_anyone_but_root(user: str, image: str, engine: Engine) -> None:
    code = "import os, tempfile; tempfile.TemporaryFile(); print(os.getuid()); open('/opt/medu1/x', 'w')"
    chosen = ("--user", user) if user else ()
    done = engine.asked(*READ_ONLY, *chosen, image, "python", "-c", code)
    assert done.stdout.strip() == (user.partition(":")[0] or "10001")
    assert "Read-only file system" in done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [(("medu1", "--help"), "retrain"), (("python", "-m", "medu1.train", "none.json"), "none.json is no job")],
    ids=["medu1", "the trainer"],
)
def test_its_commands_answer(words: tuple[str, ...], told: str, image: str, engine: Engine) -> None:
    done = engine.asked(*READ_ONLY, "--user", "12345:12345", image, *words)
    assert told.lower() in (done.stdout + done.stderr).lower()
    assert "Traceback" not in done.stderr


def test_everything_the_steps_import_is_healthy(image: str, engine: Engine) -> None:
    program = (DOCKER / "imports.py").read_text(encoding="utf-8")
    for words in ((), ("--own",)):
        engine(*READ_ONLY, "--user", "12345:12345", image, "python", "-W", "ignore", "-c", program, *words)


def test_it_holds_no_compiler_installer_cache_or_tests(image: str, engine: Engine) -> None:
    looked = """
        for tool in gcc cc g++ clang ld make; do command -v $tool; done
        for python in /opt/medu1/bin/python /usr/bin/python3 /usr/local/bin/python3; do
            $python -m pip --version 2>/dev/null; $python -m ensurepip --version 2>/dev/null
        done
        ls -d /root/.cache /tmp/* /src /wheels /requirements.txt 2>/dev/null
        ls /var/lib/apt/lists 2>/dev/null | grep -v -e '^lock$' -e '^partial$' -e '^auxfiles$'
        find /opt/medu1 -type d \\( -name tests -o -path '*/torch/include' \\)
        find /opt/medu1 -type f \\( -name '*.a' -o -name '*.h' -o -name '*.pyx' \\)
        true
    """
    assert engine("run", "--rm", "--user", "0", "--network", "none", image, "sh", "-c", looked) == ""


def test_the_builders_settings_do_not_leave_the_builder(image: str, engine: Engine) -> None:
    told = engine("history", "--no-trunc", image) + inspected(engine, image, "{{json .Config}}")
    assert not re.search(r"PIP_|_CERT|CA_BUNDLE|find-links|certificates\.pem|--index-url", told)
    found = engine(
        "run", "--rm", "--user", "0", image, "sh", "-c", "ls -d /etc/pip* /root/.config /root/.pip 2>/dev/null; true"
    )
    assert found == ""


def test_its_byte_code_is_fresh_so_that_a_read_only_start_compiles_nothing(image: str, engine: Engine) -> None:
    done = engine.asked(*READ_ONLY, image, "python", "-W", "ignore", "-c", STALE)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_what_it_holds_is_listed_as_cyclonedx(images: Path, image: str, engine: Engine) -> None:
    bill = json.loads((ROOT / "build" / "sbom-cpu.json").read_text(encoding="utf-8"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.4")
    held = {each["name"].lower(): each for each in bill["components"]}
    assert held["torch"]["purl"].startswith("pkg:pypi/torch@2.")
    assert held["medu1"]
    assert held["libc6"]["purl"].startswith("pkg:deb/debian/libc6@")
    assert "pip" not in held
    assert held["transformers"]["licenses"]


def test_a_source_change_rebuilds_on_the_layer_of_packages(
    image: str, bases: Mapping[str, str], engine: Engine, tmp_path: Path
) -> None:
    """`image` was built before, so these builds start from its layers."""
    place = tmp_path / "changed"
    skipped = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("components", "pipelines", "docker"):
        shutil.copytree(ROOT / name, place / name, ignore=skipped)
    for name in ("pyproject.toml", "constraints.txt", "constraints-gpu.txt", "README.md", ".dockerignore"):
        shutil.copy(ROOT / name, place / name)
    arguments = [word for key, value in bases.items() for word in ("--build-arg", f"{key}={value}")]
    words = ("build", "--quiet", "--file", str(place / "docker" / "Dockerfile"), *arguments, str(place))
    before = engine(*words, timeout=BUILD_SECONDS).split()[-1]
    with (place / "components" / "medu1" / "__init__.py").open("a") as file:
        file.write("CHANGED = True\n")
    after = engine(*words, timeout=BUILD_SECONDS).split()[-1]
    layers = [json.loads(inspected(engine, each, "{{json .RootFS.Layers}}")) for each in (before, after)]
    changed = [one != other for one, other in zip(*layers, strict=True)]
    assert sum(changed) <= 2  # medu1's own layer, and the check after it, which leaves the time it ran on /tmp
    assert engine("run", "--rm", after, "python", "-c", "import medu1; print(medu1.CHANGED)") == "True"


def test_it_reads_pinned_data_from_a_repository_without_git(image: str, engine: Engine, tmp_path: Path) -> None:
    place, remote = tmp_path / "repository", tmp_path / "remote"
    place.mkdir()
    (place / "a.txt").write_text("of version one")
    dvc, who = (sys.executable, "-m", "dvc"), ("-c", "user.name=a", "-c", "user.email=a@b.invalid")
    for words in (
        ("git", "init", "--quiet"),
        (*dvc, "init", "--quiet"),
        (*dvc, "remote", "add", "--quiet", "--default", "there", str(remote)),
        (*dvc, "add", "--quiet", "a.txt"),
        (*dvc, "push", "--quiet"),
        ("git", "add", "."),
        ("git", *who, "commit", "--quiet", "-m", "one"),
        ("git", "tag", "v1"),
    ):
        subprocess.run(words, cwd=place, check=True, capture_output=True)
    code = f"from dvc.api import DVCFileSystem as F; print(F('file://{place}', rev='v1').read_text('a.txt'))"
    seen = ("--volume", f"{tmp_path}:{tmp_path}:ro", "--user", f"{os.getuid()}:{os.getgid()}")
    assert engine("run", "--rm", image, "sh", "-c", "command -v git; true") == ""
    assert engine(*READ_ONLY, *seen, image, "python", "-W", "ignore", "-c", code) == "of version one"
