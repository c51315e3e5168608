"""A Hugging Face hub on loopback: dataset files as the hub's own client asks for them, and nothing else."""

import hashlib
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
GATED = "owner/gated"
ADDRESS = re.compile(r"/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


class Hub:
    """Files by `owner/name@revision/path`."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []

    def put(self, repository: str, path: str, content: bytes, revision: str = "main") -> str:
        """Publish a file; its address."""
        self.files[f"{repository}@{revision}/{path}"] = content
        return f"hf://{repository}{'' if revision == 'main' else '@' + revision}/{path}"


class Handler(BaseHTTPRequestHandler):
    """HEAD and GET of /datasets/OWNER/NAME/resolve/REVISION/PATH."""

    hub: Hub

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        found = ADDRESS.fullmatch(self.path)
        if not found:
            self.send_error(404)
            return
        repository, revision, path = found.groups()
        self.hub.asked.append(path)
        content = self.hub.files.get(f"{repository}@{revision}/{path}")
        if content is None:
            self._refuse(repository, revision)
            return
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def _refuse(self, repository: str, revision: str) -> None:
        """As the hub does it: a dataset that is private or absent is 401 alike."""
        here = [key for key in self.hub.files if key.startswith(f"{repository}@")]
        at = [key for key in here if key.startswith(f"{repository}@{revision}/")]
        known = "EntryNotFound" if at else "RevisionNotFound" if here else "RepoNotFound"
        code = "GatedRepo" if repository == GATED else known
        self.send_response(404 if here else 401)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The server, and the hub's client pointed at it."""
    from huggingface_hub import constants

    served = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": served}))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    )
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield served
    server.shutdown()
    thread.join()
    server.server_close()
