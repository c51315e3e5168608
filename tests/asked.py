"""The arguments of preflight, from the shipped parameters with settings on top."""

import json
from pathlib import Path

from medu1.placements import Placed
from medu1.run.asked import Asked
from medu1.workspace import Workspace
from pipelines.request import read_params

PARAMS = Path(__file__).parents[1] / "params.yaml"
PIN = "0123456789abcdef0123456789abcdef.dir"
DIGEST = "sha256:" + "a" * 64


def arguments(
    *settings: str, base_model: str = "builtin", revision: str = "", data: object = None, placed: Placed | None = None
) -> tuple[str, ...]:
    """In the order of `component.preflight`; settings as `--set` takes them, data as files beside the pin."""
    params = read_params(PARAMS, settings)
    return (
        params.registry.canonical(),
        params.prepare.canonical(),
        params.train.canonical(),
        params.evaluate.canonical(),
        base_model,
        revision,
        json.dumps({"data.dvc": PIN, **(data if isinstance(data, dict) else {})}),
        (placed or Placed()).canonical(),
    )


def asked(
    home: Path,
    *settings: str,
    store: str = "",
    base_model: str = "builtin",
    revision: str = "",
    data: object = None,
    placed: Placed | None = None,
) -> Asked:
    """The same, parsed."""
    workspace = Workspace(home=home, run="one", tracking_uri=f"sqlite:///{home / 'mlflow.db'}", store=store)
    words = arguments(*settings, base_model=base_model, revision=revision, data=data, placed=placed)
    return Asked.parse(workspace, *words)


def packaged(**changes: object) -> Placed:
    """What a package for one node with one GPU says."""
    known = {"name": "gke", "accelerator": "nvidia.com/gpu", "accelerators": 1, "scratch_gib": 200.0}
    return Placed.model_validate({**known, "images": (f"127.0.0.1:9/medu1@{DIGEST}",), **changes})
