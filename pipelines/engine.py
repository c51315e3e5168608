"""The Docker engine of this machine, and an image in it by its digest; what is wrong is told before a run begins.

kfp's DockerRunner asks the same engine (DOCKER_HOST, else the local socket) and pulls what is missing by itself, with a
traceback where it cannot.
"""

import os
import shutil
import socket
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

from medu1.errors import Stop

SOCKET = "unix:///var/run/docker.sock"
INSTEAD = "or run with --runner subprocess."
REACH_SECONDS = 5.0
SETTLING_SECONDS = 10.0  # for the engine to say how the last container ended
UNKNOWN = ("manifest unknown", "not found", "name unknown")
DENIED = ("denied", "unauthorized", "authentication required", "no basic auth")
AWAY = ("connection refused", "no such host", "timeout", "timed out", "no route to host", "server misbehaving", "EOF")


@contextmanager
def connected() -> Iterator[Any]:
    """A client of the engine, untyped upstream. Raises Stop where there is none, it is away, or not for this user."""
    from docker.client import DockerClient
    from docker.errors import DockerException

    place = os.environ.get("DOCKER_HOST", SOCKET)
    if not place.startswith("unix://"):
        raise Stop(
            f"DOCKER_HOST names the engine {place}, which is not on this machine.",
            "Its containers would not find this machine's home folder.",
            f"Unset DOCKER_HOST, {INSTEAD}",
        )
    _reach(place)
    try:
        client = DockerClient.from_env()
    except DockerException as error:
        raise Stop(f"The Docker engine at {place} cannot be used: {error}.", next_step=f"Mend it, {INSTEAD}") from None
    try:
        yield client
    finally:
        client.close()


def _reach(place: str) -> None:
    """What the client would say less plainly. Raises Stop where nobody answers at the engine's socket."""
    with socket.socket(socket.AF_UNIX) as door:
        door.settimeout(REACH_SECONDS)
        try:
            door.connect(place.removeprefix("unix://"))
        except OSError as error:
            raise _unreachable(place, error) from None


def _unreachable(place: str, error: OSError) -> Stop:
    match error:
        case FileNotFoundError() if not (shutil.which("docker") or shutil.which("dockerd")):
            return Stop(
                "There is no Docker engine on this machine.",
                "--runner docker runs every step in a container.",
                f"Install one (on Debian: apt-get install docker.io), {INSTEAD}",
            )
        case PermissionError():
            return Stop(
                f"This user may not use the Docker engine: no permission on {place}.",
                "Who may use it can become root on this machine, so users are named one by one.",
                f"Have an administrator add you to the group docker (usermod -aG docker NAME), log in again, {INSTEAD}",
            )
        case _:
            return Stop(
                f"The Docker engine does not run: nothing answers at {place} ({error.strerror or error}).",
                "--runner docker runs every step in a container.",
                f"Start it (systemctl start docker), {INSTEAD}",
            )


def had(client: Any, image: str, tell: Callable[[str], None]) -> str:
    """An image by its digest, pulled where it is not here: its name as the engine lists it, for kfp to look for.

    Raises Stop where it cannot be had.
    """
    names = _listed(client, image)
    if not names:
        tell(f"pulling {image}")
        _pull(client, image)
        names = _listed(client, image)
    return image if image in names else names[0]


def _listed(client: Any, image: str) -> list[str]:
    """The names of an image that is here, by the same digest."""
    from docker.errors import ImageNotFound

    try:
        found = client.images.get(image)
    except ImageNotFound:
        return []
    return [name for name in found.attrs["RepoDigests"] if name.endswith(image.partition("@")[2])]


def _pull(client: Any, image: str) -> None:
    from docker.errors import DockerException

    name, _, digest = image.partition("@")
    try:
        for line in client.api.pull(name, tag=digest, stream=True, decode=True):
            if "error" in line:
                raise _not_pulled(image, str(line["error"]))
    except DockerException as error:
        raise _not_pulled(image, str(getattr(error, "explanation", error))) from None


def _not_pulled(image: str, told: str) -> Stop:
    registry, fact = image.partition("/")[0], f"The image {image} is not on this machine"
    if any(word in told for word in DENIED):
        return Stop(
            f"{fact}, and the registry {registry} does not give it to this user.",
            "It asks for a login, or has no such repository.",
            f"docker login {registry}, or correct the image list.",
        )
    if any(word in told for word in UNKNOWN):
        return Stop(
            f"{fact}, and the registry {registry} does not have this digest.",
            "It was never pushed there, or it was removed.",
            "Build and push the images again (docker/build.sh), or name another list with --images FILE.",
        )
    if any(word in told for word in AWAY):
        return Stop(
            f"{fact}, and the registry {registry} does not answer ({told.strip()}).",
            next_step="Start it or mend the network and run again; an image that is here is not asked for.",
        )
    return Stop(f"{fact}, and it cannot be pulled: {told.strip()}.", next_step="Mend that and run again.")


@contextmanager
def knowing(images: Collection[str]) -> Iterator[None]:
    """While it lasts, clients in this process list these images alone.

    kfp looks for its image before each task by inspecting all that the engine has: seconds where there are many, and an
    error where any of them is removed meanwhile.
    """
    from docker.models.images import ImageCollection

    def named(collection: Any, *_: object, **__: object) -> list[Any]:
        return [collection.get(image) for image in images]

    every, ImageCollection.list = ImageCollection.list, named
    try:
        yield
    finally:
        ImageCollection.list = every


class Exits:
    """How the containers with a label ended, by the engine's own events.

    kfp has them removed as they end and takes a container that is gone before it asks for a success.
    """

    def __init__(self, client: Any, label: str) -> None:
        self._client, self._began = client, _now()
        self._wanted = {"type": "container", "label": label, "event": ["start", "die"]}
        self._codes: dict[str, int | None] = {}  # by container; None while it runs
        Thread(target=self._hear, args=(self._events(),), name="exits", daemon=True).start()

    def _events(self, until: str | None = None) -> Any:
        return self._client.events(since=self._began, until=until, filters=self._wanted, decode=True)

    def _hear(self, events: Iterator[Any]) -> None:
        for event in events:
            actor = event["Actor"]
            if event["Action"] == "die":
                self._codes[actor["ID"]] = int(actor["Attributes"]["exitCode"])
            else:
                self._codes.setdefault(actor["ID"], None)

    def failed(self) -> list[str]:
        """What is wrong, once all have ended: the exit codes that are not 0."""
        until = time.monotonic() + SETTLING_SECONDS
        self._hear(
            self._events(_now())
        )  # the engine remembers the last few hundred: what is not heard yet is among them
        while None in self._codes.values() and time.monotonic() < until:
            time.sleep(0.05)
        return [_ended(code) for code in self._codes.values() if code != 0]


def _now() -> str:
    return f"{time.time():.9f}"


def _ended(code: int | None) -> str:
    return "a container whose end is not known" if code is None else f"a container that ended with exit code {code}"
