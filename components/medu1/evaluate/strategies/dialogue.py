"""How a strategy is written: a generator that, for one question, asks conversations and is sent the replies.

It yields a list of conversations, never an empty one, is sent their replies in the same order, and returns what the
question is answered with (PEP 342, PEP 380). So a strategy reads as one dialogue, and whoever drives it may run many of
them side by side.
"""

from collections.abc import Generator
from typing import Final, NamedTuple

from medu1.generation.backend import Conversation, Message, Reply
from medu1.prompt import answer_form, user_text
from medu1.question import Question

# As the method's own instruction ends.
FORM: Final = "Think first, then give only the final answer, as <think> reasoning </think><answer> answer </answer>."


class Answered(NamedTuple):
    """What a strategy answers one question with."""

    text: str  # for the grader: the method's form, or what the model wrote where it did not keep to what was asked
    decided_by: Reply  # the last reply that the answer rests on
    complete: float | None = None  # share of the named steps that are there; None where a strategy names none


Dialogue = Generator[list[Conversation], list[Reply], Answered]
Exchange = Generator[list[Conversation], list[Reply], Reply]


def conversation(question: Question, system: str, *before: str) -> Conversation:
    """A system turn, then what is said before the question and the question, which ends in the answer's form."""
    return turns(system, *before, user_text(question))


def turns(system: str, *said: str) -> Conversation:
    """A system turn and one user turn of paragraphs."""
    return [Message(role="system", content=system), Message(role="user", content="\n\n".join(filter(None, said)))]


def stem(question: Question) -> str:
    """The question as every prompt shows it, context and options included, without the form of its answer."""
    return user_text(question).removesuffix("\n" + answer_form(question))


def reply_to(asked: Conversation) -> Exchange:
    """One conversation and its reply, for `yield from`."""
    [reply] = yield [asked]
    return reply


def as_written(reply: Reply) -> Answered:
    """The reply is the answer, in the method's form or not: the grader says."""
    return Answered(reply.text, reply)
