"""Who is told of a new champion hears of it at least once, in order, whatever is down or killed in between."""

import json
import multiprocessing
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from medu1 import webhook
from medu1.errors import Stop
from medu1.promotions import fold
from medu1.register import hook, trail
from medu1.register.promotion import promote, rollback
from medu1.tracking import Tracking
from medu1.workspace import Workspace
from test_promotion import NAME, WHY, add, crown, described, local, run

SECRET = "s3cr3t"


class Told(NamedTuple):
    """One request as the receiver saw it."""

    path: str
    key: str
    kind: str
    message: dict[str, Any]


class Receiver:
    """An HTTP server on loopback; `answers` gives the status of the n-th request."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.answers: Callable[[int], int] = lambda number: 204
        receiver, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with lock:
                    receiver.told.append(
                        Told(self.path, self.headers["Idempotency-Key"], self.headers["Content-Type"], json.loads(body))
                    )
                    status = receiver.answers(len(receiver.told))
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *words: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://user:{SECRET}@127.0.0.1:{self.port}/{SECRET}?token={SECRET}"

    @property
    def entries(self) -> list[int]:
        return [told.message["entry"] for told in self.told]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def tracking(tracked_home: Path, monkeypatch: pytest.MonkeyPatch) -> Tracking:
    """Version 1 is champion, before anybody was to be told; 2 and 3 were judged against it."""
    for variable in ("MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI", "MEDU1_STORE", hook.HOOK):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(webhook, "PAUSE", 0.0)
    made = Tracking(Workspace(home=tracked_home, run="one", tracking_uri=f"sqlite:///{tracked_home / 'mlflow.db'}"))
    for weights, champion in (("w1", ""), ("w2", "w1"), ("w3", "w1")):
        add(made, NAME, local(described(tracked_home / "models" / weights, weights)), weights, champion)
    crown(made, NAME, "1")
    return made


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    found = Receiver()
    monkeypatch.setenv(hook.HOOK, found.url)
    yield found
    found.close()


def test_a_url_is_told_who_when_why_and_on_what_evidence(tracking: Tracking, receiver: Receiver) -> None:
    promote(tracking, NAME, "2", "ann", WHY)
    (told,) = receiver.told
    entry = tracking.models.promotions(NAME)[-1]
    assert told.message == {
        "name": NAME,
        "version": "2",
        "replaced": "1",
        "kind": "promote",
        "who": "ann",
        "when": entry.when,
        "why": WHY,
        "evidence": "e-w2",
        "weights": "w2",
        "entry": 2,
        "request": entry.request,
    }
    assert (told.key, told.kind) == (entry.request, "application/json")
    assert told.path == f"/{SECRET}?token={SECRET}"


def test_each_is_told_once_and_a_rollback_as_well(tracking: Tracking, receiver: Receiver) -> None:
    promote(tracking, NAME, "2", "ann", WHY)
    assert promote(tracking, NAME, "2", "ann", WHY).already
    rollback(tracking, NAME, "bob", "it is slow")
    assert [(told.message["kind"], told.message["version"]) for told in receiver.told] == [
        ("promote", "2"),
        ("rollback", "1"),
    ]


def test_nobody_is_told_of_what_was_before_the_hook(
    tracking: Tracking, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(hook.HOOK)
    promote(tracking, NAME, "2", "ann", WHY)
    monkeypatch.setenv(hook.HOOK, receiver.url)
    assert promote(tracking, NAME, "2", "ann", WHY).already
    rollback(tracking, NAME, "ann", "it is slow")
    assert receiver.entries == [3]


def test_a_failing_hook_leaves_the_promotion_and_is_told_again_by_the_same_command(
    tracking: Tracking, receiver: Receiver
) -> None:
    receiver.answers = lambda number: 500
    with pytest.raises(Stop, match=r"The promotion stands.*127\.0\.0\.1:\d+ answers 500.*same command again") as failed:
        promote(tracking, NAME, "2", "ann", WHY)
    assert SECRET not in str(failed.value)
    assert failed.value.__cause__ is None
    assert tracking.models.aliases(NAME)["champion"] == "2"
    assert len(receiver.told) == 1 + webhook.RETRIES
    receiver.answers = lambda number: 200
    assert promote(tracking, NAME, "2", "ann", WHY).already
    assert {told.key for told in receiver.told} == {tracking.models.promotions(NAME)[-1].request}
    sent = len(receiver.told)
    promote(tracking, NAME, "2", "ann", WHY)
    assert len(receiver.told) == sent


def test_what_is_due_is_told_in_order_by_the_next_command(tracking: Tracking, receiver: Receiver) -> None:
    receiver.answers = lambda number: 404
    with pytest.raises(Stop, match="answers 404"):
        promote(tracking, NAME, "2", "ann", WHY)
    assert len(receiver.told) == 1  # that answer does not change by asking again
    with pytest.raises(Stop, match="entry 2"):
        rollback(tracking, NAME, "ann", "it is slow")
    receiver.told.clear()
    receiver.answers = lambda number: 200
    promote(tracking, NAME, "3", "ann", WHY)
    assert receiver.entries == [2, 3, 4]


def test_a_passing_failure_is_asked_again_at_once(tracking: Tracking, receiver: Receiver) -> None:
    receiver.answers = lambda number: 503 if number == 1 else 200
    promote(tracking, NAME, "2", "ann", WHY)
    assert receiver.entries == [2, 2]


def test_a_redirection_is_not_followed(tracking: Tracking, receiver: Receiver) -> None:
    """It would turn the POST into a GET, or send it to somebody else."""
    receiver.answers = lambda number: 302
    with pytest.raises(Stop, match="answers 302"):
        promote(tracking, NAME, "2", "ann", WHY)


def test_a_refused_promotion_tells_nobody(tracking: Tracking, receiver: Receiver) -> None:
    promote(tracking, NAME, "2", "ann", WHY)
    with pytest.raises(Stop, match="was judged against weights w1"):
        promote(tracking, NAME, "3", "ann", WHY)
    assert receiver.entries == [2]


@pytest.mark.parametrize(
    "address",
    [
        f"http://127.0.0.1:9/{SECRET}",
        f"http://{SECRET}:{SECRET}@[::1",
        f"https://127.0.0.1:99999/{SECRET}",
        f"/no/such/program --token {SECRET}",
        f"program '{SECRET}",
        f"ftp://127.0.0.1/{SECRET}",
        f"false --token {SECRET}",
        f"TOKEN={SECRET} notify",
        "''",
    ],
)
def test_a_hook_that_cannot_be_told_is_named_without_its_secret(
    tracking: Tracking, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(hook.HOOK, address)
    with pytest.raises(Stop, match="The promotion stands") as failed:
        promote(tracking, NAME, "2", "ann", WHY)
    assert SECRET not in str(failed.value)
    assert tracking.models.aliases(NAME)["champion"] == "2"


# A command

KEEPS = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read() + '\\n')"


def keeping(path: Path) -> str:
    """A command line that adds what it gets to a file; the file's name needs quoting."""
    return shlex.join([sys.executable, "-c", KEEPS, str(path)])


def kept(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_command_gets_the_message_on_stdin_and_no_shell_reads_it(
    tracking: Tracking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "a b; touch hacked"
    monkeypatch.setenv(hook.HOOK, keeping(out))
    monkeypatch.chdir(tmp_path)
    promote(tracking, NAME, "2", "ann", "$(touch hacked) `touch hacked`")
    assert [told["version"] for told in kept(out)] == ["2"]
    assert not (tmp_path / "hacked").exists()


def test_a_command_that_does_not_end_is_ended_with_what_it_started(
    tracking: Tracking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = tmp_path / "pids"
    monkeypatch.setattr(hook, "COMMAND_SECONDS", 3.0)
    monkeypatch.setenv(hook.HOOK, shlex.join(["sh", "-c", f"sleep 600 & echo $! $$ > {pids}; wait"]))
    with pytest.raises(Stop, match="sh did not end within 3 s"):
        promote(tracking, NAME, "2", "ann", WHY)
    until = time.monotonic() + 30
    while any(runs(pid) for pid in pids.read_text().split()):
        assert time.monotonic() < until
        time.sleep(0.01)


def runs(pid: str) -> bool:
    """Whether there is such a process; one that ended and waits for its parent to hear of it does not run."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_command_that_reads_nothing_is_told(tracking: Tracking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(hook.HOOK, "true")
    promote(tracking, NAME, "2", "ann", WHY)
    assert hook.TOLD in tracking.models.versions(f"{NAME}-promotions")[-1].tags


def test_the_command_line_tells_that_the_hook_failed(tracking: Tracking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(hook.HOOK, f"false {SECRET}")
    failed = run(tracking.workspace.home, "promote", "2", "--why", WHY, "--who", "ann")
    assert "The promotion stands" in str(failed.exception)
    assert SECRET not in failed.output + str(failed.exception)
    monkeypatch.setenv(hook.HOOK, "true")
    again = run(tracking.workspace.home, "promote", "2", "--why", WHY, "--who", "ann")
    assert "already the champion" in again.output


# Killed in between, and at the same time


def test_a_process_killed_before_the_hook_is_made_up_for(
    tracking: Tracking, receiver: Receiver, processes: Any
) -> None:
    """Its entry stands, and says that it is due."""
    process = processes.Process(target=killed, args=(tracking.workspace, "deliver", receiver.url))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert fold(tracking.models.promotions(NAME)).champion == "2"
    assert receiver.told == []
    rollback(tracking, NAME, "bob", "it is slow")
    assert receiver.entries == [2, 3]


def test_a_process_killed_between_hook_and_mark_tells_twice_with_the_same_key(
    tracking: Tracking, receiver: Receiver, processes: Any
) -> None:
    process = processes.Process(target=killed, args=(tracking.workspace, "mark", receiver.url))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert promote(tracking, NAME, "2", "ann", WHY).already
    assert receiver.entries == [2, 2]
    assert len({told.key for told in receiver.told}) == 1


@pytest.fixture(scope="module")
def processes() -> Any:
    """Processes that begin with MLflow imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mlflow", "mlflow.artifacts", "medu1.register.promotion"])
    return context


def killed(workspace: Workspace, where: str, address: str) -> None:
    """A promotion that does not survive its first call of the hook, or of the mark after it."""

    def die(*words: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    os.environ[hook.HOOK] = address
    os.environ["NO_PROXY"] = "127.0.0.1"
    tracking = Tracking(workspace)
    if where == "deliver":
        hook._send = die  # type: ignore[assignment]
    else:
        tracking.client.set_model_version_tag = die  # type: ignore[method-assign]
    promote(tracking, NAME, "2", "ann", WHY)


def test_of_two_at_once_only_the_one_that_holds_is_told(
    tracking: Tracking, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    met, append = threading.Barrier(2), trail._append

    def waiting(*words: Any) -> None:
        met.wait(30)
        append(*words)

    outcomes: list[str] = []

    def ask(version: str) -> None:
        try:
            outcomes.append(promote(Tracking(tracking.workspace), NAME, version, "ann", WHY).version)
        except Stop:
            outcomes.append("void")

    monkeypatch.setattr(trail, "_append", waiting)
    threads = [threading.Thread(target=ask, args=(version,)) for version in ("2", "3")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    champion = fold(tracking.models.promotions(NAME)).champion
    assert sorted(outcomes) == [champion, "void"]
    assert {told.message["version"] for told in receiver.told} == {champion}
    assert len({told.key for told in receiver.told}) == 1
