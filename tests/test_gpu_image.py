"""The GPU image's file, built up to what a processor can import: on this machine's base, without vLLM and CUDA's torch.

No GPU image is built here. Whether its versions resolve is `make check-gpu-constraints`.
"""

from collections.abc import Mapping

import pytest

from engine import BUILD_SECONDS, Engine
from tiny import ROOT

pytestmark = pytest.mark.containers

TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
RUN = ("run", "--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp", "--user", "12345:12345")
RECORDED = """
from medu1.tracking import Tracking
from medu1.workspace import Workspace
tracking = Tracking(Workspace.from_environment())
run = tracking.parent()
tracking.client.log_metric(run, "reward", 0.5)
print(tracking.client.get_run(run).data.metrics)
"""


@pytest.fixture(scope="module")
def image(engine: Engine, bases: Mapping[str, str]) -> str:
    """The image id of the trial build."""
    chosen = {"TORCH_INDEX": TORCH_INDEX, **bases, "WITHOUT": "vllm"}
    arguments = [word for key, value in chosen.items() for word in ("--build-arg", f"{key}={value}")]
    file = ROOT / "docker" / "Dockerfile.gpu"
    return engine("build", "--quiet", "--file", str(file), *arguments, str(ROOT), timeout=BUILD_SECONDS).split()[-1]


def test_it_has_the_versions_of_its_own_constraints(image: str, engine: Engine) -> None:
    code = "from importlib.metadata import version as v; print(v('transformers'), v('numpy'), v('huggingface_hub'))"
    lines = (ROOT / "constraints-gpu.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if "==" in line)
    stated = " ".join(pinned[name] for name in ("transformers", "numpy", "huggingface_hub"))
    assert engine(*RUN, image, "python", "-c", code) == stated


def test_it_holds_no_server_and_no_tools_of_the_data(image: str, engine: Engine) -> None:
    code = "from importlib.util import find_spec as f; print([n for n in ('flask', 'dvc', 'vllm', 'pip') if f(n)])"
    assert engine(*RUN, image, "python", "-c", code) == "[]"


def test_runs_are_recorded_by_the_smaller_mlflow(image: str, engine: Engine) -> None:
    told = engine(*RUN, image, "python", "-W", "ignore", "-c", RECORDED)
    assert told.splitlines()[-1] == "{'reward': 0.5}"


def test_its_trainer_answers(image: str, engine: Engine) -> None:
    done = engine.asked(*RUN, image, "python", "-m", "medu1.train", "none.json")
    assert "none.json is no job" in done.stderr
