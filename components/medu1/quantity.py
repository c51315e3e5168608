"""Kubernetes quantities: how much of a resource a pod asks for.

kfp takes a narrower spelling than Kubernetes (no exponent, no fraction of a byte), so a quantity here is one that both
read alike.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

GIB = 2**30
UNITS: dict[str, int] = {"": 1} | {f"{unit}i": 2 ** (10 * power) for power, unit in enumerate("KMGTPE", 1)}
UNITS |= {unit: 10 ** (3 * power) for power, unit in enumerate("MGTPE", 2)}  # Kubernetes' k is no unit of kfp's
CPU = re.compile(r"(\d+)m|(\d+(?:\.\d+)?)", re.ASCII)
BYTES = re.compile(r"(\d+)([A-Za-z]{0,2})", re.ASCII)


def cores(cpu: str) -> float:
    """CPUs of a quantity such as 500m or 1.5. Raises ValueError."""
    if (found := CPU.fullmatch(cpu)) is None or not (given := float(found[1] or 0) / 1000 or float(found[2] or 0)):
        raise ValueError("no quantity of CPUs; write a number such as 4, 0.5 or 500m")
    return given


def gib(memory: str) -> float:
    """GiB of a quantity of bytes such as 64Gi. Raises ValueError."""
    if (found := BYTES.fullmatch(memory)) is None or found[2] not in UNITS or not int(found[1]):
        raise ValueError("no quantity of bytes; write a whole number and a unit, such as 512Mi, 64Gi or 2Ti")
    return int(found[1]) * UNITS[found[2]] / GIB


def _written(value: object) -> object:
    """YAML reads `cpu: 4` as a number."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _cpu(value: str) -> str:
    cores(value)
    return value


def _bytes(value: str) -> str:
    gib(value)
    return value


Cpu = Annotated[str, BeforeValidator(_written), AfterValidator(_cpu)]
Bytes = Annotated[str, BeforeValidator(_written), AfterValidator(_bytes)]
