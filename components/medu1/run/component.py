"""The first and the last task of a run, as kfp ships them: plain functions, no kfp import.

An exit task can depend on no other task, so `finalize` receives only kfp's final status; it finds its run by a tag.
"""

from typing import NamedTuple, Protocol


class PipelineTaskFinalStatus(Protocol):
    """The part of kfp's class of this name that `finalize` reads; in the shipped source the name is kfp's own."""

    state: str  # SUCCEEDED, FAILED or CANCELLED
    error_message: str | None


def preflight(
    registry: str, prepare: str, train: str, evaluate: str, base_model: str, revision: str, data: str, placed: str
) -> NamedTuple("Champion", [("version", str), ("weights", str), ("key", str)]):  # type: ignore[valid-type]
    """Check what the run will need, close runs whose process is gone, and name the champion ("" if none)."""
    from medu1.run.preflight import preflight

    return preflight(registry, prepare, train, evaluate, base_model, revision, data, placed)


def finalize(notify: str, status: PipelineTaskFinalStatus) -> None:
    """Close the run's MLflow tree by how the chain ended, and tell who is to know."""
    from medu1.run.finalize import finalize

    finalize(notify, status.state, status.error_message or "")
