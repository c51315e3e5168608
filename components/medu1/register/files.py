"""The files of a version, checked against the digest the version was registered with.

The digest is a tag of the version: it covers name and SHA-256 of every file. The step record among the files names
them, and is believed only where it has that digest, so that a change of file and record together is found as well.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from socket import gethostname
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError

from medu1 import record
from medu1.bucket import Absent, Bucket
from medu1.errors import Stop
from medu1.record import FileEntry, StepRecord
from medu1.registered_models import KEY
from medu1.storage import ObjectStore, scratch
from medu1.tracking import Tracking

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

FILES = "medu1.files"  # tag of a version: `digest` of its files
NEXT = "Restore the files, or promote another version."
SHOWN = 5  # names in a message
NOTE = "registered_model_meta"  # what MLflow leaves in a local folder that it loads by `models:/`
NOTE_BYTES = 1000


def digest(outputs: Mapping[str, FileEntry]) -> str:
    """Of every file, its name and its SHA-256."""
    return record.digest({name: entry.sha256 for name, entry in outputs.items()})


def check(tracking: Tracking, version: "ModelVersion") -> None:
    """Raises Stop unless every file of the version is there as it was registered, and no other one is.

    A version whose files are elsewhere than on this machine is fetched whole: what is checked is what is stored.
    """
    expected = version.tags.get(FILES)
    if not expected:
        raise Stop(
            f"{_named(version)} does not say what its files hash to.",
            "It was not registered by this chain.",
            "Promote a version that it registers.",
        )
    with _here(tracking, version, expected) as folder:
        _compare(version, folder, expected)


def _compare(version: "ModelVersion", folder: Path, expected: str) -> None:
    try:
        content = (folder / record.NAME).read_bytes()
    except OSError:
        raise _gone(version, f"missing: {record.NAME}") from None
    outputs, found = _registered(version, content, expected), record.entries(folder)
    if NOTE not in outputs and _is_note(folder / NOTE):
        del found[NOTE]
    if missing := outputs.keys() - found.keys():
        raise _gone(version, f"missing: {_few(missing)}")
    changed = {name for name, entry in outputs.items() if found[name].sha256 != entry.sha256}
    added = found.keys() - outputs.keys()
    wrong = [f"{what}: {_few(names)}" for what, names in (("changed", changed), ("added", added)) if names]
    if wrong:
        raise _changed(version, "; ".join(wrong))


def _is_note(path: Path) -> bool:
    """Whether a file is that note and no more: a model's name and version, which nothing reads a model by."""
    if not path.is_file() or path.stat().st_size > NOTE_BYTES:
        return False
    lines = path.read_bytes().splitlines()
    return len(lines) <= 2 and all(line.startswith((b"model_name: ", b"model_version: ")) for line in lines)


def _registered(version: "ModelVersion", content: bytes, expected: str) -> Mapping[str, FileEntry]:
    """The files that a step record names. Raises Stop where they are not those of the digest."""
    try:
        outputs = StepRecord.model_validate_json(content).outputs
    except ValidationError:
        raise _changed(version, f"{record.NAME} cannot be read") from None
    if digest(outputs) != expected:
        raise _changed(version, f"{record.NAME} names others")
    return outputs


@contextmanager
def _here(tracking: Tracking, version: "ModelVersion", expected: str) -> Iterator[Path]:
    """The version's folder on this machine: itself, or fetched for as long as it is looked at."""
    source, key = version.source or "", version.tags.get(KEY, "")
    if source.startswith("file:"):
        folder = Path(unquote(urlsplit(source).path))
        if not folder.is_dir():
            raise _gone(version, f"there is no such folder on {gethostname()}")
        yield folder
        return
    work = scratch(tracking.workspace)
    try:
        if key and source.startswith("s3://") and source.endswith(f"/{key}"):
            yield _from_bucket(version, source.removesuffix(f"/{key}"), work, expected)
        else:
            yield _from_mlflow(tracking, version, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _from_bucket(version: "ModelVersion", store: str, work: Path, expected: str) -> Path:
    """Fetched past the cache of this machine, once the record is known to be the one that was registered."""
    bucket, key = Bucket(store), version.tags[KEY]
    try:
        outputs = _registered(version, bucket.read(f"{key}/{record.NAME}"), expected)
    except Absent:
        raise _gone(version, f"missing: {record.NAME}") from None
    if added := bucket.sizes(key).keys() - {*outputs, record.NAME}:
        raise _changed(version, f"added: {_few(added)}")
    folder = ObjectStore(store, work).fetch(key)
    if folder is None:
        raise _gone(version, "not all of them are in the store")
    return folder


def _from_mlflow(tracking: Tracking, version: "ModelVersion", work: Path) -> Path:
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    uri = tracking.workspace.tracking_uri
    try:
        return Path(download_artifacts(artifact_uri=version.source, dst_path=str(work), tracking_uri=uri))
    except (MlflowException, OSError) as error:
        raise _gone(version, f"{version.source} cannot be fetched: {str(error).strip()[:200]}") from None


def _gone(version: "ModelVersion", what: str) -> Stop:
    return Stop(f"The files of {_named(version)} are gone ({what}).", f"It points at {version.source}.", NEXT)


def _changed(version: "ModelVersion", what: str) -> Stop:
    return Stop(
        f"The files of {_named(version)} are not those that were registered ({what}).",
        f"Their checksums are another's; they lie at {version.source}.",
        NEXT,
    )


def _named(version: "ModelVersion") -> str:
    return f"version {version.version} of {version.name}"


def _few(names: "set[str]") -> str:
    shown = sorted(names)
    return ", ".join(shown[:SHOWN]) + (f" and {len(shown) - SHOWN:,} more" if len(shown) > SHOWN else "")
