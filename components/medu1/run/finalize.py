"""How a run ends, whatever happened: no MLflow run of its tree stays open, and only runs medu1 made are closed."""

from collections.abc import Mapping

from medu1.tracking import PARENT, Status, Tracking
from medu1.workspace import Workspace

ENDED: Mapping[str, Status] = {"SUCCEEDED": "FINISHED", "CANCELLED": "KILLED"}


def finalize(notify: str, state: str, error: str) -> None:
    """Close what is open in this run's tree, children first, by kfp's final state of the chain."""
    tracking = Tracking(Workspace.from_environment())
    status = ENDED.get(state, "FAILED")
    running = [run for run in tracking.tree() if run.info.status == "RUNNING"]
    for run in sorted(running, key=lambda run: PARENT not in run.data.tags):
        tracking.close(run.info.run_id, status)
