"""A Kubeflow Pipelines API on loopback, over real HTTP, by the published description; it can be told to fail.

    with KfpServer() as server:
        server.fail("POST", "/runs$", "drop", after_effect=True)  # the run is made, the answer is lost
        ... server.url ... server.runs ... server.requests

Queries and bodies that are not in the description are answered 400; an answer of its own that is not, 500.
"""

import json
import re
import ssl
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl, urlsplit

from kfp_description import operations, problem, refused
from kfp_state import CODES, Failure, Moment, State

__all__ = ["KfpServer", "Moment"]

LOGIN = "<!DOCTYPE html><html><head><title>Log in</title></head><body>Log in to Dex</body></html>"
KINDS = ("hang", "slow", "cut", "drop", "garbage", "login", "redirect", "huge", "empty")
TRICKLE_SECONDS = 0.05


class Asked(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    body: Any  # JSON, or a package's bytes
    headers: dict[str, str]  # by lower case name


class Fault:
    """What the next requests like this get instead of their answer."""

    def __init__(self, method: str, path: str, how: int | str, times: int, after_effect: bool) -> None:
        assert isinstance(how, int) or how in KINDS, how
        self.method, self.path, self.how, self.left, self.after_effect = (
            method,
            re.compile(path),
            how,
            times,
            after_effect,
        )

    def taken(self, method: str, path: str) -> bool:
        """Whether it is this request's; it is then used once."""
        if not self.left or method != self.method or not self.path.search(path):
            return False
        self.left -= 1
        return True


class Quiet(ThreadingHTTPServer):
    """A client that ends a connection is no news."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: a test looks at the answers."""


class KfpServer(State):
    """The server; its state is readable as `runs`, `recurring`, `versions`, `pipelines`, `experiments`, `requests`.

    `token` or `cookie`: what requests must carry, else 401. `namespaces`: those the caller may use, of a server for
    many users. `certificate`: PEM files of a certificate and its key, for https. `plan`: what a look makes of a run.
    """

    def __init__(
        self,
        token: str = "",
        cookie: str = "",
        namespaces: tuple[str, ...] = (),
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        super().__init__(namespaces)
        self.token, self.cookie = token, cookie
        self.requests: list[Asked] = []
        self.closing = Event()
        self._faults: list[Fault] = []
        self._lock = Lock()
        self._known = operations()
        self._http = Quiet(("127.0.0.1", 0), type("Bound", (Handler,), {"kfp": self}))
        self._scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.closing.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def fail(self, method: str, path: str, how: int | str, times: int = 1, after_effect: bool = False) -> None:
        """Fail the next `times` requests whose path matches: a status, or

        hang: no answer; drop: the connection ends without one; cut: half an answer; slow: an answer byte by byte
        without an end in sight; garbage: 200 that is no JSON; empty: 200 without a body; login: a page for people;
        redirect: to such a page; huge: 200 of 64 MiB. `after_effect`: what is asked for is done first.
        """
        self._faults.append(Fault(method, path, how, times, after_effect))

    def asked(self, method: str, path: str) -> list[Asked]:
        """The requests so far that are like this."""
        return [each for each in self.requests if each.method == method and re.search(path, each.path)]

    def answered(self, asked: Asked) -> tuple[int, Any, int | str | None]:
        """Status, JSON and fault of one request."""
        with self._lock:
            self.requests.append(asked)
            fault = next((each for each in self._faults if each.taken(asked.method, asked.path)), None)
            if fault and not fault.after_effect:
                return 200, {}, fault.how
            try:
                return 200, self._done(asked), fault.how if fault else None
            except Failure as failure:
                return failure.status, error(failure.status, str(failure), "/upload" in asked.path), None

    def _done(self, asked: Asked) -> Any:
        self._admit(asked)
        for operation in self._known:
            path = operation.match(asked.method, asked.path)
            if path is None:
                continue
            if wrong := refused(asked.query, operation):
                raise Failure(400, wrong)
            if operation.body and (wrong := problem(asked.body, operation.body)):
                raise Failure(400, wrong)
            done = getattr(self, operation.name, None)
            if done is None:
                raise Failure(501, f"{operation.name} is not part of this test server")
            answer = json.loads(json.dumps(done(asked.query, path, asked.body)))
            if wrong := problem(answer, operation.answer):
                raise Failure(500, f"the test server's own answer is not as described: {wrong}")
            return answer
        raise Failure(404, "Not Found")

    def _admit(self, asked: Asked) -> None:
        if self.token and asked.headers.get("authorization") != f"Bearer {self.token}":
            raise Failure(401, "Request header error: there is no user identity header.")
        if self.cookie and self.cookie not in asked.headers.get("cookie", ""):
            raise Failure(401, "Request header error: there is no user identity header.")


def error(status: int, message: str, upload: bool = False) -> dict[str, Any]:
    """As the gateway words it; uploads do not go through it."""
    if upload:
        return {"error_message": message, "error_details": message}
    return {"error": message, "code": CODES.get(status, 2), "message": message, "details": []}


class Handler(BaseHTTPRequestHandler):
    """Every method of the API."""

    kfp: KfpServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        asked = Asked(
            self.command,
            parts.path,
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            self._body(self.rfile.read(length)),
            {key.lower(): value for key, value in self.headers.items()},
        )
        status, answer, fault = self.kfp.answered(asked)
        try:
            self._fail(fault, answer) if fault is not None else self._send(status, json.dumps(answer).encode())
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            self.close_connection = True  # who asked is gone

    do_POST = do_DELETE = do_PATCH = do_PUT = do_GET

    def _body(self, raw: bytes) -> Any:
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/form-data"):
            parts = message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + raw)
            return parts.get_payload(0).get_payload(decode=True) if parts.is_multipart() else b""  # type: ignore[union-attr]
        try:
            return json.loads(raw) if raw else {}
        except ValueError:
            return raw

    def _send(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _fail(self, how: int | str, answer: Any) -> None:
        match how:
            case int():
                self._send(how, json.dumps(error(how, f"told to answer {how}")).encode())
            case "hang":
                self._end(self.kfp.closing.wait())
            case "drop":
                self._end()
            case "cut":
                self._end(self._promise(json.dumps(answer).encode().ljust(64), 32))
            case "slow":
                self._end(self._trickle())
            case "garbage":
                self._send(200, b"upstream connect error")
            case "empty":
                self._send(200, b"")
            case "login":
                self._send(200, LOGIN.encode(), "text/html; charset=utf-8")
            case "redirect":
                self._send(302, LOGIN.encode(), "text/html", Location=f"{self.kfp.url}/dex/auth?client_id=kubeflow")
            case "huge":
                self._end(self._promise(b" " * 2**26, 2**26))

    def _end(self, done: object = None) -> None:
        self.close_connection = True

    def _promise(self, body: bytes, kept: int) -> None:
        """The headers of a whole answer, and less of it."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:kept])

    def _trickle(self) -> None:
        self._promise(b" " * 2**20, 0)
        while not self.kfp.closing.wait(TRICKLE_SECONDS):
            self.wfile.write(b" ")

    def log_message(self, format: str, *arguments: object) -> None:
        """Quiet."""
