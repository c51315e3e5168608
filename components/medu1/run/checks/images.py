"""The images of a package are in their registry, by digest: a HEAD of each manifest, nothing is pulled.

A registry may ask for credentials that only the nodes have, or be reached by nodes alone, so only its plain no counts.
"""

import re
from functools import partial
from typing import Final

from medu1.errors import Stop
from medu1.run.asked import Asked
from medu1.run.finding import Checks, Unsure
from medu1.webhook import host

SECONDS: Final = (5.0, 10.0)  # to connect, to answer
REFERENCE: Final = re.compile(r"(?P<name>[\w./:-]{1,400})@(?P<digest>sha256:[0-9a-f]{64})")
HUB: Final = "docker.io"
SERVED: Final = {HUB: "registry-1.docker.io"}  # registries that answer under another name
LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
MANIFESTS: Final = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)


def checks(asked: Asked) -> Checks:
    """One of each image."""
    if not asked.placed.images:
        return {"images": lambda: "none are named: no package runs."}
    return {f"image {_short(image)}": partial(check, image) for image in dict.fromkeys(asked.placed.images)}


def check(image: str) -> str:
    """Raises Stop where the registry says that it does not have it."""
    found = REFERENCE.fullmatch(image)
    if not found:
        raise Stop(
            f"The image {image} is not named by a digest.",
            "What a tag names may change while the run goes on.",
            "Build the images (docker/build.sh), which writes their digests, and compile again.",
        )
    registry, repository = _parts(found["name"])
    address = f"{_scheme(registry)}://{SERVED.get(registry, registry)}"
    status = _asked(f"{address}/v2/{repository}/manifests/{found['digest']}")
    if status == 404:
        raise Stop(
            f"{registry} has no image {image}.",
            "It was not pushed there, or was deleted.",
            "Build and push the images (docker/build.sh), and compile again.",
        )
    if status in (401, 403):
        raise Unsure(f"{registry} tells only those who sign in ({status}).", "The nodes need an image pull secret.")
    if status != 200:
        raise Unsure(f"{registry} answers {status}.", "Whether the image is there is seen when a node pulls it.")
    return f"{registry} has it."


def _asked(url: str) -> int:
    import requests  # type: ignore[import-untyped]

    try:
        return int(
            requests.head(url, headers={"Accept": MANIFESTS}, timeout=SECONDS, allow_redirects=False).status_code
        )
    except requests.RequestException as error:
        raise Unsure(
            f"{host(url)} cannot be reached from here ({type(error).__name__}).",
            "Whether the image is there is seen when a node pulls it.",
        ) from None


def _parts(name: str) -> tuple[str, str]:
    """Registry and repository, as Docker reads a name: the first part is a host where it looks like one."""
    untagged = re.sub(r":[\w.-]+$", "", name) if "/" in name and ":" in name.rpartition("/")[2] else name
    first, slash, rest = untagged.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first, rest
    return HUB, untagged if slash else f"library/{untagged}"


def _scheme(registry: str) -> str:
    """Docker takes a registry on this machine without TLS, and no other."""
    return "http" if registry.rpartition(":")[0] in LOOPBACK or registry in LOOPBACK else "https"


def _short(image: str) -> str:
    """The name with the digest's first digits."""
    name, _, digest = image.partition("@sha256:")
    return f"{name.rpartition('/')[2]}@{digest[:12]}" if digest else image[:80]
