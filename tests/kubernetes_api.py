"""A Kubernetes API on loopback, over real HTTP: TrainJobs of Kubeflow Trainer, their runtimes, pods and logs.

Bodies are read by the models of `kubeflow_trainer_api`, and refused as Trainer's admission does where they say more
than these know, or patch variables into a reserved container. It keeps state, and can be told to fail. Nothing runs
here unless `kubelet` does: it is called with each TrainJob that is made.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

RUNTIME = Path(__file__).parents[1] / "deploy" / "trainer" / "runtime.yaml"
NAMESPACE, TOKEN = "medu1-runs", "a-service-accounts-token"
TRAINER = "/apis/trainer.kubeflow.org/v1alpha1"
NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")  # RFC 1035, as the TrainJob's own rule has it
RESERVED = {"node", "dataset-initializer", "model-initializer"}
SLOW_SECONDS = 3.0


class Asked(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    body: Any


class Refused(Exception):
    """An answer other than 200, with the API's words; `details` name what it is about."""

    def __init__(self, code: int, message: str, details: Mapping[str, str] | None = None) -> None:
        self.code, self.message, self.details = code, message, details
        super().__init__(message)


class KubernetesApi:
    """The state of a namespace, and the server that answers for it."""

    def __init__(self) -> None:
        self.trainjobs: dict[str, dict[str, Any]] = {}
        self.runtimes: dict[str, dict[str, Any]] = {}
        self.pods: dict[str, dict[str, Any]] = {}
        self.logs: dict[str, list[str]] = {}
        self.asked: list[Asked] = []
        self.deleted: list[str] = []
        self.has_trainer = True  # its custom resources are installed
        self.keeps_pods = False  # a deleted TrainJob's pods take their time
        self.kubelet: Callable[[dict[str, Any]], object] = lambda trainjob: None
        self.on_delete: Callable[[str], object] = lambda name: None
        self._faults: list[list[Any]] = []
        self.lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def kubeconfig(self, folder: Path, token: str = TOKEN) -> Path:
        """A file by which a client finds this server and its namespace."""
        path = folder / "kubeconfig"
        context = {"cluster": "loopback", "user": "step", "namespace": NAMESPACE}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "loopback", "cluster": {"server": self.url}}],
            "users": [{"name": "step", "user": {"token": token}}],
            "contexts": [{"name": "loopback", "context": context}],
            "current-context": "loopback",
        }
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        return path

    # What a test says

    def fail(self, method: str, path: str, how: int | str, times: int = 1, message: str = "told to fail") -> None:
        """The next requests like this: a status, `slow` (no answer in time) or `cut` (no answer at all)."""
        self._faults.append([method, re.compile(path), how, times, message])

    def install(self, runtime: Mapping[str, Any]) -> None:
        """A runtime of the namespace."""
        self.runtimes[runtime["metadata"]["name"]] = dict(runtime)

    def pod(self, trainjob: str, rank: int, phase: str = "Running", **status: Any) -> str:
        """Make or change a node's pod; its name."""
        name = f"{trainjob}-node-0-{rank}-abcde"
        labels = {
            "jobset.sigs.k8s.io/jobset-name": trainjob,
            "jobset.sigs.k8s.io/replicatedjob-name": "node",
            "batch.kubernetes.io/job-completion-index": str(rank),
        }
        with self.lock:
            created = self.pods.get(name, {}).get("metadata", {}).get("creationTimestamp", _now())
            self.pods[name] = {
                "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels, "creationTimestamp": created},
                "spec": {"containers": [{"name": "node", "image": "i"}]},
                "status": {"phase": phase, **status},
            }
        return name

    def say(self, pod: str, line: str) -> None:
        """Add a line to a pod's log."""
        now = datetime.now(UTC)
        with self.lock:
            count = len(self.logs.setdefault(pod, []))
            self.logs[pod].append(f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond:06d}{count % 1000:03d}Z {line}")

    def end(self, trainjob: str, how: str, reason: str = "", message: str = "") -> None:
        """A TrainJob is Complete or Failed."""
        condition = {
            "type": how,
            "status": "True",
            "reason": reason or "JobSetDone",
            "message": message,
            "lastTransitionTime": _now(),
        }
        with self.lock:
            if trainjob in self.trainjobs:
                self.trainjobs[trainjob]["status"] = {"conditions": [condition]}

    def remove_pods(self, trainjob: str) -> None:
        with self.lock:
            for name in [name for name in self.pods if name.startswith(f"{trainjob}-node-")]:
                del self.pods[name]

    def made(self) -> list[dict[str, Any]]:
        """The bodies of the TrainJobs that were asked for."""
        return [each.body for each in self.asked if each.method == "POST"]

    # What it answers

    def answer(self, asked: Asked) -> Any:
        """An object, or the text of a log. Raises Refused."""
        namespaced = f"{TRAINER}/namespaces/{NAMESPACE}"
        if asked.path.startswith(TRAINER) and not self.has_trainer:
            raise Refused(404, "404 page not found")
        if asked.path == f"{namespaced}/trainjobs" and asked.method == "POST":
            return self._create(asked.body)
        if found := re.fullmatch(f"{namespaced}/trainjobs/([^/]+)", asked.path):
            return self._trainjob(asked.method, found[1])
        if found := re.fullmatch(
            f"({namespaced}/trainingruntimes|{TRAINER}/clustertrainingruntimes)/([^/]+)", asked.path
        ):
            kind = "TrainingRuntime" if "namespaces" in found[1] else "ClusterTrainingRuntime"
            held = self.runtimes.get(found[2])
            if held is None or held["kind"] != kind:
                raise _absent(found[1].rsplit("/", 1)[1], found[2])
            return held
        if asked.path == f"/api/v1/namespaces/{NAMESPACE}/pods":
            label, _, value = asked.query["labelSelector"].partition("=")
            items = [pod for pod in self.pods.values() if pod["metadata"]["labels"].get(label) == value]
            return {"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": items}
        if found := re.fullmatch(f"/api/v1/namespaces/{NAMESPACE}/pods/([^/]+)/log", asked.path):
            return self._log(found[1], asked.query)
        raise Refused(403, f"{asked.path} is forbidden: the service account has no role there")

    def _create(self, body: Any) -> Any:
        refuse(body)
        name = body["metadata"]["name"]
        if name in self.trainjobs:
            details = {"name": name, "kind": "trainjobs"}
            raise Refused(409, f'trainjobs.trainer.kubeflow.org "{name}" already exists', details)
        given = {"namespace": NAMESPACE, "uid": f"uid-{len(self.asked)}", "creationTimestamp": _now()}
        made = {**body, "metadata": {**body["metadata"], **given}, "spec": {"suspend": False, **body["spec"]}}
        self.trainjobs[name] = made
        self.kubelet(made)
        return made

    def _trainjob(self, method: str, name: str) -> Any:
        if name not in self.trainjobs:
            raise _absent("trainjobs", name)
        if method == "GET":
            return self.trainjobs[name]
        assert method == "DELETE", method
        del self.trainjobs[name]
        self.deleted.append(name)
        if not self.keeps_pods:
            self.remove_pods(name)
        self.on_delete(name)
        return {"kind": "Status", "status": "Success"}

    def _log(self, pod: str, query: Mapping[str, str]) -> str:
        if pod not in self.pods:
            raise _absent("pods", pod)
        assert query["container"] == "node"
        assert query["timestamps"] == "True"
        lines = self.logs.get(pod, [])[-int(query.get("tailLines", 10**6)) :]
        if "sinceSeconds" in query:
            oldest = datetime.fromtimestamp(time.time() - int(query["sinceSeconds"]), UTC).strftime("%Y-%m-%dT%H:%M:%S")
            lines = [line for line in lines if line[:19] >= oldest]
        return "".join(f"{line}\n" for line in lines)[: int(query["limitBytes"])]

    def fault(self, method: str, path: str) -> Any:
        """What the next request like this gets in place of its answer; None: its answer."""
        for fault in self._faults:
            if fault[0] == method and fault[1].search(path) and fault[3]:
                fault[3] -= 1
                return fault[2], fault[4]
        return None


def refuse(body: Any) -> None:
    """Raises Refused as the API server does for what its schema lacks, and Trainer's admission for what it forbids."""
    from kubeflow_trainer_api.models import TrainerV1alpha1TrainJob as TrainJob

    read = TrainJob.from_dict(body)
    assert read is not None
    if json.loads(read.to_json()) != body:
        raise Refused(422, "TrainJob is invalid: it has fields that are unknown or have no value")
    name = body["metadata"]["name"]
    if not NAME.fullmatch(name) or len(name) > 63:
        raise Refused(422, f"TrainJob {name!r} is invalid: metadata.name must match RFC 1035 DNS label format")
    for patch in body["spec"].get("runtimePatches", ()):
        for job in patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]:
            for container in job["template"]["spec"]["template"]["spec"].get("containers", ()):
                if container["name"] in RESERVED and container.get("env"):
                    webhook = 'admission webhook "validator.trainjob.trainer.kubeflow.org" denied the request'
                    raise Refused(403, f"{webhook}: must not have envs for the {container['name']} container")


def _absent(kind: str, name: str) -> Refused:
    return Refused(404, f'{kind} "{name}" not found', {"name": name, "kind": kind})


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _handler(api: KubernetesApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        do_POST = do_DELETE = do_GET

        def _answer(self) -> None:
            parts = urlsplit(self.path)
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            asked = Asked(self.command, parts.path, query, json.loads(content) if content else None)
            try:
                with api.lock:
                    api.asked.append(asked)
                    fault = api.fault(self.command, parts.path)
                    self._check(fault)
                    found = api.answer(asked)
            except Refused as refused:
                self._refuse(refused)
            else:
                text = isinstance(found, str)
                self._send(201 if self.command == "POST" else 200, found if text else json.dumps(found), text)

        def _check(self, fault: Any) -> None:
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                raise Refused(401, "Unauthorized")
            if isinstance(fault and fault[0], int):
                raise Refused(fault[0], fault[1])
            if fault and fault[0] == "slow":
                time.sleep(SLOW_SECONDS)
            if fault and fault[0] == "cut":
                self.connection.close()
                raise Refused(500, "cut")

        def _refuse(self, refused: Refused) -> None:
            status = {
                "kind": "Status",
                "apiVersion": "v1",
                "status": "Failure",
                "message": refused.message,
                "code": refused.code,
                **({"details": refused.details} if refused.details else {}),
            }
            is_plain = refused.message == "404 page not found"
            self._send(refused.code, refused.message if is_plain else json.dumps(status), is_plain)

        def _send(self, code: int, content: str, is_text: bool) -> None:
            body = content.encode()
            try:
                self.send_response(code)
                self.send_header("Content-Type", "text/plain" if is_text else "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except (OSError, ValueError):
                self.close_connection = True  # the client did not wait

        def log_message(self, *_: object) -> None:
            """Silent."""

    return Handler


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubernetesApi]:
    """A running API with the shipped runtime; the environment's kubeconfig names it, and looks are quick."""
    api = KubernetesApi()
    api.install(yaml.safe_load(RUNTIME.read_text(encoding="utf-8")))
    api.start()
    monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig(tmp_path)))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("medu1.train.fleet.POLL_SECONDS", 0.05)
    yield api
    api.stop()
