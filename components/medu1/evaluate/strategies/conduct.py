"""Questions answered by a reasoning strategy: every question's dialogue runs side by side, in rounds.

A round asks all outstanding conversations of all questions in one call of the backend, so that strategies with many
short exchanges fill its batches as well as those with one.
"""

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from medu1.completion import Completion
from medu1.errors import Stop
from medu1.evaluate.strategies.cases import Neighbours, nearest
from medu1.evaluate.strategies.dialogue import Answered, Dialogue
from medu1.evaluate.strategies.direct import direct
from medu1.evaluate.strategies.each_choice import each_choice
from medu1.evaluate.strategies.method import method
from medu1.evaluate.strategies.role_panel import role_panel
from medu1.evaluate.strategies.similar_cases import similar_cases
from medu1.evaluate.strategies.step_by_step import step_by_step
from medu1.evaluate.strategies.structured import structured
from medu1.generation.backend import Backend, Conversation, Decoding, Progress, Reply, silent
from medu1.question import Question
from medu1.suite import Reasoning, Strategy


class Attempt(NamedTuple):
    """What a strategy makes of one question."""

    completion: Completion  # what the grader judges; its tokens are those of the reply that decided
    tokens: int | None  # generated for the question over all calls; None where the backend does not say
    calls: int
    complete: float | None  # share of the named steps that are there; None where the strategy names none


def needs_cases(strategy: Strategy) -> bool:
    """Whether a strategy reads training questions."""
    return strategy == "similar_cases"


def attempts(
    strategy: Strategy,
    questions: Sequence[Question],
    backend: Backend,
    decoding: Decoding,
    reasoning: Reasoning,
    cases: Sequence[Question],
    on_progress: Progress = silent,
) -> list[Attempt]:
    """One attempt a question, in order. `cases`: training questions, read only where `needs_cases`.

    Progress counts conversations: those answered, of those known so far; a new round adds its own. Raises Stop where
    the strategy needs cases and there are none, and where the backend does.
    """
    near = _near(strategy, questions, reasoning, cases)
    under_way = [_UnderWay(q, _dialogue(strategy, q, reasoning, n)) for q, n in zip(questions, near, strict=True)]
    asked = 0
    while waiting := [each for each in under_way if each.outstanding]:
        conversations = [each for one in waiting for each in one.outstanding]
        replies = iter(backend.replies(conversations, decoding, _onward(on_progress, asked)))
        asked += len(conversations)
        for one in waiting:
            one.send(list(islice(replies, len(one.outstanding))))
    return [each.attempt() for each in under_way]


def _dialogue(strategy: Strategy, question: Question, reasoning: Reasoning, near: Neighbours) -> Dialogue:
    match strategy:
        case "method":
            return method(question)
        case "direct":
            return direct(question)
        case "step_by_step":
            return step_by_step(question)
        case "structured":
            return structured(question)
        case "each_choice":
            return each_choice(question)
        case "similar_cases":
            return similar_cases(question, near, reasoning.experts)
        case "role_panel":
            return role_panel(question, reasoning)


def _near(
    strategy: Strategy, questions: Sequence[Question], reasoning: Reasoning, cases: Sequence[Question]
) -> Sequence[Neighbours]:
    """The cases shown beside each question; none where the strategy shows none."""
    if not needs_cases(strategy):
        return [()] * len(questions)
    if not cases:
        raise Stop(
            f"The strategy {strategy} has no training questions to show.",
            "It answers with the most similar ones beside each question.",
            f"Prepare data with training questions, or leave {strategy} out.",
        )
    return nearest(questions, cases, reasoning.similar_cases)


def _onward(on_progress: Progress, asked: int) -> Progress:
    """A round's progress, counted on from what was asked before it."""
    return lambda done, total: on_progress(asked + done, asked + total)


class _UnderWay:
    """One question's dialogue: what it waits for, and in the end its attempt."""

    def __init__(self, question: Question, dialogue: Dialogue) -> None:
        self._question, self._dialogue = question, dialogue
        self._read: list[Reply] = []
        self._answered: Answered | None = None
        self.outstanding: list[Conversation] = next(dialogue)

    def send(self, replies: list[Reply]) -> None:
        """Replies to what is outstanding, in order."""
        self._read += replies
        try:
            self.outstanding = self._dialogue.send(replies)
        except StopIteration as end:
            self.outstanding, self._answered = [], end.value

    def attempt(self) -> Attempt:
        """What the dialogue comes to, once nothing is outstanding."""
        assert self._answered, f"the dialogue of {self._question.id} has not ended"
        text, (_, tokens, finish), complete = self._answered
        completion = Completion(question_id=self._question.id, text=text, tokens=tokens, finish=finish)
        written = [reply.tokens for reply in self._read if reply.tokens is not None]
        return Attempt(completion, sum(written) if len(written) == len(self._read) else None, len(self._read), complete)
