"""What a run needs from this machine, checked one by one."""

import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from medu1.errors import Stop
from medu1.question import Frozen

PACKAGES = ("torch", "transformers", "trl", "kfp", "mlflow", "dvc", "pyarrow", "pydantic")
FREE_GIB = 5  # an installation and some runs


class Finding(Frozen):
    """One check."""

    name: str
    value: str
    ok: bool


def findings(home: Path) -> list[Finding]:
    """Python, packages, accelerator, tools, disk, and the Docker engine, which only --runner docker needs."""
    packages = (_package(name) for name in PACKAGES)
    return [_python(), *packages, _accelerator(), _tool("git"), _tool("make"), _disk(home), _engine()]


def _python() -> Finding:
    return Finding(name="python", value=sys.version.split()[0], ok=sys.version_info >= (3, 11))


def _package(name: str) -> Finding:
    try:
        return Finding(name=name, value=version(name), ok=True)
    except PackageNotFoundError:
        return Finding(name=name, value="not installed", ok=False)


def _accelerator() -> Finding:
    try:
        import torch
    except ImportError:
        return Finding(name="accelerator", value="unknown without torch", ok=True)
    found = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none: training runs on the processor"
    return Finding(name="accelerator", value=found, ok=True)


def _tool(name: str) -> Finding:
    path = shutil.which(name)
    return Finding(name=name, value=path or "not found", ok=path is not None)


def _disk(home: Path) -> Finding:
    place = next(folder for folder in (home.resolve(), *home.resolve().parents) if folder.exists())
    free = shutil.disk_usage(place).free / 2**30
    return Finding(name="disk", value=f"{free:.1f} GiB free at {place}", ok=free >= FREE_GIB)


def _engine() -> Finding:
    from pipelines import engine

    try:
        with engine.connected() as client:
            found = str(client.version()["Version"])
    except Stop as stop:
        found = f"for --runner docker alone: {stop.fact}"
    return Finding(name="docker", value=found, ok=True)
