"""What a cluster is asked to do: the chain's arguments without anything that only this machine has.

The code that a package runs is that of its images, not of this checkout, so their digests stand for it: in kfp's cache
the image's name does, and here, in the fingerprints of the store, an argument. Images that were built anew make their
results anew.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from medu1.errors import Stop
from medu1.params import Params
from medu1.prepare.location import inside, is_remote, located
from medu1.prepare.sources import parse
from pipelines import request
from pipelines.images import Images

REPEATED: Final = re.compile(r"(.)\1*")  # no digest and no commit is one digit again and again
RESERVED: Final = (".example", ".invalid", "example.com")  # hosts that nobody has


def arguments(params: Params, images: Images, home: Path) -> dict[str, str]:
    """A package's arguments by name. Raises Stop where one names what a pod cannot reach, and as `request` does."""
    refuse_local(params)
    return {**request.arguments(params, home), **codes(images)}


def codes(images: Images) -> dict[str, str]:
    """The code of each step by the images that hold it; the base is made in both, its tokenizer in the first."""
    cpu, gpu = _identity(images.cpu), _identity(images.gpu)
    both = _identity(images.cpu, images.gpu)
    return {"code_base": both, "code_prepare": cpu, "code_audit": cpu, "code_train": gpu, "code_evaluate": gpu}


def refuse_placeholders(images: Images, path: Path) -> None:
    """Raises Stop for a list that a package can be compiled with and no pod can run, as the tests have one."""
    named = [image for image in (images.cpu, images.gpu) if _is_placeholder(image)]
    if named or REPEATED.fullmatch(images.commit):
        raise Stop(
            f"{path} is a placeholder: {', '.join(named) or 'its commit is ' + images.commit[:12]}.",
            "No registry has such images, so no pod would start.",
            "Build and push the images (docker/build.sh), which writes docker/images.json.",
        )


def refuse_local(params: Params) -> None:
    """Raises Stop naming every place in the parameters that a pod cannot reach."""
    if found := "; ".join(_local(params)):
        raise Stop(
            f"A cluster cannot reach what lies on this machine: {found}.",
            "Its steps run in pods, with disks of their own.",
            "Put files under s3:// or hf://, push data (medu1 data push) and name prepare.repository or "
            "prepare.dvc_remote by address, and give train.base_model a Hugging Face id.",
        )


def _local(params: Params) -> Iterator[str]:
    """Places of this machine, each with its parameter."""
    prepare, train = params.prepare, params.train
    pulled = bool(prepare.dvc_remote or prepare.repository)  # what is below data/ is then had from there
    for place in filter(None, (parse(source).path for source in prepare.sources)):
        if not (is_remote(place) or (pulled and inside(located(place)))):
            yield f"prepare.sources names {place}"
    if _is_folder(prepare.repository):
        yield f"prepare.repository is {prepare.repository}"
    if prepare.dvc_remote and (not is_remote(prepare.dvc_remote) or prepare.dvc_remote.startswith("file:")):
        yield f"prepare.dvc_remote is {prepare.dvc_remote}"
    if train.base_model.startswith((".", "/", "~")) or Path(train.base_model).is_dir():
        yield f"train.base_model is {train.base_model}"


def _is_folder(repository: str) -> bool:
    """A git URL is one with a scheme, or user@host:path."""
    if is_remote(repository):
        return repository.startswith("file:")
    return bool(repository) and (repository.startswith((".", "/", "~")) or Path(repository).exists())


def _identity(*images: str) -> str:
    """Sixteen digits for images by content: a registry's name is no part of it."""
    return hashlib.sha256(" ".join(image.rpartition("@")[2] for image in images).encode()).hexdigest()[:16]


def _is_placeholder(image: str) -> bool:
    host, digest = image.partition("/")[0], image.rpartition(":")[2]
    return host.endswith(RESERVED) or bool(REPEATED.fullmatch(digest))
