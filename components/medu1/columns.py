"""Which column of a user's own table is what: a JSON Lines, CSV or Parquet file becomes questions by a mapping alone.

The mapping also states what no file says of itself: its licence and who may hold it. A column that is "" is not there.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from medu1.question import Frozen

Access = Literal["open", "credentialed", "no-redistribution"]
GoldKind = Literal[
    "letter",  # a choice by the option's letter
    "index",  # a choice by the option's place, the first is 0
    "position",  # a choice by the option's place, the first is 1
    "option",  # a choice by the option's own text
    "number",
    "integer",
    "date",  # M/D/YYYY
    "weeks_days",  # such as 14 weeks 1 day
    "free_text",
]
CHOICES = ("letter", "index", "position", "option")

Column = Annotated[str, Field(min_length=1)]


class Columns(Frozen):
    """The mapping of one table; every column by its name in the file."""

    source: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]  # names the questions in reports and in their ids
    licence: Annotated[str, Field(min_length=1)]
    access: Access
    citation: Annotated[str, Field(min_length=1)]
    text: Column
    gold: Column
    kind: GoldKind
    id: str = ""  # "": a row is named by its number
    context: str = ""
    options: tuple[Column, ...] = ()  # one: a mapping of letters or a list; several: a column an option, A first
    lower: str = ""  # limits of a number, both or neither
    upper: str = ""
    aliases: str = ""  # a list of other right answers to a free text
    group: str = ""  # what training and test must not share
    topic: str = ""
    split: str = ""  # train, validation, test or ood; a blank cell is drawn
    difficulty: str = ""  # a number on the source's own scale, higher is harder; a blank cell states none

    @model_validator(mode="after")
    def _columns_suit_the_gold(self) -> Self:
        if (self.kind in CHOICES) != bool(self.options):
            raise ValueError(f"options come with the kinds {', '.join(CHOICES)} and with no other; kind is {self.kind}")
        if bool(self.lower) != bool(self.upper) or (self.lower and self.kind != "number"):
            raise ValueError("lower and upper come together, and only with the kind number")
        if self.aliases and self.kind != "free_text":
            raise ValueError("aliases come with the kind free_text only")
        return self

    def names(self) -> list[str]:
        """Every column that is read."""
        single = (self.id, self.text, self.context, self.gold, self.lower, self.upper, self.aliases)
        wanted = (*single, self.group, self.topic, self.split, self.difficulty, *self.options)
        return list(dict.fromkeys(name for name in wanted if name))
