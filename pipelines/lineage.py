"""What a registered version was made from: parameters, data, code and packages, as its runs wrote them down.

Parameters are best known where the run that judged it kept them whole, beside its journal under the home. A step's
record holds what changes its result and nothing else, so where only records are left, what they do not say is taken
from a parameter file, and told.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from medu1.params import Params
from medu1.record import StepRecord
from medu1.tracking import STEP, Tracking
from pipelines import registered
from pipelines.registered import Registered

STEPS = ("base", "prepare", "train", "evaluate")  # whose runs a version's tags name
OWN = ("base", "prepare")  # whose records hold their one section without its name
LOGGED = ("audit", "decide")
KEPT = "params.json"  # artifact of a registration: the parameters by section
BUILTIN = "builtin"  # the base model, and the source, that need nothing from elsewhere
PLACES = ("sources", "tables")  # of prepare: its record says what they hold, not where

Sections = dict[str, Any]


class Lineage(NamedTuple):
    """Of one version."""

    params: Sections  # by section
    known: str  # where from
    assumed: tuple[str, ...]  # dotted names of those that no run wrote down
    records: Mapping[str, StepRecord]  # by step, those that are left
    tags: Mapping[str, str]

    @property
    def commit(self) -> str:
        """The commit the sources stood at; "" unknown."""
        return self.tags.get("medu1.commit", "").removesuffix("-dirty")

    @property
    def dirty(self) -> bool:
        """Whether they differed from it."""
        return self.tags.get("medu1.commit", "").endswith("-dirty")

    @property
    def pin(self) -> str:
        """The digest in `data.dvc`; "" unknown."""
        return next(iter(self.tags.get("medu1.data", "").split()), "")


def lineage(tracking: Tracking, version: Registered, completing: Sections) -> Lineage:
    """Everything the registry, the runs and the home still know of a version; `completing` says what they do not."""
    runs = {step: version.tags.get(f"medu1.{step}_run", "") for step in STEPS}
    found = {step: registered.step_record(tracking, run) for step, run in runs.items()}
    records = {step: made for step, made in found.items() if made}
    if whole := _requested(tracking.workspace.home, records.get("evaluate")):
        return Lineage(_like(whole, completing), "the request of the run that judged it", (), records, version.tags)
    told = _told(tracking, version, records)
    params = _over(completing, told)
    assumed = tuple(
        f"{name}.{key}" for name, section in params.items() for key in section if key not in told.get(name, {})
    )
    return Lineage(_like(params, completing), "the records of its steps", assumed, records, version.tags)


def _requested(home: Path, judged: StepRecord | None) -> Sections:
    """As the command line asked for the run that judged it; a run elsewhere left nothing here."""
    if judged is None:
        return {}
    try:
        arguments = json.loads((home / "runs" / judged.run / "request.json").read_bytes())["arguments"]
        held = {name: json.loads(arguments[name]) for name in Params.model_fields}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return held if all(isinstance(section, dict) for section in held.values()) else {}


def _like(held: Mapping[str, Any], model: Mapping[str, Any]) -> Sections:
    """The same in a parameter file's order."""
    ordered = {name: held[name] for name in [*model, *held] if name in held}
    return {
        name: _like(value, model.get(name) or {}) if isinstance(value, Mapping) else value
        for name, value in ordered.items()
    }


def _told(tracking: Tracking, version: Registered, records: Mapping[str, StepRecord]) -> Sections:
    """What the registration or the steps wrote down of the sections, which is what changes a result."""
    base, _, revision = version.tags.get("medu1.base", "").partition("@")
    sources = {"train": {"base_model": base, "revision": revision}} if base else {}
    for each in (_recorded(records), _logged(tracking, records), _registered(tracking, version)):
        sources = _over(sources, each)
    if base != BUILTIN:
        sources.pop("base", None)  # another model reads none of it
    return {**sources, "prepare": _placed(sources.get("prepare", {})), "registry": {"name": version.name}}


def _placed(prepare: Sections) -> Sections:
    """Without what was read from files: their digests are known, and where they lie is not."""
    if prepare.get("sources") == [BUILTIN]:
        return {**prepare, "tables": {}}
    return {key: value for key, value in prepare.items() if key not in PLACES}


def _registered(tracking: Tracking, version: Registered) -> Sections:
    """As the registration kept them; nothing where it did not."""
    with registered.artifacts(tracking, version.tags.get("medu1.register_run", ""), (KEPT,)) as folder:
        try:
            held = json.loads((folder / KEPT).read_bytes()) if folder else {}
        except ValueError:
            return {}
    return _known(held) if isinstance(held, dict) else {}


def _recorded(records: Mapping[str, StepRecord]) -> Sections:
    """A record holds either its step's own section alone, or several by name."""
    found: Sections = {}
    for step, made in records.items():
        found |= _known(made.params) or ({step: made.params} if step in OWN else {})
    return found


def _known(sections: Mapping[str, Any]) -> Sections:
    """The sections among them."""
    return {name: of for name, of in sections.items() if name in Params.model_fields and isinstance(of, dict)}


def _logged(tracking: Tracking, records: Mapping[str, StepRecord]) -> Sections:
    """The sections of which MLflow's runs alone tell: of the audit and the decision, flat and as text."""
    found: Sections = {}
    for run in dict.fromkeys(made.run for made in records.values()):
        tree = Tracking(tracking.workspace.model_copy(update={"run": run}), check=False).tree()
        for step in LOGGED:
            held = (_section(each.data.params, step) for each in tree if each.data.tags.get(STEP) == step)
            if section := next(filter(None, held), None):  # the newest first
                found[step] = section
    return found


def _section(params: Mapping[str, str], step: str) -> Sections:
    """A run's parameters below the name of a section."""
    named = {key.removeprefix(f"{step}."): text for key, text in params.items() if key.startswith(f"{step}.")}
    return {key: None if text == "None" else yaml.safe_load(text) for key, text in named.items()}


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> Sections:
    """Sections with another's values in place of their own; a value that is a mapping is replaced whole."""
    return {name: {**below.get(name, {}), **above.get(name, {})} for name in {**below, **above}}


def flat(held: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by dotted name; an empty mapping is a value."""
    found: dict[str, Any] = {}
    for key, value in held.items():
        name = f"{prefix}{key}"
        found |= flat(value, f"{name}.") if isinstance(value, Mapping) and value else {name: value}
    return found


def versions(records: Iterable[StepRecord]) -> dict[str, str]:
    """Of each package, the version that the steps recorded; several where they differ."""
    found: dict[str, list[str]] = {}
    for record in records:
        for package, version in record.versions.items():
            found.setdefault(package, []).append(version)
    return {package: " and ".join(dict.fromkeys(of)) for package, of in sorted(found.items())}
