"""The promotion log of a registered model as it grows: who asked for which champion, when, why and on what evidence.

An entry is created whole in one call, and the registry gives it its number; an entry that lost to an earlier one stays
there, void. So nothing is locked, and what a killed process did or did not write is read off the log.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple

from medu1 import record
from medu1.errors import Stop
from medu1.promotions import Asked, Entry, Kind, State, fold, log_of
from medu1.question import Frozen
from medu1.register import hook
from medu1.registered_models import WEIGHTS, once
from medu1.tracking import Tracking, refused

EVALUATION = "medu1.evaluation"  # tag of a version: digest of the evaluation it was accepted on
LOG_OF = "medu1.log_of"  # tag of a registered model that is a log: whose
LONGEST_REASON = 2000  # characters


class Told(Frozen):
    """An entry of the log and, where it moved nothing, why."""

    entry: Entry
    void: str | None


class Request(NamedTuple):
    """Who asks for what, and why."""

    kind: Kind
    asked: str  # a version or an alias; "" where nobody asked
    who: str
    why: str

    def is_of(self, entry: Entry | None) -> bool:
        """Whether the entry is this request, asked before."""
        return entry is not None and self == (entry.kind, entry.asked, entry.who, entry.why)


def request(kind: Kind, asked: str, who: str, why: str) -> Request:
    """Each on one line. Raises Stop where the reason or the name says nothing, or would not be legible in the log."""
    told = {"reason": " ".join(why.split()), "name of who asks": " ".join(who.split())}
    for what, text in told.items():
        if not text or not text.isprintable() or len(text) > LONGEST_REASON:
            raise Stop(
                f"The {what} is {text[:60]!r}.",
                f"The promotion log keeps it for good: 1 to {LONGEST_REASON:,} characters that can be read.",
                "Say it in a sentence with --why." if what == "reason" else "Give it with --who.",
            )
    return Request(kind, asked, told["name of who asks"], told["reason"])


FIRST = Request("promote", "", "medu1 register", "first accepted version")
FOUND = Request("promote", "", "medu1", "champion before this log began")


def history(tracking: Tracking, name: str) -> list[Told]:
    """The log, oldest first. Raises Stop where the registry fails."""
    with telling(f"the history of {name} was read"):
        entries = tracking.models.promotions(name)
    void = fold(entries).void
    return [Told(entry=entry, void=void.get(entry.number)) for entry in entries]


def enter(tracking: Tracking, name: str, wanted: Request, target: str, tags: Mapping[str, str], replaces: str) -> State:
    """Add what is asked for to the log, and give the state that follows, whether it moved the champion or not.

    `tags` are the target's, `replaces` is the champion that the decision was taken against.
    """
    began = _begun(tracking, name)
    asked = _asked(wanted, target, tags, replaces, began.last.number if began.last else 0)
    _append(tracking, name, asked, hook.due())
    return tracking.models.settle(name)


def _begun(tracking: Tracking, name: str) -> State:
    """The state of a log that says who is champion; one without entries begins with the champion there is."""
    state = tracking.models.settle(name)
    if state.last or not state.champion:
        return state
    found = tracking.models.version(name, state.champion)
    _append(tracking, name, _asked(FOUND, state.champion, found.tags if found else {}, "", 0), {})
    return tracking.models.settle(name)


def _asked(wanted: Request, target: str, tags: Mapping[str, str], replaces: str, since: int) -> Asked:
    evidence = tags.get(EVALUATION, "")
    return Asked(
        kind=wanted.kind,
        target=target,
        weights=tags.get(WEIGHTS, ""),
        replaces=replaces,
        since=since,
        asked=wanted.asked,
        who=wanted.who,
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        why=wanted.why,
        evidence=evidence,
        request=record.digest([wanted.kind, target, replaces, since, evidence])[:16],
    )


def _append(tracking: Tracking, name: str, asked: Asked, further: Mapping[str, str]) -> None:
    """One version of the log. Where the call failed, the log says whether it was carried out."""
    from mlflow.exceptions import MlflowException

    ensure(tracking, log_of(name), f"Promotions and rollbacks of {name}, one a version. Not a model.", {LOG_OF: name})
    tags = {**{f"medu1.{key}": str(value) for key, value in asked.model_dump().items()}, **further}
    told = f"{asked.kind}: version {asked.target} in place of {asked.replaces or 'none'}, by {asked.who}: {asked.why}"
    try:
        with once():
            tracking.client.create_model_version(
                log_of(name), f"models:/{name}/{asked.target}", tags=tags, description=told, await_creation_for=0
            )
    except MlflowException:
        if asked.request not in {entry.request for entry in tracking.models.promotions(name)}:
            raise


def ensure(tracking: Tracking, name: str, description: str, tags: Mapping[str, str] | None = None) -> None:
    """A registered model of this name, created where absent."""
    from mlflow.exceptions import MlflowException

    try:
        tracking.client.create_registered_model(name, dict(tags or {}), description)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


@contextmanager
def telling(act: str) -> Iterator[None]:
    """A registry that fails is a Stop: what it was asked last may be done or not, and asking again settles it."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if stop := refused(error):
            raise stop from error
        said = str(error).strip().partition("\n")[0][:300].rstrip(".")
        raise Stop(
            f"The registry failed while {act}: {said}.",
            "What it took stands in its log, and the aliases follow the log.",
            "Run the same command again: it goes on from there.",
        ) from error
