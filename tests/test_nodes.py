"""Two nodes train together: the argv of a TrainJob under two torchrun launchers, a disk each and S3 between them."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from killed import params
from kubelet import Kubelet
from kubernetes_api import KubernetesApi
from kubernetes_api import cluster as cluster
from medu1 import journal, record
from medu1.bucket import Bucket
from medu1.errors import Interrupted, Stop
from medu1.manifest import ModelManifest
from medu1.params import Train
from medu1.placements import TRAINJOB, TrainJobPlan
from medu1.tracking import Tracking
from medu1.train import checkpoints, fleet, restoration
from medu1.workspace import Workspace
from s3 import KEYS, S3
from training import PARAMS, THIRD_PARTY, Prepared, made

pytestmark = [
    pytest.mark.faults,
    *(pytest.mark.filterwarnings(each) for each in THIRD_PARTY),
    pytest.mark.filterwarnings("ignore:Support for class-based `config`:DeprecationWarning"),  # kubeflow 0.5
]
PLAN = TrainJobPlan(
    runtime="medu1-torch",
    image="registry.example/medu1@sha256:" + "5" * 64,
    nodes=2,
    config="medu1",
    addresses={"store": "MEDU1_STORE"},
    optional_addresses={"s3_endpoint": "AWS_ENDPOINT_URL", "s3_region": "AWS_DEFAULT_REGION"},
    secret="medu1",
    keys={"aws_access_key_id": "AWS_ACCESS_KEY_ID", "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY"},
    home="/scratch",
)
LONG = 60  # steps: some are left when a process is killed
PATIENCE_SECONDS = 300.0


class Site(NamedTuple):
    """A step on a cluster of two nodes."""

    prepared: Prepared
    kubelet: Kubelet
    api: KubernetesApi

    @property
    def bucket(self) -> Bucket:
        return Bucket(self.prepared.workspace.store)

    def saved(self) -> int:
        """The newest step in the store, of the only training."""
        keys = {name.split("/")[0] for name in self.bucket.sizes("checkpoints")}
        return max((restoration.newest(self.bucket, f"checkpoints/{key}") or 0 for key in keys), default=0)

    def notes(self) -> list[str]:
        return [event.message for event, _ in journal.read(self.prepared.workspace.journal) if event.kind == "note"]


def nodes(steps: int) -> Train:
    return params(1).model_copy(update={"nodes": 2, "steps": steps})


@pytest.fixture
def site(
    one_thread: None,
    cluster: KubernetesApi,
    s3: S3,
    tmp_path: Path,
    empty_database: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Site]:
    home = tmp_path / "step"
    home.mkdir()
    (home / "mlflow.db").write_bytes(empty_database.read_bytes())
    store = f"s3://{s3.bucket()}/medu1"
    workspace = Workspace(home=home, run="r", tracking_uri=f"sqlite:///{home / 'mlflow.db'}", store=store)
    for name, value in workspace.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    monkeypatch.setenv(TRAINJOB, PLAN.canonical())
    monkeypatch.setattr(fleet, "POLL_SECONDS", 0.3)
    config = {"store": store, "s3_endpoint": s3.endpoint, "s3_region": KEYS["AWS_DEFAULT_REGION"]}
    secret = {"aws_access_key_id": "dummy", "aws_secret_access_key": "dummy"}
    kubelet = Kubelet(cluster, tmp_path, config, secret)
    yield Site(made(workspace), kubelet, cluster)
    kubelet.stop()


def alone(home: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    """What the same training reads as two processes of one node, in a home of its own without a store."""
    home.mkdir()
    (home / "mlflow.db").write_bytes(database.read_bytes())
    workspace = Workspace(home=home, run="r", tracking_uri=f"sqlite:///{home / 'mlflow.db'}")
    for name, value in workspace.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(TRAINJOB)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return made(workspace)


def state(marker: bytes) -> dict[str, str]:
    """Checksums of a checkpoint's weights, optimizer, scheduler and random states."""
    files = json.loads(marker)["files"]
    return {
        name: each["sha256"] for name, each in files.items() if Path(name).suffix in {".safetensors", ".pt", ".pth"}
    }


def on_nodes(site: Site, model: ModelManifest, step: int) -> dict[str, str]:
    folder = f"checkpoints/{Path(model.key).name}/{checkpoints.name(step)}"
    return state(site.bucket.read(f"{folder}/{checkpoints.MARKER}"))


def on_one_node(prepared: Prepared, steps: int) -> dict[str, str]:
    """What two processes of one node make of the same training."""
    model = prepared.trained(params(2).model_copy(update={"steps": steps}))
    folder = prepared.workspace.home / "store" / "checkpoints" / Path(model.key).name / checkpoints.name(steps)
    return state((folder / checkpoints.MARKER).read_bytes())


def during(act: Callable[[], None]) -> None:
    threading.Thread(target=act, daemon=True).start()


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_two_nodes_make_the_bits_that_two_processes_of_one_make(
    site: Site, tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = site.prepared.trained(nodes(6))
    assert site.kubelet.runs == 1
    telemetry_is_complete(site, model)
    together = on_nodes(site, model, 6)
    assert len(together) >= 5
    assert on_one_node(alone(tmp_path / "alone", empty_database, monkeypatch), 6) == together


def telemetry_is_complete(site: Site, model: ModelManifest) -> None:
    """The step's MLflow run has every step's figures once, though it trained elsewhere; tables came along."""
    made_by = record.read(site.prepared.folder(model))
    assert made_by is not None
    client = Tracking(site.prepared.workspace).client
    rewards = client.get_metric_history(made_by.mlflow_run, "reward")
    assert [point.step for point in rewards] == [1, 2, 3, 4, 5, 6]
    assert client.list_artifacts(made_by.mlflow_run, "completions")


def test_a_killed_process_of_one_node_is_gone_on_from_the_newest_checkpoint(
    site: Site, tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    during(lambda: (until(lambda: site.saved() >= 2), kill(site.kubelet.nodes[1].pid))[-1])
    with pytest.raises(Stop, match=r"failed: .*training goes on from step \d+, the newest checkpoint"):
        site.prepared.trained(nodes(LONG))
    kept = site.saved()
    assert 2 <= kept < LONG
    model = site.prepared.trained(nodes(LONG))
    assert site.kubelet.runs == 2
    assert any(f"going on from step {kept}" in note for note in site.notes())
    begun = [line for lines in site.api.logs.values() for line in lines if f"begins at step {kept}" in line]
    assert len(begun) == 2
    together = on_nodes(site, model, LONG)
    assert on_one_node(alone(tmp_path / "alone", empty_database, monkeypatch), LONG) == together


def kill(launcher: int) -> None:
    """SIGKILL to the process that trains below a launcher."""
    (child,) = psutil.Process(launcher).children()
    os.kill(child.pid, signal.SIGKILL)


def test_sigterm_to_the_step_saves_on_the_nodes_and_the_next_attempt_goes_on(site: Site) -> None:
    during(lambda: (until(lambda: site.saved() >= 2), os.kill(os.getpid(), signal.SIGTERM))[-1])
    with pytest.raises(Interrupted) as interrupted:
        site.prepared.trained(nodes(400))
    kept = site.saved()
    assert f"step {kept} of 400 is saved in {site.prepared.workspace.store}/checkpoints/" in interrupted.value.where
    assert site.api.trainjobs == {}
    until(lambda: site.api.pods == {})
    assert [node.returncode for node in site.kubelet.nodes.values()] == [Interrupted.CODE] * 2
    during(lambda: (until(lambda: site.saved() > kept), os.kill(os.getpid(), signal.SIGTERM))[-1])
    with pytest.raises(Interrupted):
        site.prepared.trained(nodes(400))
    assert any(f"going on from step {kept}" in note for note in site.notes())


def test_every_process_has_its_random_state_in_the_checkpoint_and_the_last_one_is_the_candidate(site: Site) -> None:
    """Where nothing is validated; the step's own disk has no checkpoint."""
    unvalidated = nodes(2).model_copy(update={"validation": PARAMS.validation})
    model = site.prepared.trained(unvalidated)
    made_by = record.read(site.prepared.folder(model))
    assert made_by is not None
    assert made_by.facts["step"] == 2
    (marker,) = [name for name in site.bucket.sizes("checkpoints") if name.endswith(checkpoints.MARKER)]
    files = json.loads(site.bucket.read(f"checkpoints/{marker}"))["files"]
    assert {"rng_state_0.pth", "rng_state_1.pth"} <= files.keys()
