"""The chain's steps as containers of this machine: the same pipeline through kfp's DockerRunner, images by digest.

A container sees what a subprocess of the run would. It has the caller's user and groups, the network and the process
table of this machine (a tracking server or object store on loopback is reached, and preflight tells a living run's
command from a dead one's by its process), the home at its own path, and read-only what the parameters name by a path.
Its root is read-only; `~`, /tmp and /var/tmp are in memory.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from medu1.errors import Stop
from medu1.params import Prepare
from medu1.prepare.location import RAW, inside, is_remote
from medu1.prepare.sources import parse
from medu1.prepare.versions.remote import Remote
from medu1.question import Frozen
from medu1.workspace import Workspace
from pipelines import guard
from pipelines.images import Images
from pipelines.placement import Place, placement

PREFIXES = (
    *("MEDU1_", "MLFLOW_", "AWS_", "HF_", "DVC_", "TRANSFORMERS_", "TOKENIZERS_", "VLLM_"),
    *("OMP_", "GOMP_", "MKL_", "CUDA_", "NCCL_", "TORCH", "PYTORCH_"),
)
NAMES = frozenset(
    name
    for stem in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "TZ")
    for name in (stem, stem.lower())
)
OWN_IMAGE = "MEDU1_IMAGE"  # set on each task: steps may have different images
KEPT_IN_HOME = (".aws", ".netrc", ".gitconfig", ".git-credentials", ".config/dvc")  # keys and settings, by file
SCRATCH = ("/tmp", "/var/tmp")  # DVC locks in the second
SHM = "8g"  # a limit of /dev/shm, nothing is set aside; the engine's own is 64 MB
PLAIN = {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "ascii:backslashreplace"}  # kfp decodes the log in pieces


class Bind(Frozen):
    """A file or folder of this machine at its own path in every container."""

    path: Path
    writable: bool = False


class Containers(Frozen):
    """What every container of a run gets, but its environment, which may hold keys and is written nowhere."""

    images: Images
    binds: tuple[Bind, ...]
    user: str  # uid:gid
    groups: tuple[int, ...]
    own: Path  # `~`
    folder: Path  # that the run was started in, so that a relative path means the same
    gpus: bool
    labels: dict[str, str]

    def options(self, environ: Mapping[str, str]) -> dict[str, Any]:
        """As docker's `containers.run` takes them, with what steps read of an environment."""
        from docker.types import DeviceRequest, LogConfig, Mount

        uid, _, gid = self.user.partition(":")
        memory = dict.fromkeys(SCRATCH, "exec,mode=1777") | {str(self.own): f"exec,mode=700,uid={uid},gid={gid}"}
        mounts = [Mount(str(each.path), str(each.path), "bind", read_only=not each.writable) for each in self.binds]
        return {
            "environment": {**environment(environ), **PLAIN, "HOME": str(self.own)},
            "user": self.user,
            "group_add": [str(group) for group in self.groups],
            "read_only": True,
            "tmpfs": {place: f"rw,nosuid,nodev,{how}" for place, how in sorted(memory.items(), reverse=True)},
            "mounts": mounts,
            "working_dir": str(self.folder),
            "network_mode": "host",
            "pid_mode": "host",
            "shm_size": SHM,
            "security_opt": ["no-new-privileges"],
            "log_config": LogConfig(type="json-file"),
            "labels": self.labels,
            "device_requests": [DeviceRequest(count=-1, capabilities=[["gpu"]])] if self.gpus else [],
        }


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What a step reads of an environment: addresses, keys, threads and proxies, and who runs it."""
    name = environ.get("USER") or environ.get("LOGNAME") or str(os.getuid())
    passed = {key: value for key, value in environ.items() if key.startswith(PREFIXES) or key in NAMES}
    passed.pop(OWN_IMAGE, None)
    return {**passed, "HF_HOME": str(hub_cache(environ)), "USER": name, "LOGNAME": name}


def hub_cache(environ: Mapping[str, str]) -> Path:
    """Where the Hugging Face libraries keep what they download, and a token."""
    cache = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(environ.get("HF_HOME") or cache / "huggingface").absolute()


def containers(client: Any, images: Images, arguments: Mapping[str, str], workspace: Workspace) -> Containers:
    """What the containers of a run with these arguments get. Raises Stop where its home has no place in one."""
    if ":" in str(workspace.home):
        raise Stop(
            f"The home {workspace.home} has a colon in its path.",
            "The engine's way of naming a folder for a container has no room for one.",
            "Name another with --home.",
        )
    own = Path.home()
    labels = {guard.RUN: workspace.run, guard.HOME: str(workspace.home), guard.LAUNCHER: workspace.launcher}
    return Containers(
        images=images,
        binds=tuple(_binds(arguments, workspace)),
        user=f"{os.getuid()}:{os.getgid()}",
        groups=tuple(os.getgroups()),
        own=own if own.parent != own else Path("/tmp"),
        folder=Path.cwd(),
        gpus="nvidia" in client.info().get("Runtimes", {}),
        labels=labels,
    )


def _binds(arguments: Mapping[str, str], workspace: Workspace) -> Iterator[Bind]:
    """Each path once, what may be written first."""
    prepare = Prepare.parse(arguments["prepare"])
    done = list[Path]()
    for path in _written(prepare, workspace):
        path.mkdir(parents=True, exist_ok=True)  # the engine would make it root's
        if not any(path.is_relative_to(other) for other in done):
            done.append(path)
            yield Bind(path=path, writable=True)
    for path in _read(arguments["base_model"], prepare):
        if path.exists() and not any(path.is_relative_to(other) for other in done):
            done.append(path)
            yield Bind(path=path)


def _written(prepare: Prepare, workspace: Workspace) -> Iterator[Path]:
    """Folders that steps write into."""
    yield workspace.home
    yield workspace.home / "kfp" / "outputs"
    yield hub_cache(os.environ)
    if workspace.tracking_uri.startswith("sqlite:///"):
        yield Path(workspace.tracking_uri.removeprefix("sqlite:///")).parent
    if prepare.repository and (Path(prepare.repository) / ".dvc").is_dir():
        yield Path(prepare.repository) / ".dvc" / "tmp"  # DVC works on a folder in place


def _read(base_model: str, prepare: Prepare) -> Iterator[Path]:
    """What parameters name by a path, and where keys, settings and certificates lie that the environment names."""
    yield from (Path(name) for name in (base_model, prepare.repository) if name.startswith("/"))
    for place in (parse(entry).path for entry in prepare.sources):
        if place and not is_remote(place):
            yield Path.cwd() / RAW if inside(place) else Path(place)
    yield from _remotes(prepare)
    yield from (Path.home() / name for name in KEPT_IN_HOME)
    yield from (Path(value) for value in environment(os.environ).values() if value.startswith("/"))


def _remotes(prepare: Prepare) -> Iterator[Path]:
    """DVC remotes that are folders: the one that is named, and the repository's own."""
    remotes = [Remote.at(prepare.dvc_remote)] if prepare.dvc_remote else []
    if prepare.repository and Path(prepare.repository).is_dir():
        own = Remote.default(Path(prepare.repository))
        remotes += [own] if own else []
    yield from (Path(remote.settings["url"]) for remote in remotes if not is_remote(remote.settings["url"]))


def naming_images() -> Place:
    """The placement of this machine that tells each step which image it runs in, for its record."""

    def put(task: Any, step: str) -> None:
        task.set_env_variable(OWN_IMAGE, task.container_spec.image)

    return Place(placement("none").placed, put)
