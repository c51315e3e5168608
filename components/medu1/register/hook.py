"""Who is told of a new champion: `MEDU1_PROMOTION_HOOK`, a URL that gets a POST, or a command that gets it on stdin.

It is read from the environment where it is used, and is no parameter, because its URL may hold a secret: nothing here
says more of it than the host or the program's name. The promotion stands whatever the hook does. An entry of the log is
marked as due in the call that creates it and as told once the hook took it, so a kill in between loses nothing: the
next promotion or rollback, or the same command again, delivers what is due, oldest first. So a receiver hears of each
at least once, and knows a repetition by the header `Idempotency-Key` or by `request` in the message.

An MLflow server has webhooks of its own (`mlflow.webhooks`), signed and stored with the server. They fire on what the
server sees, an alias that moves or a tag that is set, whoever did it, and without reason or evidence. Take those to
watch a registry that many tools write to; take this hook to deploy by the log, and where there is no server.
"""

import json
import os
import re
import shlex
import signal
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen, TimeoutExpired
from typing import Final
from urllib.parse import urlsplit

from medu1.errors import Stop
from medu1.promotions import Entry, fold, log_of
from medu1.tracking import Tracking

HOOK: Final = "MEDU1_PROMOTION_HOOK"  # in the environment
DUE: Final = {"medu1.hook": "due"}  # tag of an entry that is to be told
TOLD: Final = "medu1.told"  # tag of an entry: when the hook took it, ISO 8601, UTC
CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 15.0
COMMAND_SECONDS: Final = 60.0
RETRIES: Final = 2
PAUSE: Final = 0.2  # seconds before a retry, doubled for each further one
SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://")
PROGRAM: Final = re.compile(r"[\w.-]{1,60}")  # a name that can be told
PASSING: Final = (429, 500, 502, 503, 504)  # answers that another attempt may change


class Failed(Exception):
    """Why the hook did not take it, in words without the hook's secrets."""


def due() -> dict[str, str]:
    """The tag of an entry that is made now; none where nobody is to be told."""
    return DUE if os.environ.get(HOOK, "").strip() else {}


def deliver(tracking: Tracking, name: str) -> None:
    """Tell the hook of every promotion that is due, oldest first.

    Raises Stop where it does not take one; that one and those after it stay due.
    """
    if not due():
        return
    for entry in _untold(tracking, name):
        try:
            _send(os.environ[HOOK].strip(), entry, _message(name, entry))
        except Failed as failed:
            raise Stop(
                f"The promotion stands, and the hook in {HOOK} was not told of it (entry {entry.number} of {name}).",
                f"{failed}.",
                "Run the same command again once it answers: what is due is delivered then.",
            ) from None
        told = datetime.now(UTC).isoformat(timespec="seconds")
        tracking.client.set_model_version_tag(log_of(name), str(entry.number), TOLD, told)


def _untold(tracking: Tracking, name: str) -> Iterator[Entry]:
    """The entries that moved the champion, are due and were not told, in the log's order."""
    tags = {int(version.version): version.tags for version in tracking.models.versions(log_of(name))}
    entries = tracking.models.promotions(name)
    void = fold(entries).void
    for entry in entries:
        held = tags.get(entry.number, {})
        if entry.number not in void and DUE.items() <= held.items() and TOLD not in held:
            yield entry


def _message(name: str, entry: Entry) -> str:
    """What the hook is told, as JSON."""
    told = {
        "name": name,
        "version": entry.target,
        "replaced": entry.replaces,
        "kind": entry.kind,
        "who": entry.who,
        "when": entry.when,
        "why": entry.why,
        "evidence": entry.evidence,
        "weights": entry.weights,
        "entry": entry.number,
        "request": entry.request,
    }
    return json.dumps(told, sort_keys=True)


def _send(hook: str, entry: Entry, message: str) -> None:
    """Raises Failed where the hook does not take it."""
    match SCHEME.match(hook):
        case None:
            _run(hook, message)
        case found if found.group().lower() in ("http://", "https://"):
            _post(hook, entry, message)
        case _:
            raise Failed("It is a URL of another kind than http and https")


def _post(url: str, entry: Entry, message: str) -> None:
    import requests  # type: ignore[import-untyped]
    from requests.adapters import HTTPAdapter  # type: ignore[import-untyped]
    from urllib3 import Retry

    again = Retry(RETRIES, backoff_factor=PAUSE, status_forcelist=PASSING, allowed_methods=None, raise_on_status=False)
    headers = {"Content-Type": "application/json", "Idempotency-Key": entry.request}
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=again))
        try:
            answer = session.post(
                url,
                data=message.encode(),
                headers=headers,
                timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
                allow_redirects=False,
            )
        except (requests.RequestException, ValueError) as error:  # its words have the whole URL
            raise Failed(f"{_host(url)} cannot be reached ({type(error).__name__})") from None
    if not 200 <= answer.status_code < 300:
        raise Failed(f"{_host(url)} answers {answer.status_code}")


def _host(url: str) -> str:
    """The host: what lies before and after it may be a secret."""
    try:
        found = urlsplit(url)
        return f"{found.hostname or 'its host'}{f':{found.port}' if found.port else ''}"
    except ValueError:
        return "its host"


def _run(command: str, message: str) -> None:
    try:
        words = shlex.split(command)
    except ValueError:
        raise Failed("It is neither a URL nor a command: a quotation mark is not closed") from None
    name = Path(words[0]).name
    program = name if PROGRAM.fullmatch(name) else "the command"
    try:
        process = Popen(words, stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL, text=True, start_new_session=True)
    except (OSError, ValueError) as error:
        raise Failed(f"{program} cannot be run ({type(error).__name__})") from None
    with process:
        try:
            process.communicate(message, timeout=COMMAND_SECONDS)
        except TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what it started as well
            raise Failed(f"{program} did not end within {COMMAND_SECONDS:g} s") from None
    if process.returncode:
        raise Failed(f"{program} ends with exit code {process.returncode}")
