"""MLflow runs: one parent a pipeline run, one child a step, found again by the tag `medu1.run`.

Every call goes through a client with an explicit run id; MLflow's fluent state would let MLFLOW_RUN_ID in the
environment turn a child silently into its parent. Where KFP's own backend has opened a run for the task, that run is
used.

The registered models of the same server are `Tracking.models`.
"""

import os
import re
import socket
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from medu1.errors import Stop
from medu1.registered_models import RETRIES, RegisteredModels
from medu1.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as Run  # of the trees that are given to others

Status = Literal["FINISHED", "FAILED", "KILLED"]
LONGEST_PARAM = 6000  # characters MLflow keeps
PARAMS = 100  # that MLflow takes in one call
LONGEST_LIST = 7000  # characters of the tag that lists a run's tables; of more than 8,000 MLflow cuts off the end
HEALTH_SECONDS = 5.0
REQUEST_SECONDS = "30"  # instead of MLflow's 120

KIND = {"mlflow.experimentKind": "custom_model_development"}  # tag: the UI opens on runs and their metrics
RUN, STEP, LAUNCHER, PARENT = "medu1.run", "medu1.step", "medu1.launcher", "mlflow.parentRunId"
FROZEN, JUDGED = "medu1.frozen", "medu1.judged"  # tags of a decision: the frozen questions, what was judged on them


class Point(NamedTuple):
    """One value of one metric."""

    name: str
    step: int
    time: int  # milliseconds since the epoch
    value: float


class Tracking:
    """The runs of one pipeline run. Raises Stop where the tracking server does not answer, or not to this user."""

    def __init__(self, workspace: Workspace, check: bool = True) -> None:
        self.workspace = workspace
        if check:
            self.check()

    def check(self) -> None:
        """Raises Stop where the tracking server does not answer within seconds, or does not take who asks.

        A database file always does. A server tells anyone that it is healthy, so one small question follows.
        """
        from mlflow.exceptions import MlflowException

        if not self.is_served:
            return
        _check_server(self.workspace.tracking_uri)
        try:
            self.client.search_experiments(max_results=1)
        except MlflowException as error:
            if stop := refused(error):  # any other failure is for whoever asks more of the server to explain
                raise stop from error

    @property
    def is_served(self) -> bool:
        """Whether a server stands before the database."""
        return self.workspace.tracking_uri.startswith(("http://", "https://"))

    def background(self) -> "Tracking":
        """The same runs through a client of its own, for another thread; made whether the server answers or not."""
        return Tracking(self.workspace, check=False)

    @cached_property
    def client(self) -> "MlflowClient":
        """The client of the tracking server or the database file."""
        os.environ.setdefault(RETRIES, "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", REQUEST_SECONDS)
        os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        path = self.workspace.tracking_uri.removeprefix("sqlite:///")
        if path != self.workspace.tracking_uri:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        try:
            return MlflowClient(self.workspace.tracking_uri, self.workspace.tracking_uri)
        except MlflowException as error:
            raise Stop(
                f"The MLflow store {self.workspace.tracking_uri} cannot be opened.",
                str(error),
                "Correct MLFLOW_TRACKING_URI, or unset it to use the database under the home folder.",
            ) from error

    @cached_property
    def models(self) -> RegisteredModels:
        """The registered models there."""
        return RegisteredModels(self.client)

    @cached_property
    def experiment_id(self) -> str:
        """The experiment of this workspace, created where absent; a local one keeps its artifacts under the home."""
        from mlflow.exceptions import MlflowException

        if found := self.client.get_experiment_by_name(self.workspace.experiment):
            return str(found.experiment_id)
        local = self.workspace.tracking_uri.startswith("sqlite:")
        place = (self.workspace.home / "artifacts").as_uri() if local else None
        try:
            return str(self.client.create_experiment(self.workspace.experiment, place, KIND))
        except MlflowException:  # another process was faster
            found = self.client.get_experiment_by_name(self.workspace.experiment)
            if found is None:
                raise
            return str(found.experiment_id)

    def parent(self) -> str:
        """The run id of the pipeline run's parent, created where absent."""
        found = [run for run in self.tree() if STEP not in run.data.tags]
        return str(found[0].info.run_id) if found else self._create(f"run {self.workspace.run}", {})

    def begin(self) -> None:
        """Write what every step writes first: the parent, or tags on the run KFP's backend opened. Raises MLflow's."""
        if given := os.environ.get("MLFLOW_RUN_ID"):
            self.tags(given, self._tags({}))
        else:
            self.parent()

    def child(self, step: str, is_phase: bool = False) -> str:
        """A new run for one step, or the run KFP's backend opened for its task; a phase of that task has its own."""
        given = os.environ.get("MLFLOW_RUN_ID")
        if given and is_phase:
            return self._create(step, {STEP: step, PARENT: given})
        if given:
            for key, value in self._tags({STEP: step}).items():
                self.client.set_tag(given, key, value)
            return given
        return self._create(step, {STEP: step, PARENT: self.parent()})

    def tree(self) -> list["Run"]:
        """Every run of this pipeline run, newest first."""
        return self._search(f"tags.`{RUN}` = '{self.workspace.run}'")

    def orphans(self) -> list["Run"]:
        """Runs medu1 left open whose launcher on this host is gone."""
        running = self._search(f"attributes.status = 'RUNNING' AND tags.`{LAUNCHER}` != ''")
        return [run for run in running if launcher_is_gone(run.data.tags.get(LAUNCHER, ""))]

    def decided(self, frozen: str) -> list[str]:
        """What was judged so far on these frozen questions, by its tag, each once, oldest first."""
        runs = self._search(f"tags.`{STEP}` = 'decide' AND tags.`{FROZEN}` = '{frozen}'")
        return list(dict.fromkeys(run.data.tags[JUDGED] for run in reversed(runs)))

    def _search(self, query: str) -> list["Run"]:
        return list(self.client.search_runs([self.experiment_id], query, max_results=1000))

    def _create(self, name: str, tags: Mapping[str, str]) -> str:
        run = self.client.create_run(self.experiment_id, run_name=name, tags=self._tags(tags))
        return str(run.info.run_id)

    def _tags(self, tags: Mapping[str, str]) -> dict[str, str]:
        commit = self.workspace.commit + ("-dirty" if self.workspace.dirty else "")
        known = {
            **{RUN: self.workspace.run, LAUNCHER: self.workspace.launcher, "medu1.commit": commit},
            **{"mlflow.source.name": "medu1", "mlflow.source.git.commit": self.workspace.commit},
        }
        return {key: value for key, value in {**known, **tags}.items() if value}

    def params(self, run: str, params: Mapping[str, Any], known: Collection[str] = ()) -> None:
        """Log parameters flat, with dotted names, but those whose names are known."""
        from mlflow.entities import Param

        flat = [Param(key, str(value)[:LONGEST_PARAM]) for key, value in _flat(params).items() if key not in known]
        for start in range(0, len(flat), PARAMS):
            self.client.log_batch(run, params=flat[start : start + PARAMS])

    def further_params(self, run: str, params: Mapping[str, Any]) -> None:
        """Log those that the run does not have yet: MLflow lets none change."""
        self.params(run, params, self.client.get_run(run).data.params)

    def metrics(self, run: str, metrics: Mapping[str, float], step: int = 0) -> None:
        """Log metrics of one step."""
        from mlflow.entities import Metric
        from mlflow.utils.time import get_current_time_millis

        now = get_current_time_millis()
        self.client.log_batch(run, metrics=[Metric(key, float(value), now, step) for key, value in metrics.items()])

    def points(self, run: str, points: Sequence[Point]) -> None:
        """Log up to 1,000 values in one call, each with its own step and time. The same value twice is one row."""
        from mlflow.entities import Metric

        metrics = [Metric(point.name, point.value, point.time, point.step) for point in points]
        self.client.log_batch(run, metrics=metrics)

    def held(self, run: str) -> dict[str, set[int]]:
        """The steps a run holds of each metric; one call a metric, so for a start rather than for every step."""
        names = self.client.get_run(run).data.metrics
        return {name: {metric.step for metric in self.client.get_metric_history(run, name)} for name in names}

    def latest(self, run: str) -> dict[str, Point]:
        """A run's value of the highest step of each metric, in one call."""
        metrics = self.client.get_run(run).data.to_proto().metrics
        return {each.key: Point(each.key, each.step, each.timestamp, each.value) for each in metrics}

    def files(self, run: str, folder: str) -> set[str]:
        """The names of the files in a folder of a run's artifacts."""
        return {file.path.rpartition("/")[2] for file in self.client.list_artifacts(run, folder)}

    def tags(self, run: str, tags: Mapping[str, str]) -> None:
        """Set tags."""
        for key, value in tags.items():
            self.client.set_tag(run, key, value)

    def dataset(self, run: str, name: str, digest: str, source: str, rows: Mapping[str, int], context: str) -> None:
        """Record a dataset as the run's input; MLflow keeps 36 characters of a digest."""
        import json

        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(name, digest[:36], "local", json.dumps({"uri": source}), profile=json.dumps(dict(rows)))
        self.client.log_inputs(run, [DatasetInput(dataset, [InputTag("mlflow.data.context", context)])])

    def table(self, run: str, name: str, columns: Mapping[str, Sequence[object]]) -> None:
        """A table the MLflow UI shows, by column."""
        self.client.log_table(run, {key: list(values) for key, values in columns.items()}, name)

    def table_file(self, run: str, folder: str, path: Path) -> None:
        """A table from a file that holds it as MLflow stores one (`{"columns": [...], "data": [[...]]}`).

        MLflow's own `log_table` appends to a table of that name, so that a repeated call doubles its rows, and it fails
        from the 133rd such table on, when the tag that lists them is cut off. Here a repeated call changes nothing, and
        the tag lists the newest; the file, which says that all is done, comes last.
        """
        import json

        from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_ARTIFACTS

        entry = {"path": f"{folder}/{path.name}", "type": "table"}
        listed = json.loads(self.client.get_run(run).data.tags.get(MLFLOW_LOGGED_ARTIFACTS, "[]"))
        if entry not in listed:
            listed.append(entry)
            while len(json.dumps(listed)) > LONGEST_LIST:
                listed.pop(0)
            self.client.set_tag(run, MLFLOW_LOGGED_ARTIFACTS, json.dumps(listed))
        self.client.log_artifact(run, str(path), folder)

    def artifact(self, run: str, path: Path) -> None:
        """Upload one file."""
        self.client.log_artifact(run, str(path))

    def close(self, run: str, status: Status) -> None:
        """End a run."""
        self.client.set_terminated(run, status)


def launcher(pid: int | None = None) -> str:
    """This process, or another of this host, as `host pid start`: a reused process id is not mistaken for it."""
    pid = pid or os.getpid()
    return f"{socket.gethostname()} {pid} {_started(pid)}"


def launcher_is_gone(tag: str) -> bool:
    """Whether the launcher ran on this host and no longer does; another host's is left alone."""
    host, pid, started = [*tag.split(), "", "", ""][:3]
    return host == socket.gethostname() and _started(int(pid or 0)) != started


def _started(pid: int) -> str:
    """Clock ticks from boot to the process's start, "-" where there is no such process (proc(5), field 22)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return "-"


def refused(error: BaseException) -> Stop | None:
    """What a person can do where a server does not take who asks, or does not let them; None for any other error."""
    code, name = getattr(error, "error_code", None), os.environ.get("MLFLOW_TRACKING_USERNAME")
    user = f"the user {name}" if name else "a user without a name"
    if code in ("UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"):
        return Stop(
            f"The MLflow tracking server does not take {user}.",
            "It asks for a user and a password, and these are missing or wrong.",
            "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.",
        )
    if code == "PERMISSION_DENIED":
        return Stop(
            f"The MLflow tracking server does not let {user} do this ({_endpoint(error)}).",
            "A run writes to the experiment and to the registered models NAME and NAME-promotions.",
            "Have its administrator give the user the permission EDIT on these, or use another user.",
        )
    return None


def _endpoint(error: BaseException) -> str:
    found = re.search(r"/api/[\w./-]{1,200}", str(error))
    return found.group() if found else str(error)[:200]


def _check_server(uri: str) -> None:
    if urlsplit(uri).username is not None:
        raise Stop(
            "MLFLOW_TRACKING_URI holds a user name.",
            "An address is written into logs and messages, and a password with it.",
            "Take user and password out of it; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.",
        )
    try:
        with urlopen(uri.rstrip("/") + "/health", timeout=HEALTH_SECONDS):
            return
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise Stop(
            f"The MLflow tracking server {uri} does not answer ({reason}).",
            next_step="Start it, correct MLFLOW_TRACKING_URI, or unset it to use the database under the home folder.",
        ) from None


def _flat(params: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in params.items():
        name = f"{prefix}{key}"
        flat.update(_flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value})
    return flat
