"""Base, candidate and champion answer the same frozen questions, greedily, and the one grader judges them.

Verdicts that are stored are taken from there; a model is loaded, and torch imported, only when some are missing.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from medu1 import code, record
from medu1.evaluate import verdicts
from medu1.evaluate.verdicts import Identity, JudgedAnswer
from medu1.params import Evaluate, Scoring
from medu1.question import Frozen, Question
from medu1.report import Role, SetName
from medu1.scoring.score import score
from medu1.stage import Stage, fetch
from medu1.storage import Store, open_store

Sets = Mapping[SetName, Sequence[Question]]
Answers = dict[SetName, list[JudgedAnswer]]


class Subject(Frozen):
    """A model to be judged and where its folder lies in the store."""

    role: Role
    weights: str  # digest
    key: str


@dataclass(frozen=True)
class Bench:
    """The protocol every model is judged under."""

    stage: Stage
    store: Store
    params: Evaluate
    scoring: Scoring
    decoding: str  # digest of the limits, the batch and the decoder's sources
    grader: str  # digest of the settings and the grader's sources


def bench(stage: Stage, params: Evaluate, scoring: Scoring) -> Bench:
    """Greedy decoding at the stated batch size, and the one grader."""
    decoding = [params.max_completion_tokens, params.batch, code.room_digest("generation")]
    grader = [scoring.model_dump(mode="json"), code.room_digest("scoring")]
    store = open_store(stage.workspace)
    return Bench(stage, store, params, scoring, record.digest(decoding), record.digest(grader))


def judged(bench: Bench, subject: Subject, sets: Sets) -> Answers:
    """A model's verdicts on every set, in the questions' order."""
    identities = {name: _identity(bench, subject, questions) for name, questions in sets.items()}
    stored = {name: verdicts.fetch(bench.store, identity) for name, identity in identities.items()}
    missing: Sets = {name: sets[name] for name, rows in stored.items() if rows is None}
    generated = _generated(bench, subject, missing, identities) if missing else {}
    known: Answers = {name: rows for name, rows in stored.items() if rows is not None}
    _tell(bench.stage, subject, known, generated)
    return {name: {**known, **generated}[name] for name in sets}


def _identity(bench: Bench, subject: Subject, questions: Sequence[Question]) -> Identity:
    return Identity(
        weights=subject.weights,
        questions=verdicts.questions_digest(questions),
        decoding=bench.decoding,
        grader=bench.grader,
    )


def _generated(bench: Bench, subject: Subject, missing: Sets, identities: Mapping[SetName, Identity]) -> Answers:
    from medu1.generation import greedy

    model = greedy.load(fetch(subject.key, bench.stage.workspace).folder)
    answers: Answers = {}
    for name, questions in missing.items():
        started = time.time()
        completions = greedy.complete(
            model,
            questions,
            max_tokens=bench.params.max_completion_tokens,
            batch=bench.params.batch,
            on_progress=partial(_progress, bench.stage, f"{subject.role}, {name}"),
        )
        answers[name] = [
            verdicts.row(question, name, completion, score(question, completion, None, bench.scoring))
            for question, completion in zip(questions, completions, strict=True)
        ]
        verdicts.publish(bench.store, identities[name], answers[name], bench.stage, started)
    return answers


def _progress(stage: Stage, message: str, done: int, total: int) -> None:
    stage.progress(done, total, message)


def _tell(stage: Stage, subject: Subject, known: Answers, generated: Answers) -> None:
    made, kept = sum(map(len, generated.values())), sum(map(len, known.values()))
    stage.note(f"{subject.role}: {made:,} answers generated, {kept:,} verdicts reused")
