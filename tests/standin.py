"""Steps that only say that they ran, with the real ones' signatures; kfp ships each body as source."""

from dataclasses import dataclass
from typing import NamedTuple

from medu1.evaluate.component import HTML, ClassificationMetrics, Markdown, Metrics, Output
from medu1.run.component import PipelineTaskFinalStatus


@dataclass
class Page:
    """An HTML artifact as a test hands it to a step without kfp."""

    path: str


def ran(step: str) -> str:
    """Note it in the run's journal; the text stands for a manifest."""
    from medu1.journal import Event, append
    from medu1.workspace import Workspace

    append(Workspace.from_environment().journal, Event(step=step, kind="finished"))
    return step


def shown(step: str, *paths: str) -> None:
    """Write the files that kfp is told of."""
    from pathlib import Path

    for path in paths:
        Path(path).write_text(f"<title>{step}</title>", encoding="utf-8")


def preflight(
    registry: str, prepare: str, train: str, evaluate: str, base_model: str, revision: str, data: str, placed: str
) -> NamedTuple("Champion", [("version", str), ("weights", str), ("key", str)]):  # type: ignore[valid-type]
    """No champion yet."""
    from standin import ran

    return ran("preflight"), "", ""


def tokenizer(base_model: str, revision: str, base: str, code: str) -> str:
    """Made."""
    from standin import ran

    return ran("tokenizer")


def prepare(prepare: str, data: str, tokenizer: str, code: str, report: Output[HTML]) -> str:
    """Made, with its page."""
    from standin import ran, shown

    shown("prepare", report.path)
    return ran("prepare")


def audit(audit: str, scoring: str, dataset: str, code: str, report: Output[HTML]) -> str:
    """Made, with its page."""
    from standin import ran, shown

    shown("audit", report.path)
    return ran("audit")


def base(tokenizer: str, dataset: str, base: str, code: str) -> str:
    """Made."""
    from standin import ran

    return ran("base")


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
    """Made, with its page, a figure and a confusion matrix."""
    from standin import ran, shown

    metrics.log_metric("accuracy", 0.5)
    letters.log_confusion_matrix(["A", "none"], [[1, 0], [0, 0]])
    shown("evaluate", report.path, metrics.path, letters.path)
    return ran("evaluate")


def register(registry: str, evaluation: str, dataset: str, base: str, candidate: str) -> str:
    """Made."""
    from standin import ran

    return ran("register")


def train(train: str, scoring: str, base: str, dataset: str, audited: str, code: str) -> str:
    """Made, unless the parameters say `break`."""
    from standin import ran

    if train == "break":
        raise ValueError("broken")
    return ran("train")


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
    """What the parameters say."""
    from standin import ran, shown

    metrics.log_metric("passed", 1.0)
    shown("decide", report.path, document.path, metrics.path)
    ran("decide")
    return decide == "yes"


def finalize(notify: str, status: PipelineTaskFinalStatus) -> None:
    """Tell how the chain ended."""
    from standin import ran

    ran(f"finalize {status.state}")
