"""The verdict store: what a model answered to a sheet, and how it was judged, kept for whoever asks again.

Verdicts are stored under the digest of weights, askings, decoding and grader, one folder a sheet: greedy decoding
is not the same at every batch composition, so a sheet is stored whole or not at all. A champion that met the same
questions under the same protocol is therefore never run twice.
"""

import shutil
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from medu1 import code, record
from medu1.evaluate.asking import Asking
from medu1.evaluate.strategies.conduct import Attempt
from medu1.question import Family, Frozen, gold_text
from medu1.record import StepRecord
from medu1.report import Role, SetName
from medu1.scoring.verdict import Verdict
from medu1.stage import RECORDED, Stage
from medu1.storage import Store, scratch

NAME = "verdicts.parquet"  # of the test and out-of-distribution questions
PROBES = "probes.parquet"  # of the suites


class JudgedAnswer(Frozen):
    """One question, what a model wrote for it, and the grader's verdict: a row of the Parquet file."""

    question_id: str
    split: SetName
    source: str
    family: Family
    group: str  # never empty: a question without one is its own
    topic: str
    gold: str
    completion: str
    tokens: int | None  # written for it, over all calls; None where the backend does not say
    finish: Literal["stop", "length"]
    format_ok: bool
    answer: str | None  # None: none could be extracted
    correct: bool | None  # None: unscorable
    similarity: float | None  # free text only
    reason: str
    variant: str = ""  # how the question was put, such as BADC; "": as it stands
    length: float | None = None  # the grader's closeness to the budget; None without one
    calls: int = 1  # of the model
    complete: float | None = None  # share of a strategy's steps that are there


SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("question_id", "split", "source", "family", "group", "topic", "gold")),
        ("completion", pa.string()),
        ("tokens", pa.int64()),
        ("finish", pa.string()),
        ("format_ok", pa.bool_()),
        ("answer", pa.string()),
        ("correct", pa.bool_()),
        ("similarity", pa.float64()),
        ("reason", pa.string()),
        ("variant", pa.string()),
        ("length", pa.float64()),
        ("calls", pa.int64()),
        ("complete", pa.float64()),
    ]
)


class Identity(Frozen):
    """What decides every verdict of a sheet; four digests."""

    weights: str
    questions: str  # as they are put, in order
    decoding: str
    grader: str

    @property
    def short(self) -> str:
        """All four in 16 hexadecimal digits."""
        return record.digest(self.model_dump())[:16]

    @property
    def key(self) -> str:
        """The folder of the store."""
        return f"verdicts/{self.short}"


def row(asking: Asking, split: SetName, attempt: Attempt, verdict: Verdict) -> JudgedAnswer:
    """Join what was asked, what was answered, and the verdict on it."""
    question = asking.question
    return JudgedAnswer(
        question_id=question.id,
        split=split,
        source=question.source,
        family=question.family,
        group=question.group or question.id,
        topic=question.topic,
        gold=gold_text(question),
        completion=attempt.completion.text,
        tokens=attempt.tokens,
        finish=attempt.completion.finish,
        format_ok=verdict.format_ok,
        answer=verdict.answer,
        correct=verdict.correct,
        similarity=verdict.similarity,
        reason=verdict.reason.value,
        variant=asking.variant,
        length=verdict.length,
        calls=attempt.calls,
        complete=attempt.complete,
    )


def fetch(store: Store, identity: Identity) -> list[JudgedAnswer] | None:
    """The stored verdicts, in the askings' order; None where there are none."""
    folder = store.fetch(identity.key)
    return None if folder is None else read(folder / NAME)


def publish(store: Store, identity: Identity, rows: Sequence[JudgedAnswer], stage: Stage, started: float) -> None:
    """Store the verdicts of one model on one sheet; `started` is when their generation began, in epoch seconds."""
    work = scratch(stage.workspace)
    try:
        save(work / NAME, rows)
        record.write(_record(identity, len(rows), work, stage, started), work)
        store.publish(work, identity.key)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def read(path: Path) -> list[JudgedAnswer]:
    """The rows of a file that `save` wrote."""
    return [JudgedAnswer.model_validate(row) for row in pq.read_table(path).to_pylist()]


def save(path: Path, rows: Sequence[JudgedAnswer]) -> None:
    """Equal rows are equal bytes."""
    pq.write_table(pa.Table.from_pylist([row.model_dump() for row in rows], schema=SCHEMA), path)


def write(path: Path, verdicts: Mapping[Role, Sequence[JudgedAnswer]]) -> None:
    """Every model's verdicts in one file, with the model's role as first column."""
    rows = [{"model": role, **row.model_dump()} for role, answers in verdicts.items() for row in answers]
    _write(path, rows, ["model"])


def write_probes(path: Path, probes: Mapping[Role, Mapping[str, Sequence[JudgedAnswer]]]) -> None:
    """Every model's verdicts in every suite in one file, with the model's role and the suite as first columns."""
    rows = [
        {"model": role, "suite": suite, **row.model_dump()}
        for role, suites in probes.items()
        for suite, answers in suites.items()
        for row in answers
    ]
    _write(path, rows, ["model", "suite"])


def _write(path: Path, rows: Sequence[Mapping[str, Any]], first: Sequence[str]) -> None:
    schema = pa.schema([*((name, pa.string()) for name in first), *SCHEMA])
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), path)


def _record(identity: Identity, rows: int, work: Path, stage: Stage, started: float) -> StepRecord:
    workspace, inputs = stage.workspace, identity.model_dump()
    facts: dict[str, Any] = {"rows": rows}
    return StepRecord(
        step="verdicts",
        fingerprint=record.fingerprint("verdicts", {}, inputs, ""),
        params={},
        inputs=inputs,
        code=identity.grader,
        outputs=record.entries(work),
        facts=facts,
        commit=workspace.commit,
        dirty=workspace.dirty,
        image=workspace.image,
        versions=code.versions(RECORDED),
        run=workspace.run,
        mlflow_run=stage.run,
        started=datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        seconds=round(time.time() - started, 3),
    )
