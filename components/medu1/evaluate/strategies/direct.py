"""The answer alone and at once, with no reasoning: one call. What reasoning is worth is the distance from here.

The baseline of MedAgents (Tang et al. 2024, arXiv:2311.10537), which calls it direct prompting.
"""

from typing import Final

from medu1.evaluate.strategies.answers import after_thought, is_tagged, thought, wrapped
from medu1.evaluate.strategies.dialogue import Answered, Dialogue, conversation, reply_to
from medu1.generation.backend import Reply
from medu1.question import Question

_SYSTEM: Final = "You are a helpful medical assistant. Reply with the final answer alone."
_ASK: Final = "Do not reason and do not explain: reply at once with the final answer and nothing else."


def direct(question: Question) -> Dialogue:
    """A bare reply is the answer, also after a thought nobody asked for; answer tags are taken as they are."""
    return _read((yield from reply_to(conversation(question, _SYSTEM, _ASK))))


def _read(reply: Reply) -> Answered:
    """A reply that is cut off is no answer: its end is missing."""
    bare = after_thought(reply.text).strip().strip("*_`").strip()
    if not bare or is_tagged(bare) or reply.finish == "length":
        return Answered(reply.text, reply)
    return Answered(wrapped(thought(reply) if is_tagged(reply.text) else "", bare), reply)
