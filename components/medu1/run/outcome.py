"""How a run ended, read off its MLflow tree; off its journal and kfp's words where the tracking server is away."""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from medu1 import journal, record
from medu1.notification import Ending, Event
from medu1.question import Frozen
from medu1.stage import ERROR
from medu1.tracking import JUDGED, STEP, Tracking
from medu1.words import first_line
from medu1.workspace import Workspace

if TYPE_CHECKING:
    from medu1.tracking import Run

ENDINGS: Final[Mapping[str, Ending]] = {"SUCCEEDED": "succeeded", "CANCELLED": "cancelled"}  # by kfp's state
UNFINISHED: Final = {"failed": ("FAILED", "RUNNING"), "cancelled": ("KILLED", "RUNNING", "FAILED")}  # statuses of steps
SILENT: Final = "its process ended without a word; it may have run out of memory."
UNSAID: Final = "no step said why."


class Outcome(Frozen):
    """The end of a pipeline run, in words that are fit to be shown."""

    run: str
    ending: Ending
    step: str = ""  # which did not end well
    error: str = ""  # its first line
    model: str = ""  # registered model
    version: str = ""  # of it, that this run registered or found registered
    seconds: float | None = None  # since the run began
    link: str = ""  # to the run, for people

    @property
    def events(self) -> frozenset[Event]:
        """What may be told of it."""
        return frozenset[Event]({self.ending} | ({"registered"} if self.version else set()))

    @property
    def key(self) -> str:
        """The same however often this end is told."""
        return record.digest({"run": self.run, "ending": self.ending})[:32]

    def tags(self) -> dict[str, str]:
        """For the run's parent."""
        known = {
            "medu1.outcome": self.ending,
            "medu1.failed_step": self.step,
            ERROR: self.error,
            "medu1.registered": f"{self.model} {self.version}" if self.version else "",
            "medu1.seconds": f"{self.seconds:.0f}" if self.seconds is not None else "",
        }
        return {name: value for name, value in known.items() if value}


def untracked(workspace: Workspace, state: str, error: str) -> Outcome:
    """What is known without the tracking server."""
    ending = ENDINGS.get(state, "failed")
    said = _journalled(workspace)
    step = next(reversed(said), "") if ending in UNFINISHED else ""
    words = said.get(step) or first_line(error) or UNSAID
    return Outcome(run=workspace.run, ending=ending, step=step, error=words if ending in UNFINISHED else "")


def tracked(tracking: Tracking, tree: Sequence["Run"], state: str, error: str, ui: str) -> Outcome:
    """What the tree says before it is closed, newest run first as `Tracking.tree` gives it."""
    steps = {run.data.tags[STEP]: run for run in reversed(tree) if STEP in run.data.tags}  # the newest try of each
    parent = next((run for run in tree if STEP not in run.data.tags), None)
    ending = _ending(steps, state)
    step = _unfinished(tree, steps, ending)
    registered = steps["register"].data.tags if ending == "succeeded" and "register" in steps else {}
    return Outcome(
        run=tracking.workspace.run,
        ending=ending,
        step=step,
        error=_error(tracking.workspace, steps.get(step), step, error) if ending in UNFINISHED else "",
        model=registered.get("medu1.model", ""),
        version=registered.get("medu1.version", ""),
        seconds=time.time() - parent.info.start_time / 1000 if parent else None,
        link=_link(tracking, parent, ui) if parent else "",
    )


def _ending(steps: Mapping[str, "Run"], state: str) -> Ending:
    """A candidate that did not pass is refused, though the chain, which did its work, succeeded."""
    ending = ENDINGS.get(state, "failed")
    decided = steps["decide"].data.tags if "decide" in steps else {}
    refused = decided.get("medu1.decision") == "not passed" and JUDGED in decided  # not the champion met again
    whole = not any(run.info.status == "FAILED" for run in steps.values())
    return "refused" if refused and whole and ending != "cancelled" else ending


def _unfinished(tree: Sequence["Run"], steps: Mapping[str, "Run"], ending: Ending) -> str:
    """The newest step that did not end well."""
    statuses = UNFINISHED.get(ending, ())
    newest = {run.info.run_id for run in steps.values() if run.info.status in statuses}
    return next((str(run.data.tags[STEP]) for run in tree if run.info.run_id in newest), "")


def _error(workspace: Workspace, run: "Run | None", step: str, error: str) -> str:
    """In the step's own words, else the journal's, else kfp's."""
    own = run.data.tags.get(ERROR, "") if run else ""
    said = own or _journalled(workspace).get(step, "") or error or (SILENT if run else UNSAID)
    return first_line(said.removeprefix(f"{step}: "))


def _journalled(workspace: Workspace) -> dict[str, str]:
    """What steps of this machine said when they failed, in their order."""
    events = (event for event, _ in journal.read(workspace.journal) if event.kind in ("failed", "interrupted"))
    return {event.step: first_line(event.message.removeprefix(f"{event.step}: ")) for event in events}


def _link(tracking: Tracking, parent: "Run", ui: str) -> str:
    base = ui or (tracking.workspace.tracking_uri if tracking.is_served else "")
    where = f"#/experiments/{parent.info.experiment_id}/runs/{parent.info.run_id}"
    return f"{base.rstrip('/')}/{where}" if base else ""
