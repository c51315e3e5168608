"""How fast the gates of the training data are, and how much memory they take.

    .venv/bin/python -m benchmarks.data                  every section
    .venv/bin/python -m benchmarks.data contamination    one of them; the others keep their figures

A section makes its own rows, the same on every machine. `contamination` lets ours and the plain version judge them in
turn, so that a busy machine slows both alike, and holds that both say the same of every row; `prepare` takes a million
rows through all gates. Each figure stands beside its target, and
the exit code is 1 where one is missed.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.data_contamination import contamination
from benchmarks.data_prepare import prepare
from benchmarks.machine import machine
from medu1 import record

Figures = dict[str, Any]


class Target(NamedTuple):
    """What a figure of a section has to reach."""

    figure: str
    at_least: float | None = None
    at_most: float | None = None

    def is_missed(self, value: float) -> bool:
        """Whether a value lies beyond a bound."""
        under = self.at_least is not None and value < self.at_least
        return under or (self.at_most is not None and value > self.at_most)

    def __str__(self) -> str:
        bounds = {"at least": self.at_least, "at most": self.at_most}
        return ", ".join(f"{name} {bound:g}" for name, bound in bounds.items() if bound is not None)


class Section(NamedTuple):
    """One gate's benchmark."""

    measure: Callable[[], Figures]
    targets: tuple[Target, ...]


SECTIONS: Final[Mapping[str, Section]] = {
    "contamination": Section(
        contamination,
        (Target("seconds", at_most=10), Target("ratio", at_least=3), Target("differing_rows", at_most=0)),
    ),
    "prepare": Section(prepare, (Target("rows_per_second", at_least=10_000), Target("peak_mib", at_most=1536))),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", metavar="section", help=f"of {', '.join(SECTIONS)}; none: all")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/data.json"))
    options = parser.parse_args()
    if unknown := set(options.sections) - SECTIONS.keys():
        parser.error(f"there is no section {', '.join(sorted(unknown))}; the sections are {', '.join(SECTIONS)}")
    figures = {name: SECTIONS[name].measure() for name in options.sections or SECTIONS}
    kept = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else {}
    written = {**kept, **figures, "machine": machine("medu1", "numpy", "pyarrow", "pydantic", "tokenizers")}
    record.write_text(options.out, json.dumps(written, indent=1) + "\n")
    sys.exit(0 if reached(figures) else 1)


def reached(figures: Mapping[str, Figures]) -> bool:
    """Print every figure, those with a target beside it; True where none is missed."""
    print(json.dumps(figures, indent=1))
    missed = 0
    for name, section in figures.items():
        for target in SECTIONS[name].targets:
            value = section[target.figure]
            missed += target.is_missed(value)
            verdict = "  MISSED" if target.is_missed(value) else ""
            print(f"{name}, {target.figure}: {value:,.4g}, target {target}{verdict}")
    return not missed


if __name__ == "__main__":
    main()
