"""The raw data can be had: where its bytes are pinned, and each file that prepare's sources name.

Only that a thing is there and may be read is looked at, by its headers or first byte; whether it has its digest is
checked by prepare, which reads it.
"""

import os
import re
import subprocess
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from medu1.bucket import Bucket
from medu1.errors import Stop
from medu1.run.asked import PIN, Asked
from medu1.run.finding import Check, Checks, Unsure
from medu1.words import line

RAW: Final = "data/"  # places below it are of the raw directory
CACHE: Final = Path("cache") / "sources" / "hub"  # below a home: where prepare keeps what it takes from the hub
DATASET: Final = re.compile(r"hf://(?P<name>[^/@]+/[^/@]+)(?:@(?P<revision>[^/]+))?/(?P<path>.+)")
SECONDS: Final = 20.0


def checks(asked: Asked) -> Checks:
    """One of the pin, one of each source."""
    return {"data": _pin(asked), **{f"source {place}": _source(asked, place) for place in asked.sources}}


def _pin(asked: Asked) -> Check:
    held = asked.data.get(PIN, "")
    if remote := asked.prepare.dvc_remote:
        return partial(_remote, remote, held)
    if repository := asked.prepare.repository:
        return partial(_repository, repository, asked.prepare.revision)
    return lambda: "the built-in questions are made anew and checked against the pin."


def _source(asked: Asked, place: str) -> Check:
    if place.startswith("s3://"):
        return partial(_object, place)
    if found := DATASET.fullmatch(place):
        revision = unquote(found["revision"] or "")
        return partial(_dataset, found["name"], found["path"], revision, asked.workspace.home / CACHE)
    if place.startswith(RAW) and (asked.prepare.dvc_remote or asked.prepare.repository):
        return lambda: "it comes with the pinned data."
    return partial(_file, place)


def _object(url: str) -> str:
    bucket, _, name = url.removeprefix("s3://").partition("/")
    Bucket(f"s3://{bucket}").version(name)
    return "it is there, and may be read."


def _file(place: str) -> str:
    try:
        with Path(place).open("rb") as file:
            file.read(1)
    except OSError as error:
        raise Stop(
            f"The source file {place} cannot be read where the steps run ({error.strerror}).",
            "A file of the machine that started the run is not in a pod.",
            "Name it as s3://bucket/key, pin it (medu1 data import), or correct prepare.sources.",
        ) from None
    return "it can be read."


def _dataset(name: str, path: str, revision: str, cache: Path) -> str:
    from huggingface_hub import HfApi, errors, hf_hub_url, try_to_load_from_cache

    at = revision or None
    if isinstance(try_to_load_from_cache(name, path, cache_dir=cache, revision=at, repo_type="dataset"), str):
        return "it lies in the cache."
    try:
        HfApi().get_hf_file_metadata(url=hf_hub_url(name, path, repo_type="dataset", revision=at), timeout=SECONDS)
    except errors.GatedRepoError:
        raise Stop(
            f"The dataset {name} is gated.",
            "No token of one who accepted its terms is shown.",
            "Accept the terms on the hub, and set HF_TOKEN where the steps run.",
        ) from None
    except errors.HfHubHTTPError as error:  # a private dataset is as absent as one that is not there
        raise Stop(
            f"The hub does not give {path} of the dataset {name}{f' at {revision}' if revision else ''} "
            f"({type(error).__name__.removesuffix('Error')}, {error.response.status_code}).",
            "It is not there, or HF_TOKEN may not read it.",
            "Correct the address in prepare.sources, or set HF_TOKEN where the steps run.",
        ) from None
    except Exception as error:  # the HTTP library's own
        raise Stop(
            f"The hub does not answer for the dataset {name} ({type(error).__name__}: {line(error, 200)}).",
            "No copy of the file lies in the cache.",
            "Connect the steps to the hub, or download the file and name its local path.",
        ) from None
    return "the hub gives it."


def _remote(remote: str, pin: str) -> str:
    """By the listing that the pin names, which a push brings there with the files."""
    name = f"files/md5/{pin[:2]}/{pin[2:]}"
    if remote.startswith("s3://"):
        try:
            Bucket(remote).version(name)
        except Stop as stop:
            raise Stop(stop.fact, stop.reason, "Push the data there (medu1 data push), or correct it.") from None
        return f"{line(remote)} has {pin}."
    if "://" in remote:
        raise Unsure(f"{line(remote)} is of a kind that is not looked at.", "prepare pulls from it.")
    if not (Path(remote).expanduser() / name).is_file():
        raise Stop(
            f"The DVC remote {remote} does not have the data {pin} where the steps run.",
            "It was not pushed, or the folder is not in a pod.",
            "Push it there (medu1 data push), or name a remote that every step reaches.",
        )
    return f"{remote} has {pin}."


def _repository(repository: str, revision: str) -> str:
    """Git is asked without a password prompt; a commit alone can be looked up in a folder, not at a URL."""
    if Path(repository).is_dir():
        _git(repository, "-C", repository, "cat-file", "-e", f"{revision}^{{commit}}")
        return f"{repository} has the commit {revision[:12]}."
    _git(repository, "ls-remote", "--exit-code", "--", repository, "HEAD")
    return f"{line(repository)} answers; that it has {revision[:12]} is seen when prepare clones it."


def _git(repository: str, *words: str) -> None:
    environment = {"GIT_SSH_COMMAND": "ssh -o BatchMode=yes", **os.environ, "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            ["git", *words], env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except FileNotFoundError:
        raise Unsure("git is not installed where this step runs.", "prepare clones the repository.") from None
    except subprocess.TimeoutExpired:
        raise Stop(
            f"The repository {line(repository)} does not answer within {SECONDS:g} s.",
            next_step="Correct prepare.repository, or connect the steps to it.",
        ) from None
    if done.returncode:
        said = line(done.stderr, 200).rstrip(".") or "no such commit"
        raise Stop(
            f"{line(repository)} or its revision cannot be had: {said}.",
            next_step="Correct prepare.repository and prepare.revision, or give the steps git credentials.",
        )
