"""What a model is asked: a question as it is put, and the sheets of them that one model answers in one go."""

from collections.abc import Sequence
from typing import NamedTuple, cast

from medu1 import record
from medu1.budget import LengthBudget
from medu1.generation.backend import Conversation
from medu1.prompt import messages
from medu1.question import Question
from medu1.report import SetName
from medu1.suite import Strategy


class Asking(NamedTuple):
    """One question, put one way."""

    question: Question  # as it is put: permuted options stand in their new order, the gold's letter with them
    variant: str = ""  # what tells the askings of a question apart, such as 40 tokens, BADC, 3 or role_panel
    budget: LengthBudget | None = None

    @property
    def conversation(self) -> Conversation:
        """The method's prompt."""
        return cast(Conversation, messages(self.question, self.budget))


class Sheet(NamedTuple):
    """Askings of one split that are generated alike and whose verdicts are stored whole."""

    split: SetName
    title: str  # for people; no part of the identity
    strategy: Strategy
    askings: tuple[Asking, ...]
    temperature: float = 0.0  # 0: greedy

    def digest(self) -> str:
        """Of what is asked, in order, whatever the sheet is called."""
        return record.digest(
            [
                [asking.question.model_dump(mode="json"), asking.variant, asking.budget and asking.budget.model_dump()]
                for asking in self.askings
            ]
        )


def plain(split: SetName, questions: Sequence[Question], strategy: Strategy) -> Sheet:
    """Every question of a split once."""
    return Sheet(split, split, strategy, tuple(Asking(question) for question in questions))
