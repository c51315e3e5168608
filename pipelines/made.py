"""What a step shows people, where the step runs without kfp: a file, and nothing else is kept."""

from dataclasses import dataclass


@dataclass
class Made:
    """In place of each of kfp's output artifacts; the steps write into the file whatever they log."""

    path: str

    def log_metric(self, metric: str, value: float) -> None:
        """As kfp's Metrics has it."""

    def log_confusion_matrix(self, categories: list[str], matrix: list[list[int]]) -> None:
        """As kfp's ClassificationMetrics has it."""
