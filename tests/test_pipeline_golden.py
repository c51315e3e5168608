"""The compiled package is a golden file: what a cluster receives changes only on purpose.

Renew it after an intended change with
    medu1 compile --placement gke-a100 --images tests/golden/images.json --allow-skew --out tests/golden/retraining.yaml
"""

import difflib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from medu1.errors import Stop
from pipelines import package
from pipelines.images import Images
from pipelines.progress import ORDER

GOLDEN = Path(__file__).parent / "golden"
IMAGES = GOLDEN / "images.json"
PARAMS = Path(__file__).parents[1] / "params.yaml"
PLACEMENT = "gke-a100"
RENEW = "If the change is intended, renew it: see the first lines of this test."

NEVER_CACHED = {"preflight", "decide", "register", "finalize"}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("package") / "retraining.yaml"
    return package.write(path, IMAGES, PLACEMENT, allow_skew=True, params=PARAMS).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tasks(compiled: str) -> dict[str, Any]:
    """Every task of every group, by name."""
    pipeline = next(yaml.safe_load_all(compiled))
    groups = [pipeline["root"], *pipeline["components"].values()]
    return {name: task for group in groups for name, task in group.get("dag", {}).get("tasks", {}).items()}


def test_the_package_is_the_golden_one(compiled: str) -> None:
    golden = (GOLDEN / "retraining.yaml").read_text(encoding="utf-8")
    difference = "\n".join(difflib.unified_diff(golden.splitlines(), compiled.splitlines(), "golden", "now", n=1))
    assert not difference, f"The compiled package differs from tests/golden/retraining.yaml.\n{difference}\n{RENEW}"


def test_steps_run_in_the_order_the_command_line_shows(tasks: dict[str, Any]) -> None:
    assert {*ORDER, "finalize"} == {name for name in tasks if not name.startswith(("exit-handler", "condition"))}
    for name, task in tasks.items():
        upstream = [before for before in task.get("dependentTasks", []) if before in ORDER]
        assert all(ORDER.index(before) < ORDER.index(name) for before in upstream if name in ORDER)


def test_what_looks_at_the_world_is_never_cached(tasks: dict[str, Any]) -> None:
    cached = {name for name, task in tasks.items() if task.get("cachingOptions", {}).get("enableCache")}
    assert not cached & NEVER_CACHED
    assert cached == set(ORDER) - NEVER_CACHED


def test_what_a_task_shows_is_an_artifact_that_kfp_can_show(compiled: str) -> None:
    """KFP's user interface draws these types, beside the one value that the next step takes."""
    pipeline = next(yaml.safe_load_all(compiled))
    outputs = {name.removeprefix("comp-"): made["outputDefinitions"] for name, made in pipeline["components"].items()
               if "artifacts" in made.get("outputDefinitions", {})}  # fmt: skip
    shown = {
        step: {name: each["artifactType"]["schemaTitle"] for name, each in made["artifacts"].items()}
        for step, made in outputs.items()
    }
    page = {"report": "system.HTML"}
    assert shown == {
        "prepare": page,
        "audit": page,
        "evaluate": page | {"metrics": "system.Metrics", "letters": "system.ClassificationMetrics"},
        "decide": page | {"document": "system.Markdown", "metrics": "system.Metrics"},
    }
    assert all(made["parameters"].keys() == {"Output"} for made in outputs.values())


def test_no_value_of_a_single_run_is_an_input(compiled: str) -> None:
    pipeline = next(yaml.safe_load_all(compiled))
    inputs = set(pipeline["root"]["inputDefinitions"]["parameters"])
    sections = {"base", "prepare", "scoring", "audit", "train", "evaluate", "decide", "registry", "notify"}
    code = {f"code_{step}" for step in ("base", "prepare", "audit", "train", "evaluate")}
    assert inputs == sections | code | {"base_model", "revision", "data"}


def test_images_are_named_by_digest(compiled: str) -> None:
    images = Images.read(IMAGES)
    pipeline = next(yaml.safe_load_all(compiled))
    used = {executor["container"]["image"] for executor in pipeline["deploymentSpec"]["executors"].values()}
    assert used == {images.cpu, images.gpu}


def test_images_of_another_commit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Stop, match="--allow-skew"):
        package.write(tmp_path / "retraining.yaml", IMAGES, PLACEMENT, allow_skew=False, params=PARAMS)


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "cannot be read"), ("{", "not usable"), ('{"cpu": "a", "gpu": "b"}', "commit: Field required")],
)
def test_an_unusable_image_list_is_explained(text: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "images.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(Stop, match=message):
        package.write(tmp_path / "retraining.yaml", path, PLACEMENT, allow_skew=True, params=PARAMS)
    assert not (tmp_path / "retraining.yaml").exists()


@pytest.mark.parametrize(
    "image",
    [
        "registry.example/medu1",
        "registry.example/medu1:latest",
        "registry.example:5000/medu1:1.0",
        "registry.example/medu1@sha256:1234",
        f"registry.example/medu1:1.0@sha256:{'1' * 64}",
        f"registry.example/medu1@sha256:{'G' * 64}",
        f"registry.example/medu1@sha256:{'1' * 64}\n",
    ],
)
@pytest.mark.parametrize("which", ["cpu", "gpu"])
def test_an_image_that_is_not_named_by_digest_alone_is_refused(which: str, image: str, tmp_path: Path) -> None:
    path = tmp_path / "images.json"
    path.write_text(json.dumps({**json.loads(IMAGES.read_bytes()), which: image}), encoding="utf-8")
    with pytest.raises(Stop, match=f"names {which} as .* not by digest alone"):
        package.write(tmp_path / "retraining.yaml", path, PLACEMENT, allow_skew=True, params=PARAMS)


@pytest.mark.parametrize("name", ["medu1", "127.0.0.1:5000/medu1", "registry.example/team/medu1-cpu"])
def test_an_image_of_any_registry_may_be_named_by_digest(name: str, tmp_path: Path) -> None:
    path = tmp_path / "images.json"
    image = f"{name}@sha256:{'a' * 64}"
    path.write_text(json.dumps({"cpu": image, "gpu": image, "commit": ""}), encoding="utf-8")
    assert Images.read(path).cpu == image
