"""The chain, read top to bottom: what runs in which order, and what flows between the steps.

Images and placement are chosen while the graph is built, so the function compiled for a cluster is the one that runs
here. A step receives only the sections of `params.yaml` it reads, each as one canonical JSON string, and the digest of
its code; it hands on a small JSON manifest. Nothing of a single run (id, time, home, tracking server) is an input, or
nothing would ever be reused. What must look at the world each time is never cached.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, Protocol, get_origin

from kfp import dsl

from medu1.base import component as base_room
from medu1.evaluate import component as evaluate_room
from medu1.placements import Placed
from medu1.prepare import component as prepare_room
from medu1.register import component as register_room
from medu1.run import component as run_room
from medu1.train import component as train_room
from pipelines.images import Images

NAME = "medu1-retraining"
RETURNED = "Output"  # kfp's name for what a function returns, needed where its task makes a page as well


class Place(Protocol):
    """Where tasks run: called once on each task, and told to preflight."""

    @property
    def placed(self) -> Placed: ...

    def __call__(self, task: Any, step: str) -> object:
        """Place a kfp PipelineTask, untyped upstream, by the name of its step."""


def chain(images: Images, place: Place) -> Any:
    """The pipeline function, as kfp's untyped GraphComponent; `place` is called once on each task."""

    def step(function: Callable[..., object], image: str, cached: bool = True) -> Callable[..., Any]:
        component = dsl.component(typed(function), base_image=image, install_kfp_package=False)

        def task(**arguments: object) -> Any:
            made = component(**arguments).set_caching_options(cached)
            place(made, function.__name__)
            return made

        return task

    def cpu(function: Callable[..., object]) -> Callable[..., Any]:
        return step(function, images.cpu)

    def gpu(function: Callable[..., object]) -> Callable[..., Any]:
        return step(function, images.gpu)

    def always(function: Callable[..., object]) -> Callable[..., Any]:
        return step(function, images.cpu, cached=False)

    @dsl.pipeline(name=NAME, description="Retrain a medical reasoning model, judge it, register it if it is better.")
    def retraining(
        base: str,
        prepare: str,
        scoring: str,
        audit: str,
        train: str,
        evaluate: str,
        decide: str,
        registry: str,
        notify: str,
        base_model: str,
        revision: str,
        data: str,
        code_base: str = "",  # "": the image digest already names the code
        code_prepare: str = "",
        code_audit: str = "",
        code_train: str = "",
        code_evaluate: str = "",
    ) -> None:
        with dsl.ExitHandler(always(run_room.finalize)(notify=notify)):
            champion = always(run_room.preflight)(
                registry=registry,
                prepare=prepare,
                train=train,
                evaluate=evaluate,
                base_model=base_model,
                revision=revision,
                data=data,
                placed=place.placed.canonical(),
            )

            tokenizer = cpu(base_room.tokenizer)(
                base_model=base_model, revision=revision, base=base, code=code_base
            ).after(champion)

            prepared = cpu(prepare_room.prepare)(
                prepare=prepare, data=data, tokenizer=tokenizer.output, code=code_prepare
            )
            dataset = prepared.outputs[RETURNED]

            audited = cpu(prepare_room.audit)(audit=audit, scoring=scoring, dataset=dataset, code=code_audit)

            start = gpu(base_room.base)(
                tokenizer=tokenizer.output,
                dataset=dataset,
                base=base,
                code=code_base,
            ).after(audited)

            candidate = gpu(train_room.train)(
                train=train,
                scoring=scoring,
                base=start.output,
                dataset=dataset,
                audited=audited.outputs[RETURNED],
                code=code_train,
            )

            judged = gpu(evaluate_room.evaluate)(
                evaluate=evaluate,
                scoring=scoring,
                dataset=dataset,
                base=start.output,
                candidate=candidate.output,
                champion_weights=champion.outputs["weights"],
                champion_key=champion.outputs["key"],
                code=code_evaluate,
            )
            evaluation = judged.outputs[RETURNED]

            passed = always(evaluate_room.decide)(
                decide=decide,
                evaluation=evaluation,
                dataset=dataset,
                base=start.output,
                candidate=candidate.output,
                champion_version=champion.outputs["version"],
            )

            with dsl.If(passed.outputs[RETURNED] == True, name="passed"):  # noqa: E712, the comparison builds the graph
                always(register_room.register)(
                    registry=registry,
                    evaluation=evaluation,
                    dataset=dataset,
                    base=start.output,
                    candidate=candidate.output,
                )

    return retraining


def typed(function: Callable[..., object]) -> Callable[..., object]:
    """A step's function as kfp must read it: an `Output[HTML]` of its room is kfp's own.

    A room imports no kfp, so it writes kfp's names down as stand-ins. The source that kfp ships finds kfp's own under
    these names; the function kfp takes the outputs from, here, does not.
    """

    @functools.wraps(function)
    def same(*arguments: object) -> object:
        return function(*arguments)

    signature = inspect.signature(function)
    parameters = [each.replace(annotation=_own(each.annotation)) for each in signature.parameters.values()]
    same.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return same


def _own(annotation: Any) -> Any:
    """kfp's artifact for the stand-in of one; any other type as it is."""
    if get_origin(annotation) is not Annotated:
        return annotation
    return dsl.Output[getattr(dsl, annotation.__origin__.__name__)]
