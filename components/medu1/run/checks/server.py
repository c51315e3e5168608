"""The tracking server answers and takes the user, and the experiment can be written.

These two come first and by themselves: preflight has a run of its own only where both hold.
"""

from medu1.errors import Stop
from medu1.run.finding import Finding, refused
from medu1.tracking import Tracking
from medu1.tracking import refused as told
from medu1.words import line
from medu1.workspace import Workspace

SERVER, EXPERIMENT = "tracking server", "experiment"


def findings(workspace: Workspace) -> tuple[Finding, ...]:
    """Whether runs can be tracked; where the server is away, nothing is said of the experiment."""
    tracking = Tracking(workspace, check=False)
    try:
        tracking.check()
    except Stop as stop:
        return (refused(SERVER, stop),)
    where = workspace.tracking_uri if tracking.is_served else "the database"
    answers = Finding(name=SERVER, state="passed", seen=f"{where} answers.")
    return (answers, _experiment(tracking, workspace.experiment))


def _experiment(tracking: Tracking, name: str) -> Finding:
    """By what every step does first: the run of this pipeline run is made, or the one KFP made is tagged."""
    try:
        tracking.begin()
    except Exception as error:  # MLflow's, a database's
        unexplained = Stop(
            f"The experiment {name} cannot be written ({type(error).__name__}: {line(error, 300)}).",
            next_step="Look into the tracking server's log, or name another one in MLFLOW_EXPERIMENT_NAME.",
        )
        return refused(EXPERIMENT, error if isinstance(error, Stop) else told(error) or unexplained)
    return Finding(name=EXPERIMENT, state="passed", seen=f"the run is begun in {name}.")
