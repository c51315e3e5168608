"""One HTTP call to a Kubeflow Pipelines API: an answer as JSON within a deadline, or a Stop that says what went wrong.

Neither of kfp's clients is used. `kfp.Client` prints, reads a kubeconfig and a context file of its own, polls at
construction and opens a browser; the client generated from the API's description has no deadline for a whole answer,
follows a redirect to a login page and takes that page for an empty run. The paths, queries and bodies are those of the
description; the tests hold every one against its models.

`Unanswered` and `Refused` differ in what a caller may do next. Refused: the server said no, nothing was done.
Unanswered: the request may have been carried out, so one that makes something is never sent again before a look.
"""

import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from functools import cached_property
from pathlib import Path
from threading import Event, Thread
from typing import Annotated, Any, TypeVar
from urllib.parse import unquote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from pydantic import Field
from urllib3.exceptions import ConnectTimeoutError, HTTPError, SSLError, TimeoutError

from medu1.errors import Stop
from medu1.question import Frozen
from pipelines import terminal
from pipelines.access import Access, is_loopback

LARGEST = 32 * 2**20  # bytes of an answer; a run with its tasks takes some hundred kilobytes
BLOCK = 2**16
SHOWN = 400  # characters of a server's message
TRANSIENT = frozenset({429, 500, 502, 503, 504})
MAYBE_DONE = frozenset({500, 502, 503, 504})  # a gateway may answer so after the server did what was asked

T = TypeVar("T")


class Patience(Frozen):
    """How long a call may take, and how often one that changes nothing twice is repeated."""

    seconds: float = 30.0  # for a whole answer, its last byte included
    pauses: Annotated[tuple[float, ...], Field(min_length=1)] = (0.5, 1.0, 2.0)  # seconds before another attempt


class Unanswered(Stop):
    """No answer that says whether the request was carried out."""


class Refused(Stop):
    """The server's no: nothing was done."""

    def __init__(self, status: int, fact: str, reason: str = "", next_step: str = "") -> None:
        super().__init__(fact, reason, next_step)
        self.status = status  # of HTTP


class Wire:
    """Calls in one caller's name."""

    def __init__(self, access: Access, patience: Patience) -> None:
        self.access, self.patience = access, patience

    def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Ask; repeated while the server is busy or away."""
        return self.again(lambda: self.call("GET", path, query))

    def again(self, act: Callable[[], T]) -> T:
        """Repeat what may be done twice, a bounded number of times."""
        for pause in self.patience.pauses:
            try:
                return act()
            except Unanswered:
                time.sleep(pause)
            except Refused as refused:
                if refused.status not in TRANSIENT:
                    raise
                time.sleep(pause)
        return act()

    def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        file: Path | None = None,
    ) -> dict[str, Any]:
        """One request, sent once. Raises Refused, Unanswered, or Stop where the credentials cannot be read."""
        url = f"{self.access.url}{path}" + (f"?{urlencode(query)}" if query else "")
        content: dict[str, Any] = {}
        if file:
            content["fields"] = {"uploadfile": (file.name, file.read_bytes(), "application/yaml")}
        elif body is not None:
            content["body"] = json.dumps(body).encode()
        headers = {"Accept": "application/json", **self.access.credentials.headers()}
        headers |= {"Content-Type": "application/json"} if body is not None else {}
        status, kind, data = self._within(lambda over: self._answer(over, method, url, headers, content))
        return self._read(status, kind, data)

    def _within(self, act: Callable[[Event], T]) -> T:
        """Names, connections, headers and a body byte by byte each have no limit of their own: one for them all."""
        future: Future[T] = Future()
        over = Event()

        def run() -> None:
            try:
                future.set_result(act(over))
            except BaseException as error:
                future.set_exception(error)

        Thread(target=run, daemon=True).start()
        try:
            return future.result(self.patience.seconds)
        except Late:
            over.set()
            raise self._late() from None
        except HTTPError as error:
            raise self._broken(error) from None
        except OSError as error:
            raise self._away(error.strerror or type(error).__name__) from None

    def _answer(
        self, over: Event, method: str, url: str, headers: dict[str, str], content: dict[str, Any]
    ) -> tuple[int, str, bytes]:
        response = self._pool.request(
            method,
            url,
            headers=headers,
            timeout=urllib3.Timeout(total=self.patience.seconds),
            retries=False,
            redirect=False,
            preload_content=False,
            **content,
        )
        try:
            data = b"".join(self._blocks(response, over))
        finally:
            response.close()
        return response.status, response.headers.get("Content-Type", ""), data

    def _blocks(self, response: urllib3.BaseHTTPResponse, over: Event) -> Iterator[bytes]:
        """The body as it comes, until the deadline or a size that no answer has."""
        size = 0
        while (block := response.read1(BLOCK)) and not over.is_set():
            size += len(block)
            if size > LARGEST:
                raise self._foreign(f"with more than {LARGEST / 2**20:g} MiB")
            yield block

    @cached_property
    def _pool(self) -> urllib3.PoolManager:
        """urllib3 itself: it reads no .netrc, whose password would take the place of the credentials given here."""
        context = ssl.create_default_context(cafile=self.access.ca)
        parts = urlsplit(self.access.url)
        direct = is_loopback(self.access.url) or proxy_bypass(parts.hostname or "")
        proxy = None if direct else getproxies().get(parts.scheme)
        if not proxy:
            return urllib3.PoolManager(ssl_context=context, maxsize=1)
        way = urlsplit(proxy)
        who = f"{unquote(way.username or '')}:{unquote(way.password or '')}"
        headers = urllib3.make_headers(proxy_basic_auth=who) if way.username else None
        return urllib3.ProxyManager(proxy, proxy_headers=headers, ssl_context=context, maxsize=1)

    def _read(self, status: int, kind: str, data: bytes) -> dict[str, Any]:
        page = "html" in kind or data[:200].lstrip()[:1] == b"<"
        if 300 <= status < 400 or (page and status < 400):
            raise Refused(
                status,
                f"{self.access.url} answers with a page for people, a login, not with the API.",
                f"A proxy in front of it does not know {self.access.credentials.who()}.",
                "Renew the session cookie or the token, or name the API's own address with --endpoint.",
            )
        if status >= 400:
            raise self._no(status, self._message(data, page))
        try:
            answer = json.loads(data)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise self._foreign("with something else than JSON")
        return answer

    def _foreign(self, how: str) -> Stop:
        step = "Check that --endpoint is a Kubeflow Pipelines API."
        return Unanswered(f"{self.access.url} answered {how}.", next_step=step)

    def _no(self, status: int, said: str) -> Stop:
        """An error status in the words of who can mend it."""
        url, who, namespace = self.access.url, self.access.credentials.who(), self.access.namespace
        match status:
            case 401:
                return Refused(
                    status, f"{url} does not accept {who} (401).", said, "Renew it, or name others' credentials."
                )
            case 403:
                where = f" in namespace {namespace}" if namespace else ""
                step = "Ask for the rights of a Kubeflow editor there, or name another --namespace."
                return Refused(status, f"{url} forbids {who} to do this{where} (403).", said, step)
            case _ if status in MAYBE_DONE:
                step = "Run the same command again later."
                return Unanswered(f"{url} failed to answer ({status}).", said, step)
            case 404:
                step = "If all fails so, --endpoint lacks a path, such as /pipeline behind Kubeflow's dashboard."
                return Refused(status, f"{url} does not know what is asked for (404).", said, step)
            case _:
                step = "Run the same command again later." if status == 429 else ""
                return Refused(status, f"{url} refused the request ({status}).", said, step)

    def _message(self, data: bytes, page: bool) -> str:
        """What a server says of an error; a page's text says nothing, and an echo of the credentials is left out."""
        if page:
            return ""
        text = data[: 4 * SHOWN].decode(errors="replace")
        try:
            answer = json.loads(data)
            text = str(answer.get("message") or answer.get("error_message") or answer.get("error") or "")
        except (ValueError, AttributeError):
            pass
        text = terminal.line(text)
        secret = self.access.credentials.value()
        text = text.replace(secret, "***") if secret else text
        return f"It says: {text[:SHOWN].rstrip('.')}." if text else ""

    def _broken(self, error: HTTPError) -> Stop:
        """A connection that could not be made, or one that ended early."""
        match error:
            case ConnectTimeoutError():  # NewConnectionError among them
                cause = error.__cause__
                return self._away((cause.strerror if isinstance(cause, OSError) else "") or "no connection is made")
            case TimeoutError():
                return self._late()
            case SSLError():
                return self._untrusted(str(error))
            case _:
                return Unanswered(
                    f"{self.access.url} ended the connection before its answer was whole.",
                    next_step="Run the same command again; check that the address and http or https are right.",
                )

    def _late(self) -> Stop:
        return Unanswered(
            f"{self.access.url} gave no whole answer in {self.patience.seconds:g} s.",
            next_step="Run the same command again; --timeout allows more.",
        )

    def _away(self, why: str) -> Stop:
        return Unanswered(
            f"Nothing answers at {self.access.url}: {why}.",
            next_step="Check --endpoint, and that a port that is forwarded still is.",
        )

    def _untrusted(self, why: str) -> Stop:
        if "CERTIFICATE_VERIFY_FAILED" in why:
            return Refused(
                0,
                f"The certificate of {self.access.url} is not trusted.",
                "Its issuer is unknown here, its name differs, or it has expired.",
                "Name the issuer's certificate with --ca FILE.",
            )
        return Refused(
            0,
            f"{self.access.url} does not speak TLS.",
            next_step="If it is a forwarded port or inside the cluster, write http:// instead.",
        )
