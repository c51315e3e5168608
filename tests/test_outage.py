"""A server that goes away in mid-run: training goes on, and what it could not say is said once the server is back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from medu1 import journal
from medu1.bucket import Bucket
from medu1.errors import Stop
from medu1.manifest import ModelManifest
from medu1.params import Validation
from medu1.tracking import Tracking
from medu1.train import checkpoints, grpo, recorder
from medu1.train.copies import complete, folders
from medu1.train.history import History
from medu1.train.telemetry import Telemetry
from medu1.workspace import Workspace
from mlflow_server import Server, free_port
from s3 import KEYS
from training import PARAMS, THIRD_PARTY, Prepared, made

pytestmark = [
    pytest.mark.faults,
    *(pytest.mark.filterwarnings(line) for line in THIRD_PARTY),
    pytest.mark.usefixtures("one_thread"),
]
SIX = PARAMS.model_copy(update={"steps": 6, "keep": 1, "validation": Validation(every=2, questions=4, patience=0)})
GONE, BACK = 2, 5  # generations


class Store:
    """moto's S3 server on one port across its lives; it is the process that holds the objects."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._server: ThreadedMotoServer | None = None

    def start(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self._server.start()

    def kill(self) -> None:
        if self._server:
            self._server.stop()
        self._server = None


@contextmanager
def at_generations(acts: dict[int, Callable[[], None]]) -> Iterator[list[int]]:
    """While it lasts, acts happen as the n-th generation is scored; the numbers of those that were."""
    before, scored = Telemetry.record, list[int]()

    def recorded(telemetry: Telemetry, *arguments: Any) -> None:
        scored.append(len(scored) + 1)
        if act := acts.get(scored[-1]):
            act()
        before(telemetry, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Telemetry, "record", recorded)
        yield scored


def root(prepared: Prepared) -> Path:
    (found,) = (prepared.workspace.home / "store" / "checkpoints").iterdir()
    return found


def notes(prepared: Prepared) -> list[str]:
    return [event.message for event, _ in journal.read(prepared.workspace.journal) if event.kind == "note"]


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without a proxy between the test and its servers, and short waits for those that are gone."""
    for name in ("MLFLOW_RUN_ID", "AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr(recorder, "INTERVAL", 0.1)
    monkeypatch.setattr(recorder, "LONGEST_PAUSE", 0.5)
    return monkeypatch


# MLflow


@pytest.fixture(scope="module")
def a_server(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("server")
    (home / "mlflow.db").write_bytes(empty_database.read_bytes())
    found = Server(home)
    found.start()
    yield found
    found.kill()


@pytest.fixture
def tracked(a_server: Server, tmp_path: Path, settled: pytest.MonkeyPatch) -> Prepared:
    workspace = Workspace(home=tmp_path, run=tmp_path.name, tracking_uri=a_server.uri)
    for name, value in workspace.environment().items():
        settled.setenv(name, value)
    return made(workspace)


def assert_holds_the_history_once(prepared: Prepared) -> None:
    tracking = Tracking(prepared.workspace)
    run = next(run for run in tracking.tree() if run.data.tags.get("medu1.step") == "train")
    assert run.info.status == "FINISHED"
    for line in History(root(prepared) / checkpoints.HISTORY).lines():
        for name, value in line.metrics.items():
            held = [(each.step, each.value) for each in tracking.client.get_metric_history(run.info.run_id, name)]
            assert held.count((line.step, pytest.approx(value))) == 1, (name, held)
            assert len({step for step, _ in held}) == len(held), (name, held)


def test_training_goes_on_without_mlflow_and_its_figures_follow(a_server: Server, tracked: Prepared) -> None:
    with at_generations({GONE: a_server.kill, BACK: a_server.start}) as scored:
        tracked.trained(SIX)
    assert len(scored) == SIX.steps
    assert_holds_the_history_once(tracked)


def test_where_mlflow_stays_away_the_training_is_kept_and_the_next_run_sends_its_figures(
    a_server: Server, tracked: Prepared, settled: pytest.MonkeyPatch
) -> None:
    settled.setattr(recorder, "FAREWELL", 1.0)
    with at_generations({GONE: a_server.kill}) as scored, pytest.raises(Stop) as stopped:
        tracked.trained(SIX)
    assert len(scored) == SIX.steps
    assert "MLflow did not take the last" in str(stopped.value)
    assert "They are kept in" in str(stopped.value)
    a_server.start()
    with at_generations({}) as again:
        tracked.trained(SIX)
    assert again == []
    assert_holds_the_history_once(tracked)


# The object store


@pytest.fixture
def store() -> Iterator[Store]:
    found = Store()
    found.start()
    yield found
    found.kill()


@pytest.fixture
def stored(store: Store, tmp_path: Path, empty_database: Path, settled: pytest.MonkeyPatch) -> Prepared:
    """What train reads, in a bucket."""
    import boto3

    variables = KEYS | {"AWS_ENDPOINT_URL": store.url, "AWS_EC2_METADATA_DISABLED": "true"}
    variables |= {name: str(tmp_path / "none") for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")}
    settled.setattr("boto3.DEFAULT_SESSION", None)
    for name, value in variables.items():
        settled.setenv(name, value)
    bucket = f"bucket-{store.port}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    (tmp_path / "mlflow.db").write_bytes(empty_database.read_bytes())
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    workspace = Workspace(home=tmp_path, run="r", tracking_uri=uri, store=f"s3://{bucket}/medu1")
    for name, value in workspace.environment().items():
        settled.setenv(name, value)
    return made(workspace)


def copies(prepared: Prepared) -> set[str]:
    """Complete checkpoints in the bucket."""
    return set(complete(folders(Bucket(prepared.workspace.store), f"checkpoints/{root(prepared).name}")))


def kept_here(prepared: Prepared) -> set[str]:
    return {found.folder.name for found in checkpoints.held(root(prepared))}


def test_training_goes_on_without_its_bucket_and_the_kept_checkpoints_follow(store: Store, stored: Prepared) -> None:
    with at_generations({GONE: store.kill, BACK: store.start}) as scored:
        stored.trained(SIX)
    assert len(scored) == SIX.steps
    assert copies(stored) >= kept_here(stored) >= {"step-00000006"}
    assert not any("did not reach" in note for note in notes(stored))


def test_where_the_bucket_stays_away_the_training_is_kept_and_the_next_run_publishes_it(
    store: Store, stored: Prepared, settled: pytest.MonkeyPatch
) -> None:
    settled.setattr(grpo, "FLUSH_SECONDS", 1.0)
    with at_generations({GONE: store.kill}) as scored, pytest.raises(Stop, match="s3://"):
        stored.trained(SIX)
    assert len(scored) == SIX.steps
    assert any("step-00000006" in note and "did not reach the object store" in note for note in notes(stored))
    store.start()
    with at_generations({}) as again:
        candidate = stored.trained(SIX)
    assert again == []
    assert isinstance(candidate, ModelManifest)
