"""One attempt at a training that kills its own process, without warning, in the n-th call of a named point.

`killed.py step PROCESSES POINT CALL` is the whole step in the environment's home, `killed.py member JOB POINT CALL` one
process of torchrun. The process that is killed is the first one; its end takes the others along, as an out-of-memory
kill or a lost node would. At the point `none` nothing is killed, and CALL is the number of steps, 0 for six.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from medu1.generation import sampling
from medu1.params import Train, Validation
from medu1.train import checkpoints, launch
from medu1.train.job import Job, Outcome
from medu1.workspace import Workspace
from training import PARAMS, made

Point = Literal["none", "generating", "saving", "publishing"]
STEPS = 6


def params(processes: int) -> Train:
    """Six steps with a checkpoint and a validation after every second."""
    validation = Validation(every=2, questions=4, patience=0)
    changes = {"steps": STEPS, "save_every": 2, "validation": validation, "processes": processes, "keep": 1}
    return PARAMS.model_copy(update=changes)


def arm(point: Point, call: int) -> None:
    """Kill this process in the middle of the n-th call of what the point names."""
    match point:
        case "none":
            return
        case "generating":  # a token is drawn, once a checkpoint is being published
            begun: list[int] = []
            checkpoints.publish = _noted(checkpoints.publish, begun)
            drawn = _fatal(sampling.Sampled.__call__, call, begun)
            sampling.Sampled.__call__ = drawn  # type: ignore[method-assign]
        case "saving":  # weights are written, a file of the state half
            torch.save = _fatal(torch.save, call, [1], half=True)
        case "publishing":  # every file is written, the marker is not
            checkpoints.seal = _fatal(checkpoints.seal, call, [1])


def _noted(function: Callable[..., Any], begun: list[int]) -> Callable[..., Any]:
    def noted(*arguments: Any, **named: Any) -> Any:
        begun.append(1)
        return function(*arguments, **named)

    return noted


def _fatal(function: Callable[..., Any], call: int, begun: list[int], half: bool = False) -> Callable[..., Any]:
    calls = 0

    def counted(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += bool(begun)
        if calls == call:
            if half:
                Path(arguments[1]).write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)

    return counted


def attempt(processes: int, point: Point, call: int) -> None:
    """The step; several processes are this script under torchrun, so that one of them can be killed."""
    if processes == 1:
        arm(point, call)
    elif point != "none":
        launch.start = lambda job: _torchrun(job, point, call)  # type: ignore[assignment]
    prepared = made(Workspace.from_environment())
    steps = call if point == "none" and call else STEPS
    print(prepared.trained(params(processes).model_copy(update={"steps": steps})).text())


def _torchrun(job: Job, point: Point, call: int) -> Outcome:
    command = ["-m", "torch.distributed.run", "--standalone", "--nnodes=1", f"--nproc-per-node={job.params.processes}"]
    again = [__file__, "member", str(job.write()), point, str(call)]
    return launch._ended(job, subprocess.call([sys.executable, *command, *again]))


def main() -> None:
    kind, *rest = sys.argv[1:]
    if kind == "step":
        processes, point, call = rest
        assert point in get_args(Point)
        attempt(int(processes), point, int(call))  # type: ignore[arg-type]
    else:
        job, point, call = rest
        if os.environ["RANK"] == "0":
            arm(point, int(call))  # type: ignore[arg-type]
        sys.exit(launch.main([job]))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
