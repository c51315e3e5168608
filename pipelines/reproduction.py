"""`medu1 reproduce`: parameters and data pin of a version in a folder, the command that makes it again, and what is
another on this machine and in this checkout than it was then.

Nothing is run, and nothing is checked out unless asked for.
"""

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from medu1 import code, record
from medu1.errors import Stop
from medu1.params import Params
from medu1.prepare.versions.pin import PIN, Pin
from medu1.question import Frozen
from medu1.stage import RECORDED
from pipelines import lineage, registered, request
from pipelines.lineage import Lineage, Sections

if TYPE_CHECKING:
    from medu1.tracking import Tracking

PARAMS = "params.yaml"
CODE = "code"  # the checkout, below the folder
ABSENT = "-"
HERE = f"{platform.machine()}, {os.cpu_count()} processors"


class Difference(Frozen):
    """One thing as it was and as it is."""

    what: str  # such as commit, package torch, params train.steps
    then: str
    now: str

    @property
    def differs(self) -> bool:
        """Whether it is another."""
        return self.then != self.now


class Reproduction(Frozen):
    """A version's parameters, data and code, restored as far as they can be."""

    name: str
    version: str
    folder: Path
    files: dict[str, str]  # written, by name -> where from
    differences: tuple[Difference, ...]  # everything that was looked at, the same or not
    notes: tuple[str, ...]  # what cannot be restored exactly
    commands: tuple[str, ...]  # that make the version again, in order


def reproduce(
    tracking: "Tracking", name: str, asked: str, out: Path | None, params: Path, checkout: bool
) -> Reproduction:
    """Restore a version into a folder. Raises Stop where it is not empty, or where too little is known of the version.

    `params` is the parameter file here that it is compared with; `checkout` also makes the worktree.
    """
    version = registered.find(tracking, name, asked)
    folder = out or Path(f"reproduce-{version.version}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Stop(f"{folder} is not empty.", "What is there is kept.", "Name another folder with --out.")
    present = _present(params)
    committed = _committed(version.tags.get("medu1.commit", "").removesuffix("-dirty"))
    found = lineage.lineage(tracking, version, committed or present)
    if not found.params:
        raise Stop(
            f"Nothing is known of the parameters of version {version.version} of {name}.",
            f"Its runs are gone from MLflow, and there is no {params} to complete them from.",
            "Name a registry that has its runs, or a parameter file with --params.",
        )
    pin = _pin(found)
    files = _written(folder, found, pin, f"{name} {version.version}")
    if checkout:
        _check_out(folder, found)
    return Reproduction(
        name=name,
        version=version.version,
        folder=folder,
        files=files,
        differences=tuple(_differences(found, present)),
        notes=tuple(_notes(found, pin, f"{PARAMS} of its commit" if committed else str(params))),
        commands=tuple(_commands(folder, found, pin)),
    )


def _present(path: Path) -> Sections:
    """The parameters here, in the form a run has them; none where there is no such file that holds."""
    try:
        held = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Params.read(held, str(path)).model_dump(mode="json")
    except (OSError, yaml.YAMLError, UnicodeDecodeError, Stop):
        return {}


def _committed(commit: str) -> Sections:
    """The parameter file of the version's commit, as its code reads it; nothing where git does not have it."""
    try:
        held = yaml.safe_load(_git("show", f"{commit}:./{PARAMS}")) if commit else {}
    except yaml.YAMLError:
        return {}
    return held if isinstance(held, dict) and all(isinstance(of, dict) for of in held.values()) else {}


class _Restored(Frozen):
    """A `data.dvc`, and where from."""

    text: str  # "": none is to be written
    known: str


def _pin(found: Lineage) -> _Restored:
    """The pin of the version's raw data: the first one at hand with its digest."""
    if found.params.get("prepare", {}).get("repository"):
        return _Restored(text="", known="prepare.repository and prepare.revision")
    here = Path(PIN).read_text(encoding="utf-8") if Path(PIN).is_file() else ""
    places = {f"commit {found.commit[:12]}": _git("show", f"{found.commit}:./{PIN}") if found.commit else "", PIN: here}
    for place, text in places.items():
        if text and _digest(text, place) == found.pin:
            return _Restored(text=text, known=place)
    if not found.pin:
        return _Restored(text="", known="nothing")
    out = {"md5": found.pin, "hash": "md5", "path": "data"}
    return _Restored(text=yaml.safe_dump({"outs": [out]}, sort_keys=False), known="the version's digest alone")


def _digest(text: str, where: str) -> str:
    try:
        return Pin.parse(text, where).digest
    except Stop:
        return ""


def _written(folder: Path, found: Lineage, pin: _Restored, named: str) -> dict[str, str]:
    head = f"# The parameters of {named}, from {found.known}.\n"
    files = {PARAMS: (head + yaml.safe_dump(found.params, sort_keys=False, allow_unicode=True), found.known)}
    if pin.text:
        files[PIN] = (pin.text, pin.known)
    try:
        for name, (text, _) in files.items():
            record.write_text(folder / name, text)
    except OSError as error:
        raise Stop(f"{folder} cannot be written: {error.strerror}.", next_step="Name another with --out.") from None
    return {name: known for name, (_, known) in files.items()}


def _check_out(folder: Path, found: Lineage) -> None:
    if not found.commit:
        raise Stop("The version names no commit.", "It was trained outside a repository.", "Leave --checkout away.")
    command = _worktree(folder, found)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["git failed"])[-1]
        raise Stop(
            f"The commit {found.commit[:12]} cannot be checked out: {said}.",
            f"The parameters are in {folder}.",
            "Run this in a clone that has the commit; git fetch --unshallow --tags gets the history.",
        )


def _worktree(folder: Path, found: Lineage) -> list[str]:
    return ["git", "worktree", "add", "--detach", str(folder.resolve() / CODE), found.commit]


def _commands(folder: Path, found: Lineage, pin: _Restored) -> Iterator[str]:
    """From the root of the repository. PYTHONPATH makes the checkout's sources the ones that run."""
    root = folder.resolve()
    place = root / CODE if found.commit else Path.cwd()
    if found.commit and not place.exists():
        yield shlex.join(_worktree(folder, found))
    if pin.text and not pin.known.startswith("commit"):
        yield shlex.join(["cp", str(root / PIN), str(place / PIN)])
    paths = shlex.quote(os.pathsep.join([str(place / "components"), str(place)]))
    words = [sys.executable, "-m", "pipelines.cli", "run", "--params", str(root / PARAMS), "--home", str(root / "home")]
    yield f"cd {shlex.quote(str(place))} && PYTHONPATH={paths} {shlex.join(words)}"


def _notes(found: Lineage, pin: _Restored, completing: str) -> Iterator[str]:
    if not found.commit:
        yield "The version names no commit: the sources here are used."
    elif _git("cat-file", "-t", found.commit).strip() != "commit":
        yield f"The commit {found.commit[:12]} is not in this repository: fetch it, or run in a clone that has it."
    if found.dirty:
        yield (
            "It was trained with changes that are in no commit, and nobody kept them: the commit is the nearest there "
            "is. The digests of code by step say whether the sources are those."
        )
    if pin.known == "the version's digest alone":
        yield f"No {PIN} at hand has the digest {found.pin}; the one written names it and no imported files."
    if found.assumed:
        yield f"No run wrote these down, so they are as in {completing}: {', '.join(found.assumed)}."
    if not _hardware(found):
        yield f"On which hardware it was trained is not recorded; this is {HERE}."
    if missing := [step for step in lineage.STEPS if step not in found.records]:
        yield f"The record of {', '.join(missing)} is gone from MLflow: what it would tell is not compared."
    if others := found.tags.get("medu1.data", "").split()[1:]:
        yield f"{len(others):,} source files beside the pinned data must have the MD5 {', '.join(others)}."


def _differences(found: Lineage, present: Sections) -> Iterator[Difference]:
    yield _difference("commit", found.tags.get("medu1.commit", ""), request.identity(os.environ))
    yield from _by_name("code", {step: made.code for step, made in found.records.items()}, _code())
    packages, installed = lineage.versions(found.records.values()), code.versions(RECORDED)
    yield from _by_name("package", packages, {name: of for name, of in installed.items() if name in packages})
    images = dict.fromkeys(made.image for made in found.records.values() if made.image)
    yield _difference("image", " and ".join(images), os.environ.get("MEDU1_IMAGE", ""))
    here = Path(PIN).read_text(encoding="utf-8") if Path(PIN).is_file() else ""
    yield _difference("data", found.pin, _digest(here, PIN) if here else "")
    yield _difference("base model", found.tags.get("medu1.base", ""), _base(present))
    if recorded := _hardware(found):
        yield _difference("hardware", recorded, HERE)
    if present:
        yield from _by_name("params", _texts(found.params), _texts(present))


def _difference(what: str, then: str, now: str) -> Difference:
    return Difference(what=what, then=then or ABSENT, now=now or ABSENT)


def _by_name(kind: str, then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[Difference]:
    for name in dict.fromkeys([*then, *now]):
        yield _difference(f"{kind} {name}", then.get(name, ""), now.get(name, ""))


def _code() -> dict[str, str]:
    return {"base": code.digest("base"), "prepare": code.digest("prepare"), "train": code.digest("train"),
            "evaluate": code.digest("evaluate")}  # fmt: skip


def _base(present: Sections) -> str:
    train = present.get("train", {})
    return "@".join(filter(None, (train.get("base_model", ""), train.get("revision", ""))))


def _hardware(found: Lineage) -> str:
    """Where a record says so."""
    told = (str(made.facts["hardware"]) for made in found.records.values() if "hardware" in made.facts)
    return " and ".join(dict.fromkeys(told))


def _texts(params: Sections) -> dict[str, str]:
    return {name: yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("\n").removesuffix("\n...")
            for name, value in lineage.flat(params).items()}  # fmt: skip


def _git(*words: str) -> str:
    """What git says in this folder; "" where it has nothing to say."""
    try:
        done = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return "" if done.returncode else done.stdout


def lines(made: Reproduction) -> Iterator[str]:
    """For a person."""
    yield f"{made.name} {made.version}, restored in {made.folder}"
    yield from (f"  {name:<12} from {known}" for name, known in made.files.items())
    differing = [each for each in made.differences if each.differs]
    yield (
        f"{len(differing)} of {len(made.differences)} things differ from now:"
        if differing
        else "Nothing differs from now."
    )
    yield from (f"  {each.what}: {each.then} -> {each.now}" for each in differing)
    yield from made.notes
    yield "To make it again:"
    yield from (f"  {command}" for command in made.commands)


def summary(made: Reproduction) -> dict[str, Any]:
    """For a machine."""
    return {
        **made.model_dump(mode="json", exclude={"differences"}),
        "differences": [each.model_dump() for each in made.differences if each.differs],
        "same": [each.what for each in made.differences if not each.differs],
    }
