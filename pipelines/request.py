"""What a run is asked to do, checked before anything starts: parameters, data and code as the chain's arguments.

Everything that changes a result is named here by content: raw data by its digest, sources by their checksum, a base
model by its revision, the steps by their sources. So equal arguments mean equal results, and kfp may reuse them. Where
the data is pinned in another repository, its revision becomes the commit that pinned the data: a branch that moves on
without touching the data gives equal arguments.
"""

import re
import secrets
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from medu1 import code, record
from medu1.errors import Stop
from medu1.params import Params, Prepare, Train, overridden
from medu1.placements import Placement, Placements
from medu1.prepare import rawdata
from medu1.prepare.location import CACHE, located
from medu1.prepare.rawdata import Digests
from medu1.prepare.sources import parse
from medu1.prepare.versions.pin import Pin
from medu1.prepare.versions.revision import Commit, pin_from

PIN = Path("data.dvc")
COMMIT = re.compile(r"[0-9a-f]{40}")


class RawData(NamedTuple):
    """What prepare is asked for."""

    params: Prepare  # as they travel: files as a step finds them wherever it runs, the revision as a commit
    digests: Digests


def read_params(path: Path, settings: Sequence[str]) -> Params:
    """The parameter file with `section.key=value` settings on top. Raises Stop that says what is wrong and where."""
    return Params.read(overridden(_sections(path), dict(_setting(text) for text in settings)), str(path))


def placements(path: Path) -> Mapping[str, Placement]:
    """The placements of a parameter file, by name; none where it has none. Raises Stop where one is wrong."""
    return Placements.read(_sections(path), str(path))


def arguments(params: Params, home: Path) -> dict[str, str]:
    """The pipeline's parameters by name. Raises Stop where a file or a model that they name is not there."""
    data = raw_data(params.prepare, home)
    params = _fixed(params, data.params)
    sections = {name: section.canonical() for name, section in params}
    return {
        **sections,
        "base_model": params.train.base_model,
        "revision": params.train.revision,
        "data": data.digests.text(),
        "code_base": code.digest("base"),
        "code_prepare": code.digest("prepare"),
        "code_audit": code.digest("audit"),
        "code_train": code.digest("train"),
        "code_evaluate": code.digest("evaluate"),
    }


def check_options(train: Train) -> None:
    """Raises Stop where `train.grpo` is not what TRL takes; a machine without TRL leaves that to the step."""
    from medu1.train import options

    with suppress(ImportError):
        options.check(train)


def raw_data(params: Prepare, home: Path) -> RawData:
    """What the raw bytes hash to: the pin, which is always there, and each file that a source names; remote ones are
    fetched into a home's cache."""
    repository = _repository(params.repository)
    held = pin_from(repository, params.revision) if repository else Commit(Pin.read(PIN), "")
    named = {"repository": repository, "revision": held.sha, **_places(params)}
    params = params.model_copy(update=named)
    return RawData(params, rawdata.digests(params, held.pin, home / CACHE))


def _repository(name: str) -> str:
    """A git URL as it is, a folder from the root."""
    folder = Path(name).expanduser()
    return str(folder.resolve()) if name and folder.exists() else name


def _places(params: Prepare) -> dict[str, Any]:
    """Sources and the mappings of tables, by where a step finds the files."""
    return {
        "sources": tuple(_source(source) for source in params.sources),
        "tables": {located(place): columns for place, columns in params.tables.items()},
    }


def _sections(path: Path) -> dict[str, Any]:
    data = _parsed(path)
    if not isinstance(data, dict):
        raise Stop(f"{path} is not a mapping of sections.", next_step="Start from the file in the repository.")
    return data


def _parsed(path: Path) -> object:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise Stop(
            f"The parameter file {path} cannot be read: {reason}.", next_step="Name one with --params."
        ) from None
    except yaml.YAMLError as error:
        raise Stop(f"{path} is not YAML: {_place(error)}.", next_step="Correct the line and run again.") from None


def _place(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "it cannot be parsed"
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else str(problem)


def _setting(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or "." not in key:
        raise Stop(f"--set {text} is not a setting.", next_step="Write section.key=value, such as train.seed=1.")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise Stop(f"--set {text}: the value is not YAML ({_place(error)}).", next_step="Quote the value.") from None


def _fixed(params: Params, prepare: Prepare) -> Params:
    """The data as `raw_data` names it, the base model at a fixed revision."""
    base_model, revision = _model(params.train.base_model, params.train.revision)
    train = params.train.model_copy(update={"base_model": base_model, "revision": revision})
    return params.model_copy(update={"prepare": prepare, "train": train})


def _source(entry: str) -> str:
    source = parse(entry)
    return str(source._replace(path=located(source.path))) if source.path else entry


def _model(name: str, revision: str) -> tuple[str, str]:
    """A base model by identity: the built-in one by its parameters, a folder by content, a hub id by commit."""
    if name == "builtin":
        return name, ""
    if Path(name).is_dir():
        return str(Path(name).resolve()), record.content_digest(Path(name))[:16]
    return name, revision if COMMIT.fullmatch(revision) else _commit(name, revision)


def _commit(name: str, revision: str) -> str:
    from huggingface_hub import HfApi

    try:
        return str(HfApi().model_info(name, revision=revision or None, timeout=10).sha)
    except Exception as error:  # the client's own errors, and those of whichever HTTP library it uses
        raise Stop(
            f"train.base_model: {name!r} is no folder, and the Hugging Face hub does not give its revision.",
            str(error).splitlines()[0],
            "Correct the id, name a local folder, or set train.revision to a commit that is already downloaded.",
        ) from None


def new_run() -> str:
    """A run's id: when it began, and four random digits."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def identity(environment: Mapping[str, str]) -> str:
    """The commit the sources stand at, with `-dirty` where they differ from it; "" outside a repository."""
    if given := environment.get("MEDU1_COMMIT"):
        return given

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "--verify", "HEAD") + ("-dirty" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""
