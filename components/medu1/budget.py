"""A reasoning-length target in tokens, stated in the prompt and read by the grader; None where length is free."""

from typing import Annotated, Literal

from pydantic import Field

from medu1.question import Frozen


class LengthBudget(Frozen):
    """`exact`: the whole response should use `tokens` tokens; `at_most`: no more than that."""

    tokens: Annotated[int, Field(gt=0)]
    mode: Literal["exact", "at_most"] = "exact"

    def instruction(self) -> str:
        """The method's sentence for the prompt."""
        return f"Think for {'maximum ' if self.mode == 'at_most' else ''}{self.tokens} tokens."
