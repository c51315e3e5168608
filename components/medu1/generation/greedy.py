"""Greedy completions of a local model for questions put by the method's own prompt.

Temperature 0 is not the same at every batch size, so the batch is a stated parameter of whoever calls.
"""

from collections.abc import Sequence
from typing import cast

from medu1.budget import LengthBudget
from medu1.completion import Completion
from medu1.generation.backend import Conversation, Decoding, Progress, silent
from medu1.generation.local import LocalModel
from medu1.prompt import messages
from medu1.question import Question


def complete(
    local: LocalModel,
    questions: Sequence[Question],
    *,
    max_tokens: int,
    batch: int,
    budget: LengthBudget | None = None,
    on_progress: Progress = silent,
) -> list[Completion]:
    """One greedy completion a question, in order; `finish` is `length` where `max_tokens` cut it off."""
    conversations = [cast(Conversation, messages(question, budget)) for question in questions]
    replies = local.replies(conversations, Decoding(max_tokens, batch), on_progress)
    return [
        Completion(question_id=question.id, text=reply.text, tokens=reply.tokens, finish=reply.finish)
        for question, reply in zip(questions, replies, strict=True)
    ]
