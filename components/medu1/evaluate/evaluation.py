"""Base, candidate and champion answer the same sheets, and the one grader judges them.

Verdicts that are stored are taken from there; a model is loaded, and torch imported, only when some are missing. A
sheet is asked in blocks of a few batches, in the order of length in which a backend makes its batches, so that an
evaluation that is killed goes on after the last whole block, to the same verdicts.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import NamedTuple

from medu1 import code, record
from medu1.completion import Completion
from medu1.errors import Stop
from medu1.evaluate import verdicts
from medu1.evaluate.asking import Asking, Sheet
from medu1.evaluate.partial import Partial
from medu1.evaluate.strategies import conduct
from medu1.evaluate.strategies.conduct import Attempt
from medu1.evaluate.verdicts import Identity, JudgedAnswer
from medu1.generation import backends
from medu1.generation.backend import Backend, Decoding, Progress
from medu1.judging import Evaluate
from medu1.params import Scoring
from medu1.question import Frozen, Question
from medu1.report import Role
from medu1.scoring.score import score
from medu1.stage import Stage, fetch
from medu1.storage import Store, open_store

SEED = 0  # of sampled answers; each block draws from a seed of its own
BATCHES = 4  # of a block: what a killed evaluation loses at most
ENGINES = {"transformers": (), "vllm": ("vllm",), "endpoint": ()}  # packages whose version shapes a backend's answers


class Subject(Frozen):
    """A model to be judged and where its folder lies in the store."""

    role: Role
    weights: str  # digest
    key: str


class Cases(NamedTuple):
    """The training questions, for strategies that show some of them."""

    digest: str
    read: Callable[[], Sequence[Question]]


@dataclass(frozen=True)
class Bench:
    """The protocol every model is judged under."""

    stage: Stage
    store: Store
    params: Evaluate
    scoring: Scoring
    cases: Cases
    decoder: str  # digest of the backend, the limits, the batch and the decoder's sources
    grader: str  # digest of the settings and the grader's sources

    def decoding(self, sheet: Sheet) -> str:
        """The digest of what shapes the answers to a sheet: where an endpoint is, and how busy, does not."""
        if sheet.strategy == "method":
            return record.digest([self.decoder, sheet.temperature])
        cases = self.cases.digest if conduct.needs_cases(sheet.strategy) else ""
        by = [sheet.strategy, self.params.reasoning.model_dump(), code.room_digest("evaluate/strategies"), cases]
        return record.digest([self.decoder, sheet.temperature, *by])


def bench(stage: Stage, params: Evaluate, scoring: Scoring, cases: Cases) -> Bench:
    """Decoding at the stated limits and batch size, and the one grader."""
    decoder = [
        *(params.backend, code.versions(ENGINES[params.backend]), code.room_digest("generation")),
        *(params.max_completion_tokens, params.batch, BATCHES, SEED),
    ]
    grader = [scoring.model_dump(mode="json"), code.room_digest("scoring")]
    store = open_store(stage.workspace)
    return Bench(stage, store, params, scoring, cases, record.digest(decoder), record.digest(grader))


@dataclass
class _Sitting:
    """One model before its sheets: it is opened when the first question is asked, and not before."""

    bench: Bench
    subject: Subject
    generated: int = 0  # answers
    resumed: int = 0  # verdicts of an evaluation that was cut short
    reused: int = 0  # verdicts of whole sheets

    @cached_property
    def backend(self) -> Backend:
        """Loaded, or connected to."""
        workspace, subject = self.bench.stage.workspace, self.subject
        return backends.opened(
            self.bench.params, subject.role, subject.weights, lambda: fetch(subject.key, workspace).folder
        )


def judged(bench: Bench, subject: Subject, sheets: Sequence[Sheet]) -> list[list[JudgedAnswer]]:
    """A model's verdicts on every sheet, in the askings' order."""
    sitting = _Sitting(bench, subject)
    found = [_judged(sitting, sheet) for sheet in sheets]
    resumed = f", {sitting.resumed:,} taken up where an evaluation was cut short" if sitting.resumed else ""
    bench.stage.note(
        f"{subject.role}: {sitting.generated:,} answers generated{resumed}, {sitting.reused:,} verdicts reused"
    )
    return found


def _judged(sitting: _Sitting, sheet: Sheet) -> list[JudgedAnswer]:
    if not sheet.askings:
        return []
    bench = sitting.bench
    identity = Identity(
        weights=sitting.subject.weights,
        questions=sheet.digest(),
        decoding=bench.decoding(sheet),
        grader=bench.grader,
    )
    if stored := verdicts.fetch(bench.store, identity):
        sitting.reused += len(stored)
        return stored
    started, partial = time.time(), Partial(bench.stage.workspace, identity)
    rows = _by_blocks(sitting, sheet, partial)
    verdicts.publish(bench.store, identity, rows, bench.stage, started)
    partial.remove()
    return rows


def _by_blocks(sitting: _Sitting, sheet: Sheet, partial: Partial) -> list[JudgedAnswer]:
    """The verdicts of every block, those that are there taken as they are, put back into the askings' order."""
    rows: dict[int, JudgedAnswer] = {}
    for number, places in enumerate(_blocks(sheet.askings, BATCHES * sitting.bench.params.batch)):
        askings = [sheet.askings[place] for place in places]
        block = partial.read(number, askings)
        if block is None:
            block = _asked(sitting, sheet, askings, number, len(rows))
            partial.write(number, block)
            sitting.generated += len(block)
        else:
            sitting.resumed += len(block)
        rows |= zip(places, block, strict=True)
    return [rows[place] for place in range(len(rows))]


def _blocks(askings: Sequence[Asking], size: int) -> Iterator[list[int]]:
    """Places of the askings, those of like length together."""
    lengths = [sum(len(message["content"]) for message in asking.conversation) for asking in askings]
    order = sorted(range(len(askings)), key=lambda place: lengths[place])
    return (order[start : start + size] for start in range(0, len(order), size))


def _asked(sitting: _Sitting, sheet: Sheet, askings: Sequence[Asking], number: int, before: int) -> list[JudgedAnswer]:
    """One block, generated and judged; `before` askings of the sheet are done."""
    bench = sitting.bench
    message = f"{sitting.subject.role}, {sheet.title}"

    def on_progress(done: int, total: int) -> None:
        bench.stage.progress(before + done * len(askings) // max(1, total), len(sheet.askings), message)

    params = bench.params
    decoding = Decoding(params.max_completion_tokens, params.batch, sheet.temperature, _seed(number))
    attempts = _attempts(sitting, sheet, askings, decoding, on_progress)
    _require_counts(sheet, askings, attempts)
    return [
        verdicts.row(
            asking, sheet.split, attempt, score(asking.question, attempt.completion, asking.budget, bench.scoring)
        )
        for asking, attempt in zip(askings, attempts, strict=True)
    ]


def _attempts(
    sitting: _Sitting, sheet: Sheet, askings: Sequence[Asking], decoding: Decoding, on_progress: Progress
) -> list[Attempt]:
    if sheet.strategy == "method":
        replies = sitting.backend.replies([asking.conversation for asking in askings], decoding, on_progress)
        return [
            Attempt(
                Completion(question_id=asking.question.id, text=reply.text, tokens=reply.tokens, finish=reply.finish),
                *(reply.tokens, 1, None),
            )
            for asking, reply in zip(askings, replies, strict=True)
        ]
    bench = sitting.bench
    return conduct.attempts(
        sheet.strategy,
        [asking.question for asking in askings],
        sitting.backend,
        decoding,
        bench.params.reasoning,
        bench.cases.read() if conduct.needs_cases(sheet.strategy) else (),
        on_progress,
    )


def _require_counts(sheet: Sheet, askings: Sequence[Asking], attempts: Sequence[Attempt]) -> None:
    """Raises Stop where a budget was set and nobody says how long the response is."""
    pairs = zip(askings, attempts, strict=True)
    if any(asking.budget and attempt.completion.tokens is None for asking, attempt in pairs):
        raise Stop(
            f"The suite evaluate.suites.{sheet.title} asks for lengths, and the server does not count tokens.",
            "Its replies come without usage.completion_tokens, so nobody can say which budgets are kept.",
            f"Take {sheet.title} out of evaluate.suites, or serve the model by a server that reports usage.",
        )


def _seed(block: int) -> int:
    """One a block, so that equal questions of two blocks are sampled apart; of 31 bits, as servers take them."""
    return int.from_bytes(sha256(f"{SEED} {block}".encode()).digest()[:4]) >> 1
