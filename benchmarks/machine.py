"""What a benchmark's figures were measured on: a figure without its machine and versions says nothing."""

import os
import platform
from pathlib import Path
from typing import Any

from medu1.code import versions


def machine(*packages: str) -> dict[str, Any]:
    """Cores, processor, Python, and the installed versions of the packages that shape the figures."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "python": platform.python_version(),
        "versions": versions(packages),
    }


def _processor() -> str:
    """The processor's own name where the system tells it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
