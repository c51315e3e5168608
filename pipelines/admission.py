"""Everything that can be wrong with a run in containers, looked at before the first of them.

The identity of each step's code is asked from the image, not taken from this checkout, so that what is reused was made
by the code that would run: where both are the same, a run as subprocesses reuses what containers made.
"""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from medu1 import record
from medu1.errors import Stop
from medu1.workspace import Workspace
from pipelines import engine, guard, held
from pipelines.containers import Containers, containers
from pipelines.images import Images


class Asked(NamedTuple):
    """What the command line says."""

    images: Path
    allow_skew: bool = False


class Admitted(NamedTuple):
    """A run that may begin."""

    arguments: dict[str, str]
    workspace: Workspace
    containers: Containers


def admitted(asked: Asked, arguments: Mapping[str, str], workspace: Workspace, tell: Callable[[str], None]) -> Admitted:
    """Everything that can be wrong before the first container. Raises Stop that says what and why.

    What earlier runs in this home left running is ended first.
    """
    images = Images.read(asked.images)
    if not asked.allow_skew:
        _same_commit(images, workspace, asked.images)
    with engine.connected() as client:
        guard.sweep(client, workspace.home)
        names = {image: engine.had(client, image, tell) for image in dict.fromkeys((images.cpu, images.gpu))}
        images = images.model_copy(update={"cpu": names[images.cpu], "gpu": names[images.gpu]})
        commit = {"commit": images.commit.removesuffix("-dirty"), "dirty": images.commit.endswith("-dirty")}
        workspace = workspace.model_copy(update=commit)
        given = containers(client, images, arguments, workspace)
        told = {image: _told(client, image, given, workspace) for image in dict.fromkeys((images.cpu, images.gpu))}
    if not asked.allow_skew:
        _same_sources(told, asked.images)
    return Admitted({**arguments, **_codes(told[images.cpu], told[images.gpu])}, workspace, given)


def _same_commit(images: Images, workspace: Workspace, path: Path) -> None:
    there, here = images.commit.removesuffix("-dirty"), workspace.commit
    if here and there != here:
        raise Stop(
            f"{path} names images of commit {there[:12] or 'none'}, this checkout is at {here[:12]}.",
            "The containers would run code that is not the one here.",
            "Build the images again, or pass --allow-skew.",
        )


def _same_sources(told: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    here = held.held()["sources"]
    for image, found in told.items():
        rooms = sorted(room or "medu1" for room in here if found["sources"].get(room) != here[room])
        if rooms:
            raise Stop(
                f"The image {image} of {path} holds other sources than this checkout, of {', '.join(rooms)}.",
                "The containers would run code that is not the one here.",
                "Build the images again, or pass --allow-skew: results then count as those of the image's code.",
            )


def _codes(cpu: Mapping[str, Any], gpu: Mapping[str, Any]) -> dict[str, str]:
    """The digest of each step's code where it runs; the base is made in both images, its tokenizer in the first."""
    here, there = cpu["code"], gpu["code"]
    base = here["base"] if here["base"] == there["base"] else record.digest([here["base"], there["base"]])[:16]
    return {
        "code_base": base,
        "code_prepare": here["prepare"],
        "code_audit": here["audit"],
        "code_train": there["train"],
        "code_evaluate": there["evaluate"],
    }


def _told(client: Any, image: str, given: Containers, workspace: Workspace) -> dict[str, Any]:
    """What a container of an image says of it and of what it sees, with all that a step's container gets."""
    from docker.errors import APIError

    options = given.options({**os.environ, **workspace.environment()})
    command = ["python3", "-c", Path(held.__file__).read_text("utf-8")]
    try:
        container = client.containers.create(image, command, **options)
    except APIError as error:
        told = str(error.explanation).strip()
        raise Stop(f"The engine does not make a container: {told}.", next_step="Mend that and run again.") from None
    try:
        container.start()
        code = container.wait()["StatusCode"]
        out = container.logs(stderr=False).decode("utf-8", "replace")
        err = container.logs(stdout=False).decode("utf-8", "replace")
    except APIError as error:  # it cannot be started
        raise _unfit(image, str(error.explanation)) from None
    finally:
        container.remove(force=True)
    if code:
        raise _unfit(image, (err.strip().splitlines() or [f"exit code {code}"])[-1])
    found: dict[str, Any] = json.loads(out)
    _sees_this_machine(found, workspace)
    return found


def _unfit(image: str, told: str) -> Stop:
    return Stop(
        f"The image {image} cannot run a step: {told.strip()}.",
        "It holds medu1 and kfp, in the python3 on its PATH.",
        "Name an image that docker/build.sh made.",
    )


def _sees_this_machine(told: Mapping[str, Any], workspace: Workspace) -> None:
    if not told["writes"]:
        raise Stop(
            f"A container of this user may not write into the home {workspace.home}.",
            "The engine gives containers other user ids or another file system than this machine's.",
            "Use an engine without user namespaces that runs on this machine itself, or --runner subprocess.",
        )
    if told["launcher_is_gone"]:
        raise Stop(
            "A container does not see this command's process.",
            "The engine runs in another process table, so a living run would be taken for a dead one and closed.",
            "Use an engine that runs on this machine itself, or --runner subprocess.",
        )
