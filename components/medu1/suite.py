"""Suites: what models are asked beside the test and out-of-distribution questions that every evaluation asks.

Each is a named entry of `evaluate.suites`, told by its kind. A suite takes its questions from one split, the same ones
each time, and no decision rests on it.
"""

from typing import Annotated, Literal, get_args

from pydantic import Field

from medu1.section import Positive, Section

JudgedSplit = Literal["test", "ood"]
Strategy = Literal["method", "direct", "step_by_step", "structured", "each_choice", "similar_cases", "role_panel"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)


class Asked(Section):
    """Which questions, whatever is asked of them."""

    split: JudgedSplit
    questions: Positive  # at most, the same ones each time

    @property
    def strategies(self) -> tuple[Strategy, ...]:
        """By which the questions are answered."""
        return ("method",)


class Lengths(Asked):
    """The same questions under each reasoning-length budget: accuracy by length, and how well lengths are kept."""

    kind: Literal["length"]
    tokens: Annotated[tuple[Positive, ...], Field(min_length=1)]  # budgets
    mode: Literal["exact", "at_most"]


class Permuted(Asked):
    """Choice questions with their options in several orders: does the answer follow the option or the letter?"""

    kind: Literal["permuted"]
    orders: Annotated[int, Field(ge=2, le=24)]  # a question, its own among them


class Sampled(Asked):
    """Several answers a question: maj@k and pass@k."""

    kind: Literal["sampled"]
    samples: Annotated[int, Field(ge=2, le=100)]  # answers a question
    temperature: Annotated[float, Field(gt=0, le=2)]


class Compared(Asked):
    """The same questions by several reasoning strategies."""

    kind: Literal["strategies"]
    names: Annotated[tuple[Strategy, ...], Field(min_length=1)]

    @property
    def strategies(self) -> tuple[Strategy, ...]:
        """Each once, in the order named."""
        return tuple(dict.fromkeys(self.names))


Suite = Annotated[Lengths | Permuted | Sampled | Compared, Field(discriminator="kind")]


class Reasoning(Section):
    """The bounds of strategies that ask a model more than once."""

    similar_cases: Positive  # training questions shown beside the one that is asked
    experts: Positive  # who vote
    specialists: Positive  # of a role panel, at most
    rounds: Positive  # of a role panel's discussion, at most
