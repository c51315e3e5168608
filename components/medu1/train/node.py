"""A node of a training that several share: a pod of a TrainJob, from the job's address to how it ended.

What every node needs is fetched once, before its processes start: base, questions and the newest checkpoint, so that
they start from the same files as on one machine. Addresses and keys come as the files of a volume, one a variable:
Kubeflow Trainer lets nobody patch variables into the container that trains.
"""

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from medu1.bucket import Bucket
from medu1.errors import Interrupted, Stop
from medu1.train import launch, origin
from medu1.train.job import Job, Outcome
from medu1.train.order import Order
from medu1.train.relay import Sender
from medu1.workspace import Workspace

VARIABLES: Final = "MEDU1_VARIABLES"  # a folder: a file a variable
NODE_RANK: Final = "PET_NODE_RANK"  # set by Kubeflow Trainer


def trained(url: str) -> Outcome:
    """This node's part of the job at an address. Raises Stop; how it ended is told to the step either way."""
    read_variables(os.environ)
    workspace = Workspace.from_environment()
    order = Order.read(url, workspace.store)
    sender = Sender(
        Bucket(workspace.store), order.key, workspace.home / "store" / order.key, int(os.environ.get(NODE_RANK, "0"))
    )
    try:
        with _ended_by_signal():
            job = _prepared(order, workspace)
        sender.start()
        outcome = launch.launched(job)
    except Exception as error:
        _tell(sender, Outcome(end="failed", step=0, message=_said(error)))
        raise
    except SystemExit:
        _tell(sender, Outcome(end="interrupted", step=0))
        raise
    _tell(sender, outcome)
    return outcome


def read_variables(environment: "os._Environ[str]") -> None:
    """Set what the volume's files hold, where it is mounted; a variable of the container itself wins."""
    if not (folder := environment.get(VARIABLES)):
        return
    for path in sorted(Path(folder).iterdir()):
        if path.is_file() and not path.name.startswith("."):  # Kubernetes swaps ..data beneath links
            environment.setdefault(path.name, path.read_text(encoding="utf-8").rstrip("\n"))


def check_nodes(wanted: int, environment: Mapping[str, str]) -> None:
    """Raises Stop where the operator started another number of nodes than the job is made for."""
    started = environment.get(launch.NODES, "1").split(":")[-1]
    if started != str(wanted):
        raise Stop(
            f"The operator started {started} nodes, and the training is made for {wanted}.",
            "Its batch is divided among that many, and PET_NNODES says how many there are.",
            "Let the step train ask for the TrainJob, with train.nodes as the placement has it.",
        )


def _prepared(order: Order, workspace: Workspace) -> Job:
    """The job with all its files on this machine, written down for the processes to come."""
    check_nodes(order.params.nodes, os.environ)
    launch.check_devices(order.params.processes)
    job = order.job(workspace)
    found = origin.found(job, _note)
    if found is None:
        origin.begin(job, job.questions())
    _note(f"begins at step {found.marker.step if found else 0}")
    begun = job.model_copy(update={"resume": found and found.folder})
    begun.write()
    return begun


def _note(line: str) -> None:
    print(f"node {os.environ.get(NODE_RANK, '0')}: {line}", file=sys.stderr, flush=True)


def _tell(sender: Sender, outcome: Outcome) -> None:
    if not sender.end(outcome):
        _note("how it ended did not reach the object store")


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, Stop) else f"{type(error).__name__}: {error}"


@contextmanager
def _ended_by_signal() -> Iterator[None]:
    """While it lasts, SIGTERM ends the process, which as a container's first one would not hear it otherwise."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(Interrupted.CODE)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
