"""The same chain on this machine: each step a subprocess of a group that ends with its caller, or a container, whose
end a guard sees to; or one step.

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
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from medu1 import journal, record
from medu1.journal import Event
from medu1.workspace import Workspace
from pipelines import guard

if TYPE_CHECKING:
    from pipelines.containers import Containers
    from pipelines.images import Images
    from pipelines.retraining import Place
    from pipelines.steps import Step

POLL_SECONDS = 0.1
GRACE_SECONDS = 60.0  # after SIGTERM, for a training to end its step and save, and for steps to close their MLflow runs
WAITING = {"GOMP_SPINCOUNT": "20000"}  # threads that spin for long stall each other where a core is shared
REQUEST, OUTPUT = "request.json", "output.json"
MADE = "Output"  # kfp's name for what a step returns
UNCLOSED = 70  # exit code of the child where kfp did not come to the exit handler
FOREIGN = ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID")  # set by a cluster's backend; here they would capture every step


class Ended(NamedTuple):
    """How a run went."""

    succeeded: bool
    closed: bool  # False: nothing has closed its MLflow tree


def run(
    arguments: Mapping[str, str],
    workspace: Workspace,
    show: Callable[[Event], None],
    step: "Step | None" = None,
    containers: "Containers | None" = None,
) -> Ended:
    """Run the chain, as subprocesses or as containers, or a step of it; show its events as they are written."""
    forget_incomplete(_cache(workspace.home), workspace.home / "store")
    request: dict[str, Any] = {"step": step, "arguments": dict(arguments), "containers": None}
    offset = 0

    def follow() -> None:
        nonlocal offset
        for event, after in journal.read(workspace.journal, offset):
            offset = after
            show(event)

    try:
        scratched = tempfile.TemporaryDirectory(prefix="medu1-")
        with scratched as scratch, _log(workspace) as output, _guarded(workspace, containers, output) as held:
            if containers and held:
                labelled = {**containers.labels, guard.GUARD: held.label}
                request["containers"] = containers.model_copy(update={"labels": labelled}).model_dump(mode="json")
            record.write_text(_beside(workspace, REQUEST), json.dumps(request, indent=1))
            with _child(workspace, scratch, output, held) as process:
                while _runs(process):
                    follow()
                    time.sleep(POLL_SECONDS)
            if held and process.returncode == 0:
                held.last = guard.CLEAN
            return Ended(process.returncode == 0, process.returncode >= 0 and process.returncode != UNCLOSED)
    finally:
        follow()  # also what steps say when a signal ends them


def log(workspace: Workspace) -> Path:
    """kfp's own log, with what the steps printed and their tracebacks."""
    return _beside(workspace, "kfp.log")


def output(workspace: Workspace) -> str:
    """What the one step that ran gave, as JSON."""
    return _beside(workspace, OUTPUT).read_text(encoding="utf-8")


def forget_incomplete(cache: Path, store: Path) -> int:
    """Drop cache entries of a task that gave nothing or an output the store no longer has whole; returns how many."""
    stale = [entry for entry in cache.glob("*.json") if not _is_whole(json.loads(entry.read_bytes()), store)]
    for entry in stale:
        entry.unlink(missing_ok=True)
    return len(stale)


def _is_whole(outputs: Mapping[str, Any], store: Path) -> bool:
    """A killed container that kfp took for a success is in the cache without its output."""
    return MADE in outputs and all(record.read(store / key) for key in _keys(outputs))


def _keys(outputs: Mapping[str, Any]) -> Iterator[str]:
    """Store keys of the manifests among a cached task's outputs."""
    for value in outputs.values():
        with contextlib.suppress(TypeError, ValueError):
            manifest = json.loads(value)
            if isinstance(manifest, dict) and "key" in manifest:
                yield str(manifest["key"])


def _log(workspace: Workspace) -> IO[bytes]:
    log(workspace).parent.mkdir(parents=True, exist_ok=True)
    return log(workspace).open("ab")


def _guarded(
    workspace: Workspace, containers: "Containers | None", output: IO[bytes]
) -> contextlib.AbstractContextManager[guard.Guard | None]:
    """Subprocesses end with their group; containers need someone to end them."""
    return guard.guarding(workspace, output) if containers else contextlib.nullcontext()


@contextlib.contextmanager
def _child(
    workspace: Workspace, scratch: str, output: IO[bytes], held: guard.Guard | None
) -> Iterator[subprocess.Popen[bytes]]:
    """kfp in a session of its own; whatever ends the caller ends the whole group."""
    environment = {key: value for key, value in os.environ.items() if key not in FOREIGN}
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.local"],
        env={**WAITING, **environment, **workspace.environment(), "TMPDIR": scratch, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE,  # its end tells the child that the caller is gone
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=[held.pipe] if held else [],
    )
    try:
        yield process
    finally:
        _stop(process)


def _runs(process: subprocess.Popen[bytes]) -> bool:
    """Whether a child has not ended. `Popen.poll` is no place for a signal handler to raise in: its lock would stay."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


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
    request = json.loads(_beside(workspace, REQUEST).read_bytes())
    if request["step"]:
        from pipelines import steps

        made = steps.ran(request["step"], request["arguments"], workspace.journal.parent)
        record.write_text(_beside(workspace, OUTPUT), made)
    elif request["containers"]:
        _in_containers(workspace, request)
    else:
        _in_subprocesses(workspace, request["arguments"])


def _in_subprocesses(workspace: Workspace, arguments: Mapping[str, str]) -> None:
    from kfp import local

    from pipelines.images import LOCAL
    from pipelines.placement import placement

    _kfp(workspace, arguments, local.SubprocessRunner(use_venv=False), LOCAL, placement("none"))


def _in_containers(workspace: Workspace, request: Mapping[str, Any]) -> None:
    """kfp says how its tasks ended, the engine how its containers did: both are to say that all went well."""
    from docker.errors import DockerException
    from kfp import local

    from pipelines import engine
    from pipelines.containers import Containers, naming_images

    given = Containers.model_validate(request["containers"])
    runner = local.DockerRunner(**given.options(os.environ))
    with engine.connected() as client, engine.knowing({given.images.cpu, given.images.gpu}):
        exits = engine.Exits(client, f"{guard.RUN}={workspace.run}")
        try:
            _kfp(workspace, request["arguments"], runner, given.images, naming_images())
        except (DockerException, OSError) as error:  # also what the client's HTTP library raises
            _tell(workspace, f"The Docker engine did not run a container ({type(error).__name__}: {error}).")
            sys.exit(UNCLOSED)
        if failed := exits.failed():
            _tell(workspace, f"kfp reports success, and there is {', and '.join(failed)}.")
            sys.exit(1)


def _kfp(workspace: Workspace, arguments: Mapping[str, str], runner: Any, images: "Images", place: "Place") -> None:
    """Run the chain in order. Raises RuntimeError where a task failed."""
    from kfp import local

    from pipelines.completeness import unfinished
    from pipelines.retraining import chain

    local.init(
        runner=runner,
        pipeline_root=str(workspace.home / "kfp" / "outputs"),
        enable_caching=True,
        cache_root=str(_cache(workspace.home)),
    )
    chain(images, place)(**arguments)
    if left := unfinished(workspace):
        _tell(workspace, f"kfp reports success, and these steps did not say that they finished: {', '.join(left)}.")
        sys.exit(1)


def _tell(workspace: Workspace, message: str) -> None:
    journal.append(workspace.journal, Event(step="chain", kind="failed", message=f"chain: {message}"))


def _end_with_caller() -> None:
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGTERM)


if __name__ == "__main__":
    main()
