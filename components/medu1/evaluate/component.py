"""The tasks `evaluate` and `decide`; kfp ships each body as source, so it imports its step and makes one call."""

from typing import Annotated, Protocol, TypeVar

Artifact = TypeVar("Artifact")
Output = Annotated[Artifact, "made by the task"]  # in the shipped source this name and the next are kfp's own


class HTML(Protocol):
    """The part of kfp's artifact of this name that a task needs; KFP's user interface shows the page."""

    path: str  # where to write it


def evaluate(
    evaluate: str,
    scoring: str,
    dataset: str,
    base: str,
    candidate: str,
    champion_weights: str,
    champion_key: str,
    code: str,
    report: Output[HTML],
) -> str:
    """Judge base, candidate and champion on the same frozen questions; gives an EvaluationManifest and its page."""
    from medu1.evaluate import step

    return step.evaluate(evaluate, scoring, dataset, base, candidate, champion_weights, champion_key, code, report.path)


def decide(decide: str, evaluation: str, dataset: str, base: str, candidate: str, champion_version: str) -> bool:
    """Whether the candidate may be registered."""
    from medu1.evaluate import step

    return step.decide(decide, evaluation, dataset, base, candidate, champion_version)
