"""TrainJobs and their pods in one namespace, by the Kubeflow SDK and the Kubernetes client it holds.

The SDK creates and deletes; what it leaves out (conditions, why a pod waits, logs from a moment on) is read through its
own client. Every request has an end: neither library sets a time limit of its own.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from json import JSONDecodeError, loads
from typing import Any, Final, NamedTuple

from medu1.errors import Stop
from medu1.train.pods import Pod, read

SDK_LOG: Final = logging.getLogger("kubeflow.trainer.backends.kubernetes.backend")
GROUP: Final = ("trainer.kubeflow.org", "v1alpha1")
PLURAL: Final = "trainjobs"
CONTAINER: Final = "node"  # of the pods and of the runtime's replicated job, by which Kubeflow Trainer knows them
OF_JOB: Final = "jobset.sigs.k8s.io/jobset-name"  # label of a TrainJob's pods
TIMEOUT: Final = (10.0, 30.0)  # seconds to connect, and of silence
LOG_BYTES: Final = 256 * 2**10  # of one look


class Passing(Exception):
    """The cluster does not answer, or answers that it cannot now; it may later."""


class Taken(Exception):
    """There is a TrainJob of this name already."""


class Standing(NamedTuple):
    """A TrainJob as the cluster has it."""

    end: str  # Complete, Failed or ""
    reason: str  # of a failure, in the cluster's words
    is_suspended: bool
    is_leaving: bool  # it is deleted, and not gone yet
    labels: Mapping[str, str]


class Cluster:
    """One namespace. Methods raise Stop where a person can mend the cause, and Passing where time may."""

    def __init__(self, config: str | None = None) -> None:
        """The pod's own service account, or the current context of a kubeconfig file where one is named."""
        from kubeflow.trainer import KubernetesBackendConfig, TrainerClient
        from kubernetes.config import ConfigException

        SDK_LOG.setLevel(logging.ERROR)  # it warns where it may not read the Trainer's version, a right nobody needs
        try:
            self._sdk = TrainerClient(KubernetesBackendConfig(config_file=config, namespace=_namespace(config)))
        except ConfigException as error:
            raise Stop(
                f"No cluster is to be had: {error}.",
                "A TrainJob is asked for with the service account of the step's pod, or with KUBECONFIG.",
                "Run the chain on a cluster (medu1 submit), or set train.nodes to 1.",
            ) from None
        backend: Any = self._sdk.backend
        self.namespace, self._jobs, self._core = str(backend.namespace), backend.custom_api, backend.core_api
        _limit(self._core.api_client)

    def find(self, name: str) -> Standing | None:
        """A TrainJob; None where there is none of this name."""
        from kubernetes.client import ApiException

        with self._telling(f"read the TrainJob {name}"):
            try:
                found = self._jobs.get_namespaced_custom_object(*GROUP, self.namespace, PLURAL, name)
            except ApiException as error:
                if error.status == 404 and _details(error).get("name") == name:
                    return None
                raise
        return _standing(found)

    def create(self, runtime: str, trainer: Any, options: Sequence[Any]) -> None:
        """Ask for a TrainJob. Raises Taken where its name is."""
        with self._telling(f"read the training runtime {runtime}"):
            known = self._sdk.get_runtime(runtime)
        with self._telling("create a TrainJob"):
            self._sdk.train(runtime=known, trainer=trainer, options=list(options))

    def delete(self, name: str) -> None:
        """Delete a TrainJob; its pods get SIGTERM. One that is not there is fine."""
        with self._telling(f"delete the TrainJob {name}"):
            try:
                self._sdk.delete_job(name)
            except Exception as error:
                if getattr(_cause(error), "status", 0) != 404:
                    raise

    def pods(self, name: str) -> list[Pod]:
        """The newest pod of each node, by rank."""
        with self._telling(f"list the pods of the TrainJob {name}"):
            found = self._core.list_namespaced_pod(self.namespace, label_selector=f"{OF_JOB}={name}").items
        pods = {pod.rank: pod for pod in sorted(map(read, found), key=lambda pod: pod.created)}
        return [pods[rank] for rank in sorted(pods)]

    def log(self, pod: str, *, seconds: int | None = None, lines: int | None = None) -> list[str]:
        """Lines of a pod's log, each after its time: of the last seconds, or the last so many; none before it runs."""
        limits = {"since_seconds": seconds, "tail_lines": lines, "limit_bytes": LOG_BYTES}
        given = {name: value for name, value in limits.items() if value is not None}
        with self._telling(f"read the log of the pod {pod}", gone=True):
            answer = self._core.read_namespaced_pod_log(
                pod, self.namespace, container=CONTAINER, timestamps=True, _preload_content=False, **given
            )
            return str(answer.data.decode("utf-8", "replace")).splitlines()
        return []

    @contextmanager
    def _telling(self, act: str, gone: bool = False) -> Iterator[None]:
        """Turns what both libraries raise into Stop, Passing or Taken; `gone` passes over what is not there (yet)."""
        try:
            yield
        except Exception as error:
            if gone and getattr(_cause(error), "status", 0) in (400, 404):
                return
            raise _told(error, act, self.namespace) from None


def _namespace(config: str | None) -> str | None:
    """Of a file's current context, where the SDK looks into another file; None: that of the pod."""
    from kubernetes.config import list_kube_config_contexts

    if config is None:
        return None
    _, current = list_kube_config_contexts(config_file=config)
    return str(current["context"].get("namespace", "default"))


def _limit(client: Any) -> None:
    """Give every request of a Kubernetes client a time limit: its own default is none."""
    request = client.request

    def limited(*arguments: Any, _request_timeout: Any = None, **named: Any) -> Any:
        return request(*arguments, _request_timeout=_request_timeout or TIMEOUT, **named)

    client.request = limited


def _standing(found: Mapping[str, Any]) -> Standing:
    conditions = [each for each in found.get("status", {}).get("conditions") or () if each.get("status") == "True"]
    held = {each["type"]: each for each in conditions}
    end = next((each for each in ("Complete", "Failed") if each in held), "")
    told = held.get("Failed", {})
    return Standing(
        end=end,
        reason=": ".join(part for part in (told.get("reason"), told.get("message")) if part),
        is_suspended=bool(found.get("spec", {}).get("suspend")),
        is_leaving="deletionTimestamp" in found["metadata"],
        labels=found["metadata"].get("labels") or {},
    )


def _cause(error: BaseException) -> BaseException:
    """What the SDK's RuntimeError is about."""
    while isinstance(error, RuntimeError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _details(error: Any) -> Mapping[str, Any]:
    """What an answer of the API is about; empty where it is no Status of Kubernetes."""
    found = _status(error).get("details")
    return found if isinstance(found, dict) else {}


def _status(error: Any) -> Mapping[str, Any]:
    try:
        found = loads(error.body or "")
    except (TypeError, JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def _told(error: Exception, act: str, namespace: str) -> Exception:
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    cause = _cause(error)
    if isinstance(cause, ApiException):
        return _answered(cause, act, namespace)
    if isinstance(cause, HTTPError | OSError):
        return Passing(f"The cluster's API gives no answer: {type(cause).__name__}: {cause}.")
    if isinstance(error, Stop | Passing | Taken):
        return error
    return Stop(
        f"The step may not go on: to {act} fails with {cause}.",
        "The Kubeflow SDK and the cluster's Kubeflow Trainer do not fit together, or the runtime is incomplete.",
        "Apply deploy/trainer/runtime.yaml, and compare the Trainer's version with the README's.",
    )


def _answered(error: Any, act: str, namespace: str) -> Exception:
    """The error of an API that answers."""
    said = str(_status(error).get("message") or error.reason or "no reason").strip().rstrip(".")
    fact = f"The cluster refuses to {act} in namespace {namespace} ({error.status}: {said})."
    match error.status:
        case 409:
            return Taken(fact)
        case 429 | 500 | 502 | 503 | 504:
            return Passing(fact)
        case 401:
            return Stop(fact, "The service account's token is not valid.", "Give the step's pod a valid one.")
        case 403 if "exceeded quota" in said:
            return Stop(fact, "The namespace has no more to give.", "Wait for other TrainJobs, or raise the quota.")
        case 403 if "admission webhook" not in said:
            return Stop(
                fact,
                "The service account of the step may not.",
                "Bind it to the role medu1-trainjobs of deploy/, or one like it.",
            )
        case 404 if "runtime" in act:
            return Stop(
                fact,
                "Neither the namespace nor the cluster has a runtime of this name.",
                "Apply deploy/trainer/runtime.yaml, or name another one in the placement.",
            )
        case 404:
            return Stop(
                fact,
                "Kubeflow Trainer v2 is not installed there, or there is no such namespace.",
                "Install it, or set train.nodes to 1.",
            )
    return Stop(
        fact,
        "The TrainJob, or what the placement asks for, is not what this cluster takes.",
        "Correct the placement in params.yaml, and compile and submit again.",
    )
