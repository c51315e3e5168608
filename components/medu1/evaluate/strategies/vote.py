"""Votes: who answers what, which answers lead, and whether all agree. A reply without a legible answer has no vote."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from medu1.evaluate.strategies.answers import meaning, stated, thought
from medu1.evaluate.strategies.quotation import quoted
from medu1.generation.backend import Reply
from medu1.question import Question

_ANSWER: Final = 300  # characters of an answer that is told to others
_REASONS: Final = 600  # of the reasons for it


class Vote(NamedTuple):
    """One reply as a vote."""

    reply: Reply
    answer: str  # as written
    meaning: str  # equal for answers that mean the same


def votes(question: Question, replies: Iterable[Reply]) -> list[Vote]:
    """The replies that give a legible answer, in order."""
    found = (vote(question, reply) for reply in replies)
    return [each for each in found if each]


def vote(question: Question, reply: Reply) -> Vote | None:
    """A reply's vote; None where no answer of the question's kind can be read."""
    answer = stated(reply)
    meant = meaning(question, answer)
    return None if answer is None or meant is None else Vote(reply, answer, meant)


def leaders(cast: Sequence[Vote]) -> list[Vote]:
    """The first vote for each of the answers with the most votes: one where there is a winner, none without votes."""
    counts = Counter(each.meaning for each in cast)
    most = max(counts.values(), default=0)
    first = {each.meaning: each for each in reversed(cast)}
    return [first[meant] for meant, count in counts.items() if count == most]


def told(heading: str, one: Vote) -> str:
    """A vote as others are told of it: a heading, then the answer and its reasons as quotations of bounded length."""
    lines = [heading, quoted(one.answer, _ANSWER)]
    reasons = thought(one.reply)
    return "\n".join([*lines, "Because:", quoted(reasons, _REASONS)] if reasons else lines)
