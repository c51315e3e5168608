"""The JSON Lines contract of `medu1 score`: questions and completions in, one verdict line a completion out.

A row that cannot be read never stops the others: it is a `Fault` with its file, line and reason, and a completion's
row still gives a verdict line, so that line n of the verdicts answers line n of the completions.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from pydantic import Field, ValidationError

from medu1.budget import LengthBudget
from medu1.completion import Completion
from medu1.params import Rewards, Scoring
from medu1.question import FreeText, Frozen, Number, Question
from medu1.scoring.reward import reward
from medu1.scoring.score import is_scorable, score
from medu1.scoring.verdict import Reason


class Fault(NamedTuple):
    """One row that is not as it should be."""

    file: Literal["questions", "completions"]
    line: int  # from 1
    reason: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.reason}"


class Questions(NamedTuple):
    """A questions file by id. A row that names its id and nothing usable else is kept as None."""

    by_id: dict[str, Question | None]
    faults: list[Fault]


class CompletionRow(Frozen):
    """A completion as the contract writes it."""

    question_id: str
    text: str
    tokens: int | None = Field(default=None, ge=0)  # of the whole response
    finish: Literal["stop", "length"] = "stop"
    budget: LengthBudget | None = None


class VerdictRow(Frozen):
    """A verdict as the contract writes it; `correct` None: not scored, and earns nothing."""

    question_id: str | None
    format_ok: bool = False
    answer: str | None = None
    correct: bool | None = None
    similarity: float | None = None
    length: float | None = None
    reason: Reason
    reward: float | None = None

    def line(self) -> bytes:
        """One line of JSON; similarity and length are left out where there is none."""
        absent = {name for name in ("similarity", "length") if getattr(self, name) is None}
        return self.model_dump_json(exclude=absent).encode() + b"\n"


class _Id(Frozen, extra="ignore"):
    """What can still be known of a malformed question."""

    id: str


def read_questions(lines: Iterable[bytes], settings: Scoring) -> Questions:
    """Every question by its id. Two rows that say different things of one id make it unusable."""
    read = Questions({}, [])
    for number, line in enumerate(lines, start=1):
        if line.strip():
            _keep(read, number, line, settings)
    return read


def _keep(read: Questions, number: int, line: bytes, settings: Scoring) -> None:
    try:
        question = Question.model_validate_json(line)
    except ValidationError as error:
        read.faults.append(Fault("questions", number, explained(error)))
        if name := _id(line):
            read.by_id[name] = None
        return
    if read.by_id.setdefault(question.id, question) != question:
        read.by_id[question.id] = None
        read.faults.append(Fault("questions", number, f"another row says something else of the id {question.id!r}"))
    elif not is_scorable(question, settings):
        read.faults.append(Fault("questions", number, f"no answer to {question.id!r} can be right: {_why(question)}"))
    elif _has_swapped_limits(question):
        reason = f"the limits of {question.id!r} are swapped; the smaller one is taken as the lower"
        read.faults.append(Fault("questions", number, reason))


def _why(question: Question) -> str:
    return "its gold has no word" if isinstance(question.gold, FreeText) else "its gold lies outside its own limits"


def _has_swapped_limits(question: Question) -> bool:
    """Whether the lower limit is the larger one, as published files have it for negative numbers."""
    gold = question.gold
    return isinstance(gold, Number) and gold.lower is not None and gold.upper is not None and gold.lower > gold.upper


def _id(line: bytes) -> str | None:
    try:
        return _Id.model_validate_json(line).id
    except ValidationError:
        return None


def explained(error: ValidationError) -> str:
    """The first problem of a row, with its field."""
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(map(str, problem["loc"]))
    message = problem["msg"].removeprefix("Value error, ")
    return f"{field}: {message}" if field else message


class Graded(NamedTuple):
    """What became of one completion's row."""

    row: VerdictRow
    fault: Fault | None = None


def graded(
    number: int,
    line: bytes,
    questions: Mapping[str, Question | None],
    settings: Scoring,
    weights: Rewards,
    limit: int | None = None,
) -> Graded:
    """The verdict on line `number` of the completions."""
    try:
        written = CompletionRow.model_validate_json(line)
    except ValidationError as error:
        return _not_scored(number, None, Reason.UNREADABLE_ROW, explained(error))
    name = written.question_id
    if name not in questions:
        return _not_scored(number, name, Reason.UNKNOWN_QUESTION, f"no question has the id {name!r}")
    question = questions[name]
    if question is None:
        return Graded(VerdictRow(question_id=name, reason=Reason.MALFORMED_QUESTION))  # told of with its own line
    return _judged(number, question, written, settings, weights, limit)


def _judged(
    number: int, question: Question, written: CompletionRow, settings: Scoring, weights: Rewards, limit: int | None
) -> Graded:
    completion = Completion(question_id=question.id, text=written.text, tokens=written.tokens, finish=written.finish)
    verdict = score(question, completion, written.budget, settings)
    row = VerdictRow(**verdict._asdict(), reward=reward(verdict, written.tokens, weights, settings.preset, limit))
    if verdict.correct is None and is_scorable(question, settings):
        return Graded(row, Fault("completions", number, "the grader failed; its log says how"))
    return Graded(row)


def _not_scored(number: int, name: str | None, reason: Reason, why: str) -> Graded:
    return Graded(VerdictRow(question_id=name, reason=reason), Fault("completions", number, why))
