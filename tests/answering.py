"""An HTTP server on loopback that answers as a test says and keeps what it was asked."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Request(NamedTuple):
    """What came."""

    method: str
    path: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes


class Answer(NamedTuple):
    """What goes back."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = {}


Says = Callable[[Request], Answer]


class Answering:
    """The running server; `says` may be changed at any time."""

    def __init__(self, says: Says) -> None:
        self.says, self.asked = says, list[Request]()
        outer, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.command, self.path, headers, self.rfile.read(length))
                with lock:
                    outer.asked.append(request)
                answer = outer.says(request)
                self.send_response(answer.status)
                for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body)

            do_GET = do_HEAD = do_POST = do_PUT = _answer

            def log_message(self, format: str, *words: object) -> None:
                """Quiet."""

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """Clients hang up on purpose."""

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def host(self) -> str:
        """Address and port."""
        return f"127.0.0.1:{self.port}"

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def answering(says: Says) -> Iterator[Answering]:
    """A server for as long as it lasts."""
    server = Answering(says)
    try:
        yield server
    finally:
        server.close()
