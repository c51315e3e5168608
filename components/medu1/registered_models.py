"""The registered models of an MLflow server or database: versions, aliases, and who is champion.

Who is champion is told by the promotion log (`promotions.py`); `settle` makes the aliases agree with it. Versions and
entries of the log are made in the room register.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from medu1.errors import Stop
from medu1.promotions import Asked, Entry, State, fold, log_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
JITTER = "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER"
PASSES = 20  # over the aliases, each for a promotion that came in between
PAGE = 1000  # versions asked for in one call

WEIGHTS, KEY = "medu1.weights", "medu1.key"  # tags of a model version


class Champion(NamedTuple):
    """The registered version every candidate has to beat; "" each where there is none."""

    version: str
    weights: str  # weights digest
    key: str  # of the model's folder in the store


class RegisteredModels:
    """What the registry behind a client holds, by the name of a registered model."""

    def __init__(self, client: "MlflowClient") -> None:
        self.client = client

    def champion(self, name: str) -> Champion:
        """The champion of a registered model, by its log. Raises Stop where that version is gone."""
        state = self.settle(name)
        if not state.champion:
            return Champion("", "", "")
        found = self.version(name, state.champion)
        if found is None:
            raise Stop(
                f"Version {state.champion} of {name} is the champion and is not in the registry.",
                "It was deleted there.",
                "Promote another version, or `medu1 rollback` to the one before.",
            )
        return Champion(str(found.version), found.tags.get(WEIGHTS, ""), found.tags.get(KEY, ""))

    def version(self, name: str, number: str) -> "ModelVersion | None":
        """One version of a registered model; None where there is no such version or model."""
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_model_version(name, number)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None

    def versions(self, name: str) -> list["ModelVersion"]:
        """Every version of a registered model, oldest first."""
        found, token = list["ModelVersion"](), None
        while True:
            query = f"name = '{name}'"
            page = self.client.search_model_versions(query, PAGE, ["version_number ASC"], token)
            found += page
            token = page.token
            if not token:
                return sorted(found, key=lambda version: int(version.version))

    def aliases(self, name: str) -> dict[str, str]:
        """The versions of a registered model by alias; empty where there is no such model."""
        from mlflow.exceptions import MlflowException

        try:
            found = self.client.get_registered_model(name).aliases
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return {}
        return {alias: str(version) for alias, version in found.items()}

    def probe(self, name: str, run: str) -> str:
        """What a run may do with a registered model, by doing it and taking it back; both bear the run's name.

        Raises MLflow's error where it may not.
        """
        from mlflow.exceptions import MlflowException

        tag, other = f"medu1.probe.{run}", f"{name}-probe-{run}"
        try:
            self.client.get_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            self.client.create_registered_model(other)
            self.client.delete_registered_model(other)
            return f"{name} is not there yet, and may be made."
        self.client.set_registered_model_tag(name, tag, run)
        self.client.delete_registered_model_tag(name, tag)
        return f"{name} may be changed."

    def promotions(self, name: str) -> list[Entry]:
        """The log of a registered model, in its order; a version that says nothing readable is no entry."""
        return [entry for version in self.versions(log_of(name)) if (entry := _entry(version))]

    def settle(self, name: str) -> State:
        """Make the aliases say what the log says, and give that. Without a log the alias `champion` stands.

        Whoever moves an alias reads the log once more afterwards, so that of several at once the last to write has
        seen every entry; one killed in between leaves an alias that the next one sets right. Two that set an alias for
        the first time at once may have the database refuse one of them; it looks again, since the other's stands.
        Raises Stop where entries are gone.
        """
        from mlflow.exceptions import MlflowException

        for _ in range(PASSES):
            entries = self.promotions(name)
            if not entries:
                return State(champion=self.aliases(name).get("champion", ""))
            _check_complete(name, entries)
            state = fold(entries)
            moves = self._moves(name, state)
            if not moves:
                return state
            held = self.aliases(name)
            try:
                self._move(name, moves)
            except MlflowException:
                if self.aliases(name) == held:
                    raise
        raise Stop(
            f"The aliases of {name} do not keep what they are set to.",
            f"The log {log_of(name)} and the aliases still differ after {PASSES} attempts.",
            "End whatever else moves them, and run again.",
        )

    def _move(self, name: str, moves: Mapping[str, str]) -> None:
        for alias, version in moves.items():
            if version:
                self.client.set_registered_model_alias(name, alias, version)
            else:
                self.client.delete_registered_model_alias(name, alias)

    def _moves(self, name: str, state: State) -> dict[str, str]:
        """What is to be set, by alias; "" is to be deleted. A version that is gone has none."""
        held = self.aliases(name)
        wanted = {"champion": state.champion, "previous": state.previous}
        if held.get("challenger") == state.champion:
            wanted["challenger"] = ""
        moves = {alias: version for alias, version in wanted.items() if held.get(alias, "") != version}
        there = {alias: version if version and self.version(name, version) else "" for alias, version in moves.items()}
        return {alias: version for alias, version in there.items() if held.get(alias, "") != version}


def _entry(version: "ModelVersion") -> Entry | None:
    told = {key: version.tags[f"medu1.{key}"] for key in Asked.model_fields if f"medu1.{key}" in version.tags}
    try:
        return Entry.model_validate({"number": version.version, **told})
    except ValidationError:
        return None


def _check_complete(name: str, entries: Sequence[Entry]) -> None:
    """MLflow lets anyone delete a version, and what follows cannot be read without it."""
    gone = sorted(set(range(1, entries[-1].number)) - {entry.number for entry in entries})
    if gone:
        raise Stop(
            f"The promotion log {log_of(name)} lacks entry {', '.join(map(str, gone))}.",
            "It was deleted, or was not written by medu1; without it nobody can tell who is champion.",
            f"`medu1 history` shows what is left. Set the alias champion of {name} to the version that is to stand, "
            f"and rename the registered model {log_of(name)}: the next promotion begins a log there.",
        )


_ONCE = Lock()
_TURNS = count(1)


@contextmanager
def once() -> Iterator[None]:
    """Requests inside are made once: MLflow repeats one whose answer is lost, and would create a second version.

    They have a connection of their own. One that lay idle may be closed by the server just as it is used again, which
    is no matter only to a client that repeats itself. MLflow keeps connections by these settings.
    """
    with _ONCE:
        own = {RETRIES: "0", JITTER: str(1 / next(_TURNS))}
        before = {name: os.environ.get(name) for name in own}
        os.environ.update(own)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
