"""The nodes of a cluster as a pod asks for them: by labels it needs, labels it prefers, and taints it tolerates.

Kubernetes refuses a wrong label only when the pod is made, hours after the package was, so its syntax is held here.
"""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from medu1.question import Frozen

WORD = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
DOMAIN = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?){0,30}"
KEY = re.compile(rf"(?:{DOMAIN}/)?{WORD}")
VALUE = re.compile(rf"(?:{WORD})?")
NAME = re.compile(DOMAIN)


def _key(value: str) -> str:
    if not KEY.fullmatch(value):
        raise ValueError("no key of a label or taint; write name or domain/name, such as nvidia.com/gpu")
    return value


def _value(value: str) -> str:
    if not VALUE.fullmatch(value):
        raise ValueError("no value of a label or taint: at most 63 letters, digits, - _ . between letters or digits")
    return value


def _name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError("no name of a Kubernetes object: small letters, digits, - and . between letters or digits")
    return value


LabelKey = Annotated[str, AfterValidator(_key)]
LabelValue = Annotated[str, AfterValidator(_value)]
ObjectName = Annotated[str, AfterValidator(_name)]


class Toleration(Frozen):
    """A taint that does not keep a pod away; without an effect, all effects of that taint."""

    key: LabelKey
    operator: Literal["Exists", "Equal"] = "Exists"
    value: LabelValue = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None

    @model_validator(mode="after")
    def _value_goes_with_equal(self) -> Self:
        if bool(self.value) != (self.operator == "Equal"):
            raise ValueError("a value goes with operator Equal, and operator Exists with none")
        return self

    def written(self) -> dict[str, str]:
        """As Kubernetes writes it."""
        return {name: value for name, value in self if value}


class Requirement(Frozen):
    """What a label of a node must be. A label that is absent satisfies NotIn and DoesNotExist."""

    key: LabelKey
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    values: tuple[LabelValue, ...] = ()

    @model_validator(mode="after")
    def _as_many_values_as_it_takes(self) -> Self:
        match self.operator:
            case "In" | "NotIn" if not self.values:
                raise ValueError(f"operator {self.operator} needs values")
            case "Exists" | "DoesNotExist" if self.values:
                raise ValueError(f"operator {self.operator} takes no values")
            case "Gt" | "Lt" if len(self.values) != 1 or not self.values[0].isdecimal():
                raise ValueError(f"operator {self.operator} needs one value, a whole number")
        return self


class Preference(Requirement):
    """A requirement that may stay unmet where no such node is to be had; the heavier one is tried for first."""

    weight: Annotated[int, Field(ge=1, le=100)]
