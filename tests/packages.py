"""Compiled packages as a cluster reads them: executors, tasks, and the platform spec, which is the second document."""

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pipelines import package
from pipelines.images import Images

PARAMS = Path(__file__).parents[1] / "params.yaml"
GOLDEN = Path(__file__).parent / "golden" / "images.json"
IMAGES = Images.read(GOLDEN)
PROFILES = ("cpu", "gke-a100", "eks-h100-spot")
CLOUD = PROFILES[1:]
GPU_STEPS = {"train", "evaluate"}


class Package(NamedTuple):
    """A compiled package."""

    text: str
    executors: dict[str, dict[str, Any]]  # container by step
    tasks: dict[str, dict[str, Any]]  # by step
    pods: dict[str, dict[str, Any]]  # of the platform spec, by step

    def each(self, read: Callable[[dict[str, Any]], object]) -> dict[str, object]:
        """What is read of each step's pod, of those that have any."""
        return {step: found for step, pod in self.pods.items() if (found := read(pod))}


def compiled(text: str) -> Package:
    pipeline, platform = yaml.safe_load_all(text)
    groups = [pipeline["root"], *pipeline["components"].values()]
    tasks = {name: task for group in groups for name, task in group.get("dag", {}).get("tasks", {}).items()}
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    containers = {name: each["container"] for name, each in pipeline["deploymentSpec"]["executors"].items()}
    return Package(
        text=text,
        executors={name.removeprefix("exec-"): each for name, each in containers.items()},
        tasks=tasks,
        pods={name.removeprefix("exec-"): pod for name, pod in pods.items()},
    )


@cache
def shipped(name: str) -> Package:
    """A placement of the repository's own parameters."""
    return _written(name, PARAMS)


def changed(tmp_path: Path, profile: str, **knobs: object) -> Package:
    """A placement with some of its knobs set otherwise."""
    data = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    data["placements"][profile].update(knobs)
    params = tmp_path / "params.yaml"
    params.write_text(yaml.safe_dump(data), encoding="utf-8")
    return _written(profile, params)


def _written(profile: str, params: Path) -> Package:
    with tempfile.TemporaryDirectory() as folder:
        path = package.write(Path(folder) / "retraining.yaml", GOLDEN, profile, allow_skew=True, params=params)
        return compiled(path.read_text(encoding="utf-8"))


def share(container: dict[str, Any]) -> tuple[str, ...]:
    """CPU and memory, requested and at most."""
    names = ("resourceCpuRequest", "resourceMemoryRequest", "resourceCpuLimit", "resourceMemoryLimit")
    return tuple(container["resources"][each] for each in names)
