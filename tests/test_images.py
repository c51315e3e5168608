"""The images by their files: what the Dockerfiles, their constraints and the image list promise."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from medu1.errors import Stop
from pipelines.images import Images
from test_rooms import imports
from tiny import ROOT

DOCKER = ROOT / "docker"
FILES = (DOCKER / "Dockerfile", DOCKER / "Dockerfile.gpu")


def test_an_image_list_is_read_whole(tmp_path: Path) -> None:
    named = {"cpu": f"host:5000/a@sha256:{'1' * 64}", "gpu": f"host/b@sha256:{'2' * 64}", "commit": "0" * 40}
    (tmp_path / "images.json").write_text(json.dumps(named))
    assert Images.read(tmp_path / "images.json").model_dump() == named


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "images.json is not usable"),
        ('{"cpu": "a", "gpu": "b"}', "commit"),
        ('{"cpu": "host/a:latest", "gpu": "host/a:latest", "commit": ""}', "not by digest"),
        (f'{{"cpu": "host/a@sha256:{"1" * 63}", "gpu": "b", "commit": ""}}', "not by digest"),
    ],
)
def test_a_list_that_is_no_list_of_digests_is_refused(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "images.json").write_text(text)
    with pytest.raises(Stop, match=told):
        Images.read(tmp_path / "images.json")


def test_an_absent_list_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(Stop, match="Build the images"):
        Images.read(tmp_path / "images.json")


def instructions(path: Path) -> list[tuple[str, str]]:
    """Every instruction of a Dockerfile, continued lines joined, comments left out."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    return [
        (word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines()) if word
    ]


def last_stage(path: Path) -> list[tuple[str, str]]:
    """The instructions that the image keeps."""
    found = instructions(path)
    start = max(index for index, (word, _) in enumerate(found) if word == "FROM")
    return found[start:]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_bases_are_arguments_with_a_pinned_default(path: Path) -> None:
    arguments = dict(rest.split("=", 1) for word, rest in instructions(path) if word == "ARG" and "=" in rest)
    assert re.fullmatch(r"[\w./-]+:\d+\.\d+\.\d+[\w.-]*", arguments["BASE_IMAGE"])
    assert arguments["BUILD_IMAGE"] == "${BASE_IMAGE}"
    stages = {rest.split()[-1] for word, rest in instructions(path) if word == "FROM" and " AS " in rest}
    sources = {rest.split()[0] for word, rest in instructions(path) if word == "FROM"}
    assert sources <= stages | {"${BASE_IMAGE}", "${BUILD_IMAGE}"}
    assert last_stage(path)[0] == ("FROM", "${BASE_IMAGE}")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_image_runs_as_a_numbered_user_that_is_not_root(path: Path) -> None:
    users = [rest for word, rest in last_stage(path) if word == "USER"]
    assert users
    assert all(re.fullmatch(r"[1-9]\d*:[1-9]\d*", user) for user in users)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_last_stage_installs_no_python_package_and_takes_no_checkout(path: Path) -> None:
    kept = last_stage(path)
    assert not [
        rest for word, rest in kept if word == "RUN" and re.search(r"\bpip3? +install\b|-m pip\b|curl|wget", rest)
    ]
    assert all(rest.startswith("--from=") for word, rest in kept if word == "COPY")
    assert "ADD" not in {word for word, _ in instructions(path)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_secret_is_asked_as_a_build_argument(path: Path) -> None:
    asked = [rest for word, rest in instructions(path) if word in {"ARG", "ENV"}]
    assert not [each for each in asked if re.search(r"token|password|secret|_key|credential", each, re.IGNORECASE)]


def test_every_package_that_the_sources_import_is_imported_at_build() -> None:
    stated = {"medu1", "pipelines", *sys.stdlib_module_names}
    read = {each.module.partition(".")[0] for each in imports(ROOT)} - stated
    assert read - {"vllm"} <= set(tuple_of("PACKAGES"))


def tuple_of(name: str) -> tuple[str, ...]:
    """A tuple of docker/imports.py, which is a program of the image and no module of this project."""
    for node in ast.parse((DOCKER / "imports.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            found: tuple[str, ...] = ast.literal_eval(node.value)
            return found
    raise KeyError(name)


def required(*extras: str) -> set[str]:
    """What docker/requirements.py says."""
    words = [sys.executable, DOCKER / "requirements.py", ROOT / "pyproject.toml", *extras]
    return set(subprocess.run(words, capture_output=True, text=True, check=True).stdout.split())


def names(requirements: set[str]) -> set[str]:
    """Their packages, as package indexes compare names."""
    return {re.sub(r"[-_.]+", "-", re.split(r"[<>=!~\[]", each)[0]).lower() for each in requirements}


def pinned(path: Path) -> dict[str, str]:
    """Version by package of a constraints file."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return {
        re.sub(r"[-_.]+", "-", name).lower(): version for name, _, version in (line.partition("==") for line in lines)
    }


def test_the_cpu_image_installs_what_every_step_and_the_command_line_need() -> None:
    stated = next(rest for word, rest in instructions(FILES[0]) if word == "ARG" and rest.startswith("EXTRAS="))
    assert required(*stated.removeprefix("EXTRAS=").strip('"').split()) == required("all")


def test_every_requirement_of_an_image_is_pinned() -> None:
    assert names(required("all")) <= pinned(ROOT / "constraints.txt").keys()
    assert names(required("gpu")) <= pinned(ROOT / "constraints-gpu.txt").keys()


def test_an_unknown_extra_stops_the_build() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        required("everything")


def test_the_gpu_constraints_keep_to_vllms_caps_and_serve_any_build_of_torch() -> None:
    gpu, cpu = pinned(ROOT / "constraints-gpu.txt"), pinned(ROOT / "constraints.txt")
    assert (gpu["vllm"], gpu["torch"], gpu["trl"]) == ("0.31.0", cpu["torch"], cpu["trl"])
    assert number(gpu["transformers"]) < (5, 18)
    assert number(gpu["fastapi"]) < (0, 137)
    assert not [version for version in gpu.values() if "+" in version]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "vllm" in project["optional-dependencies"]["gpu"]


def number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
