"""A model whose replies are known: it answers each conversation by a rule, and keeps what it was asked.

It stands for a model in tests of what happens between a model's replies; a real one proves the rest.
"""

from collections.abc import Callable, Sequence

from medu1.evaluate.strategies.answers import wrapped
from medu1.evaluate.strategies.conduct import Attempt, attempts
from medu1.generation.backend import Conversation, Decoding, Progress, Reply, silent
from medu1.question import Choice, FreeText, Question
from medu1.suite import Reasoning, Strategy

DECODING = Decoding(max_tokens=64, batch=8)
BOUNDS = Reasoning(similar_cases=2, experts=3, specialists=3, rounds=2)
WARFARIN = Question(
    id="q/1",
    source="own",
    text="Which drug needs the INR watched?",
    options={"A": "aspirin", "B": "warfarin", "C": "heparin", "D": "insulin"},
    gold=Choice(letter="B"),
    group="warfarin",
)
OPEN = Question(id="q/2", source="own", text="What does insulin lower?", gold=FreeText(text="blood glucose"))

Rule = Callable[[str, str], str | Reply]
"""The system turn and the user turn -> what is replied; a text has one token a word and ends of its own accord."""


class Scripted:
    """A backend that follows a rule; `rounds` holds the conversations of each call."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.rounds: list[list[Conversation]] = []

    def replies(
        self, conversations: Sequence[Conversation], decoding: Decoding, on_progress: Progress = silent
    ) -> list[Reply]:
        """One reply a conversation, in order."""
        self.rounds.append(list(conversations))
        made = []
        for done, (system, user) in enumerate(conversations, start=1):
            said = self.rule(system["content"], user["content"])
            made.append(said if isinstance(said, Reply) else Reply(said, len(said.split()), "stop"))
            on_progress(done, len(conversations))
        return made

    @property
    def sizes(self) -> list[int]:
        """Conversations of each round."""
        return [len(each) for each in self.rounds]

    @property
    def prompts(self) -> list[str]:
        """User turns, in order."""
        return [user["content"] for each in self.rounds for _, user in each]


def attempt(
    strategy: Strategy,
    rule: Rule,
    question: Question = WARFARIN,
    reasoning: Reasoning = BOUNDS,
    cases: Sequence[Question] = (),
) -> tuple[Attempt, Scripted]:
    """One question by one strategy, and the backend that was asked."""
    backend = Scripted(rule)
    [made] = attempts(strategy, [question], backend, DECODING, reasoning, cases)
    return made, backend


def said(answer: str, reasons: str = "so") -> str:
    """A reply in the method's form."""
    return wrapped(reasons, answer)


def cut(text: str) -> Reply:
    """A reply that the token limit ends."""
    return Reply(text, len(text.split()), "length")
