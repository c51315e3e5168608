"""A question and its gold answer: what prepare makes and every later step reads.

The gold is a tagged union, so that the grader is chosen by type (`match question.gold`), never by a string.
`group` names what training and test must not share: the patient note, or for generated questions the tuple of
values (calculation) or fact, wording and option set (choice and open).
"""

import json
import re
from datetime import date
from string import ascii_uppercase
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

LETTERS = frozenset(ascii_uppercase)  # of options

Family = Literal["choice", "open", "calculation"]
Split = Literal["train", "validation", "test", "ood"]


class Frozen(BaseModel):
    """A value: unknown fields are refused and nothing is changed after construction."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Choice(Frozen):
    """One option letter."""

    kind: Literal["choice"] = "choice"
    letter: Annotated[str, Field(pattern=r"^[A-Z]$")]


class Number(Frozen):
    """A decimal, right within [lower, upper] in either order; within 5% of the value where no limits are given."""

    kind: Literal["number"] = "number"
    value: FiniteFloat
    lower: FiniteFloat | None = None
    upper: FiniteFloat | None = None

    @model_validator(mode="after")
    def _both_limits_or_none(self) -> Self:
        if (self.lower is None) != (self.upper is None):
            raise ValueError("lower and upper come together: give both, or neither for 5% of the value")
        return self


class Integer(Frozen):
    """A whole score; a decimal answer is right when it rounds to it."""

    kind: Literal["integer"] = "integer"
    value: int


class Date(Frozen):
    """A calendar date written MM/DD/YYYY."""

    kind: Literal["date"] = "date"
    value: str

    @model_validator(mode="after")
    def _is_a_date(self) -> Self:
        self.as_date()
        return self

    def as_date(self) -> date:
        """The calendar date. Raises ValueError where the text is not M/D/YYYY."""
        found = re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{4})", self.value)
        if not found:
            raise ValueError(f"{self.value!r} is not a date written MM/DD/YYYY")
        month, day, year = map(int, found.groups())
        return date(year, month, day)


class WeeksDays(Frozen):
    """A gestational age: whole weeks and days (0-6)."""

    kind: Literal["weeks_days"] = "weeks_days"
    weeks: Annotated[int, Field(ge=0)]
    days: Annotated[int, Field(ge=0, le=6)]


class FreeText(Frozen):
    """A short text, with other texts that mean the same."""

    kind: Literal["free_text"] = "free_text"
    text: Annotated[str, Field(min_length=1)]
    aliases: tuple[str, ...] = ()


Gold = Annotated[Choice | Number | Integer | Date | WeeksDays | FreeText, Field(discriminator="kind")]


class Criterion(Frozen):
    """One thing a free answer is judged by, as physicians wrote it down."""

    text: Annotated[str, Field(min_length=1)]
    points: FiniteFloat  # gained where it is met; negative: lost


_ENCODED = json.JSONEncoder(sort_keys=True, ensure_ascii=False, default=vars).encode  # a value inside by its fields


class Question(Frozen):
    """One question as every step sees it."""

    id: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    text: Annotated[str, Field(min_length=1)]
    gold: Gold
    context: str = ""
    options: dict[str, str] = Field(default_factory=dict)  # letter -> text; choice questions only
    licence: str = ""
    group: str = ""
    split: Split | None = None  # declared by the source; None: prepare splits by group
    topic: str = ""  # the calculator or the relation asked for: a slice of the report
    rationale: str = ""  # a worked answer for the warm start; no grader and no prompt reads it
    difficulty: FiniteFloat | None = None  # stated by the source, on its own scale; higher is harder
    rubric: tuple[Criterion, ...] = ()  # as published; no grader and no prompt reads it

    @model_validator(mode="after")
    def _options_belong_to_choice(self) -> Self:
        if isinstance(self.gold, Choice):
            if len(self.options) < 2:
                raise ValueError("a choice question needs at least two options")
            if self.gold.letter not in self.options:
                raise ValueError(f"gold letter {self.gold.letter} is not among the options {', '.join(self.options)}")
            if not LETTERS.issuperset(self.options):
                raise ValueError("option letters are single capitals A-Z")
        elif self.options:
            raise ValueError("only a choice question has options")
        return self

    def canonical(self, split: Split | None = None) -> str:
        """One line of JSON with sorted keys, empty fields left out: equal questions are equal strings.

        `split`, where given, stands in place of the question's own.
        """
        fields = vars(self) | {"split": split} if split else vars(self)
        return _ENCODED({key: value for key, value in fields.items() if value or value == 0})

    @property
    def family(self) -> Family:
        """The task family the method reports by."""
        match self.gold:
            case Choice():
                return "choice"
            case FreeText():
                return "open"
            case _:
                return "calculation"


def gold_text(question: Question) -> str:
    """The gold as a model would write it inside the answer tags."""
    match question.gold:
        case Choice(letter=letter):
            return letter
        case Number(value=value):
            return f"{value:g}" if abs(value) < 1e6 and float(f"{value:g}") == value else repr(value)
        case Integer(value=whole):
            return str(whole)
        case Date(value=text):
            return text
        case WeeksDays(weeks=weeks, days=days):
            return f"{weeks} weeks and {days} days"
        case FreeText(text=text):
            return text
