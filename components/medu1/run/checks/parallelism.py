"""What the package asks the cluster for fits how the parameters train: nodes, processes, accelerators, shards.

That groups of completions divide among the processes is a rule of the parameters themselves. Which accelerators this
machine has is seen by the step that uses them; of a package only what it asks for is known.
"""

from pathlib import Path
from typing import Final

from medu1.errors import Stop
from medu1.run.asked import Asked
from medu1.run.finding import Checks, Unsure

DEVICES: Final = (*(f"/dev/nvidia{number}" for number in range(16)), "/dev/kfd", "/dev/accel0")


def checks(asked: Asked) -> Checks:
    """Each rule by itself, so that all that are broken are named."""
    return {
        "nodes": lambda: _nodes(asked),
        "accelerators": lambda: _accelerators(asked),
        "sharding": lambda: _sharding(asked),
        "needs an accelerator": lambda: _needed(asked),
    }


def _nodes(asked: Asked) -> str:
    placed, nodes = asked.placed, asked.train.nodes
    if asked.is_packaged and placed.nodes != nodes:
        raise Stop(
            f"The placement {placed.name} gives training {placed.nodes} nodes, and train.nodes is {nodes}.",
            "The nodes are chosen while a package is compiled, the parameters when it is started.",
            f"Set train.nodes to {placed.nodes}, or compile with a placement of {nodes} nodes.",
        )
    return f"{nodes} for training."


def _accelerators(asked: Asked) -> str:
    placed, processes = asked.placed, asked.train.processes
    if not asked.is_packaged or not placed.accelerators:
        return f"none are asked for, and {processes} training processes run on a node."
    if processes > placed.accelerators:
        raise Stop(
            f"train.processes is {processes}, and the placement {placed.name} gives a pod {placed.accelerators} "
            f"{placed.accelerator}.",
            "Every process takes one.",
            f"Set train.processes to {placed.accelerators}, or compile with a placement that gives {processes}.",
        )
    if processes < placed.accelerators:
        raise Unsure(
            f"train.processes is {processes}, and the placement {placed.name} gives a pod {placed.accelerators} "
            f"{placed.accelerator}: the others stand idle while it trains.",
            f"Set train.processes to {placed.accelerators}.",
        )
    return f"{placed.accelerators} {placed.accelerator} a pod, one a process."


def _sharding(asked: Asked) -> str:
    if asked.train.sharding != "none" and asked.train.world == 1:
        raise Stop(
            f"train.sharding is {asked.train.sharding}, and one process trains.",
            "There is nobody to divide weights and optimizer state with.",
            "Raise train.processes or train.nodes, or set train.sharding to none.",
        )
    return f"{asked.train.sharding}, over {asked.train.world} processes."


def _needed(asked: Asked) -> str:
    named = _uses(asked)
    if not named:
        return "nothing that is set does."
    if asked.is_packaged and not asked.placed.accelerators:
        raise Stop(
            f"The placement {asked.placed.name} gives no accelerator, and {' and '.join(named)} needs one.",
            "The step would fail after everything before it was done.",
            "Compile with a placement that gives accelerators, or set what runs without one.",
        )
    if not asked.is_packaged and not any(Path(device).exists() for device in DEVICES):
        raise Unsure(
            f"{' and '.join(named)} runs on an accelerator, and no device of one is seen here.",
            "Run where there is one, or set what runs without.",
        )
    return f"{' and '.join(named)}, and there are accelerators."


def _uses(asked: Asked) -> list[str]:
    """What is set that runs on an accelerator only."""
    uses = {
        "evaluate.backend vllm": asked.evaluate.backend == "vllm",
        "train.grpo.use_vllm": bool(asked.train.grpo.get("use_vllm")),
        "train.adapter.quantized": asked.train.adapter.quantized,
    }
    return [name for name, used in uses.items() if used]
