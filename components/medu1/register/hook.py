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

from medu1.errors import Stop
from medu1.promotions import Entry, fold, log_of
from medu1.tracking import Tracking
from medu1.webhook import Failed, is_address, post

HOOK: Final = "MEDU1_PROMOTION_HOOK"  # in the environment
DUE: Final = {"medu1.hook": "due"}  # tag of an entry that is to be told
TOLD: Final = "medu1.told"  # tag of an entry: when the hook took it, ISO 8601, UTC
COMMAND_SECONDS: Final = 60.0
SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://")
PROGRAM: Final = re.compile(r"[\w.-]{1,60}")  # a name that can be told


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
        case _ if is_address(hook):
            post(hook, message, entry.request)
        case _:
            raise Failed("It is a URL of another kind than http and https")


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
