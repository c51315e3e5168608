"""The tasks `evaluate` and `decide`; kfp ships each body as source, so it imports its step and makes one call."""

from typing import Annotated, Protocol, TypeVar

Artifact = TypeVar("Artifact")
Output = Annotated[Artifact, "made by the task"]  # in the shipped source this name and the next are kfp's own


class HTML(Protocol):
    """The part of kfp's artifact of this name that a task needs; KFP's user interface shows the page."""

    path: str  # where to write it


class Markdown(Protocol):
    """The same of a Markdown document."""

    path: str


class Metrics(Protocol):
    """Figures that KFP's user interface shows and compares; a file beside them, or nothing is ever cached."""

    path: str

    def log_metric(self, metric: str, value: float) -> None:
        """One figure."""


class ClassificationMetrics(Protocol):
    """A confusion matrix that KFP's user interface draws; a file beside it, or nothing is ever cached."""

    path: str

    def log_confusion_matrix(self, categories: list[str], matrix: list[list[int]]) -> None:
        """Rows are the right categories, columns the answered ones."""


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
    metrics: Output[Metrics],
    letters: Output[ClassificationMetrics],
) -> str:
    """Judge base, candidate and champion on the same frozen questions; gives an EvaluationManifest and its page."""
    from medu1.evaluate import step

    models = (base, candidate, champion_weights, champion_key)
    return step.evaluate(evaluate, scoring, dataset, *models, code, report, metrics, letters)


def decide(
    decide: str,
    evaluation: str,
    dataset: str,
    base: str,
    candidate: str,
    champion_version: str,
    report: Output[HTML],
    document: Output[Markdown],
    metrics: Output[Metrics],
) -> bool:
    """Whether the candidate may be registered; gives the evaluation's page with the decision on top."""
    from medu1.evaluate import step

    models = (base, candidate, champion_version)
    return step.decide(decide, evaluation, dataset, *models, report, document, metrics)
