"""A registered version as a command line names it, and what the chain left of it, in the store or else in MLflow.

Nothing here makes a database that is not there, and nothing is written but the aliases, where they disagree with the
promotion log.
"""

import difflib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from medu1.errors import Stop

if TYPE_CHECKING:
    from medu1.record import StepRecord
    from medu1.tracking import Tracking

LIST = "`medu1 versions` lists what there is."
EVALUATION_KEY = "medu1.evaluation_key"  # tag of a version: its evaluation's folder in the store


class Registered(NamedTuple):
    """A version as the registry holds it."""

    name: str
    version: str
    source: str  # where its files are
    tags: Mapping[str, str]


def tracking(home: Path) -> "Tracking | None":
    """The registry of MLFLOW_TRACKING_URI, else of the database under the home; None where there is none yet."""
    from medu1.tracking import Tracking
    from medu1.workspace import Workspace

    found = Workspace.from_environment().model_copy(update={"home": home.resolve()})
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return Tracking(found)
    database = found.home / "mlflow.db"
    return Tracking(found.model_copy(update={"tracking_uri": f"sqlite:///{database}"})) if database.exists() else None


def filled(home: Path) -> "Tracking":
    """The same. Raises Stop where there is none."""
    if (found := tracking(home)) is None:
        raise Stop(f"The registry of {home} is empty.", "Nothing ran there yet.", "Run the chain, or correct --home.")
    return found


def checked_name(name: str) -> str:
    """Raises Stop where no registered model can be called so."""
    from medu1.params import Registry

    return Registry.parse(json.dumps({"name": name})).name


def find(tracking: "Tracking", name: str, asked: str) -> Registered:
    """The version of this number or alias. Raises Stop where there is none."""
    from medu1.register import trail

    with trail.telling(f"version {asked} of {name} was looked up"):
        tracking.models.settle(name)
        aliases = tracking.models.aliases(name)
        held = {
            str(each.version): Registered(name, str(each.version), each.source or "", each.tags)
            for each in tracking.models.versions(name)
        }
    if found := held.get(aliases.get(asked, asked)):
        return found
    if not held:
        raise nothing(name)
    what = "version" if asked.isdecimal() else "alias"
    raise Stop(f"{name} has no {what} {asked!r}{_nearest(asked, aliases)}.", _there(held, aliases), LIST)


def nothing(name: str) -> Stop:
    """There is no such registered model, or it has no version."""
    return Stop(f"The registry has no version of {name}.", "No candidate was accepted under that name.", LIST)


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]}" if near else ""


def _there(held: Iterable[str], aliases: dict[str, str]) -> str:
    named = "".join(f", {alias} {number}" for alias, number in sorted(aliases.items()))
    return f"It has version {', '.join(list(held)[-10:])}{named}."


@contextmanager
def evaluation(tracking: "Tracking", version: Registered) -> Iterator[Path | None]:
    """The folder with the version's report, verdicts and their record: the store's, else of MLflow's artifacts.

    None where neither has it.
    """
    from medu1 import record
    from medu1.evaluate import verdicts
    from medu1.report import NAME
    from medu1.storage import open_store

    key, run = version.tags.get(EVALUATION_KEY, ""), version.tags.get("medu1.evaluate_run", "")
    if key and (stored := open_store(tracking.workspace).fetch(key)):
        yield stored
        return
    with artifacts(tracking, run, (record.NAME, NAME, verdicts.NAME)) as folder:
        yield folder


@contextmanager
def artifacts(tracking: "Tracking", run: str, names: Iterable[str]) -> Iterator[Path | None]:
    """These files of a run, for as long as they are looked at; None where it has not all of them."""
    from medu1.register import trail

    work = Path(tempfile.mkdtemp(prefix="medu1-"))
    try:
        with trail.telling(f"the files of run {run} were fetched"):
            there = _listed(tracking, run) >= set(names)
            for name in names if there else ():
                tracking.client.download_artifacts(run, name, str(work))
        yield work if there else None
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _listed(tracking: "Tracking", run: str) -> set[str]:
    """What lies in a run; nothing where there is no such run."""
    try:
        tracking.client.get_run(run or "none")
    except Exception as error:  # MLflow's own, which this package does not import
        if getattr(error, "error_code", "") != "RESOURCE_DOES_NOT_EXIST":
            raise
        return set()
    return {file.path for file in tracking.client.list_artifacts(run)}


def step_record(tracking: "Tracking", run: str) -> "StepRecord | None":
    """What a step wrote down beside its output; None where its run or the file is gone."""
    from pydantic import ValidationError

    from medu1 import record

    with artifacts(tracking, run, (record.NAME,)) as folder:
        if folder is None:
            return None
        try:
            return record.StepRecord.model_validate_json((folder / record.NAME).read_bytes())
        except ValidationError:
            return None
