"""Several processes of one training, started by torchrun; and one of them, as torchrun starts it.

`python -m medu1.train JOB` is the whole argv, here and in a TrainJob: it runs torchrun, which takes the number of nodes
and the meeting place from PET_ variables where an operator sets them. JOB is a file on this machine, or the address in
the object store of a job whose nodes share no disk. A started process holds the world size against the job's, since a
launcher that ignores these variables would train on one process and say nothing.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from medu1.errors import EXIT_CODE, Interrupted, Stop
from medu1.train.job import Job, Outcome
from medu1.workers import end_with_parent

RANK, WORLD_SIZE = "RANK", "WORLD_SIZE"  # set by torchrun
NODES = "PET_NNODES"  # set by an operator
PARENT = "MEDU1_PARENT"  # the process whose end ends this one
SHUTDOWN_SECONDS = 900  # after SIGTERM, for a step to end and a checkpoint to be written


def main(arguments: Sequence[str]) -> int:
    """One training from its job file: a process of torchrun, or its launcher. Returns the exit code."""
    if len(arguments) != 1:
        print("usage: python -m medu1.train JOB", file=sys.stderr)
        return EXIT_CODE
    try:
        outcome = _outcome(arguments[0])
    except Stop as stop:
        print(stop, file=sys.stderr)
        return EXIT_CODE
    return Interrupted.CODE if outcome.end == "interrupted" else 0


def _outcome(place: str) -> Outcome:
    if RANK in os.environ:
        return _member(_job(Path(place)))
    if place.startswith("s3://"):
        from medu1.train import node

        return node.trained(place)
    return launched(_job(Path(place)))


def _job(path: Path) -> Job:
    try:
        return Job.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise Stop(
            f"{path} is no job: {str(error).splitlines()[0]}.",
            "The step train writes one into its training's folder.",
            "Name that job.json, on a volume that every process sees.",
        ) from None


def start(job: Job) -> Outcome:
    """Train the job in processes of their own. Raises Stop with the error of one that failed."""
    check_devices(job.params.processes)
    process = subprocess.Popen(
        [sys.executable, "-m", "medu1.train", str(job.write())], env={**os.environ, PARENT: str(os.getpid())}
    )
    with _forwarding(process):
        code = process.wait()
    return _ended(job, code)


def check_devices(processes: int) -> None:
    """Raises Stop where more GPUs are asked for than this machine has; without any, processes share its cores."""
    import torch

    present = torch.cuda.device_count()
    if present and processes > present:
        raise Stop(
            f"train.processes asks for {processes} GPUs and this machine has {present}.",
            "Every process takes one.",
            f"Set train.processes to {present} or less, or place the step on a node with more.",
        )


def launched(job: Job) -> Outcome:
    """torchrun in this process, until its own have ended. Raises Stop with the error of one that failed."""
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    if PARENT in os.environ:
        end_with_parent(int(os.environ[PARENT]))
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // job.params.processes)))
    os.environ[PARENT] = str(os.getpid())
    code = 0
    try:
        torchrun(_argv(job, os.environ))
    except ChildFailedError as error:
        code = error.get_first_failure()[1].exitcode
    except SignalException as error:
        code = 128 + error.sigval
    return _ended(job, code)


def _argv(job: Job, environment: Mapping[str, str]) -> list[str]:
    """One machine meets on a free port of its own; several are told where by the operator."""
    return [
        *([] if NODES in environment else ["--standalone", "--nnodes=1"]),
        f"--nproc-per-node={job.params.processes}",
        f"--shutdown-timeout={SHUTDOWN_SECONDS}",
        "--max-restarts=0",
        "-m",
        "medu1.train",
        str(job.path),
    ]


def _ended(job: Job, code: int) -> Outcome:
    outcome = Outcome.read(job.root)
    if outcome is None:
        raise Stop(
            f"The training's processes ended with code {code} before the training was done.",
            "One of them was killed, or failed before it could say why; the run's log has what it printed.",
            "Run again: training goes on from its newest checkpoint.",
        )
    if outcome.end == "failed":
        raise Stop(outcome.message)
    return outcome


@contextmanager
def _forwarding(child: "subprocess.Popen[bytes]") -> Iterator[None]:
    """While it lasts, SIGTERM goes on to a child, whose end is waited for; the child does not outlive it."""
    before = signal.signal(signal.SIGTERM, lambda number, frame: child.terminate())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        if child.poll() is None:
            child.kill()


def _member(job: Job) -> Outcome:
    """A process of the training. What stops it is written down for the launcher."""
    end_with_parent(int(os.environ.get(PARENT, os.getppid())))
    try:
        _check_world(job)
        from medu1.train.grpo import train

        return train(job)
    except Exception as error:
        message = str(error) if isinstance(error, Stop) else f"{type(error).__name__}: {error}"
        if Outcome.read(job.root) is None:
            Outcome(end="failed", step=0, message=message).write(job.root)
        raise


def _check_world(job: Job) -> None:
    started, wanted = int(os.environ[WORLD_SIZE]), job.params.world
    if started != wanted:
        raise Stop(
            f"The launcher started {started} processes, and the training is made for {wanted}.",
            "It ignores the number of processes or of nodes that it was given.",
            "Start it as python -m medu1.train JOB, which runs torchrun.",
        )
