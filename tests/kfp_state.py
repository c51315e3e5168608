"""What a Kubeflow Pipelines API keeps, and its operations, each by its name in the published description."""

import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import yaml

Record = dict[str, Any]  # as it is on the wire
Values = Mapping[str, str]

CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 500: 13, 501: 12, 503: 14}  # of gRPC, by HTTP status
ENDED = ("SUCCEEDED", "SKIPPED", "FAILED", "CANCELED")
OPERATIONS = {1: "EQUALS", 2: "NOT_EQUALS", 8: "IN", 9: "IS_SUBSTRING"}
FIELDS = {  # what a filter may name
    *("id", "run_id", "pipeline_id", "pipeline_version_id", "recurring_run_id", "experiment_id"),
    *("name", "display_name", "created_at", "description", "state", "storage_state", "status", "namespace"),
}
PAGE, LARGEST_PAGE = 20, 200


class Failure(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Moment(NamedTuple):
    """A run at one look."""

    state: str
    tasks: Mapping[str, str]  # state by name
    error: str = ""


class State:
    """Everything by id, oldest first; a test reads and changes it freely."""

    def __init__(self, namespaces: tuple[str, ...] = ()) -> None:
        self.namespaces = namespaces  # those that the caller may use; (): one user, no namespaces
        self.pipelines: dict[str, Record] = {}
        self.versions: dict[str, Record] = {}
        self.experiments: dict[str, Record] = {}
        self.runs: dict[str, Record] = {}
        self.recurring: dict[str, Record] = {}
        self.plan: list[Moment] = []  # what each look at a run makes of it; the last one stays
        self.looks: dict[str, int] = {}
        self._began = datetime(2026, 1, 1, tzinfo=UTC)
        self._clock = 0

    # health

    def healthz_service_get_healthz(self, query: Values, path: Values, body: Any) -> Record:
        return {"multi_user": bool(self.namespaces), "pipeline_store": "database"}

    # pipelines and versions

    def pipeline_service_create_pipeline(self, query: Values, path: Values, body: Any) -> Record:
        name = body.get("name") or body.get("display_name")
        namespace = self._namespace(body.get("namespace", ""), required=False)
        if not name:
            raise Failure(400, "pipeline's name cannot be empty")
        if any(each["name"] == name and each.get("namespace", "") == namespace for each in self.pipelines.values()):
            raise Failure(409, f"The pipeline name {name} already exists. Please specify a new name")
        return self._add(
            self.pipelines, "pipeline_id", {"display_name": name, **body, "name": name, "namespace": namespace}
        )

    def pipeline_service_list_pipelines(self, query: Values, path: Values, body: Any) -> Record:
        namespace = self._namespace(query.get("namespace", ""), required=False)
        here = (each for each in self.pipelines.values() if each.get("namespace", "") == namespace)
        return _page("pipelines", here, query)

    def pipeline_service_get_pipeline(self, query: Values, path: Values, body: Any) -> Record:
        return _get(self.pipelines, path["pipeline_id"], "Pipeline")

    def pipeline_service_get_pipeline_by_name(self, query: Values, path: Values, body: Any) -> Record:
        namespace = self._namespace(query.get("namespace", ""), required=False)
        for each in self.pipelines.values():
            if each["name"] == path["name"] and each.get("namespace", "") == namespace:
                return each
        raise Failure(404, f"Pipeline {path['name']} not found")

    def pipeline_service_delete_pipeline(self, query: Values, path: Values, body: Any) -> Record:
        _get(self.pipelines, path["pipeline_id"], "Pipeline")
        del self.pipelines[path["pipeline_id"]]
        return {}

    def pipeline_service_list_pipeline_versions(self, query: Values, path: Values, body: Any) -> Record:
        _get(self.pipelines, path["pipeline_id"], "Pipeline")
        mine = (each for each in self.versions.values() if each["pipeline_id"] == path["pipeline_id"])
        return _page("pipeline_versions", mine, query)

    def pipeline_service_get_pipeline_version(self, query: Values, path: Values, body: Any) -> Record:
        return _get(self.versions, path["pipeline_version_id"], "PipelineVersion")

    def pipeline_service_delete_pipeline_version(self, query: Values, path: Values, body: Any) -> Record:
        _get(self.versions, path["pipeline_version_id"], "PipelineVersion")
        del self.versions[path["pipeline_version_id"]]
        return {}

    def upload_pipeline(self, query: Values, path: Values, body: Any) -> Record:
        named = {key: query[key] for key in ("name", "display_name", "namespace", "description") if query.get(key)}
        made = self.pipeline_service_create_pipeline({}, {}, named)
        self.upload_pipeline_version({**query, "pipelineid": made["pipeline_id"]}, {}, body)
        return made

    def upload_pipeline_version(self, query: Values, path: Values, body: Any) -> Record:
        if query.get("pipelineid", "") not in self.pipelines:
            raise Failure(400, "Failed to create a pipeline version")
        name = query.get("name") or query.get("display_name") or "pipeline.yaml"
        mine = (each for each in self.versions.values() if each["pipeline_id"] == query["pipelineid"])
        if any(each["name"] == name for each in mine):
            raise Failure(409, "Failed to create a pipeline version")
        return self._add(
            self.versions,
            "pipeline_version_id",
            {
                "pipeline_id": query["pipelineid"],
                "name": name,
                "display_name": query.get("display_name") or name,
                "description": query.get("description", ""),
                "pipeline_spec": _spec(body),
            },
        )

    # experiments

    def experiment_service_create_experiment(self, query: Values, path: Values, body: Any) -> Record:
        namespace = self._namespace(body.get("namespace", ""))
        name = body.get("display_name")
        if not name:
            raise Failure(400, "Experiment's display name cannot be empty")
        if any(each["display_name"] == name and each["namespace"] == namespace for each in self.experiments.values()):
            raise Failure(409, f"Failed to create a new experiment. The name {name} already exists")
        made = {**body, "namespace": namespace, "storage_state": "AVAILABLE"}
        return self._add(self.experiments, "experiment_id", made)

    def experiment_service_list_experiments(self, query: Values, path: Values, body: Any) -> Record:
        namespace = self._namespace(query.get("namespace", ""))
        return _page("experiments", (e for e in self.experiments.values() if e["namespace"] == namespace), query)

    def experiment_service_get_experiment(self, query: Values, path: Values, body: Any) -> Record:
        return _get(self.experiments, path["experiment_id"], "Experiment")

    # runs

    def run_service_create_run(self, query: Values, path: Values, body: Any) -> Record:
        made = {**self._source(body), "state": "PENDING", "storage_state": "AVAILABLE"}
        return self._add(self.runs, "run_id", made)

    def run_service_list_runs(self, query: Values, path: Values, body: Any) -> Record:
        return _page("runs", self._below(self.runs, query), query)

    def run_service_get_run(self, query: Values, path: Values, body: Any) -> Record:
        run = _get(self.runs, path["run_id"], "Run")
        self._allowed(run)
        self._advance(run)
        return run

    def run_service_terminate_run(self, query: Values, path: Values, body: Any) -> Record:
        run = _get(self.runs, path["run_id"], "Run")
        self._allowed(run)
        if run["state"] in ENDED:
            raise Failure(400, f"Failed to terminate run {path['run_id']}: it has ended")
        run["state"] = "CANCELED"
        return {}

    def run_service_delete_run(self, query: Values, path: Values, body: Any) -> Record:
        _get(self.runs, path["run_id"], "Run")
        del self.runs[path["run_id"]]
        return {}

    # recurring runs

    def recurring_run_service_create_recurring_run(self, query: Values, path: Values, body: Any) -> Record:
        made = self._source(body)
        if not 1 <= int(body.get("max_concurrency", 0)) <= 10:
            raise Failure(400, "The max concurrency of the recurring run is out of range. Support 1-10")
        cron = body.get("trigger", {}).get("cron_schedule", {}).get("cron", "")
        fields = cron.split()  # robfig/cron 1.2: a time zone before them is two fields too many
        if cron and not cron.startswith("@") and len(fields) not in (5, 6):
            raise Failure(400, f"Schedule cron is not a supported format: expected 5 to 6 fields, found {len(fields)}")
        if body.get("mode") not in ("ENABLE", "DISABLE"):
            raise Failure(400, "Recurring run has no mode")
        enabled = "ENABLED" if body["mode"] == "ENABLE" else "DISABLED"
        made = {**made, "max_concurrency": str(body["max_concurrency"]), "status": enabled}
        return self._add(self.recurring, "recurring_run_id", made)

    def recurring_run_service_list_recurring_runs(self, query: Values, path: Values, body: Any) -> Record:
        return _page("recurringRuns", self._below(self.recurring, query), query)

    def recurring_run_service_get_recurring_run(self, query: Values, path: Values, body: Any) -> Record:
        return _get(self.recurring, path["recurring_run_id"], "RecurringRun")

    def recurring_run_service_delete_recurring_run(self, query: Values, path: Values, body: Any) -> Record:
        _get(self.recurring, path["recurring_run_id"], "RecurringRun")
        del self.recurring[path["recurring_run_id"]]
        return {}

    def recurring_run_service_enable_recurring_run(self, query: Values, path: Values, body: Any) -> Record:
        return self._switched(path["recurring_run_id"], "ENABLE")

    def recurring_run_service_disable_recurring_run(self, query: Values, path: Values, body: Any) -> Record:
        return self._switched(path["recurring_run_id"], "DISABLE")

    # what they share

    def _switched(self, id_: str, mode: str) -> Record:
        found = _get(self.recurring, id_, "RecurringRun")
        found.update(mode=mode, status=f"{mode}D")
        return {}

    def _source(self, body: Any) -> Record:
        """A run or a recurring run: of a version that exists, in an experiment that exists."""
        if not body.get("display_name"):
            raise Failure(400, "The run name is empty. Please specify a valid name")
        reference = body.get("pipeline_version_reference") or {}
        if not body.get("pipeline_spec"):
            version = _get(self.versions, reference.get("pipeline_version_id", ""), "PipelineVersion")
            self._parameters(version["pipeline_spec"], body.get("runtime_config", {}).get("parameters", {}))
        experiment = body.get("experiment_id") or self._default_experiment()
        _get(self.experiments, experiment, "Experiment")
        self._allowed({"experiment_id": experiment})
        return {**body, "experiment_id": experiment}

    def _parameters(self, spec: Any, given: Mapping[str, object]) -> None:
        """As the server checks them: none that the pipeline has not, all that have no default."""
        inner = spec.get("pipeline_spec", spec)
        wanted = inner.get("root", {}).get("inputDefinitions", {}).get("parameters", {})
        if unknown := sorted(given.keys() - wanted.keys()):
            raise Failure(400, f"parameter {unknown[0]} provided in job config is not a pipeline input")
        for name, about in wanted.items():
            if name not in given and "defaultValue" not in about and not about.get("isOptional"):
                raise Failure(400, f"parameter {name} is required but is not provided")

    def _default_experiment(self) -> str:
        for id_, each in self.experiments.items():
            if each["display_name"] == "Default":
                return id_
        made = {"display_name": "Default", "namespace": "", "storage_state": "AVAILABLE"}
        return str(self._add(self.experiments, "experiment_id", made)["experiment_id"])

    def _below(self, records: dict[str, Record], query: Values) -> Iterable[Record]:
        if experiment := query.get("experiment_id"):
            self._allowed({"experiment_id": experiment})
            return [each for each in records.values() if each["experiment_id"] == experiment]
        namespace = self._namespace(query.get("namespace", ""))
        return [each for each in records.values() if self._namespace_of(each) == namespace]

    def _namespace_of(self, record: Record) -> str:
        return str(self.experiments.get(record["experiment_id"], {}).get("namespace", ""))

    def _allowed(self, record: Record) -> None:
        if self.namespaces:
            self._namespace(self._namespace_of(record))

    def _namespace(self, name: str, required: bool = True) -> str:
        """As a server for many users has it; one for a single user ignores what it is told."""
        if not self.namespaces:
            return ""
        if not name and required:
            raise Failure(400, "Invalid input error: A namespace is required in multi-user mode")
        if name and name not in self.namespaces:
            raise Failure(403, f"User 'somebody' is not authorized with reason: no access to namespace {name}")
        return name

    def _add(self, records: dict[str, Record], key: str, record: Record) -> Record:
        made = {**record, key: str(uuid.uuid4()), "created_at": self.now()}
        records[made[key]] = made
        return made

    def now(self) -> str:
        """A second later than the time before."""
        self._clock += 1
        return (self._began + timedelta(seconds=self._clock)).isoformat().replace("+00:00", "Z")

    def _advance(self, run: Record) -> None:
        if not self.plan or run["state"] == "CANCELED":
            return
        look = self.looks.get(run["run_id"], 0)
        self.looks[run["run_id"]] = look + 1
        set_moment(run, self.plan[min(look, len(self.plan) - 1)], self.now())


def set_moment(run: Record, moment: Moment, now: str) -> None:
    """Write a moment into a run."""
    run["state"] = moment.state
    run["run_details"] = {"task_details": [_task(run, name, state, now) for name, state in moment.tasks.items()]}
    if moment.error:
        run["error"] = {"code": 13, "message": moment.error}
    if moment.state in ENDED:
        run["finished_at"] = now


def _task(run: Record, name: str, state: str, now: str) -> Record:
    return {
        "run_id": run["run_id"],
        "task_id": f"{run['run_id'][:8]}-{name}",
        "display_name": name,
        "state": state,
        "create_time": now,
        "start_time": now,
        **({"end_time": now} if state in ENDED else {}),
    }


def _get(records: dict[str, Record], id_: str, kind: str) -> Record:
    if id_ not in records:
        raise Failure(404, f"{kind} {id_} not found.")
    return records[id_]


def _spec(body: bytes) -> Any:
    """A package as the server keeps it: the pipeline alone, or with what the platform is told."""
    try:
        documents = list(yaml.safe_load_all(body))
    except yaml.YAMLError:
        documents = []
    if not documents or "pipelineInfo" not in (documents[0] or {}):
        raise Failure(400, "Failed to create a pipeline version: unknown template format")
    return documents[0] if len(documents) == 1 else {"pipeline_spec": documents[0], "platform_spec": documents[1]}


def _page(name: str, records: Iterable[Record], query: Values) -> Record:
    """One page, as sorted and filtered; a key with nothing in it is left out, as protobuf has it."""
    token = json.loads(query["page_token"]) if query.get("page_token") else {}
    criteria = {key: query.get(key, "") for key in ("sort_by", "filter")}
    if token and {**criteria, **{key: value for key, value in token.items() if key != "from"}} != criteria:
        raise Failure(400, "page token does not match the supplied sort by and/or filtering criteria.")
    kept = [each for each in records if _matches(each, criteria["filter"])]
    field, _, order = (criteria["sort_by"] or "created_at").partition(" ")
    kept.sort(key=lambda each: str(each.get(field, "")), reverse=order == "desc")
    size = min(int(query.get("page_size") or PAGE), LARGEST_PAGE)
    start = token.get("from", 0)
    rest = {"next_page_token": json.dumps({"from": start + size, **criteria})} if len(kept) > start + size else {}
    page = kept[start : start + size]
    return {**({name: page} if page else {}), "total_size": len(kept), **rest}


def _matches(record: Record, text: str) -> bool:
    if not text:
        return True
    try:
        predicates = json.loads(text).get("predicates", [])
    except (ValueError, AttributeError):
        raise Failure(400, f"failed to parse valid filter from {text!r}") from None
    return all(_holds(record, each) for each in predicates)


def _holds(record: Record, predicate: Mapping[str, Any]) -> bool:
    key, operation = predicate.get("key"), predicate.get("operation")
    if key not in FIELDS:
        raise Failure(400, f"no such field: {key!r}")
    found, name = str(record.get(str(key), "")), OPERATIONS.get(operation, operation)  # type: ignore[call-overload]
    value = predicate.get("stringValue", predicate.get("string_value"))
    values = (predicate.get("stringValues") or predicate.get("string_values") or {}).get("values", [])
    tests: dict[object, Callable[[], bool]] = {
        "EQUALS": lambda: found == value,
        "NOT_EQUALS": lambda: found != value,
        "IN": lambda: found in values,
        "IS_SUBSTRING": lambda: str(value) in found,
    }
    if name not in tests:
        raise Failure(400, f"unknown operation {operation!r}")
    return tests[name]()
