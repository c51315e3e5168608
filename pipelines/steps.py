"""One step by argv: the steps as calls in this process, over the functions the chain is made of.

Asking for a step's output runs the steps before it, and what the store has is not made again; so `medu1 train` is the
chain up to its candidate, and whoever has run the chain waits for nothing but the training.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, Literal

from medu1 import journal
from medu1.base import component as base_room
from medu1.errors import Stop
from medu1.evaluate import component as evaluate_room
from medu1.journal import Event
from medu1.placements import Placed
from medu1.prepare import component as prepare_room
from medu1.register import component as register_room
from medu1.run import component as run_room
from medu1.train import component as train_room
from medu1.workspace import Workspace
from pipelines.made import Made

Step = Literal["prepare", "train", "evaluate", "register"]


class Steps:
    """The outputs of a chain's steps for its arguments, as JSON texts; what they show people goes below `pages`."""

    def __init__(self, arguments: Mapping[str, str], pages: Path) -> None:
        self.given, self.pages = arguments, pages

    @cached_property
    def champion(self) -> Any:
        """The registered version to beat."""
        registry, prepare, train, evaluate = self._given("registry", "prepare", "train", "evaluate")
        base_model, revision, data = self._given("base_model", "revision", "data")
        placed = Placed().canonical()
        return run_room.preflight(registry, prepare, train, evaluate, base_model, revision, data, placed)

    @cached_property
    def tokenizer(self) -> str:
        """Of the base model."""
        return base_room.tokenizer(*self._given("base_model", "revision", "base", "code_base"))

    @cached_property
    def dataset(self) -> str:
        """The prepared questions."""
        prepare, data, code = self._given("prepare", "data", "code_prepare")
        return prepare_room.prepare(prepare, data, self.tokenizer, code, self._made("data.html"))

    @cached_property
    def audited(self) -> str:
        """That training on them is safe."""
        audit, scoring, code = self._given("audit", "scoring", "code_audit")
        return prepare_room.audit(audit, scoring, self.dataset, code, self._made("audit.html"))

    @cached_property
    def base(self) -> str:
        """The model to train."""
        _ = self.audited
        return base_room.base(self.tokenizer, self.dataset, *self._given("base", "code_base"))

    @cached_property
    def candidate(self) -> str:
        """The trained model."""
        train, scoring, code = self._given("train", "scoring", "code_train")
        return train_room.train(train, scoring, self.base, self.dataset, self.audited, code)

    @cached_property
    def evaluation(self) -> str:
        """The models judged on the same questions."""
        evaluate, scoring, code = self._given("evaluate", "scoring", "code_evaluate")
        models = (self.dataset, self.base, self.candidate, self.champion.weights, self.champion.key)
        shown = (self._made("report.html"), self._made("metrics.json"), self._made("letters.json"))
        return evaluate_room.evaluate(evaluate, scoring, *models, code, *shown)

    @cached_property
    def version(self) -> str:
        """The candidate in the registry. Raises Stop where it is not good enough."""
        judged = (self.dataset, self.base, self.candidate)
        shown = (self._made("report.html"), self._made("report.md"), self._made("decision.json"))
        if not evaluate_room.decide(self.given["decide"], self.evaluation, *judged, self.champion.version, *shown):
            refusal = Stop(
                "The candidate is not registered: it did not pass the decision.",
                next_step=f"The reasons are in {self.pages / 'report.html'}.",
            )
            journal.append(
                Workspace.from_environment().journal, Event(step="register", kind="failed", message=str(refusal))
            )
            raise refusal
        return register_room.register(self.given["registry"], self.evaluation, *judged)

    def _given(self, *names: str) -> tuple[str, ...]:
        return tuple(self.given[name] for name in names)

    def _made(self, name: str) -> Made:
        """Where kfp would keep what a step shows."""
        self.pages.mkdir(parents=True, exist_ok=True)
        return Made(str(self.pages / name))


OUTPUTS: Final[Mapping[Step, Callable[[Steps], str]]] = {
    "prepare": lambda steps: steps.audited and steps.dataset,
    "train": lambda steps: steps.candidate,
    "evaluate": lambda steps: steps.evaluation,
    "register": lambda steps: steps.version,
}


def ran(step: Step, arguments: Mapping[str, str], pages: Path) -> str:
    """The output of one step; the run's MLflow tree is closed however it ends. Raises what the step raises."""
    state = "FAILED"
    try:
        steps = Steps(arguments, pages)
        _ = steps.champion  # preflight comes first: it sweeps, and meets a server that is away
        output = OUTPUTS[step](steps)
        state = "SUCCEEDED"
        return output
    except (SystemExit, KeyboardInterrupt):
        state = "CANCELLED"
        raise
    finally:
        run_room.finalize(arguments["notify"], SimpleNamespace(state=state, error_message=None))
