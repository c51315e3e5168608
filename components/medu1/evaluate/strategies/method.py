"""The method's own prompt, as in training: one call."""

from medu1.evaluate.strategies.dialogue import Dialogue, as_written, conversation, reply_to
from medu1.prompt import SYSTEM
from medu1.question import Question


def method(question: Question) -> Dialogue:
    """What a model is trained on is what it is asked."""
    return as_written((yield from reply_to(conversation(question, SYSTEM))))
