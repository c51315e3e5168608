"""A section of `params.yaml` as a frozen value, and errors that name the wrong key and the nearest right one."""

import difflib
import json
from typing import Annotated, Any, Self, get_args, get_origin

from pydantic import BaseModel, Field, ValidationError

from medu1.errors import Stop
from medu1.question import Frozen

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(gt=0)]
Whole = Annotated[int, Field(ge=0)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, lt=1)]  # a learning rate or a significance level


class Section(Frozen):
    """One step's parameters."""

    def canonical(self) -> str:
        """Sorted keys, no spaces: equal parameters are equal strings."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `canonical` writes. Raises Stop naming the key that is wrong."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise explained(error, cls, cls.__name__.lower()) from None


def explained(error: ValidationError, model: type[BaseModel], where: str) -> Stop:
    """What is wrong with a section, or a mapping of them, key by key."""
    lines = [_line(problem, model) for problem in error.errors()]
    return Stop(f"{where}: " + "; ".join(lines) + ".", next_step="Correct the parameter and run again.")


def _line(problem: Any, model: type[BaseModel]) -> str:
    path = [str(part) for part in problem["loc"]]
    dotted = ".".join(path)
    match problem["type"]:
        case "missing":
            return f"{dotted} is missing"
        case "extra_forbidden":
            nearest = difflib.get_close_matches(path[-1], _keys(model, path[:-1]), n=1, cutoff=0.0)
            return f"{dotted} is not a parameter; the nearest is {'.'.join([*path[:-1], *nearest])}"
        case _:
            message = problem["msg"].removeprefix("Value error, ")
            return (
                f"{dotted or 'value'} = {problem['input']!r}: {message}"
                if not isinstance(problem["input"], dict)
                else f"{dotted}: {message}"
            )


def _keys(model: type[BaseModel], path: list[str]) -> list[str]:
    """The fields at a path; a mapping of any keys to models is passed through."""
    found: Any = model
    for key in path:
        found = get_args(found)[-1] if get_origin(found) is dict else found.model_fields[key].annotation
    return list(found.model_fields)
