"""Verification of each choice: every option is asked about on its own, and the best supported one is the answer.

Candidate answers are verified instead of generated, after Weng et al. 2023, "Large Language Models are Better Reasoners
with Self-Verification" (arXiv:2212.09561). A question without options is answered step by step, the answer is verified
once, and where it is refuted the question is answered once more, as in the two-stage prompts of
doi:10.1038/s41746-025-02146-4.

Calls a question, at most: its options and one that decides between equals; three without options.
"""

from collections.abc import Sequence
from typing import Final

from medu1.evaluate.strategies import assessment
from medu1.evaluate.strategies.answers import meaning, stated, wrapped
from medu1.evaluate.strategies.dialogue import (
    FORM,
    Answered,
    Dialogue,
    as_written,
    conversation,
    reply_to,
    stem,
    turns,
)
from medu1.evaluate.strategies.quotation import quoted
from medu1.evaluate.strategies.step_by_step import step_by_step
from medu1.generation.backend import Conversation
from medu1.question import Question

_EXAMINER: Final = f"You are a medical examiner who checks one proposed answer at a time. {FORM}"
_ASSISTANT: Final = f"You are a helpful medical assistant. {FORM}"
_ANSWER: Final = 300  # characters of an answer that is quoted


def each_choice(question: Question) -> Dialogue:
    """Options side by side in one round; a question without options one step after the other."""
    return (yield from _by_option(question) if question.options else _by_second_look(question))


def _by_option(question: Question) -> Dialogue:
    """An option nobody can tell anything about stands between the supported and the refuted."""
    letters = sorted(question.options)
    replies = yield [_asked(question, f"{letter}: {question.options[letter]}") for letter in letters]
    figures = [assessment.support(reply) or 0.0 for reply in replies]
    best = [letter for letter, figure in zip(letters, figures, strict=True) if figure == max(figures)]
    if len(best) > 1:
        return as_written((yield from reply_to(_choice_of(question, best))))
    said = ", ".join(f"{letter} {figure:+.0f}" for letter, figure in zip(letters, figures, strict=True))
    return Answered(wrapped(f"Support from -100 to 100: {said}.", best[0]), replies[letters.index(best[0])])


def _by_second_look(question: Question) -> Dialogue:
    """An answer that cannot be read leaves nothing to verify, and one that is not refuted stands."""
    first = yield from step_by_step(question)
    answer = stated(first.decided_by)
    if answer is None or meaning(question, answer) is None:
        return first
    seen = yield from reply_to(_asked(question, quoted(answer, _ANSWER)))
    if (assessment.support(seen) or 0.0) >= 0:
        return first
    doubt = f"An examiner finds this answer wrong:\n{quoted(answer, _ANSWER)}\nSolve the question afresh."
    return as_written((yield from reply_to(conversation(question, _ASSISTANT, doubt))))


def _asked(question: Question, answer: str) -> Conversation:
    proposal = f"Proposed answer:\n{answer}\nIs this the right answer to the question?"
    return turns(_EXAMINER, stem(question), f"{proposal}\n{assessment.FORM}")


def _choice_of(question: Question, letters: Sequence[str]) -> Conversation:
    left = f"{', '.join(letters[:-1])} and {letters[-1]}"
    return conversation(question, _ASSISTANT, f"The choice is between {left}: weigh them against each other.")
