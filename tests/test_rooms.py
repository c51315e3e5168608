"""Who may import whom, read from the syntax tree, so that an import inside a function counts as well.

pipelines -> a room's component.py -> its own step -> generation, scoring, calculators -> storage, tracking -> nouns.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
MEDU1 = ROOT / "components" / "medu1"

STEPS = {"run", "base", "prepare", "train", "evaluate", "register"}
SHARED = {"calculators", "scoring", "generation", "builtin", "drawing"}  # below the steps
SERVICES = {  # not nouns: they touch disks and servers
    *("bucket", "storage", "tracking", "registered_models", "stage", "code", "dataset", "webhook"),
}
MAY_USE = {
    "run": set[str](),
    "base": {"builtin", "calculators"},
    "prepare": {"builtin", "calculators", "drawing", "scoring"},
    "train": {"generation", "scoring"},
    "evaluate": {"drawing", "generation", "scoring"},
    "register": {"drawing"},
    "calculators": set[str](),
    "scoring": set[str](),
    "generation": set[str](),
    "builtin": {"calculators"},
    "drawing": set[str](),
}
ONLY_IN = {  # third-party package -> the places that may import it
    "kfp": {"pipelines"},
    "trl": {"train"},
    "kubeflow": {"train"},
    "kubernetes": {"train"},
    "vllm": {"generation"},
    "dvc": {"prepare"},
    "mlflow": {"tracking.py", "registered_models.py", "register"},
    "boto3": {"bucket.py"},
    "botocore": {"bucket.py"},
    "docker": {"pipelines"},
    "typer": {"pipelines"},
    "rich": {"pipelines"},
    "croniter": {"pipelines"},
}
NO_FRAMEWORKS = {"torch", "trl", "transformers", "kfp", "mlflow"}


class Import(NamedTuple):
    """One import statement: where it stands and what it names."""

    place: str  # a room, a top-level file, or pipelines
    file: str
    line: int
    module: str  # dotted

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


def imports(root: Path) -> list[Import]:
    """Every import below components/medu1 and pipelines of a checkout."""
    found = []
    for base in (root / "components" / "medu1", root / "pipelines"):
        for path in sorted(base.rglob("*.py")):
            place = "pipelines" if base.name == "pipelines" else path.relative_to(base).parts[0]
            name = path.relative_to(root).as_posix()
            found += [Import(place, name, line, module) for line, module in modules(path.read_text(encoding="utf-8"))]
    return found


def modules(source: str) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of every imported module or member."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                yield from ((node.lineno, f"{module}.{alias.name}") for alias in names)
            case ast.ImportFrom(level=level) if level:
                yield node.lineno, "." * level


def room_of(module: str) -> str | None:
    """The room or top-level file of medu1 that a dotted name lies in; None for another package."""
    head, _, rest = module.partition(".")
    return rest.partition(".")[0] if head == "medu1" else None


def violations(found: list[Import]) -> list[str]:
    """Every import against the directions, with the rule it breaks."""
    return [f"{one}: {rule}" for one in found if (rule := broken(one))]


def broken(one: Import) -> str | None:
    """The rule an import breaks; None where it is fine."""
    package, room = one.module.partition(".")[0], room_of(one.module)
    if one.module.startswith("."):
        return "names are absolute"
    if package == "pipelines" and one.place != "pipelines":
        return "nothing below imports pipelines"
    if package == "components":
        return "components is a source root, not a package"
    if package in ONLY_IN and one.place not in ONLY_IN[package]:
        return f"{package} belongs to {', '.join(sorted(ONLY_IN[package]))}"
    if one.place in {"scoring", "calculators"} and package in NO_FRAMEWORKS:
        return "scoring and calculators know no framework"
    if one.place in MAY_USE and room in STEPS | SHARED and room not in MAY_USE[one.place] | {one.place}:
        return (
            f"{one.place} may use {', '.join(sorted(MAY_USE[one.place])) or 'no room'}; what two steps share moves down"
        )
    if one.place.endswith(".py"):
        return broken_below(one, package, room)
    return None


def broken_below(one: Import, package: str, room: str | None) -> str | None:
    """Rules of the files at the top of medu1: services know nouns and services, nouns know nouns."""
    if room in STEPS | SHARED:
        return "nothing at the top of medu1 imports a room"
    if one.place.removesuffix(".py") in SERVICES:
        return None
    if room in SERVICES:
        return "nouns import no service"
    if package not in sys.stdlib_module_names | {"pydantic", "medu1"}:
        return "nouns import the standard library and pydantic only"
    return None


def test_imports_follow_the_directions_of_the_house() -> None:
    assert violations(imports(ROOT)) == []


def test_every_room_has_a_rule() -> None:
    rooms = {path.name for path in MEDU1.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert rooms == MAY_USE.keys()


def test_component_files_import_only_inside_their_functions() -> None:
    """kfp ships a function's source without its module."""
    for path in MEDU1.glob("*/component.py"):
        top = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if _is_import(node)]
        named = {node.module if isinstance(node, ast.ImportFrom) else None for node in top}
        assert named <= {"typing"}, path


def _is_import(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("components/medu1/train/grpo.py", "from medu1.evaluate import report"),
        ("components/medu1/train/grpo.py", "import mlflow"),
        ("components/medu1/train/component.py", "from kfp import dsl"),
        ("components/medu1/scoring/score.py", "def f():\n    import torch"),
        ("components/medu1/builtin/facts.py", "from medu1.base import component"),
        ("components/medu1/drawing/svg.py", "from medu1.scoring import score"),
        ("components/medu1/train/grpo.py", "from medu1.drawing import svg"),
        ("components/medu1/question.py", "import numpy"),
        ("components/medu1/question.py", "from medu1.storage import open_store"),
        ("components/medu1/storage.py", "from medu1.prepare import sources"),
        ("components/medu1/prepare/step.py", "from pipelines import cli"),
        ("components/medu1/evaluate/step.py", "from . import report"),
        ("pipelines/cli.py", "import mlflow"),
    ],
)
def test_a_wrong_import_is_found(file: str, source: str, tmp_path: Path) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(source, encoding="utf-8")
    (tmp_path / "pipelines").mkdir(exist_ok=True)
    assert len(violations(imports(tmp_path))) == 1
