"""How a run on this machine ended, for the command line: written by `decide`, completed by `register`.

kfp hands its caller no outputs of tasks inside an exit handler, so the few words a person waits for lie in a file
beside the journal. No step reads what another run wrote there.
"""

from pathlib import Path

from medu1 import record
from medu1.question import Frozen
from medu1.report import Decision
from medu1.workspace import Workspace


class RunResult(Frozen):
    """The decision on one candidate, where its evaluation lies, and the version that holds it."""

    evaluation: str  # key of the evaluation folder in the store
    report: str  # the page for people, on the machine that made it
    decision: Decision
    version: str | None  # of the registered model; None where the candidate is in none
    registered: bool = False  # whether this run made that version


def write(workspace: Workspace, result: RunResult) -> None:
    """Put it beside the run's journal."""
    record.write_text(_path(workspace), result.model_dump_json(indent=1) + "\n")


def read(workspace: Workspace) -> RunResult | None:
    """None where the run did not come to a decision."""
    path = _path(workspace)
    return RunResult.model_validate_json(path.read_bytes()) if path.exists() else None


def page(workspace: Workspace) -> Path:
    """Where the page for people lies, the decision on top."""
    return workspace.journal.with_name("report.html")


def _path(workspace: Workspace) -> Path:
    return workspace.journal.with_name("result.json")
