"""Where a source lies: on this machine, below data/, in an object store (`s3://bucket/key`), or in a dataset repository
of the Hugging Face hub (`hf://owner/name[@revision]/path`).

Everything is a local file before anything reads it, so readers, digests and gates know paths only. What a run then
depends on is the file's digest, not its address; a revision pins what the hub gives tomorrow. A file below data/ is
named relative to the checkout: a step finds it in the raw directory that it obtained, which need not be a checkout's.
"""

import hashlib
import os
import re
from pathlib import Path
from urllib.parse import unquote

from medu1.errors import Stop
from medu1.storage import download

RAW = "data"  # the raw directory, of a checkout and wherever its bytes are obtained
CACHE = Path("cache") / "sources"  # below a home: where remote files are kept
HUB = re.compile(r"hf://(?P<repository>[^/@]+/[^/@]+)(?:@(?P<revision>[^/]+))?/(?P<path>.+)")
OBJECT = re.compile(r"s3://[^/]+/.*[^/]")


def is_remote(path: str) -> bool:
    """Whether an address has a scheme."""
    return "://" in path


def absolute(path: str) -> str:
    """A local path from the root, so that it names the same file wherever a step runs; an address as it is."""
    return path if is_remote(path) else str(Path(path).resolve())


def located(path: str) -> str:
    """A place as it travels to a step: a file below data/ by its path there, any other as `absolute` gives it."""
    near = "" if is_remote(path) else os.path.relpath(path)
    return near if inside(near) else absolute(path)


def inside(place: str) -> str:
    """The path below data/ of a place that `located` gives; "" of a place elsewhere."""
    folder, _, path = place.partition("/")
    return path if folder == RAW else ""


def fetched(url: str, cache: Path, raw: Path = Path(RAW)) -> Path:
    """The local file: below `raw` where it is raw data, below `cache` where it is remote. Raises Stop that says why it
    cannot be had."""
    if path := inside(url):
        return raw / path
    if not is_remote(url):
        return Path(url)
    if OBJECT.fullmatch(url):
        return download(url, cache / hashlib.sha256(url.encode()).hexdigest()[:16] / url.rpartition("/")[2])
    if found := HUB.fullmatch(url):
        return _from_hub(url, found["repository"], found["path"], unquote(found["revision"] or ""), cache)
    raise Stop(
        f"prepare.sources: {url} is no address medu1 can fetch.",
        "It is a local path, s3://bucket/key, or hf://owner/name[@revision]/path/in/repository.",
        "Write one of these.",
    )


def _from_hub(url: str, repository: str, path: str, revision: str, cache: Path) -> Path:
    from huggingface_hub import errors, hf_hub_download

    try:
        return Path(
            hf_hub_download(repository, path, repo_type="dataset", revision=revision or None, cache_dir=cache / "hub")
        )
    except errors.GatedRepoError:
        raise Stop(
            f"The dataset of {url} is gated.",
            "Its publisher gives it to those who accept its terms, and this machine shows no token of one who did.",
            "Accept the terms on the hub and set HF_TOKEN where the step runs.",
        ) from None
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.RemoteEntryNotFoundError) as error:
        raise Stop(
            f"The Hugging Face hub does not have {url}: {_absent(error, repository, path, revision)}.",
            "A private dataset is not found either, unless HF_TOKEN may read it.",
            "Correct the address in prepare.sources.",
        ) from None
    except (errors.HfHubHTTPError, errors.HFValidationError, OSError) as error:  # no network arrives as an OSError
        raise Stop(
            f"{url} cannot be fetched: {str(error).splitlines()[0]}",
            "The Hugging Face hub does not answer from here, and no copy of the file lies in the cache.",
            "Connect the machine, or download the file elsewhere and name its local path.",
        ) from None


def _absent(error: Exception, repository: str, path: str, revision: str) -> str:
    match type(error).__name__:
        case "RevisionNotFoundError":
            return f"the dataset has no revision {revision}"
        case "RemoteEntryNotFoundError":
            return f"the dataset has no file {path}"
        case _:
            return f"there is no dataset {repository}"
