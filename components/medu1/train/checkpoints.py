"""Checkpoints of one training: folders `step-00000020`, each complete once its marker lies in it.

A marker names every file with its checksum, and the configuration an exact resume must share. A checkpoint is written
beside its place, marked, and renamed, so a kill at any moment leaves the ones before as they were; what is torn or
damaged is passed over. Optimizer, scheduler and random states are pickles, read with `weights_only=True` after their
checksum was found right.
"""

import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from medu1 import record
from medu1.errors import Stop
from medu1.question import Frozen
from medu1.record import FileEntry

MARKER = "checkpoint.json"
HISTORY = "history.jsonl"
SAVING = ".saving"  # below a training's folder: what the trainer writes before it is published
STEP = re.compile(r"step-(\d{8})")
MODEL_SUFFIXES = frozenset({".safetensors", ".json", ".jinja", ".txt", ".model"})  # of Hugging Face layout
STATE = frozenset({MARKER, HISTORY, "trainer_state.json"})  # a training's, not a model's


class Checkpoint(Frozen):
    """The marker."""

    step: int
    configuration: dict[str, str]  # parameter or digest by dotted name
    files: dict[str, FileEntry]  # relative path -> entry


class Found(NamedTuple):
    """A complete checkpoint on this machine."""

    folder: Path
    marker: Checkpoint


def name(step: int) -> str:
    """The folder of a step; names sort as steps do."""
    return f"step-{step:08d}"


def seal(part: Path, step: int, configuration: Mapping[str, str]) -> Checkpoint:
    """Checksum every file of a folder and write its marker, last."""
    marker = Checkpoint(step=step, configuration=dict(configuration), files=record.entries(part))
    record.write_text(part / MARKER, marker.model_dump_json(indent=1))
    return marker


def publish(part: Path, root: Path, step: int, configuration: Mapping[str, str]) -> Found:
    """Seal a folder and rename it into its place; what stood there is replaced."""
    (part / MARKER).unlink(missing_ok=True)
    marker = seal(part, step, configuration)
    target = root / name(step)
    shutil.rmtree(target, ignore_errors=True)
    return Found(part.rename(target), marker)


def marker(folder: Path) -> Checkpoint | None:
    """The marker of a folder whose files are all there with their sizes; None for any other."""
    try:
        found = Checkpoint.model_validate_json((folder / MARKER).read_bytes())
        whole = all((folder / path).stat().st_size == entry.size for path, entry in found.files.items())
    except (OSError, ValidationError):
        return None
    return found if whole else None


def held(root: Path) -> Iterator[Found]:
    """Checkpoints with a marker and all their files, newest first; checksums are not read."""
    for folder in sorted(root.glob("step-*"), reverse=True):
        if STEP.fullmatch(folder.name) and (found := marker(folder)):
            yield Found(folder, found)


def newest(root: Path) -> Found | None:
    """The newest checkpoint whose every checksum is right."""
    return next((found for found in held(root) if is_sound(found)), None)


def is_sound(found: Found) -> bool:
    """Whether every file has the checksum its marker names."""
    return all(record.checksum(found.folder / path) == entry.sha256 for path, entry in found.marker.files.items())


def prune(root: Path, kept: Collection[int]) -> None:
    """Remove the checkpoints of other steps, marker first: a kill in between leaves no half that counts as whole."""
    for found in list(held(root)):
        if found.marker.step not in kept:
            (found.folder / MARKER).unlink(missing_ok=True)
            shutil.rmtree(found.folder, ignore_errors=True)


def check_same(found: Found, configuration: Mapping[str, str]) -> None:
    """Raises Stop naming every field in which a checkpoint's configuration is another than this run's."""
    theirs = found.marker.configuration
    differing = sorted(key for key in {**theirs, **configuration} if theirs.get(key) != configuration.get(key))
    if differing:
        told = "; ".join(f"{key} is {theirs.get(key, 'not set')} there and {configuration[key]} here"
                         if key in configuration else f"{key} is {theirs[key]} there and not set here"
                         for key in differing)  # fmt: skip
        raise Stop(
            f"The checkpoint {found.folder} is of another configuration: {told}.",
            "From there the same training could not go on exactly.",
            "Restore these values, or remove the folder to train from the beginning.",
        )


def copy_model(found: Found, folder: Path) -> None:
    """The files of a checkpoint that make a model: safetensors, configuration and tokenizer, no state of training."""
    for path in found.marker.files:
        source = found.folder / path
        if source.suffix in MODEL_SUFFIXES and path not in STATE and "/" not in path:
            shutil.copyfile(source, folder / path)
