"""A run's containers end with it, whoever dies: the command, kfp's process, or both at once.

A container is the engine's child and outlives who asked for it. So a process in a session of its own, `python -m
pipelines.guard`, waits for the end of a pipe that the command and kfp's process hold open; then it stops what is left
of the run and, where the command did not live to do so, closes the run's MLflow tree. The next run in a home waits for
that, and ends the containers of a command and a guard that are both gone.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from medu1.tracking import launcher, launcher_is_gone
from medu1.workspace import Workspace
from pipelines import engine

RUN, HOME, LAUNCHER, GUARD = "medu1.run", "medu1.home", "medu1.launcher", "medu1.guard"  # labels
GRACE_SECONDS = 60.0  # after SIGTERM, for a training to end its step and save
POLL_SECONDS = 0.1
CLEAN, STOPPED = b"clean", b"stopped"  # last words of the command: nothing is left; it closes the tree itself


class Guard:
    """The command's end of the pipe."""

    def __init__(self, process: "subprocess.Popen[bytes]", pipe: int) -> None:
        self.process, self.pipe = process, pipe
        self.last = STOPPED
        self.label = launcher(process.pid)


@contextlib.contextmanager
def guarding(workspace: Workspace, log: IO[bytes]) -> Iterator[Guard]:
    """A guard for as long as it lasts; at the end, no container of the run is left."""
    read, write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.guard"],
        env={**os.environ, **workspace.environment()},
        stdin=read,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    os.close(read)
    guard = Guard(process, write)
    try:
        yield guard
    finally:
        with contextlib.suppress(BrokenPipeError):
            os.write(write, guard.last)
        os.close(write)
        if process.wait() and guard.last != CLEAN:  # it was killed
            with engine.connected() as client:
                stop(client, f"{RUN}={workspace.run}")


def stop(client: Any, label: str, grace: float = GRACE_SECONDS) -> int:
    """End every container with a label: SIGTERM to its processes, time to save, SIGKILL. Returns how many."""
    until, told, ended = time.monotonic() + grace, dict[int, set[int]](), set[str]()
    quiet = 0
    while quiet < 2:  # a container that was asked for a moment ago may still come
        found = _containers(client, label)
        quiet = 0 if found else quiet + 1
        for container in found:
            ended.add(container.id)
            if container.status == "running" and time.monotonic() < until:
                _terminate(container.attrs["State"]["Pid"], told)
            else:
                _remove(container)
        time.sleep(POLL_SECONDS)
    return len(ended)


def sweep(client: Any, home: Path) -> int:
    """End what runs in a home left whose command is gone, once their guards are. Returns how many containers."""
    until = time.monotonic() + GRACE_SECONDS
    while (left := _left(client, home)) and time.monotonic() < until:
        if all(launcher_is_gone(container.labels.get(GUARD, "")) for container in left):
            break
        time.sleep(POLL_SECONDS)
    runs = {container.labels.get(RUN, "") for container in left}
    return sum(stop(client, f"{RUN}={run}") for run in sorted(runs))


def _left(client: Any, home: Path) -> list[Any]:
    found = _containers(client, f"{HOME}={home}")
    return [container for container in found if launcher_is_gone(container.labels.get(LAUNCHER, ""))]


def _containers(client: Any, label: str) -> list[Any]:
    return list(client.containers.list(all=True, filters={"label": label}, ignore_removed=True))


def _terminate(main: int, told: dict[int, set[int]]) -> None:
    """SIGTERM to all that a container's first process has started, as to a group; later to what is new right below it.

    kfp's first process is a shell that would end at once and take the others along, unsaved.
    """
    family = _offspring(main)
    below = [pid for pids in family.values() for pid in pids]
    meant = family[main] if main in told else below or [main]
    seen = told.setdefault(main, set())
    for pid in set(meant) - seen:
        seen.add(pid)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGTERM)


def _offspring(main: int) -> Mapping[int, list[int]]:
    """The processes below one, by parent, as this machine numbers them."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    family, fresh = {main: list[int]()}, [main]
    while fresh:
        parent = fresh.pop()
        family[parent] = [pid for pid, above in parents.items() if above == parent]
        fresh += family[parent]
    return family


def _remove(container: Any) -> None:
    from docker.errors import APIError

    with contextlib.suppress(APIError):  # it is being removed
        container.remove(force=True)


def close_tree(workspace: Workspace, notify: str, state: str) -> None:
    """Do what the chain's own last step does, where that could not run."""
    from types import SimpleNamespace

    from medu1.run.component import finalize

    os.environ.update(workspace.environment())
    with contextlib.suppress(Exception):  # the next run sweeps what a server that is away keeps open
        finalize(notify, SimpleNamespace(state=state, error_message=None))


def main() -> None:
    """Wait for the end of the run, and leave nothing of it."""
    last = b""
    while told := os.read(0, 64):
        last = told
    if last == CLEAN:
        return
    workspace = Workspace.from_environment()
    with engine.connected() as client:
        stop(client, f"{RUN}={workspace.run}")
    if last != STOPPED:
        request = json.loads(workspace.journal.with_name("request.json").read_bytes())
        close_tree(workspace, request["arguments"]["notify"], "CANCELLED")


if __name__ == "__main__":
    main()
