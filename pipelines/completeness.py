"""Whether a chain did all it had to, by what its steps wrote themselves.

kfp on one machine has reported success for a condition that it skipped, and for a container that was killed and gone
before it was asked how it ended.
"""

from medu1 import journal, result
from medu1.workspace import Workspace

ALWAYS = ("preflight", "decide")  # never reused
WELL = ("finished", "reused")


def unfinished(workspace: Workspace) -> list[str]:
    """The steps of a run that began and did not end well, or that had to run and never began."""
    last: dict[str, str] = {}
    for event, _ in journal.read(workspace.journal):
        if event.kind in ("started", "failed", "interrupted", *WELL):
            last[event.step] = event.kind
    ended = result.read(workspace)
    wanted = [*ALWAYS, *(["register"] if ended and ended.decision.passed else [])]
    return [step for step in dict.fromkeys([*last, *wanted]) if last.get(step) not in WELL]
