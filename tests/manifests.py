"""What the tests of deploy/ look things up with: an overlay as kubectl renders it, its objects, its pods."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import yaml

from engine import absent

DEPLOY = Path(__file__).parents[1] / "deploy"
KUBERNETES = ("1.34", "1.37")  # oldest and newest version whose schemas every object must fit
OVERLAYS = ("base", "overlays/dev", "overlays/gke", "overlays/eks")
RUNTIME_KIND = "TrainingRuntime"

Object = Mapping[str, Any]


class Pod(NamedTuple):
    """A pod's template, and the object that makes such pods."""

    owner: Object
    template: Object

    @property
    def where(self) -> str:
        """Kind and name, for a message."""
        return named(self.owner)

    @property
    def spec(self) -> Object:
        """The pod's own."""
        return self.template["spec"]  # type: ignore[no-any-return]

    @property
    def labels(self) -> Mapping[str, str]:
        """The pod's own."""
        return self.template.get("metadata", {}).get("labels", {})  # type: ignore[no-any-return]

    @property
    def containers(self) -> list[Object]:
        """Init containers as well."""
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]

    @property
    def from_trainjob(self) -> bool:
        """A runtime's pod gets image, command, environment and resources from each TrainJob."""
        return self.owner["kind"] == RUNTIME_KIND


@cache
def rendered(overlay: str) -> tuple[Object, ...]:
    """What `kubectl kustomize` makes of a folder of deploy/. Skips without kubectl; in CI that is a failure."""
    return _kustomize(DEPLOY / overlay)


@cache
def retraining(overlay: str) -> tuple[Object, ...]:
    """An overlay with the component that submits runs when the data has changed."""
    with TemporaryDirectory() as folder:
        home = Path(folder).resolve()
        parts = {"resources": DEPLOY / overlay, "components": DEPLOY / "components" / "retraining"}
        said = {key: [os.path.relpath(path, home)] for key, path in parts.items()}
        (home / "kustomization.yaml").write_text(yaml.safe_dump(said), encoding="utf-8")
        return _kustomize(home)


def _kustomize(folder: Path) -> tuple[Object, ...]:
    if shutil.which("kubectl") is None:
        absent("kubectl is not installed: the manifests of deploy/ are not rendered")
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def of(objects: tuple[Object, ...], kind: str) -> list[Object]:
    """All of one kind."""
    return [each for each in objects if each["kind"] == kind]


def one(objects: tuple[Object, ...], kind: str, name: str) -> Object:
    """The only one of this kind and name."""
    (found,) = (each for each in of(objects, kind) if each["metadata"]["name"] == name)
    return found


def named(found: Object) -> str:
    """Kind, namespace and name, for a message."""
    metadata = found["metadata"]
    return f"{found['kind']} {metadata.get('namespace', '-')}/{metadata['name']}"


def namespace(found: Object) -> str:
    """The namespace an object lies in; "" for one of the whole cluster."""
    return str(found["metadata"].get("namespace", ""))


def pods(objects: tuple[Object, ...]) -> Iterator[Pod]:
    """Every pod template of a rendering."""
    for each in objects:
        match each["kind"]:
            case "Deployment" | "StatefulSet" | "Job":
                yield Pod(each, each["spec"]["template"])
            case "CronJob":
                yield Pod(each, each["spec"]["jobTemplate"]["spec"]["template"])
            case "TrainingRuntime":
                for job in each["spec"]["template"]["spec"]["replicatedJobs"]:
                    yield Pod(each, job["template"]["spec"]["template"])


def selects(selector: Object, labels: Mapping[str, str]) -> bool:
    """Whether a label selector of Kubernetes takes these labels."""
    equal = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    return equal and all(_meets(each, labels) for each in selector.get("matchExpressions", ()))


def _meets(asked: Object, labels: Mapping[str, str]) -> bool:
    value = labels.get(asked["key"])
    match asked["operator"]:
        case "In":
            return value in asked["values"]
        case "NotIn":
            return value not in asked["values"]
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    raise AssertionError(f"no operator of Kubernetes: {asked['operator']}")
