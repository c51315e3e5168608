"""What a version was made of and judged by: as tags that are searched, and as the files of its register run.

The tags are part of the call that creates the version. The files hold what does not fit into a tag: `lineage.json`
(digests, code, packages and image by step), `params.json` (the parameters by section, as `params.yaml` has them) and
`checksums.json` (every file of the model). Nothing of the environment is in them but the few names that the records
carry, and credentials in a URL are left out: no secret is told.
"""

import ast
import json
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydantic import ValidationError

from medu1 import record
from medu1.errors import Stop
from medu1.frozen import JUDGED
from medu1.manifest import DatasetManifest, EvaluationManifest, ModelManifest
from medu1.params import Params, Registry
from medu1.record import FileEntry, StepRecord
from medu1.register import files
from medu1.register.files import FILES
from medu1.register.promotion import CHAMPION
from medu1.register.trail import EVALUATION
from medu1.registered_models import KEY, WEIGHTS
from medu1.report import Decision
from medu1.stage import Output
from medu1.tracking import STEP, Tracking

if TYPE_CHECKING:
    from mlflow.entities import Run

EVALUATION_KEY = "medu1.evaluation_key"  # tag of a version: key of its evaluation's folder in the store
PARENT = "medu1.parent"  # tag of a version: the champion that it was judged against, by number
REGISTER_RUN = "medu1.register_run"  # tag of a version: the MLflow run that holds the files below and the model card
SETS = "medu1.sets"  # tag of a version: set, such as test/medqa -> digest, as JSON
LONGEST_TAG: Final = 5000  # characters of a version's tag that every database behind MLflow keeps
NAME, PARAMS, CHECKSUMS = "lineage.json", "params.json", "checksums.json"
CREDENTIALS: Final = re.compile(r"\b([a-z][a-z0-9+.-]{0,20}://)[^\s/@\"]{1,500}@")  # in a URL
DECISION: Final = "decision.json"  # artifact of decide's run


class Evidence(NamedTuple):
    """An accepted candidate, and the outputs of the steps that led to it."""

    evaluation: EvaluationManifest
    dataset: DatasetManifest
    base: ModelManifest
    candidate: ModelManifest
    made: Mapping[str, Output]  # train, evaluate, prepare, base

    def record(self, step: str) -> StepRecord:
        """Of one of the four steps."""
        return self.made[step].record

    @property
    def grader(self) -> str:
        """Digest of the grader's sources and settings; of all that evaluate's record names where it has no other."""
        judged = self.record("evaluate")
        named = {"scoring": judged.params.get("scoring"), "code": judged.code, "image": judged.image}
        return str(judged.facts.get("grader") or record.digest(named))


class Decided(NamedTuple):
    """What this pipeline run's own steps left in MLflow; None each where they did not run in it."""

    decision: Decision | None
    sections: dict[str, Any]  # decide and audit, as far as they are known


def tags(found: Evidence, parent: str, run: str) -> dict[str, str]:
    """The version's tags: digests, names and run ids. `parent` is a version, "" none; `run` holds the files."""
    trained, records = found.record("train"), {step: output.record for step, output in found.made.items()}
    known = {
        WEIGHTS: found.candidate.digest,
        KEY: found.candidate.key,
        "medu1.base": _named(found.base),
        "medu1.base_digest": found.base.digest,
        "medu1.base_key": found.base.key,
        "medu1.data": found.dataset.data,
        "medu1.dataset": found.dataset.digest,
        "medu1.dataset_key": found.dataset.key,
        "medu1.frozen": found.evaluation.frozen,
        SETS: _fitting(json.dumps(found.dataset.sets_of(*JUDGED), sort_keys=True)),
        EVALUATION: found.evaluation.digest,
        EVALUATION_KEY: found.evaluation.key,
        CHAMPION: found.evaluation.champion,
        PARENT: parent,
        FILES: files.digest(trained.outputs),
        "medu1.grader": found.grader,
        "medu1.commit": _commit(trained),
        "medu1.image": trained.image,
        "medu1.code": json.dumps({step: made.code for step, made in sorted(records.items())}),
        "medu1.params": record.digest({step: made.params for step, made in records.items()}),
        REGISTER_RUN: run,
        **{f"medu1.{step}_run": made.mlflow_run for step, made in records.items()},
    }
    return {key: value for key, value in known.items() if value or key == CHAMPION}  # "" is the base, none is unknown


def write(folder: Path, found: Evidence, parent: str, sections: Mapping[str, Any]) -> list[Path]:
    """`lineage.json`, `params.json` and `checksums.json`; their paths."""
    checksums: dict[str, FileEntry] = found.record("train").outputs
    written = {
        NAME: _document(found, parent, sections),
        PARAMS: dict(sections),
        CHECKSUMS: {name: entry.model_dump() for name, entry in sorted(checksums.items())},
    }
    for name, value in written.items():
        text = json.dumps(value, indent=1, sort_keys=True) + "\n"
        record.write_text(folder / name, CREDENTIALS.sub(r"\1", text))
    return [folder / name for name in written]


def parent(tracking: Tracking, name: str, weights: str) -> str:
    """The version that was champion with these weights: the present one, else the newest; "" where there is none."""
    if not weights:
        return ""
    champion = tracking.models.settle(name).champion
    held = [str(each.version) for each in tracking.models.versions(name) if each.tags.get(WEIGHTS) == weights]
    return champion if champion in held else (held[-1] if held else "")


def sections(found: Evidence, registry: Registry, decided: Decided) -> dict[str, Any]:
    """The parameters by section. What changes no result is in no step's record, and so not here either."""
    trained, judged = found.record("train").params, found.record("evaluate").params
    base = found.record("base").params
    known = {
        "base": base if "base_model" not in base else None,  # another model than the built-in one reads no such section
        "prepare": _without_places(found.record("prepare").params),
        "scoring": trained.get("scoring"),
        "train": _with_base(trained.get("train"), found.base),
        "evaluate": judged.get("evaluate"),
        "registry": registry.model_dump(mode="json"),
        **decided.sections,
    }
    return {name: section for name, section in known.items() if section}


def decided(tracking: Tracking) -> Decided:
    """The decision of this pipeline run, and the sections that its steps state in MLflow only."""
    runs = {run.data.tags.get(STEP, ""): run for run in reversed(tracking.tree())}
    found = {name: _section(runs[name], name) for name in ("decide", "audit") if name in runs}
    return Decided(_decision(tracking, runs.get("decide")), {name: each for name, each in found.items() if each})


def _decision(tracking: Tracking, run: "Run | None") -> Decision | None:
    from mlflow.exceptions import MlflowException

    if run is None:
        return None
    with TemporaryDirectory() as folder:
        try:
            path = tracking.client.download_artifacts(run.info.run_id, DECISION, folder)
            return Decision.model_validate_json(Path(path).read_bytes())
        except (MlflowException, OSError, ValidationError):
            return None


def _section(run: "Run", name: str) -> dict[str, Any] | None:
    """A section as the run's parameters state it, read back by its own type; None where they do not amount to it."""
    model = Params.model_fields[name].annotation
    flat = {key.removeprefix(f"{name}."): value for key, value in run.data.params.items() if key.startswith(f"{name}.")}
    try:
        parsed = model.parse(json.dumps({key: _value(text) for key, text in flat.items()}))  # type: ignore[union-attr]
    except Stop:
        return None
    return parsed.model_dump(mode="json")  # type: ignore[no-any-return]


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _without_places(section: Mapping[str, Any]) -> dict[str, Any]:
    """Tables of columns are recorded without the places they are of, so they are given only where there are none."""
    tables: dict[str, Any] = {"tables": {}} if section.get("tables") == [] else {}
    return {**{name: value for name, value in section.items() if name != "tables"}, **tables}


def _with_base(section: Mapping[str, Any] | None, base: ModelManifest) -> dict[str, Any] | None:
    return {**section, "base_model": base.base, "revision": base.revision} if section else None


def _document(found: Evidence, parent: str, sections: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "weights": found.candidate.digest,
        "key": found.candidate.key,
        "files": files.digest(found.record("train").outputs),
        "base": found.base.model_dump(),
        "parent": {"version": parent, "weights": found.evaluation.champion},
        "dataset": found.dataset.model_dump(),
        "evaluation": found.evaluation.model_dump(),
        "grader": found.grader,
        "params": {step: output.record.params for step, output in found.made.items()},  # what the digest covers
        "params_digest": record.digest({step: output.record.params for step, output in found.made.items()}),
        "params_left_out": _left_out(sections),
        "steps": {step: _step(output.record) for step, output in found.made.items()},
    }


def _left_out(sections: Mapping[str, Any]) -> dict[str, list[str]]:
    """Parameters that no record has, by section: they change no result, or the section was not read."""
    fields = {name: field.annotation for name, field in Params.model_fields.items()}
    absent = {
        name: sorted(model.model_fields.keys() - sections.get(name, {}).keys())  # type: ignore[union-attr]
        for name, model in fields.items()
    }
    return {name: names for name, names in absent.items() if names}


def _step(made: StepRecord) -> dict[str, Any]:
    kept = ("fingerprint", "inputs", "code", "commit", "dirty", "image", "versions", "run", "mlflow_run", "started")
    return {**made.model_dump(include={*kept, "seconds"}), "seed": made.facts.get("seed")}


def _named(model: ModelManifest) -> str:
    return f"{model.base}@{model.revision}" if model.revision else model.base


def _commit(made: StepRecord) -> str:
    return made.commit + ("-dirty" if made.dirty else "")


def _fitting(text: str) -> str:
    """ "" where a database may cut it off: half a list is worse than none, and `lineage.json` has it whole."""
    return text if len(text) <= LONGEST_TAG else ""
