"""A stored evaluation as evidence: who judged whom on which questions and how, and whether two of them agree.

Registered versions are kept longer than the code that judged them, so a report is read for what a comparison needs and
nothing more; what is read is held against its checksums first.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from medu1 import record
from medu1.errors import Stop
from medu1.evaluate import verdicts
from medu1.evaluate.verdicts import JudgedAnswer
from medu1.frozen import JUDGED, split_of
from medu1.record import StepRecord
from medu1.report import NAME, Role

EVALUATE_AGAIN = (
    "Judge both under one protocol: `medu1 reproduce` restores what a version was made with; run the chain with the "
    "evaluate and scoring sections of one of them."
)


class _Lenient(BaseModel):
    """What is read of a report, whatever else it says: versions are kept longer than the code that judged them."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Model(_Lenient):
    role: Role
    weights: str


class _Set(_Lenient):
    name: str
    digest: str


class _Report(_Lenient):
    models: tuple[_Model, ...]
    frozen: str
    sets: tuple[_Set, ...]
    confidence: float
    max_completion_tokens: int
    batch: int
    protocol: dict[str, Any] = {}


class Evidence(NamedTuple):
    """One stored evaluation."""

    of: str  # whose, such as version 2
    digest: str  # of its files
    report: _Report
    record: StepRecord
    answers: Mapping[Role, Sequence[JudgedAnswer]]

    @property
    def sets(self) -> dict[str, str]:
        """The digest of each frozen set that models are judged on, by name."""
        return {each.name: each.digest for each in self.report.sets if split_of(each.name) in JUDGED}


def read(folder: Path, of: str, digest: str = "") -> Evidence:
    """A stored evaluation: `record.json`, `report.json` and `verdicts.parquet`.

    Raises Stop where a file is not the one its record names, where the record is not that of `digest`, the evaluation's
    own, or where the files say too little.
    """
    try:
        made = StepRecord.model_validate_json((folder / record.NAME).read_bytes())
        found = record.digest({name: entry.sha256 for name, entry in made.outputs.items()})
        if digest and found != digest:
            raise _damaged(of, f"its files have the digest {found[:12]}, registered is {digest[:12]}")
        for name in (NAME, verdicts.NAME):
            if name not in made.outputs or record.checksum(folder / name) != made.outputs[name].sha256:
                raise _damaged(of, f"{name} is not the file its record names")
        report = _Report.model_validate_json((folder / NAME).read_bytes())
        return Evidence(of, found, report, made, _answers(folder / verdicts.NAME))
    except (OSError, ValidationError, ValueError) as error:
        raise _damaged(of, str(error).partition("\n")[0][:200]) from None


def _answers(path: Path) -> dict[Role, list[JudgedAnswer]]:
    """By role; columns of another age of the file are passed over."""
    held: dict[Role, list[JudgedAnswer]] = {}
    for row in pq.read_table(path).to_pylist():
        known = {name: row[name] for name in JudgedAnswer.model_fields if name in row}
        held.setdefault(row["model"], []).append(JudgedAnswer.model_validate(known))
    return held


def _damaged(of: str, what: str) -> Stop:
    return Stop(
        f"The stored evaluation of {of} cannot be used: {what}.",
        "Figures are taken from whole evidence only.",
        "Restore its folder, or run the chain again: it judges the model anew.",
    )


def role_of(evidence: Evidence, weights: str) -> Role | None:
    """Who has these weights, and verdicts; the base where none are named."""
    held = {model.role: model.weights for model in evidence.report.models if model.role in evidence.answers}
    order: tuple[Role, ...] = ("candidate", "champion", "base") if weights else ("base",)
    return next((role for role in order if role in held and (not weights or held[role] == weights)), None)


def agreed(first: Evidence, second: Evidence, allow_skew: bool) -> list[str]:
    """Raises Stop unless two evaluations are comparable; what is left out of the comparison, and what is allowed."""
    _require_sets(first, second)
    _require("grader's settings", first, second, *(each.record.params.get("scoring", {}) for each in (first, second)))
    _require("decoding", first, second, _decoding(first), _decoding(second))
    notes = [*_left_out(first, second)]
    then, now = _sources(first, second)
    if then == now:
        return notes
    skew = f"{first.of} was judged by the sources {then[:12]}, {second.of} by {now[:12]}"
    if not allow_skew:
        raise Stop(
            f"{skew[0].upper()}{skew[1:]}: another grader or decoder, under the same settings.",
            "Sources and libraries that decode and grade can change a verdict, and no model caused that.",
            f"Take it into account with --allow-skew. {EVALUATE_AGAIN}",
        )
    return [*notes, f"{skew[0].upper()}{skew[1:]}: a difference can come from that."]


def _require(what: str, first: Evidence, second: Evidence, then: object, now: object) -> None:
    if then != now:
        raise Stop(
            f"{first.of} and {second.of} were judged under another {what}: {record.digest(then)[:12]} and "
            f"{record.digest(now)[:12]}{_named(then, now)}.",
            "A difference between them would say nothing of the models.",
            EVALUATE_AGAIN,
        )


def _named(then: object, now: object) -> str:
    """The fields that differ."""
    if not isinstance(then, Mapping) or not isinstance(now, Mapping):
        return ""
    names = sorted(name for name in {*then, *now} if then.get(name) != now.get(name))
    return f" ({'; '.join(f'{name} {then.get(name)!r} and {now.get(name)!r}' for name in names)})"


def _decoding(evidence: Evidence) -> dict[str, Any]:
    """What is stated of how answers were generated; a report that names no backend or strategy knew only one."""
    stated = {"backend": "transformers", "strategy": "method", **evidence.report.protocol}
    return {
        "backend": stated["backend"],
        "strategy": stated["strategy"],
        "max_completion_tokens": evidence.report.max_completion_tokens,
        "batch": evidence.report.batch,
    }


def _sources(first: Evidence, second: Evidence) -> tuple[str, str]:
    """What decoded and graded: as both state it of those two, else the sources of the whole step."""
    stated = [[each.record.facts.get(name) for name in ("decoding", "grader")] for each in (first, second)]
    if all(all(each) for each in stated):
        return record.digest(stated[0]), record.digest(stated[1])
    return first.record.code, second.record.code


def _require_sets(first: Evidence, second: Evidence) -> None:
    then, now = first.sets, second.sets
    common = sorted(then.keys() & now.keys())
    other = [name for name in common if then[name] != now[name]]
    if other or not any(split_of(name) == "test" for name in common):
        sets = "; ".join(f"{name} is {then[name][:12]} and {now[name][:12]}" for name in other[:5])
        raise Stop(
            f"{first.of} and {second.of} were judged on other questions: frozen {first.report.frozen[:12]} and "
            f"{second.report.frozen[:12]}{f' ({sets})' if sets else ', no test set in common'}.",
            "A paired comparison needs the same questions.",
            "Judge both on one dataset: run the chain with the prepare section of one of them, which `medu1 reproduce` "
            "restores.",
        )


def _left_out(first: Evidence, second: Evidence) -> list[str]:
    only = {each.of: sorted(each.sets.keys() - other.sets.keys()) for each, other in ((first, second), (second, first))}
    return [f"Left out, since only {of} was judged on them: {', '.join(names)}." for of, names in only.items() if names]
