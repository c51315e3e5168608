"""A TrainJob over a real Kubernetes API on loopback: what is asked for, and what becomes of every answer."""

import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from kubernetes_api import NAMESPACE, RUNTIME, KubernetesApi
from kubernetes_api import cluster as cluster
from medu1 import journal
from medu1.bucket import Bucket
from medu1.errors import Stop
from medu1.params import Train
from medu1.placements import TRAINJOB, TrainJobPlan
from medu1.scoring.grading import DEFAULT_SCORING
from medu1.stage import Stage
from medu1.train import fleet, trainjob
from medu1.train.history import History
from medu1.train.job import End, Job, Outcome
from medu1.train.order import Order
from medu1.train.relay import Sender
from medu1.workspace import Workspace
from s3 import KEYS, S3
from training import PARAMS

pytestmark = pytest.mark.filterwarnings("ignore:Support for class-based `config`:DeprecationWarning")  # kubeflow 0.5

IMAGE = "registry.example/medu1@sha256:" + "5" * 64
PLAN = TrainJobPlan(
    runtime="medu1-torch",
    image=IMAGE,
    nodes=2,
    resources={"nvidia.com/gpu": "8", "cpu": "12", "memory": "200Gi"},
    config="medu1",
    addresses={"store": "MEDU1_STORE"},
    optional_addresses={"s3_endpoint": "AWS_ENDPOINT_URL"},
    secret="medu1",
    keys={"aws_access_key_id": "AWS_ACCESS_KEY_ID", "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY"},
    node_selector={"pool": "h100"},
    tolerations=({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},),
    labels={"app.kubernetes.io/part-of": "medu1"},
    service_account="medu1-trainer",
    image_pull_secrets=("registry",),
    scratch_gib=200.0,
    storage_class="gp3",
    home="/scratch",
    shm="16Gi",
    timeout=86400,
    user=10001,
)
TWO = PARAMS.model_copy(update={"nodes": 2})
FINGERPRINT = "0123456789abcdef"
NAME = f"medu1-train-{FINGERPRINT}"
PATIENCE_SECONDS = 30.0


class Asking(NamedTuple):
    """A step that asks for nodes."""

    stage: Stage
    job: Job
    bucket: Bucket
    api: KubernetesApi

    def started(self, plan: TrainJobPlan = PLAN) -> Outcome:
        return fleet.start(self.stage, self.job, plan)

    def notes(self) -> list[str]:
        return [event.message for event, _ in journal.read(self.stage.workspace.journal) if event.kind == "note"]

    def tell(self, rank: int, end: End, step: int = 2, message: str = "") -> None:
        """A node's last word, by the node's own code."""
        root = self.stage.workspace.home / f"node-{rank}"
        History(root / "history.jsonl").append(1, {"reward": 0.5})
        sender = Sender(self.bucket, self.job.key, root, rank)
        assert sender.end(Outcome(end=end, step=step, message=message))

    def play(self, end: End = "finished", how: str = "Complete") -> Callable[[dict[str, Any]], None]:
        """A kubelet under which every node ends at once."""

        def run(made: dict[str, Any]) -> None:
            name = made["metadata"]["name"]
            for rank in range(2):
                pod = self.api.pod(name, rank, "Succeeded" if how == "Complete" else "Failed")
                self.api.say(pod, f"words of node {rank}")
                self.tell(rank, end)
            self.api.end(name, how)

        return run


@pytest.fixture
def asking(cluster: KubernetesApi, s3: S3, tmp_path: Path) -> Asking:
    """A training of two nodes that has not begun; its base and questions are never read."""
    home, store = tmp_path / "home", f"s3://{s3.bucket()}/medu1"
    workspace = Workspace(home=home, run="run-1", tracking_uri="sqlite://", store=store)
    nothing: Any = None
    stage = Stage("train", workspace, nothing, "")
    key = f"checkpoints/{FINGERPRINT}"
    job = Job(
        params=TWO,
        scoring=DEFAULT_SCORING,
        base=home / "store" / "base" / "b",
        dataset=home / "store" / "prepare" / "d",
        shares=None,
        root=home / "store" / key,
        store=store,
        key=key,
        configuration={"seed": "0"},
        resume=None,
    )
    job.root.mkdir(parents=True)
    return Asking(stage, job, Bucket(store), cluster)


def during(act: Callable[[], None]) -> threading.Thread:
    """Something that happens while a step waits."""
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# What is asked for


def test_the_body_is_exactly_what_the_plan_says(asking: Asking) -> None:
    asking.api.kubelet = asking.play()
    asking.started()
    (body,) = asking.api.made()
    order = Order.of(asking.job, asking.stage.workspace.home)
    labels = {"app.kubernetes.io/part-of": "medu1", "medu1.order": order.digest, "medu1.run": "run-1"}
    resources = {"nvidia.com/gpu": "8", "cpu": "12", "memory": "200Gi"}
    assert body["metadata"] == {"name": NAME, "labels": labels}
    assert body["spec"]["runtimeRef"] == {"kind": "TrainingRuntime", "name": "medu1-torch"}
    assert body["spec"]["activeDeadlineSeconds"] == 86400
    assert body["spec"]["trainer"] == {
        "image": IMAGE,
        "command": ["python3", "-m", "medu1.train", f"{asking.job.store}/{asking.job.key}/job.json"],
        "numNodes": 2,
        "resourcesPerNode": {"requests": resources, "limits": resources},
        "env": [
            {"name": "MEDU1_HOME", "value": "/scratch"},
            {"name": "MEDU1_VARIABLES", "value": "/etc/medu1"},
        ],
    }
    template = pod_patch(body)
    assert template["metadata"] == {"labels": labels}
    assert template["spec"] == {
        "serviceAccountName": "medu1-trainer",
        "imagePullSecrets": [{"name": "registry"}],
        "nodeSelector": {"pool": "h100"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "securityContext": {"runAsUser": 10001, "fsGroup": 10001},
        "containers": [
            {
                "name": "node",
                "volumeMounts": [
                    {"name": "variables", "mountPath": "/etc/medu1", "readOnly": True},
                    {"name": "home", "mountPath": "/scratch"},
                    {"name": "shm", "mountPath": "/dev/shm"},
                ],
            }
        ],
        "volumes": [
            {"name": "variables", "projected": {"sources": SOURCES}},
            {"name": "home", "ephemeral": {"volumeClaimTemplate": {"spec": CLAIM}}},
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "16Gi"}},
        ],
    }


SOURCES = [
    {"configMap": {"name": "medu1", "items": [{"key": "store", "path": "MEDU1_STORE"}]}},
    {
        "configMap": {
            "name": "medu1",
            "items": [{"key": "s3_endpoint", "path": "AWS_ENDPOINT_URL"}],
            "optional": True,
        }
    },
    {
        "secret": {
            "name": "medu1",
            "items": [
                {"key": "aws_access_key_id", "path": "AWS_ACCESS_KEY_ID"},
                {"key": "aws_secret_access_key", "path": "AWS_SECRET_ACCESS_KEY"},
            ],
            "optional": True,
        }
    },
]
CLAIM = {
    "accessModes": ["ReadWriteOnce"],
    "resources": {"requests": {"storage": "204800Mi"}},
    "storageClassName": "gp3",
}


def pod_patch(body: Any) -> Any:
    """The patch of the pods' template."""
    (patch,) = body["spec"]["runtimePatches"]
    (job,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    assert job["name"] == "node"
    return job["template"]["spec"]["template"]


def test_no_value_of_a_secret_stands_in_the_body_or_the_order(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, variable in enumerate(sorted(set(KEYS) - {"AWS_DEFAULT_REGION"})):
        monkeypatch.setenv(variable, f"only-the-secret-knows-{number}")
    asking.api.kubelet = asking.play()
    asking.started()
    order = asking.bucket.read(f"{asking.job.key}/job.json").decode()
    for text in (json.dumps([each.body for each in asking.api.asked]), order, *asking.notes()):
        assert "only-the-secret-knows" not in text


def test_a_plan_without_extras_asks_for_none(asking: Asking) -> None:
    asking.api.kubelet = asking.play()
    asking.started(TrainJobPlan(runtime="medu1-torch", image=IMAGE, nodes=2, home="/scratch"))
    (body,) = asking.api.made()
    assert "resourcesPerNode" not in body["spec"]["trainer"]
    assert "activeDeadlineSeconds" not in body["spec"]
    spec = pod_patch(body)["spec"]
    assert sorted(spec) == ["containers", "volumes"]
    assert [each["name"] for each in spec["volumes"]] == ["variables", "home"]
    assert spec["volumes"][1] == {"name": "home", "emptyDir": {}}


def test_node_affinity_is_one_required_term_and_weighed_preferences(asking: Asking) -> None:
    asking.api.kubelet = asking.play()
    need = {"key": "gpu", "operator": "In", "values": ["h100", "h200"]}
    wish = {"key": "zone", "operator": "Exists", "weight": 7}
    asking.started(
        TrainJobPlan.parse(json.dumps({**json.loads(PLAN.canonical()), "require": [need], "prefer": [wish]}))
    )
    (body,) = asking.api.made()
    assert pod_patch(body)["spec"]["affinity"]["nodeAffinity"] == {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [need]}]},
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 7, "preference": {"matchExpressions": [{"key": "zone", "operator": "Exists"}]}}
        ],
    }


def test_variables_patched_into_the_container_are_what_the_api_refuses() -> None:
    """Why keys come as files: the models' own words, and the rule of this API."""
    from kubeflow_trainer_api.models import TrainerV1alpha1ContainerPatch as ContainerPatch

    told = ContainerPatch.model_fields["env"].description
    assert told is not None
    assert "can't be set for container with the name: `node`" in told


# The same training again


def test_the_outcome_comes_from_the_store_and_so_does_the_history(asking: Asking) -> None:
    asking.api.kubelet = asking.play()
    assert asking.started().end == "finished"
    lines = [(line.step, line.metrics["reward"]) for line in History(asking.job.root / "history.jsonl").lines()]
    assert lines == [(1, 0.5)]


def test_a_retried_step_follows_the_trainjob_that_runs(asking: Asking) -> None:
    running(asking)

    def followed() -> None:
        until(lambda: any("runs already" in note for note in asking.notes()))
        asking.play()({"metadata": {"name": NAME}})

    during(followed)
    assert asking.started().end == "finished"
    assert len(asking.api.made()) == 1


def running(asking: Asking) -> None:
    """A TrainJob of an earlier attempt of this step, as that made it."""
    asking.api.kubelet = lambda made: asking.api.fail("GET", f"trainjobs/{NAME}$", 403, times=1)
    with pytest.raises(Stop, match="403"):
        asking.started()
    asking.api.kubelet = lambda made: None
    assert NAME in asking.api.trainjobs


def test_the_outcome_of_one_that_is_done_is_taken(asking: Asking) -> None:
    asking.api.kubelet = asking.play("stopped")
    asking.started()
    assert asking.started().end == "stopped"
    assert len(asking.api.made()) == 1


def test_one_that_failed_is_replaced(asking: Asking) -> None:
    asking.api.kubelet = asking.play("failed", "Failed")
    with pytest.raises(Stop):
        asking.started()
    asking.api.kubelet = asking.play()
    assert asking.started().end == "finished"
    assert len(asking.api.made()) == 2
    assert asking.api.deleted == [NAME]


def test_one_that_is_complete_and_told_nothing_is_replaced(asking: Asking) -> None:
    asking.api.kubelet = lambda made: asking.api.end(NAME, "Complete")
    with pytest.raises(Stop, match="it told nothing"):
        asking.started()
    asking.api.kubelet = asking.play()
    assert asking.started().end == "finished"
    assert asking.api.deleted == [NAME]


def test_what_an_earlier_attempt_told_is_not_taken_for_this_ones_word(asking: Asking) -> None:
    asking.tell(0, "finished")
    asking.api.kubelet = lambda made: asking.api.end(NAME, "Failed", "FailedJobs", "jobset failed")
    with pytest.raises(Stop, match="failed: FailedJobs: jobset failed"):
        asking.started()


def test_one_of_other_nodes_that_runs_is_a_stop_and_stays(asking: Asking) -> None:
    running(asking)
    other = asking._replace(job=asking.job.model_copy(update={"params": PARAMS.model_copy(update={"nodes": 4})}))
    with pytest.raises(Stop, match=f"trains the same with other nodes.*kubectl delete trainjob {NAME} -n {NAMESPACE}"):
        other.started()
    assert NAME in asking.api.trainjobs


def test_none_is_asked_for_while_pods_of_an_earlier_one_still_save(asking: Asking) -> None:
    asking.api.pod(NAME, 0)
    asking.api.kubelet = asking.play()
    during(lambda: (until(lambda: any("waits for 1 pods" in note for note in asking.notes())), end_pods(asking))[-1])
    assert asking.started().end == "finished"
    created = [number for number, each in enumerate(asking.api.asked) if each.method == "POST"]
    assert created[0] > 3


def end_pods(asking: Asking) -> None:
    assert asking.api.made() == []
    asking.api.remove_pods(NAME)


def test_pods_of_an_earlier_one_that_have_ended_are_not_waited_for(asking: Asking) -> None:
    asking.api.pod(NAME, 0, "Failed")
    asking.api.pod(NAME, 1, "Succeeded")
    asking.api.kubelet = asking.play()
    assert asking.started().end == "finished"


def test_an_answer_that_is_lost_does_not_make_a_second_one(asking: Asking) -> None:
    """The first attempt reached the cluster."""

    def lost(made: dict[str, Any]) -> None:
        asking.play()(made)
        raise_lost()

    def raise_lost() -> None:
        from kubernetes_api import Refused

        raise Refused(504, "the answer is late")

    asking.api.kubelet = lost
    assert asking.started().end == "finished"
    assert len(asking.api.made()) == 1


# While it trains


def test_the_log_of_the_first_node_is_shown_once(asking: Asking, capsys: pytest.CaptureFixture[str]) -> None:
    def slowly() -> None:
        until(lambda: NAME in asking.api.trainjobs)
        pod = asking.api.pod(NAME, 0)
        for number in range(5):
            asking.api.say(pod, f"line {number}")
            seen = len(asking.api.asked)
            until(lambda seen=seen: len(asking.api.asked) > seen + 6)  # type: ignore[misc]
        asking.play()({"metadata": {"name": NAME}})

    during(slowly)
    asking.started()
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith("node 0: line")]
    assert shown == [f"node 0: line {number}" for number in range(5)]


def test_why_nodes_do_not_run_is_told_once_while_it_waits(asking: Asking) -> None:
    message = "0/5 nodes are available: 5 Insufficient nvidia.com/gpu."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}

    def slowly() -> None:
        until(lambda: NAME in asking.api.trainjobs)
        asking.api.pod(NAME, 0)
        asking.api.pod(NAME, 1, "Pending", conditions=[condition])
        seen = len(asking.api.asked)
        until(lambda: len(asking.api.asked) > seen + 12)
        asking.play()({"metadata": {"name": NAME}})

    during(slowly)
    asking.started()
    notes = asking.notes()
    assert notes.count(f"warning: node 1 ({NAME}-node-0-1-abcde): Unschedulable: {message}") == 1
    assert notes.count("1 of 2 nodes run") == 1
    assert notes.count("2 of 2 nodes run") == 1


@pytest.mark.parametrize("how", [500, 503, 429, "cut"])
def test_an_api_that_is_away_for_a_while_is_asked_again(asking: Asking, how: int | str) -> None:
    asking.api.fail("GET", "pods$", how, times=3)
    asking.api.fail("POST", "trainjobs$", how, times=2)
    asking.api.kubelet = asking.play()
    assert asking.started().end == "finished"
    assert any("It is asked again" in note for note in asking.notes())


def test_an_api_that_stays_away_ends_the_step_and_not_the_training(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "OUTAGE_SECONDS", 0.3)
    asking.api.kubelet = lambda made: asking.api.fail("GET", "trainjobs", 503, times=1000)
    with pytest.raises(Stop, match=r"503: told to fail.*a TrainJob that runs goes on\..*follows the TrainJob"):
        asking.started()
    assert asking.api.deleted == []


def test_a_request_that_gets_no_answer_ends(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medu1.train.cluster.TIMEOUT", (0.2, 0.2))
    asking.api.fail("POST", "trainjobs$", "slow")
    asking.api.kubelet = asking.play()
    assert asking.started().end == "finished"
    assert any("gives no answer" in note for note in asking.notes())


# The end


def test_a_failure_is_told_with_every_nodes_reason_its_pods_and_its_last_words(asking: Asking) -> None:
    def run(made: dict[str, Any]) -> None:
        ended = {"exitCode": 137, "reason": "OOMKilled"}
        status = {
            "name": "node",
            "image": "i",
            "imageID": "i",
            "ready": False,
            "restartCount": 0,
            "state": {"terminated": ended},
        }
        first = asking.api.pod(NAME, 0, "Failed")
        asking.api.pod(NAME, 1, "Failed", containerStatuses=[status])
        asking.api.say(first, "torch: Connection closed by peer")
        asking.tell(0, "failed", message="RuntimeError: Connection closed by peer")
        asking.api.end(NAME, "Failed", "FailedJobs", "jobset failed due to one or more job failures")

    asking.api.kubelet = run
    with pytest.raises(Stop) as stop:
        asking.started()
    told = str(stop.value)
    assert f"The TrainJob {NAME} failed: RuntimeError: Connection closed by peer." in told
    assert "node 1 OOMKilled: exit code 137 (its memory ran out: lower train.micro_batch" in told
    assert "Node 0 said last: torch: Connection closed by peer." in told
    assert "training goes on from the beginning" in told
    assert "\n" not in told


def test_the_reasons_of_several_nodes_are_told_by_node(asking: Asking) -> None:
    def run(made: dict[str, Any]) -> None:
        asking.tell(0, "failed", message="Connection closed")
        asking.tell(1, "failed", message="CUDA out of memory")
        asking.api.end(NAME, "Failed")

    asking.api.kubelet = run
    with pytest.raises(Stop, match="Node 0: Connection closed Node 1: CUDA out of memory"):
        asking.started()


def test_nodes_that_were_told_to_end_are_an_interruption(asking: Asking) -> None:
    asking.api.kubelet = asking.play("interrupted", "Failed")
    outcome = asking.started()
    assert (outcome.end, outcome.step) == ("interrupted", 2)


def test_an_image_that_cannot_be_had_ends_it_after_a_while(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "PULLING_SECONDS", 0.3)
    waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}
    status = {
        "name": "node",
        "image": "i",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": {"waiting": waiting},
    }
    asking.api.kubelet = lambda made: asking.api.pod(NAME, 0, "Pending", containerStatuses=[status])
    with pytest.raises(Stop, match=f"cannot be had: node 0 ImagePullBackOff.*Push {re.escape(IMAGE)}"):
        asking.started()
    assert asking.api.deleted == [NAME]


def test_one_that_a_person_deletes_is_a_stop(asking: Asking) -> None:
    def slowly() -> None:
        until(lambda: NAME in asking.api.trainjobs)
        with asking.api.lock:
            asking.api.trainjobs.clear()

    during(slowly)
    with pytest.raises(Stop, match="was deleted while it trained"):
        asking.started()


def test_sigterm_deletes_the_trainjob_and_waits_for_what_the_pods_save(asking: Asking) -> None:
    asking.api.keeps_pods = True
    asking.api.kubelet = lambda made: [asking.api.pod(NAME, rank) for rank in range(2)]

    def saved(name: str) -> None:
        asking.bucket.upload(empty(), f"{asking.job.key}/step-00000004/checkpoint.json")
        during(lambda: (time.sleep(0.2), asking.api.remove_pods(name))[-1])

    asking.api.on_delete = saved
    during(lambda: (until(lambda: NAME in asking.api.trainjobs), os.kill(os.getpid(), signal.SIGTERM))[-1])
    outcome = asking.started()
    assert (outcome.end, outcome.step, outcome.notes) == ("interrupted", 4, ())
    assert asking.api.deleted == [NAME]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def empty() -> Any:
    from io import BytesIO

    return BytesIO(b"{}")


def test_sigterm_leaves_pods_that_take_longer_to_the_next_attempt(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "CANCEL_SECONDS", 0.3)
    asking.api.keeps_pods = True
    asking.api.kubelet = lambda made: asking.api.pod(NAME, 0)
    during(lambda: (until(lambda: NAME in asking.api.trainjobs), os.kill(os.getpid(), signal.SIGTERM))[-1])
    (note,) = asking.started().notes
    assert note == "warning: 1 nodes are still saving, which the next attempt waits for"


# What is refused


def test_a_token_that_is_not_valid_is_a_stop(asking: Asking, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(asking.api.kubeconfig(tmp_path, token="another")))
    with pytest.raises(Stop, match=r"\(401: Unauthorized\)\. The service account's token is not valid\."):
        asking.started()


def test_an_account_without_rights_is_a_stop_that_names_the_role(asking: Asking) -> None:
    asking.api.fail("POST", "trainjobs$", 403, message="cannot create resource trainjobs")
    with pytest.raises(Stop, match=f"create a TrainJob in namespace {NAMESPACE} .403.*role medu1-trainjobs"):
        asking.started()


def test_a_full_quota_is_a_stop(asking: Asking) -> None:
    asking.api.fail("POST", "trainjobs$", 403, message="exceeded quota: medu1, requested: count/trainjobs=1")
    with pytest.raises(Stop, match="no more to give"):
        asking.started()


def test_what_admission_refuses_is_told_in_its_words(asking: Asking) -> None:
    denied = 'admission webhook "validator" denied the request: numNodes is too high'
    asking.api.fail("POST", "trainjobs$", 403, message=denied)
    with pytest.raises(Stop, match=r"numNodes is too high.*Correct the placement"):
        asking.started()


def test_a_cluster_without_kubeflow_trainer_is_a_stop(asking: Asking) -> None:
    asking.api.has_trainer = False
    with pytest.raises(Stop, match="Kubeflow Trainer v2 is not installed there"):
        asking.started()


def test_a_runtime_that_is_not_there_is_a_stop(asking: Asking) -> None:
    asking.api.runtimes.clear()
    with pytest.raises(Stop, match=r"read the training runtime medu1-torch .*Apply deploy/trainer/runtime\.yaml"):
        asking.started()
    assert asking.api.made() == []


def test_a_runtime_of_the_cluster_serves_too(asking: Asking) -> None:
    asking.api.runtimes["medu1-torch"]["kind"] = "ClusterTrainingRuntime"
    asking.api.kubelet = asking.play()
    asking.started()
    (body,) = asking.api.made()
    assert body["spec"]["runtimeRef"]["kind"] == "ClusterTrainingRuntime"


def test_a_runtime_without_the_label_the_sdk_needs_is_a_stop(asking: Asking) -> None:
    asking.api.runtimes["medu1-torch"]["metadata"]["labels"] = {}
    with pytest.raises(Stop, match=r"must have trainer\.kubeflow\.org/framework label"):
        asking.started()


def test_without_a_cluster_it_is_a_stop(asking: Asking, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(Stop, match="No cluster is to be had"):
        asking.started()


# Plan and parameters


@pytest.fixture
def placed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Train, int, str], TrainJobPlan | None]:
    def planned(params: Train, nodes: int, store: str) -> TrainJobPlan | None:
        monkeypatch.delenv(TRAINJOB, raising=False)
        if nodes > 1:
            monkeypatch.setenv(TRAINJOB, PLAN.model_copy(update={"nodes": nodes}).canonical())
        return trainjob.planned(params, Workspace(home=Path("h"), run="r", tracking_uri="", store=store))

    return planned


@pytest.mark.parametrize(
    ("nodes", "given", "told"),
    [
        (2, 1, r"train\.nodes is 2, and the placement gives the training 1\..*compile with a placement of 2 nodes"),
        (2, 4, r"train\.nodes is 2, and the placement gives the training 4\..*Set train\.nodes to 4"),
        (1, 2, r"train\.nodes is 1, and the placement gives the training 2\."),
    ],
)
def test_nodes_that_placement_and_parameters_do_not_share_are_a_stop(
    placed: Callable[[Train, int, str], Any], nodes: int, given: int, told: str
) -> None:
    with pytest.raises(Stop, match=told):
        placed(PARAMS.model_copy(update={"nodes": nodes}), given, "s3://bucket")


def test_nodes_without_an_object_store_are_a_stop(placed: Callable[[Train, int, str], Any]) -> None:
    with pytest.raises(Stop, match=r"MEDU1_STORE is not set\. Nodes share no disk"):
        placed(TWO, 2, "")


def test_one_node_needs_neither(placed: Callable[[Train, int, str], Any]) -> None:
    assert placed(PARAMS, 1, "") is None
    assert placed(TWO, 2, "s3://bucket") == PLAN


def test_a_plan_that_cannot_be_read_is_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TRAINJOB, '{"nodes": 2}')
    with pytest.raises(Stop, match="image"):
        trainjob.planned(TWO, Workspace(home=Path("h"), run="r", tracking_uri="", store="s3://b"))


def test_a_batch_that_all_processes_of_all_nodes_cannot_share_is_refused() -> None:
    section = {**TWO.model_dump(mode="json"), "processes": 2, "prompts_per_step": 6}
    with pytest.raises(ValueError, match=r"does not divide among 4 processes on 2 nodes.*the nearest that does is 8"):
        Train.model_validate(section)


@pytest.mark.parametrize("sharding", ["zero2", "zero3"])
def test_a_sharding_that_leaves_parts_on_every_node_is_refused(sharding: str) -> None:
    with pytest.raises(ValueError, match="set sharding to fsdp or none, or nodes to 1"):
        Train.model_validate({**TWO.model_dump(mode="json"), "sharding": sharding})


def test_nodes_are_no_part_of_the_fingerprint_and_processes_in_all_are_of_an_exact_resume() -> None:
    from medu1.train import step

    def shared(nodes: int, processes: int) -> dict[str, str]:
        divided = PARAMS.model_copy(update={"nodes": nodes, "processes": processes})
        return step._configuration(divided, DEFAULT_SCORING, {}, "code")

    assert "nodes" in step.PLACEMENT
    assert shared(2, 1) == shared(1, 2)
    assert shared(2, 2) != shared(1, 2)


def test_the_name_is_a_dns_label_with_room_for_its_pods() -> None:
    name = trainjob.name(FINGERPRINT)
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name)
    assert len(f"{name}-node-0-999-abcde") <= 63


# The runtime that ships


def runtime() -> Any:
    return yaml.safe_load(RUNTIME.read_text(encoding="utf-8"))


def test_the_shipped_runtime_says_nothing_the_api_does_not_know() -> None:
    from kubeflow_trainer_api.models import TrainerV1alpha1TrainingRuntime as TrainingRuntime

    read = TrainingRuntime.from_dict(runtime())
    assert read is not None
    assert json.loads(read.to_json()) == runtime()


def test_its_pods_have_shared_memory_time_to_save_and_the_container_that_trainer_looks_for() -> None:
    from medu1.train.grpo import ONLY_HASTE_SECONDS
    from medu1.train.launch import SHUTDOWN_SECONDS
    from medu1.train.relay import ENDING_SECONDS

    (job,) = runtime()["spec"]["template"]["spec"]["replicatedJobs"]
    pod = job["template"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert job["name"] == container["name"] == "node"
    assert job["template"]["metadata"]["labels"] == {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}
    assert {"name": "shm", "mountPath": "/dev/shm"} in container["volumeMounts"]
    assert pod["volumes"][0]["emptyDir"]["medium"] == "Memory"
    assert ONLY_HASTE_SECONDS < SHUTDOWN_SECONDS
    assert pod["terminationGracePeriodSeconds"] >= SHUTDOWN_SECONDS + 2 * ENDING_SECONDS
    assert "env" not in container
    assert re.fullmatch(r"\S+@sha256:[0-9a-f]{64}", container["image"])
