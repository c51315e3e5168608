"""The verdict store: what a model answered to a frozen set, and how it was judged, kept for whoever asks again.

Verdicts are stored under the digest of weights, questions, decoding and grader, one folder a set: greedy decoding
is not the same at every batch composition, so a set is generated whole or not at all. A champion that met the same
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
from medu1.completion import Completion
from medu1.question import Family, Frozen, Question, gold_text
from medu1.record import StepRecord
from medu1.report import Role
from medu1.scoring.verdict import Verdict
from medu1.stage import RECORDED, Stage
from medu1.storage import Store, scratch

NAME = "verdicts.parquet"


class JudgedAnswer(Frozen):
    """One question, what a model wrote for it, and the grader's verdict: a row of the Parquet file."""

    question_id: str
    split: Literal["test", "ood"]
    source: str
    family: Family
    group: str  # never empty: a question without one is its own
    topic: str
    gold: str
    completion: str
    tokens: int | None  # of the whole response
    finish: Literal["stop", "length"]
    format_ok: bool
    answer: str | None  # None: none could be extracted
    correct: bool | None  # None: unscorable
    similarity: float | None  # free text only
    reason: str


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
    ]
)


class Identity(Frozen):
    """What decides every verdict of a set; four digests."""

    weights: str
    questions: str
    decoding: str
    grader: str

    @property
    def key(self) -> str:
        """The folder of the store."""
        return f"verdicts/{record.digest(self.model_dump())[:16]}"


def row(question: Question, split: Literal["test", "ood"], completion: Completion, verdict: Verdict) -> JudgedAnswer:
    """Join a question, its completion and the verdict on it."""
    return JudgedAnswer(
        question_id=question.id,
        split=split,
        source=question.source,
        family=question.family,
        group=question.group or question.id,
        topic=question.topic,
        gold=gold_text(question),
        completion=completion.text,
        tokens=completion.tokens,
        finish=completion.finish,
        format_ok=verdict.format_ok,
        answer=verdict.answer,
        correct=verdict.correct,
        similarity=verdict.similarity,
        reason=verdict.reason.value,
    )


def fetch(store: Store, identity: Identity) -> list[JudgedAnswer] | None:
    """The stored verdicts, in the questions' order; None where there are none."""
    folder = store.fetch(identity.key)
    if folder is None:
        return None
    return [JudgedAnswer.model_validate(row) for row in pq.read_table(folder / NAME).to_pylist()]


def publish(store: Store, identity: Identity, rows: Sequence[JudgedAnswer], stage: Stage, started: float) -> None:
    """Store the verdicts of one model on one set; `started` is when their generation began, in epoch seconds."""
    work = scratch(stage.workspace)
    try:
        pq.write_table(pa.Table.from_pylist([row.model_dump() for row in rows], schema=SCHEMA), work / NAME)
        record.write(_record(identity, len(rows), work, stage, started), work)
        store.publish(work, identity.key)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def write(path: Path, verdicts: Mapping[Role, Sequence[JudgedAnswer]]) -> None:
    """Every model's verdicts in one file, with the model's role as first column."""
    rows = [{"model": role, **row.model_dump()} for role, answers in verdicts.items() for row in answers]
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA.insert(0, pa.field("model", pa.string()))), path)


def questions_digest(questions: Sequence[Question]) -> str:
    """The digest of a set of questions in order."""
    return record.digest([question.model_dump(mode="json") for question in questions])


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
