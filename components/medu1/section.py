"""A section of `params.yaml` as a frozen value, and errors that name the wrong key and the nearest right one."""

import difflib
import json
from collections.abc import Sequence
from types import NoneType
from typing import Annotated, Any, NamedTuple, Self, get_args, get_origin

from pydantic import BaseModel, Field, ValidationError

from medu1.errors import Stop
from medu1.question import Frozen

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(gt=0)]
Whole = Annotated[int, Field(ge=0)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, lt=1)]  # a learning rate or a significance level

KEY = "[key]"  # in pydantic's locations: what is wrong is the key of a mapping, not its value


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
    lines = [_line(problem, model) for problem in error.errors() if not _follows(problem, error)]
    return Stop(f"{where}: " + "; ".join(lines) + ".", next_step="Correct the parameter and run again.")


def _follows(problem: Any, error: ValidationError) -> bool:
    """Whether a sequence is too short only because its items are wrong, which are named themselves."""
    loc = problem["loc"]
    below = (other["loc"][: len(loc)] == loc and len(other["loc"]) > len(loc) for other in error.errors())
    return problem["type"] == "too_short" and any(below)


class _Place(NamedTuple):
    """Where a problem lies: the keys as a person writes them, and the type that is expected there."""

    path: list[str]
    expected: Any


def _line(problem: Any, model: type[BaseModel]) -> str:
    path, expected = _place(model, problem["loc"])
    dotted = ".".join(path)
    match problem["type"]:
        case "missing":
            return f"{dotted} is missing"
        case "extra_forbidden":
            nearest = difflib.get_close_matches(path[-1], _keys(model, problem["loc"][:-1]), n=1, cutoff=0.0)
            return f"{dotted} is not a parameter; the nearest is {'.'.join([*path[:-1], *nearest])}"
        case "union_tag_invalid":
            return f"{dotted}.kind = {problem['ctx']['tag']!r}: the kinds are {', '.join(_members(expected))}"
        case "union_tag_not_found":
            return f"{dotted}.kind is missing: the kinds are {', '.join(_members(expected))}"
        case _ if KEY in problem["loc"]:
            return f"{dotted} cannot be named so: {problem['msg'].removeprefix('Value error, ')}"
        case _:
            message = problem["msg"].removeprefix("Value error, ")
            return (
                f"{dotted or 'value'} = {problem['input']!r}: {message}"
                if not isinstance(problem["input"], dict)
                else f"{dotted}: {message}"
            )


def _keys(model: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    """The fields at a place."""
    return list(_place(model, loc).expected.model_fields)


def _place(model: type[BaseModel], loc: Sequence[str | int]) -> _Place:
    """What pydantic's location stands for: it names the chosen member of a tagged union too, and a wrong key itself."""
    path: list[str] = []
    expected: Any = model
    for part in loc:
        if member := _members(expected).get(str(part)):
            expected = member
        elif part != KEY:
            path.append(str(part))
            expected = _below(expected, part)
    return _Place(path, expected)


def _members(expected: Any) -> dict[str, Any]:
    """The models of a tagged union by their kinds; none where the type is no such union."""
    models = [each for each in get_args(_bare(expected)) if isinstance(each, type) and issubclass(each, BaseModel)]
    kinds = [get_args(each.model_fields["kind"].annotation) for each in models if "kind" in each.model_fields]
    return {kind: model for model, (kind, *_) in zip(models, kinds, strict=True)} if len(kinds) == len(models) else {}


def _below(expected: Any, part: str | int) -> Any:
    """The type of a field, or of what a mapping or a sequence holds; None where nothing is known of it."""
    found = _bare(expected)
    if isinstance(found, type) and issubclass(found, BaseModel):
        field = found.model_fields.get(str(part))
        return field.annotation if field else None
    match get_args(found):
        case [*_, held] if get_origin(found) is dict:
            return held
        case [held, *_]:
            return held
        case _:
            return None


def _bare(expected: Any) -> Any:
    """A type without its annotations and without None."""
    if get_origin(expected) is Annotated:
        return _bare(get_args(expected)[0])
    some = [each for each in get_args(expected) if each is not NoneType]
    return _bare(some[0]) if len(some) == 1 and len(get_args(expected)) == 2 else expected
