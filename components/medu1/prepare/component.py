"""Prepare and audit as plain functions: kfp ships their source, so a body imports its step and makes one call."""

from typing import Annotated, Protocol, TypeVar

Artifact = TypeVar("Artifact")
Output = Annotated[Artifact, "made by the task"]  # in the shipped source this name and the next are kfp's own


class HTML(Protocol):
    """The part of kfp's artifact of this name that a task needs; KFP's user interface shows the page."""

    path: str  # where to write it


def prepare(prepare: str, data: str, tokenizer: str, code: str, report: Output[HTML]) -> str:
    """Questions split, filtered and written, and the page that accounts for them; gives a DatasetManifest."""
    from medu1.prepare import step

    return step.run(prepare, data, tokenizer, code, report.path)


def audit(audit: str, scoring: str, dataset: str, code: str, report: Output[HTML]) -> str:
    """The reward audit of the training questions; raises to refuse training, gives a Manifest."""
    from medu1.prepare import audit as step

    return step.run(audit, scoring, dataset, code, report.path)
