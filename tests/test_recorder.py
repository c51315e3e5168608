"""Telemetry reaches MLflow in the background: every value once, with its own step and time, whatever the server does.

The stores are real: a database file, and an MLflow server on loopback that is killed and started again, alone or behind
a gate that loses its answers.
"""

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal, NamedTuple

import pytest

from medu1.tracking import LONGEST_LIST, Point, Tracking
from medu1.train.history import NAME, History
from medu1.train.recorder import COMPLETIONS, TABLES, Recorder, landed
from medu1.workspace import Workspace
from mlflow_server import Server, free_port

pytestmark = pytest.mark.faults
PATIENCE = 60.0  # seconds a test waits for a server
FAST = 0.05  # seconds between looks, so that calls meet the server in every state


class Gate:
    """Between client and server: open, or loses each answer to a write, or refuses it unheard."""

    def __init__(self, server: Server) -> None:
        self.mode: Literal["open", "lose", "refuse"] = "open"
        self.batches: list[int] = []  # metrics in each call that the server was asked
        gate = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._pass(b"")

            def do_POST(self) -> None:
                self._pass(self.rfile.read(int(self.headers.get("Content-Length", 0))))

            do_PUT = do_POST

            def _pass(self, body: bytes) -> None:
                writes = self.command != "GET"
                if writes and gate.mode == "refuse":
                    return self._answer(502, b"", "text/plain")
                if self.path.endswith("log-batch"):
                    gate.batches.append(len(json.loads(body).get("metrics", [])))
                onward = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
                headers = {"Content-Type": self.headers.get("Content-Type", "application/json")}
                onward.request(self.command, self.path, body, headers)
                answer = onward.getresponse()
                content = answer.read()
                onward.close()
                if writes and gate.mode == "lose":
                    self.close_connection = True
                    return None
                return self._answer(answer.status, content, answer.getheader("Content-Type", ""))

            def _answer(self, status: int, content: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.uri = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def a_server(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Server]:
    """One server for this file: it takes seconds to start."""
    home = tmp_path_factory.mktemp("server")
    shutil.copy(empty_database, home / "mlflow.db")
    found = Server(home)
    found.start()
    yield found
    found.kill()


@pytest.fixture
def server(a_server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server, met by a client that tries a call once, so that the recorder has to."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    return a_server


@pytest.fixture
def gate(server: Server) -> Iterator[Gate]:
    found = Gate(server)
    yield found
    found.close()


@pytest.fixture
def tracking(tracked_home: Path, monkeypatch: pytest.MonkeyPatch) -> Tracking:
    """A database file."""
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    return Tracking(Workspace(home=tracked_home, run="first", tracking_uri=f"sqlite:///{tracked_home / 'mlflow.db'}"))


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "checkpoints" / NAME)


def at(uri: str, home: Path) -> Tracking:
    return Tracking(Workspace(home=home, run=home.name, tracking_uri=uri))


def measured(step: int) -> dict[str, float]:
    """What a deterministic training measures at a step."""
    return {"loss": 1 / step, "reward": step / 7} | {f"train/metric/{n}": step + n / 10 for n in range(8)}


def trained(history: History, first: int, last: int) -> None:
    for step in range(first, last + 1):
        history.append(step, measured(step))


class Held(NamedTuple):
    """What a run holds: how many rows each name and step has, and the newest of them."""

    rows: Counter[tuple[str, int]]
    values: dict[tuple[str, int], tuple[int, float]]  # time, value


def held(tracking: Tracking, run: str) -> Held:
    client = tracking.client
    found = [each for name in client.get_run(run).data.metrics for each in client.get_metric_history(run, name)]
    rows = Counter((each.key, each.step) for each in found)
    return Held(rows, {(each.key, each.step): (each.timestamp, each.value) for each in found})


def written(history: History) -> dict[tuple[str, int], tuple[int, float]]:
    """What the history says, as `held` does."""
    return {
        (name, line.step): (line.time, value)
        for line in reversed(list(history.lines()))
        for name, value in line.metrics.items()
    }


def assert_holds_each_value_once(tracking: Tracking, run: str, history: History) -> None:
    found = held(tracking, run)
    assert set(found.rows.values()) <= {1}
    assert found.values == written(history)


def table(history: History, step: int, rows: int = 2) -> Path:
    """A table as the training writes one."""
    path = history.path.parent / TABLES / f"step-{step:08d}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"columns": ["question", "reward"], "data": [[f"q{n}", n / 2] for n in range(rows)]}
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content), encoding="utf-8")
    return part.rename(path)


def tables(tracking: Tracking, run: str, home: Path) -> Mapping[str, object]:
    """The tables a run holds, by name."""
    folder = Path(tracking.client.download_artifacts(run, COMPLETIONS, str(home)))
    return {path.name: json.loads(path.read_text("utf-8")) for path in sorted(folder.iterdir())}


# A database file


def test_a_run_gets_what_was_written_before_it_with_its_own_steps_and_times(
    tracking: Tracking, history: History
) -> None:
    trained(history, 1, 250)
    run = tracking.child("train")
    with Recorder(tracking, run, history) as recorder:
        assert recorder.flush(PATIENCE) == 0
    assert_holds_each_value_once(tracking, run, history)
    assert recorder.status() == (2500, 0, "")


def test_what_is_written_while_it_is_followed_arrives_without_being_asked_for(
    tracking: Tracking, history: History
) -> None:
    run = tracking.child("train")
    with Recorder(tracking, run, history, interval=FAST) as recorder:
        for step in range(1, 41):
            history.append(step, measured(step))
            time.sleep(0.01)
        until = time.monotonic() + PATIENCE
        while recorder.status().left and time.monotonic() < until:
            time.sleep(0.05)
        assert_holds_each_value_once(tracking, run, history)


def test_leaving_sends_what_is_left(tracking: Tracking, history: History) -> None:
    run = tracking.child("train")
    with Recorder(tracking, run, history, interval=PATIENCE):
        time.sleep(0.3)
        trained(history, 1, 20)
    assert_holds_each_value_once(tracking, run, history)


def test_after_a_resume_the_same_run_holds_each_value_once_and_the_first_of_each(
    tracking: Tracking, history: History
) -> None:
    """KFP gives a retry the run of the first attempt, which had gone beyond the checkpoint."""
    run = tracking.child("train")
    trained(history, 1, 50)
    with Recorder(tracking, run, history):
        pass
    before = held(tracking, run)
    history.truncate(40)
    with Recorder(tracking, run, history) as recorder:
        time.sleep(0.01)  # the times of the steps measured again are others
        trained(history, 41, 60)
        assert recorder.flush(PATIENCE) == 0
    after = held(tracking, run)
    assert set(after.rows.values()) == {1}
    assert {step for _, step in after.rows} == set(range(1, 61))
    assert after.values.items() >= before.values.items()
    assert {key: value for key, (_, value) in after.values.items()} == {
        key: value for key, (_, value) in written(history).items()
    }
    assert recorder.status().sent == 10 * len(measured(1))


def test_after_a_resume_a_new_run_holds_each_value_once_from_the_first_step_on(
    tracking: Tracking, history: History
) -> None:
    trained(history, 1, 50)
    history.truncate(40)
    run = tracking.child("train")
    with Recorder(tracking, run, history):
        trained(history, 41, 60)
    assert_holds_each_value_once(tracking, run, history)
    assert {step for _, step in held(tracking, run).rows} == set(range(1, 61))


def test_a_history_cut_back_while_it_is_followed_is_read_again(tracking: Tracking, history: History) -> None:
    run = tracking.child("train")
    with Recorder(tracking, run, history) as recorder:
        trained(history, 1, 30)
        assert recorder.flush(PATIENCE) == 0
        history.truncate(20)
        history.append(21, {"kl": 0.5, "loss": 9.0})
        assert recorder.flush(PATIENCE) == 0
        trained(history, 22, 40)
    found = held(tracking, run)
    assert set(found.rows.values()) == {1}
    assert {step for _, step in found.rows} == set(range(1, 41))
    assert (found.values["kl", 21][1], found.values["loss", 21][1]) == (0.5, 1 / 21)


def test_metrics_of_one_step_on_several_lines_are_all_sent_and_a_name_twice_counts_once(
    tracking: Tracking, history: History
) -> None:
    run = tracking.child("train")
    with Recorder(tracking, run, history) as recorder:
        history.append(1, {"loss": 0.5, "kl": float("nan")})
        history.append(1, {"validation/accuracy": 0.25, "loss": 9.0})
        assert recorder.flush(PATIENCE) == 0
        history.append(1, {"loss": 8.0, "kl": 0.1})
    found = held(tracking, run)
    assert {key: value for key, (_, value) in found.values.items()} == {
        ("loss", 1): 0.5,
        ("validation/accuracy", 1): 0.25,
        ("kl", 1): 0.1,
    }
    assert set(found.rows.values()) == {1}


def test_values_the_step_logs_itself_are_left_as_they_are(tracking: Tracking, history: History) -> None:
    run = tracking.child("train")
    tracking.metrics(run, {"mixture/choice": 0.5})
    with Recorder(tracking, run, history):
        history.append(1, {"loss": 0.5})
    assert {key: value for key, (_, value) in held(tracking, run).values.items()} == {
        ("mixture/choice", 0): 0.5,
        ("loss", 1): 0.5,
    }


def test_the_same_point_sent_twice_is_one_row(tracking: Tracking) -> None:
    """What the recorder rests on where it cannot tell whether a failed call was carried out."""
    run = tracking.child("train")
    points = [Point(f"metric/{n}", step, 1000 + step, step / 3 + n) for n in range(30) for step in range(1, 11)]
    tracking.points(run, points)
    tracking.points(run, [*points, Point("loss", 1, 1001, 0.1)])
    assert sum(held(tracking, run).rows.values()) == len(points) + 1


def test_a_table_is_logged_once_and_the_next_attempt_does_not_log_it_again(
    tracking: Tracking, history: History, tmp_path: Path
) -> None:
    run = tracking.child("train")
    first = table(history, 20)
    with Recorder(tracking, run, history) as recorder:
        assert recorder.flush(PATIENCE) == 0
        table(history, 40, rows=3)
    first.write_text("another training's", encoding="utf-8")
    with Recorder(tracking, run, history):
        table(history, 60)
    found = tables(tracking, run, tmp_path)
    assert list(found) == ["step-00000020.json", "step-00000040.json", "step-00000060.json"]
    assert found["step-00000020.json"] == {"columns": ["question", "reward"], "data": [["q0", 0.0], ["q1", 0.5]]}


@pytest.mark.filterwarnings(r"ignore:For backward compatibility, 'str' dtypes")  # MLflow's tables under pandas 3
def test_mlflow_reads_a_table_and_lists_it_beside_its_own(
    tracking: Tracking, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tracking.child("train")
    monkeypatch.setenv(
        "MLFLOW_TRACKING_URI", tracking.workspace.tracking_uri
    )  # what load_table reads beside its client
    tracking.table(run, "completions.json", {"question": ["q"]})
    with Recorder(tracking, run, history):
        table(history, 20)
    read = tracking.client.load_table(tracking.experiment_id, f"{COMPLETIONS}/step-00000020.json", [run])
    assert read.to_dict("list") == {"question": ["q0", "q1"], "reward": [0.0, 0.5]}
    assert listed(tracking, run) == ["completions.json", f"{COMPLETIONS}/step-00000020.json"]


def listed(tracking: Tracking, run: str) -> list[str]:
    """The tables MLflow's page shows."""
    return [each["path"] for each in json.loads(tracking.client.get_run(run).data.tags["mlflow.loggedArtifacts"])]


def test_of_many_tables_all_are_kept_and_the_newest_are_listed(
    tracking: Tracking, history: History, tmp_path: Path
) -> None:
    """MLflow cuts a tag off at 8,000 characters, and is left with half a list."""
    run = tracking.child("train")
    for step in range(1, 151):
        table(history, step)
    with Recorder(tracking, run, history) as recorder:
        assert recorder.flush(PATIENCE) == 0
    names = [f"step-{step:08d}.json" for step in range(1, 151)]
    assert list(tables(tracking, run, tmp_path)) == names
    shown = listed(tracking, run)
    assert shown == [f"{COMPLETIONS}/{name}" for name in names[-len(shown) :]]
    assert LONGEST_LIST * 0.95 < len(json.dumps([{"path": path, "type": "table"} for path in shown])) <= LONGEST_LIST


def test_a_run_that_is_gone_stops_nothing(tracking: Tracking, history: History) -> None:
    run = tracking.child("train")
    tracking.client.delete_run(run)
    trained(history, 1, 3)
    with Recorder(tracking, run, history) as recorder:
        assert recorder.flush(0.5) == 30
        assert run in recorder.status().error
        tracking.client.restore_run(run)
        assert recorder.flush(PATIENCE) == 0
    assert recorder.status().error == ""
    assert_holds_each_value_once(tracking, run, history)


def test_what_another_process_writes_and_is_killed_over_is_sent_whole(tracking: Tracking, history: History) -> None:
    """The training may be a worker of torchrun."""
    script = (
        "import sys, time; from pathlib import Path; from medu1.train.history import History\n"
        "history, step = History(Path(sys.argv[1])), 0\n"
        "while step := step + 1: history.append(step, {f'metric/{n}': step / 3 for n in range(20)}); time.sleep(0.002)"
    )
    run = tracking.child("train")
    with Recorder(tracking, run, history, interval=FAST) as recorder:
        with subprocess.Popen([sys.executable, "-c", script, str(history.path)]) as process:
            while recorder.status().sent < 1000:
                assert process.poll() is None
                time.sleep(0.05)
            process.kill()
        with history.path.open("ab") as file:
            file.write(b'{"metrics":{"metric/0":0.1')
        assert recorder.flush(PATIENCE) == 0
    assert_holds_each_value_once(tracking, run, history)


# A call that failed, and may have been carried out

SENT = [Point("loss", step, 100 + step, 0.5) for step in (1, 2, 3)] + [Point("kl", 3, 103, 0.1)]


@pytest.mark.parametrize(
    ("latest", "found"),
    [
        ([], []),
        ([SENT[2], SENT[3]], SENT),
        ([SENT[1]], SENT[:2]),
        ([Point("loss", 3, 50, 0.5)], []),  # another attempt's
        ([Point("loss", 9, 109, 0.5), SENT[3]], [SENT[3]]),
        ([Point("reward", 3, 103, 0.5)], []),
    ],
)
def test_what_a_failed_call_left_in_the_run_is_told_by_the_latest_values(
    latest: list[Point], found: list[Point]
) -> None:
    assert landed(SENT, {point.name: point for point in latest}) == found


# A server


def test_a_server_killed_and_started_again_loses_nothing_and_doubles_nothing(
    server: Server, history: History, tmp_path: Path
) -> None:
    tracking = at(server.uri, tmp_path)
    run = tracking.child("train")
    slowest = 0.0
    with Recorder(tracking, run, history, interval=FAST) as recorder:
        for step in range(1, 241):
            if step == 80:
                server.kill()
            begun = time.monotonic()
            history.append(step, measured(step))
            slowest = max(slowest, time.monotonic() - begun)
            if step in (20, 120):
                table(history, step)
            time.sleep(0.01)
        assert recorder.flush(0.5) >= 1600
        assert "does not answer" in recorder.status().error
        assert not held_anything_beyond(history, recorder)
        server.start()
        trained(history, 241, 250)
        assert recorder.flush(PATIENCE) == 0
    assert slowest < 0.5
    assert_holds_each_value_once(tracking, run, history)
    assert list(tables(tracking, run, tmp_path)) == ["step-00000020.json", "step-00000120.json"]


def held_anything_beyond(history: History, recorder: Recorder) -> bool:
    """Whether the recorder claims to have sent more than there was."""
    return recorder.status().sent + recorder.status().left - 1 > len(written(history))  # one table is left


def test_with_a_server_that_stays_away_the_training_goes_on_and_flush_counts_what_is_left(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    tracking = Tracking(Workspace(home=tmp_path, run="r", tracking_uri=f"http://127.0.0.1:{free_port()}"), check=False)
    begun = time.monotonic()
    with Recorder(tracking, "none", history) as recorder:
        trained(history, 1, 5)
        table(history, 5)
        assert recorder.flush(0.5) == 5 * len(measured(1)) + 1
        assert recorder.status().sent == 0
        assert "does not answer (" in recorder.status().error
        assert recorder.stop(0.1) == 51
    assert time.monotonic() - begun < 5
    assert recorder.status().left == 51


@pytest.mark.parametrize("mode", ["lose", "refuse"])
def test_a_lost_answer_doubles_nothing_and_a_refused_call_is_made_again(
    server: Server, gate: Gate, history: History, tmp_path: Path, mode: Literal["lose", "refuse"]
) -> None:
    tracking = at(gate.uri, tmp_path)
    run = tracking.child("train")
    with Recorder(tracking, run, history, interval=FAST) as recorder:
        trained(history, 1, 10)
        assert recorder.flush(PATIENCE) == 0
        gate.mode = mode
        trained(history, 11, 30)
        table(history, 30)
        assert recorder.flush(1.0) >= 1
        assert recorder.status().error
        gate.mode = "open"
        assert recorder.flush(PATIENCE) == 0
    assert sum(gate.batches) == 30 * len(measured(1))  # nothing was asked of the server twice
    assert_holds_each_value_once(at(server.uri, tmp_path), run, history)
    assert list(tables(at(server.uri, tmp_path), run, tmp_path)) == ["step-00000030.json"]


def test_a_long_history_goes_in_calls_of_at_most_a_thousand_values(
    gate: Gate, server: Server, history: History, tmp_path: Path
) -> None:
    tracking = at(gate.uri, tmp_path)
    run = tracking.child("train")
    trained(history, 1, 250)
    history.append(251, {f"wide/{n}": float(n) for n in range(2300)})
    with Recorder(tracking, run, history):
        pass
    assert gate.batches == [1000, 1000, 500, 1000, 1000, 300]
    newest = {name: (point.step, point.time, point.value) for name, point in tracking.latest(run).items()}
    assert newest == {name: (step, *value) for (name, step), value in written(history).items() if step >= 250}
    assert len(tracking.client.get_metric_history(run, "loss")) == 250


def test_a_server_that_hangs_blocks_neither_the_training_nor_a_flush(
    server: Server, history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    tracking = at(server.uri, tmp_path)
    run = tracking.child("train")
    with Recorder(tracking, run, history, interval=FAST) as recorder:
        trained(history, 1, 10)
        assert recorder.flush(PATIENCE) == 0
        server.signal(signal.SIGSTOP)
        try:
            begun = time.monotonic()
            trained(history, 11, 20)
            assert time.monotonic() - begun < 0.5
            assert recorder.flush(1.5) == 100
            assert time.monotonic() - begun < 5
        finally:
            server.signal(signal.SIGCONT)
        assert recorder.flush(PATIENCE) == 0
    assert_holds_each_value_once(tracking, run, history)


def test_a_retry_finds_its_run_on_a_server_and_adds_only_what_it_lacks(
    server: Server, gate: Gate, history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = at(server.uri, tmp_path).child("train")
    monkeypatch.setenv("MLFLOW_RUN_ID", run)
    trained(history, 1, 50)
    with Recorder(at(server.uri, tmp_path), run, history):
        pass
    history.truncate(30)
    tracking = at(gate.uri, tmp_path)
    assert tracking.child("train") == run
    with Recorder(tracking, run, history):
        trained(history, 31, 60)
    assert sum(gate.batches) == 10 * len(measured(1))
    found = held(tracking, run)
    assert set(found.rows.values()) == {1}
    assert {step for _, step in found.rows} == set(range(1, 61))
