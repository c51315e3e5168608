"""Steps that only say that they ran, with the real ones' signatures; kfp ships each body as source."""

from typing import NamedTuple

from medu1.run.component import PipelineTaskFinalStatus


def ran(step: str) -> str:
    """Note it in the run's journal; the text stands for a manifest."""
    from medu1.journal import Event, append
    from medu1.workspace import Workspace

    append(Workspace.from_environment().journal, Event(step=step, kind="finished"))
    return step


def preflight(
    registry: str,
) -> NamedTuple("Champion", [("version", str), ("weights", str), ("key", str)]):  # type: ignore[valid-type]
    """No champion yet."""
    from standin import ran

    return ran("preflight"), "", ""


def tokenizer(base_model: str, revision: str, base: str, code: str) -> str:
    """Made."""
    from standin import ran

    return ran("tokenizer")


def prepare(prepare: str, data: str, tokenizer: str, code: str) -> str:
    """Made."""
    from standin import ran

    return ran("prepare")


def audit(audit: str, scoring: str, dataset: str, code: str) -> str:
    """Made."""
    from standin import ran

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
) -> str:
    """Made."""
    from standin import ran

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


def decide(decide: str, evaluation: str, dataset: str, base: str, candidate: str, champion_version: str) -> bool:
    """What the parameters say."""
    from standin import ran

    ran("decide")
    return decide == "yes"


def finalize(status: PipelineTaskFinalStatus) -> None:
    """Tell how the chain ended."""
    from standin import ran

    ran(f"finalize {status.state}")
