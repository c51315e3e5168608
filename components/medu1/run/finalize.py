"""How a run ends, whatever happened: its MLflow tree is closed, its outcome is recorded, and who is to know is told.

Only runs medu1 made are closed, and nothing is deleted: checkpoints and outputs are what the next run goes on from.
Who is told hears of a run whose tracking server is away as well. A message that nobody takes changes nothing else.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from medu1 import journal
from medu1.errors import Stop
from medu1.journal import Event
from medu1.notification import Notify
from medu1.run.finding import Finding
from medu1.run.outcome import Outcome, tracked, untracked
from medu1.run.telling import tell
from medu1.tracking import PARENT, STEP, Status, Tracking
from medu1.workspace import Workspace

if TYPE_CHECKING:
    from medu1.tracking import Run

NAME = "finalize"
ENDED: Mapping[str, Status] = {"SUCCEEDED": "FINISHED", "CANCELLED": "KILLED"}
TOLD = "medu1.notified."  # and the way: tag of the parent, the key of the outcome it took, or why it did not


def finalize(notify: str, state: str, error: str) -> None:
    """Close, record, tell, by kfp's final state of the chain. Raises what the tracking server raises, last of all."""
    workspace = Workspace.from_environment()
    params = _params(workspace, notify)
    try:
        tracking = Tracking(workspace)
        tree = tracking.tree()
        parent = next((run for run in tree if STEP not in run.data.tags), None)
        outcome = tracked(tracking, tree, state, error, params.ui if params else "")
        _close(tracking, tree, ENDED.get(state, "FAILED"))
        if parent:
            tracking.tags(parent.info.run_id, outcome.tags())
    except Exception:
        _tell(workspace, params, untracked(workspace, state, error), {})
        raise
    told = _tell(workspace, params, outcome, parent.data.tags if parent else {})
    if parent:
        with suppress(Exception):  # the run is closed and told of; the journal says it too
            tracking.tags(parent.info.run_id, _tags(told, outcome))


def _params(workspace: Workspace, notify: str) -> Notify | None:
    """None where the section is wrong: a run is closed whatever it says."""
    try:
        return Notify.parse(notify)
    except Stop as stop:
        _note(workspace, f"warning: nobody is told: {stop}")
        return None


def _close(tracking: Tracking, tree: Sequence["Run"], status: Status) -> None:
    """Children first."""
    running = [run for run in tree if run.info.status == "RUNNING"]
    for run in sorted(running, key=lambda run: PARENT not in run.data.tags):
        tracking.close(run.info.run_id, status)


def _tell(
    workspace: Workspace, params: Notify | None, outcome: Outcome, held: Mapping[str, str]
) -> tuple[Finding, ...]:
    done = [tag.removeprefix(TOLD) for tag, key in held.items() if tag.startswith(TOLD) and key == outcome.key]
    told = tell(params, outcome, done) if params else ()
    for way in told:
        _note(workspace, str(way) if way.state == "passed" else f"warning: {way}")
    return told


def _tags(told: Sequence[Finding], outcome: Outcome) -> dict[str, str]:
    return {f"{TOLD}{way.name}": outcome.key if way.state == "passed" else way.seen for way in told}


def _note(workspace: Workspace, message: str) -> None:
    journal.append(workspace.journal, Event(step=NAME, kind="note", message=message))
