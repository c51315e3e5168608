"""A schedule as an endpoint keeps it: the fields that matter, and the mark that says whose it is.

Kubeflow Pipelines has no field for an owner, so the mark is the last line of the description, which the API keeps as it
is. It names owner, environment and schedule, and the digest of what was asked for: where the digest is the file's and a
field is not, someone edited the schedule on the endpoint. Whether a schedule is on is no part of the digest, since that
alone can be changed in place.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from medu1 import record
from medu1.question import Frozen
from medu1.section import Section

MARK: Final = re.compile(r"medu1\.schedule=([a-z0-9-]+)/([a-z0-9-]+)/([a-z0-9-]+) digest=([0-9a-f]{16})\s*$")
KEPT_BY: Final = "Kept by medu1 schedule apply, which undoes edits."
ABSENT: Final = "absent"


class Terms(Section):
    """What makes a schedule this one; instants are ISO 8601 in UTC, "" is none."""

    cron: str  # as the endpoint counts
    start: str = ""
    end: str = ""
    concurrency: int
    no_catchup: bool
    experiment: str
    service_account: str = ""  # "" in a file: whatever the endpoint puts there
    package: str  # digest of the pipeline package that runs
    parameters: Mapping[str, str]

    @property
    def digest(self) -> str:
        """16 hexadecimal digits."""
        return record.digest(self.model_dump(mode="json"))[:16]


class Scope(NamedTuple):
    """Whose schedules, and in which environment."""

    owner: str
    environment: str

    def display(self, name: str) -> str:
        """What people read on the endpoint."""
        return f"{self.owner}-{self.environment}-{name}"

    def description(self, name: str, digest: str) -> str:
        """Below the 191 characters that the endpoint's database keeps."""
        return f"{KEPT_BY} medu1.schedule={self.owner}/{self.environment}/{name} digest={digest}"


class Held(Frozen):
    """A recurring run of an endpoint."""

    id: str
    display: str
    description: str
    enabled: bool
    created: datetime
    terms: Terms

    def name(self, scope: Scope) -> str | None:
        """The schedule that it is, by mark and name; a copy under another name is its maker's own. None: not ours."""
        marked = MARK.search(self.description)
        if marked is None or (marked[1], marked[2]) != scope or self.display != scope.display(marked[3]):
            return None
        return marked[3]

    @property
    def digest(self) -> str:
        """Of what was asked for when it was made; "" without a mark."""
        marked = MARK.search(self.description)
        return marked[4] if marked else ""


class FieldDifference(NamedTuple):
    """A field that is one thing in the file and another on the endpoint."""

    field: str
    here: Any
    there: Any


def differing(here: Terms, there: Terms) -> Iterator[FieldDifference]:
    """Field by field, parameters key by key."""
    wanted, found = _flat(here), _flat(there)
    if not here.service_account:
        found["service_account"] = ""
    for field in sorted({*wanted, *found}):
        if wanted.get(field, ABSENT) != found.get(field, ABSENT):
            yield FieldDifference(field, wanted.get(field, ABSENT), found.get(field, ABSENT))


def _flat(terms: Terms) -> dict[str, Any]:
    fields = terms.model_dump(mode="json")
    return {**{name: value for name, value in fields.items() if name != "parameters"}, **_keys(fields["parameters"])}


def _keys(parameters: Mapping[str, str]) -> dict[str, Any]:
    """A section travels as one JSON text; its keys are named as in the parameter file."""
    flat: dict[str, Any] = {}
    for name, text in parameters.items():
        flat.update(_below(name, _parsed(text)))
    return flat


def _below(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {name: value}
    return {key: found for inner in value for key, found in _below(f"{name}.{inner}", value[inner]).items()}


def _parsed(text: str) -> Any:
    try:
        found = json.loads(text)
    except (ValueError, TypeError):
        return text
    return found if isinstance(found, dict) else text
