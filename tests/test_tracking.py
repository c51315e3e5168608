"""A tracking server that does not do what is asked: who asks is told what to do, and nothing is asked twice."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from medu1.errors import Stop
from medu1.registered_models import once
from medu1.tracking import Tracking
from medu1.workspace import Workspace


class Asked:
    """A server that is healthy, and answers everything else with one status."""

    def __init__(self) -> None:
        self.status, self.by = 200, list[tuple[str, int]]()  # path and client's port, of every request
        asked = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                asked.by.append((self.path, self.client_address[1]))
                status = 200 if self.path.endswith("/health") else asked.status
                content = json.dumps({}).encode() if status == 200 else b"no"
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET

            def log_message(self, format: str, *words: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.uri = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "not to be told")
    found = Asked()
    yield found
    found.close()


def at(uri: str, home: Path) -> Tracking:
    return Tracking(Workspace(home=home, run="one", tracking_uri=uri))


@pytest.mark.parametrize(
    ("status", "fact", "step"),
    [
        (401, "does not take the user ann", "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
        (403, "does not let the user ann do this (/api/", "the permission EDIT"),
    ],
)
def test_a_server_that_refuses_who_asks_is_told_at_once(
    asked: Asked, tmp_path: Path, status: int, fact: str, step: str
) -> None:
    asked.status = status
    with pytest.raises(Stop) as stopped:
        at(asked.uri, tmp_path)
    assert fact in stopped.value.fact
    assert step in stopped.value.next_step
    assert "not to be told" not in str(stopped.value)


def test_a_server_below_a_path_is_asked_there(asked: Asked, tmp_path: Path) -> None:
    at(f"{asked.uri}/team/", tmp_path)
    assert asked.by[0][0] == "/team/health"
    assert all(path.startswith("/team/") for path, _ in asked.by)


@pytest.mark.parametrize("word", ["ann:secret", "ann"])
def test_an_address_with_a_user_is_refused_without_repeating_it(asked: Asked, tmp_path: Path, word: str) -> None:
    with pytest.raises(Stop, match="holds a user name") as stopped:
        at(asked.uri.replace("://", f"://{word}@"), tmp_path)
    assert "secret" not in str(stopped.value)
    assert asked.by == []


def test_what_is_asked_once_has_a_connection_of_its_own(asked: Asked, tmp_path: Path) -> None:
    tracking = at(asked.uri, tmp_path)
    asked.by.clear()
    for _ in range(2):
        with once():
            tracking.client.search_experiments(max_results=1)
    (_, first), (_, second) = asked.by
    assert first != second


def test_what_is_asked_once_is_not_asked_again(asked: Asked, tmp_path: Path) -> None:
    tracking = at(asked.uri, tmp_path)
    asked.by.clear()
    asked.status = 503
    with pytest.raises(MlflowException), once():
        tracking.client.search_experiments(max_results=1)
    assert len(asked.by) == 1
