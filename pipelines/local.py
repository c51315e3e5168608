"""The same chain on this machine, each step a subprocess, in a process group that ends with its caller; or one step.

kfp runs in a child: its log and the steps' output go to a file, and the caller follows the run's journal. A step whose
inputs, sources and parameters are unchanged is answered from kfp's local cache; entries whose output is no longer whole
in the store are dropped first, since kfp looks at the entry alone.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from medu1 import journal, record
from medu1.journal import Event
from medu1.workspace import Workspace

if TYPE_CHECKING:
    from pipelines.steps import Step

POLL_SECONDS = 0.1
GRACE_SECONDS = 60.0  # after SIGTERM, for a training to end its step and save, and for steps to close their MLflow runs
WAITING = {"GOMP_SPINCOUNT": "20000"}  # threads that spin for long stall each other where a core is shared
OUTPUT = "output.json"
FOREIGN = ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID")  # set by a cluster's backend; here they would capture every step


def run(
    arguments: Mapping[str, str], workspace: Workspace, show: Callable[[Event], None], step: "Step | None" = None
) -> bool:
    """Run the chain, or a step of it, and show its events as they are written. Returns whether it succeeded."""
    forget_incomplete(_cache(workspace.home), workspace.home / "store")
    request = {"step": step, "arguments": dict(arguments)}
    record.write_text(_beside(workspace, "request.json"), json.dumps(request, indent=1))
    offset = 0

    def follow() -> None:
        nonlocal offset
        for event, after in journal.read(workspace.journal, offset):
            offset = after
            show(event)

    try:
        with tempfile.TemporaryDirectory(prefix="medu1-") as scratch, _child(workspace, scratch) as process:
            while process.poll() is None:
                follow()
                time.sleep(POLL_SECONDS)
            return process.returncode == 0
    finally:
        follow()  # also what steps say when a signal ends them


def log(workspace: Workspace) -> Path:
    """kfp's own log, with what the steps printed and their tracebacks."""
    return _beside(workspace, "kfp.log")


def output(workspace: Workspace) -> str:
    """What the one step that ran gave, as JSON."""
    return _beside(workspace, OUTPUT).read_text(encoding="utf-8")


def forget_incomplete(cache: Path, store: Path) -> int:
    """Drop cache entries that name an output the store no longer has whole; returns how many."""
    stale = [entry for entry in cache.glob("*.json") if not all(record.read(store / key) for key in _keys(entry))]
    for entry in stale:
        entry.unlink(missing_ok=True)
    return len(stale)


def _keys(entry: Path) -> Iterator[str]:
    """Store keys of the manifests among a cached task's outputs."""
    for value in json.loads(entry.read_bytes()).values():
        with contextlib.suppress(TypeError, ValueError):
            manifest = json.loads(value)
            if isinstance(manifest, dict) and "key" in manifest:
                yield str(manifest["key"])


@contextlib.contextmanager
def _child(workspace: Workspace, scratch: str) -> Iterator[subprocess.Popen[bytes]]:
    """kfp in a session of its own; whatever ends the caller ends the whole group."""
    environment = {key: value for key, value in os.environ.items() if key not in FOREIGN}
    log(workspace).parent.mkdir(parents=True, exist_ok=True)
    with log(workspace).open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.local"],
            env={**WAITING, **environment, **workspace.environment(), "TMPDIR": scratch, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,  # its end tells the child that the caller is gone
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the group: SIGTERM, time to close runs, SIGKILL."""
    deadline = time.monotonic() + GRACE_SECONDS
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        while time.monotonic() < deadline:
            process.poll()  # a finished child stays in the group until it is waited for
            os.killpg(process.pid, 0)
            time.sleep(POLL_SECONDS)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _cache(home: Path) -> Path:
    return home / "kfp" / "cache"


def _beside(workspace: Workspace, name: str) -> Path:
    """A file of the run, beside its journal."""
    return workspace.journal.with_name(name)


def main() -> None:
    """The child: the pipeline function with this run's arguments, run by kfp in order, or one step in this process."""
    threading.Thread(target=_end_with_caller, daemon=True).start()
    workspace = Workspace.from_environment()
    request = json.loads(_beside(workspace, "request.json").read_bytes())
    if request["step"]:
        from pipelines import steps

        made = steps.ran(request["step"], request["arguments"], workspace.journal.parent)
        record.write_text(_beside(workspace, OUTPUT), made)
    else:
        _kfp(workspace, request["arguments"])


def _kfp(workspace: Workspace, arguments: Mapping[str, str]) -> None:
    from kfp import local

    from pipelines.images import LOCAL
    from pipelines.placement import placement
    from pipelines.retraining import chain

    local.init(
        runner=local.SubprocessRunner(use_venv=False),
        pipeline_root=str(workspace.home / "kfp" / "outputs"),
        enable_caching=True,
        cache_root=str(_cache(workspace.home)),
    )
    chain(LOCAL, placement("none"))(**arguments)


def _end_with_caller() -> None:
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGTERM)


if __name__ == "__main__":
    main()
