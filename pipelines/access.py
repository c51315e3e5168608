"""Where a Kubeflow Pipelines API is and whose credentials a request carries.

Credentials come from the environment or from files, never from options, which a list of processes shows, nor from
parameters. Exactly one kind is used: two at once would leave open who asks. Over plain http they go to this machine
alone, unless the caller says that the network between is trusted, as it is inside a cluster.
"""

import base64
import ipaddress
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import SecretStr

from medu1.errors import Stop
from medu1.question import Frozen
from pipelines import terminal

ENDPOINT = "MEDU1_KFP_ENDPOINT"
NAMESPACE = "MEDU1_KFP_NAMESPACE"
TOKEN = "MEDU1_KFP_TOKEN"
TOKEN_FILE = "MEDU1_KFP_TOKEN_FILE"
COOKIE = "MEDU1_KFP_COOKIE"
IAP = "MEDU1_KFP_IAP_CLIENT"  # an OAuth client's id, no secret
CA = "MEDU1_KFP_CA"
UI = "MEDU1_KFP_UI"  # where a browser finds runs, if elsewhere
PROJECTED = Path("/var/run/secrets/kubeflow/pipelines/token")  # where Kubeflow's pod defaults mount a token


class Credentials(Frozen):
    """Whose name a request is made in."""

    kind: Literal["none", "token", "file", "cookie", "iap"] = "none"
    where: str = ""  # the variable they come from
    secret: SecretStr = SecretStr("")  # of token and cookie
    file: Path = Path()  # of file; read for each request, since a cluster renews it
    client: str = ""  # of iap

    @classmethod
    def read(cls, environment: Mapping[str, str], client: str = "") -> Self:
        """Raises Stop where two kinds are given, or one that no header can carry."""
        given = [name for name in (TOKEN, TOKEN_FILE, COOKIE) if environment.get(name, "").strip()]
        given += [IAP] if client else []
        if len(given) > 1:
            raise Stop(
                f"Credentials come from {' and '.join(given)}.",
                "Who asks must be one.",
                "Unset all of these variables but one.",
            )
        match given:
            case [name] if name in (TOKEN, COOKIE):
                secret = _printable(environment[name].strip(), name)
                return cls(kind="token" if name == TOKEN else "cookie", where=name, secret=SecretStr(secret))
            case [name] if name == TOKEN_FILE:
                return cls(kind="file", where=name, file=Path(environment[name]))
            case [name]:
                return cls(kind="iap", where=name, client=client)
            case _ if PROJECTED.is_file():
                return cls(kind="file", where=str(PROJECTED), file=PROJECTED)
            case _:
                return cls()

    def headers(self) -> dict[str, str]:
        """What a request carries. Raises Stop where a token cannot be read or fetched."""
        match self.kind:
            case "none":
                return {}
            case "cookie":
                return {"Cookie": self.secret.get_secret_value()}
            case _:
                return {"Authorization": f"Bearer {self.value()}"}

    def value(self) -> str:
        """The secret itself."""
        match self.kind:
            case "file":
                return _token_of(self.file, self.where)
            case "iap":
                return self._iap.token()
            case _:
                return self.secret.get_secret_value()

    @cached_property
    def _iap(self) -> "_Iap":
        return _Iap(self.client)

    def who(self) -> str:
        """For a person: the name in the credentials, where they state one, and where they come from."""
        match self.kind:
            case "none":
                return "a request without credentials"
            case "cookie":
                return f"the session cookie of {self.where}"
            case _:
                return f"the token of {self.where}{_claims(self.value())}"


class Access(Frozen):
    """One API as one caller sees it."""

    url: str  # without a slash at its end; paths such as /apis/v2beta1/runs follow it
    namespace: str = ""  # "": a server for one user
    credentials: Credentials = Credentials()
    ca: Path | None = None  # certificates to trust; None: the system's
    ui: str = ""  # "": url

    @classmethod
    def read(
        cls,
        endpoint: str = "",
        namespace: str = "",
        iap_client: str = "",
        ca: Path | None = None,
        plain_http: bool = False,
        environment: Mapping[str, str] = os.environ,
    ) -> Self:
        """From options, else from the environment. Raises Stop where the address or the credentials are not usable."""
        url = _address(endpoint or environment.get(ENDPOINT, ""))
        credentials = Credentials.read(environment, iap_client or environment.get(IAP, ""))
        if credentials.kind != "none" and url.startswith("http://") and not (plain_http or is_loopback(url)):
            raise Stop(
                f"{url} is plain http.",
                f"{credentials.where} would cross the network for anyone to read.",
                "Use https://, forward the port to this machine, or pass --plain-http inside a trusted network.",
            )
        return cls(
            url=url,
            namespace=namespace or environment.get(NAMESPACE, ""),
            credentials=credentials,
            ca=_certificates(ca or Path(environment[CA])) if ca or environment.get(CA) else None,
            ui=environment.get(UI, "").rstrip("/"),
        )

    def link(self, run: str) -> str:
        """Where a browser shows a run."""
        return f"{self.ui or self.url}/#/runs/details/{run}"


class _Iap:
    """Tokens for Google's Identity-Aware Proxy, signed for its OAuth client and renewed when they run out.

    They are fetched with a service account's key file (GOOGLE_APPLICATION_CREDENTIALS) or from the metadata server of a
    machine at Google. No browser is opened: a schedule or a CI job has none.
    """

    def __init__(self, client: str) -> None:
        self.client = client
        self._held: Any = None  # google.auth's credentials, untyped there

    def token(self) -> str:
        """A token that is valid now. Raises Stop where none can be fetched."""
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.requests import Request
        from google.oauth2.id_token import fetch_id_token_credentials

        try:
            request = Request()
            self._held = self._held or fetch_id_token_credentials(self.client, request)  # type: ignore[no-untyped-call]
            if not self._held.valid:
                self._held.refresh(request)
        except (GoogleAuthError, OSError, ValueError) as error:
            raise Stop(
                f"No token for the Identity-Aware Proxy's client {self.client}: {terminal.line(str(error))[:300]}.",
                next_step="Set GOOGLE_APPLICATION_CREDENTIALS to a service account's key file, or run at Google.",
            ) from None
        return str(self._held.token)


def is_loopback(url: str) -> bool:
    """Whether an address stays on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _address(given: str) -> str:
    """An address without what a browser adds to it."""
    if not given:
        raise Stop("No endpoint is named.", next_step=f"Pass --endpoint https://HOST, or set {ENDPOINT}.")
    wrong = "Write https://HOST or http://HOST:PORT, with a path where the API lies below one."
    try:
        parts = urlsplit(given.strip())
        _ = parts.port  # raises ValueError where it is no number
    except ValueError:
        raise Stop("The endpoint is no address.", next_step=wrong) from None
    if parts.username or parts.password:
        raise Stop("The endpoint holds a user's name or password.", next_step=f"Set {TOKEN} or {COOKIE} instead.")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise Stop(f"The endpoint {terminal.line(given)!r} is no address of an API.", next_step=wrong)
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _certificates(path: Path) -> Path:
    if not path.is_file():
        raise Stop(f"The certificates {path} cannot be read.", next_step="Name a PEM file with --ca.")
    return path


def _token_of(path: Path, where: str) -> str:
    try:
        return _printable(path.read_text(encoding="utf-8").strip(), where)
    except (OSError, UnicodeDecodeError):
        raise Stop(f"The token file of {where} cannot be read.", next_step="Correct the path or its rights.") from None


def _printable(secret: str, where: str) -> str:
    """A header's value: a line break in it would start another header."""
    if not secret or not secret.isascii() or not secret.isprintable():
        raise Stop(f"{where} holds no credentials that a header can carry.", next_step="Set it again, on one line.")
    return secret


def _claims(token: str) -> str:
    """Subject and expiry of a JSON web token, unverified: they tell a person whose it is, the signature stays out."""
    try:
        middle = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
        subject = terminal.line(str(claims.get("email") or claims["sub"]))[:120]
        until = datetime.fromtimestamp(claims["exp"], UTC) if "exp" in claims else None
    except (IndexError, KeyError, ValueError, TypeError, AttributeError, OverflowError, OSError):
        return ""
    over = f", expired {until:%Y-%m-%d %H:%M} UTC" if until and until < datetime.now(UTC) else ""
    return f" ({subject}{over})"
