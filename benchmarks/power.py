"""How often the gate promotes, by simulation through the functions that decide: by chance, and rightly.

    .venv/bin/python -m benchmarks.power --out benchmarks/results/power.json

A decision draws the changes of 600 questions (gained, lost or unchanged) in equal groups over three families of a third
of the groups each, and goes through `paired_test` and `decide`. `correlation` is that of the changes of two questions
of one group: with the chance sqrt(correlation) a question takes the change its group drew, else one of its own. The
parameters are those of params.yaml, but for the margin and `spending: none`, so that each decision has the two-sided
95% interval. Whatever a candidate might fail for beside its accuracy is left out.

Written are three tables: promotions by discordance, margin and groups; the level of the interval that decides beside
that of a percentile bootstrap, with equal and with unequal groups; and ten decisions on one frozen set under each way
to spend alpha. `--markdown` prints them from the file instead.
"""

import argparse
import json
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import product
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import yaml

from benchmarks.machine import machine
from medu1 import record
from medu1.evaluate.decision import decide
from medu1.evaluate.statistics import (
    PairedTest,
    clustered_bootstrap,
    detectable,
    limits,
    paired_test,
    spread,
    wilson,
)
from medu1.evaluate.tabulation import comparison
from medu1.judging import Decide, Spending
from medu1.params import Params
from medu1.report import Comparison, Conduct, Decision, Judged, Protocol, Report, Role, Row, Slice

QUESTIONS, DECISIONS, LEVEL = 600, 2000, 0.95
FAMILIES = ("choice", "open", "calculation")
DISCORDANCE = (0.2, 0.3, 0.4, 0.5)
MARGINS = (0.0, 0.01, 0.02)
GROUPS = (10, 20, 50, 100, 200, 600)
FEW = (5, 10, 20, 50)  # groups at which kinds of intervals are compared
CORRELATIONS = (0.0, 0.3)
GAIN = 0.08
SUCCESSIVE, PLACES = 10, (1, 2, 5, 10)  # decisions on one frozen set, and those whose power is written
SPENDINGS: tuple[Spending, ...] = get_args(Spending)


class Cell(NamedTuple):
    """What is simulated; the seed of its draws is made of these."""

    discordance: float
    groups: int
    correlation: float
    gain: float

    def generator(self) -> np.random.Generator:
        """The draws of this cell, the same whichever process makes them."""
        return np.random.default_rng([round(1000 * value) for value in self])


class Layout(NamedTuple):
    """Which group a question is in, and which questions are in a family."""

    sizes: list[int]
    names: list[str]  # of the groups, question by question
    families: dict[str, "itemgetter[Any]"]


class Tests(NamedTuple):
    """One candidate on all questions and on those of each family."""

    right: dict[Role, int]  # questions
    whole: PairedTest
    families: dict[str, PairedTest]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/power.json"))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--markdown", action="store_true", help="print the tables of the file and measure nothing")
    options = parser.parse_args()
    if not options.markdown:
        record.write_text(options.out, json.dumps(measured(options.processes), indent=1) + "\n")
    print(markdown(json.loads(options.out.read_text(encoding="utf-8"))))


def measured(processes: int) -> dict[str, Any]:
    """Every table and what it was measured on."""
    began = time.monotonic()
    with ProcessPoolExecutor(processes) as pool:
        cells = [Cell(*each) for each in product(DISCORDANCE, GROUPS, CORRELATIONS, (0.0, GAIN))]
        groups, unequal = zip(*product(FEW, (False, True)), strict=True)
        tables = {
            "power": pool.map(promotions, cells),
            "intervals": pool.map(level, groups, unequal),
            "successive": pool.map(successive, CORRELATIONS),
        }
        found = {name: list(table) for name, table in tables.items()}
    settings = {"questions": QUESTIONS, "decisions": DECISIONS, "confidence": LEVEL, "gain": GAIN}
    seconds = round(time.monotonic() - began)
    return {"machine": machine("numpy", "scipy", "pydantic"), "seconds": seconds, "settings": settings, **found}


def promotions(cell: Cell) -> dict[str, Any]:
    """Shares of the decisions that promote, by margin, and what the other conditions do on their own."""
    params = [parameters("none", margin) for margin in MARGINS]
    reports = [report(tests) for tests in candidates(cell, DECISIONS)]
    by_margin = [[decide(found, each, "", "", 0) for found in reports] for each in params]
    first = by_margin[0]
    return {
        **cell._asdict(),
        "promoted": {
            f"{margin:g}": share(decision.passed for decision in decisions)
            for margin, decisions in zip(MARGINS, by_margin, strict=True)
        },
        "bound_above_zero": share(holds(decision, "gain") for decision in first),
        "mcnemar": share(holds(decision, "mcnemar") for decision in first),
        "vetoed": share(not all(holds(decision, f"family:{name}") for name in FAMILIES) for decision in first),
        "detectable": visible(cell),
    }


def visible(cell: Cell) -> float:
    """What the power note says of a test of this cell, were its design effect known."""
    design = 1 + (QUESTIONS / cell.groups - 1) * cell.correlation
    return detectable(QUESTIONS, cell.discordance, design, 1 - LEVEL, cell.groups - 1)


def level(groups: int, unequal: bool) -> dict[str, Any]:
    """How often the lower limit lies above zero under no difference, by kind of interval; at most 2.5% is right."""
    cell, found = Cell(0.3, groups, CORRELATIONS[-1], 0.0), layout(groups, unequal)
    robust = bootstrap = 0
    for changes in drawn(cell, found, DECISIONS):
        moved = changes.tolist()
        robust += limits(float(changes.mean()), spread(moved, found.names), LEVEL).low > 0
        bootstrap += clustered_bootstrap(moved, found.names, LEVEL).low > 0
    shares = {"cluster_robust": robust / DECISIONS, "bootstrap": bootstrap / DECISIONS}
    return {"groups": groups, "unequal": unequal, "correlation": cell.correlation, **shares}


def successive(correlation: float) -> dict[str, Any]:
    """Ten candidates on one frozen set: the chance that any is promoted falsely, and the power at some places."""
    params = {spending: parameters(spending, 0.0) for spending in SPENDINGS}
    null, better = Cell(0.3, 200, correlation, 0.0), Cell(0.3, 200, correlation, GAIN)
    false: dict[Spending, list[bool]] = {spending: [] for spending in SPENDINGS}
    for place, tests in enumerate(candidates(null, DECISIONS * SUCCESSIVE)):
        found = report(tests)
        for spending, each in params.items():
            false[spending].append(decide(found, each, "", "", place % SUCCESSIVE).passed)
    good = [report(tests) for tests in candidates(better, DECISIONS)]
    return {
        "correlation": correlation,
        "any_false": {
            spending: float(np.reshape(passed, (DECISIONS, SUCCESSIVE)).any(axis=1).mean())
            for spending, passed in false.items()
        },
        "power": {
            spending: {
                str(place): share(decide(found, each, "", "", place - 1).passed for found in good) for place in PLACES
            }
            for spending, each in params.items()
        },
    }


def candidates(cell: Cell, count: int) -> Iterator[Tests]:
    """That many candidates of a cell, tested."""
    found = layout(cell.groups)
    unchanged = np.arange(QUESTIONS) % 2 == 0  # right both times, or wrong both times
    for changes in drawn(cell, found, count):
        before, after = (changes < 0) | ((changes == 0) & unchanged), (changes > 0) | ((changes == 0) & unchanged)
        yield tested(before.tolist(), after.tolist(), found)


def tested(before: list[bool], after: list[bool], found: Layout) -> Tests:
    """All questions, and those of each family."""

    def test(of: "itemgetter[Any]") -> PairedTest:
        return paired_test(of(before), of(after), of(found.names), LEVEL)

    return Tests(
        right={"base": sum(before), "candidate": sum(after)},
        whole=paired_test(before, after, found.names, LEVEL),
        families={name: test(of) for name, of in found.families.items()},
    )


def layout(groups: int, unequal: bool = False) -> Layout:
    """Equal groups; or sizes as 1, 1/2, 1/3 and so on, so that the largest of ten holds a third of the questions."""
    weights = 1 / np.arange(1, groups + 1) if unequal else np.ones(groups)
    edges = np.round(np.cumsum(weights) / weights.sum() * QUESTIONS).astype(int)
    sizes = np.diff(edges, prepend=0).tolist()
    numbers = [group for group, size in enumerate(sizes) for _ in range(size)]
    families = {
        name: itemgetter(*(place for place, group in enumerate(numbers) if group % len(FAMILIES) == index))
        for index, name in enumerate(FAMILIES)
    }
    return Layout(sizes, [str(number) for number in numbers], families)


def drawn(cell: Cell, found: Layout, count: int) -> Iterator[Any]:
    """Arrays of -1, 0 and 1, a question each."""
    generator = cell.generator()
    for _ in range(count):
        shared = np.repeat(changed(cell, generator.random(len(found.sizes))), found.sizes)
        own = changed(cell, generator.random(QUESTIONS))
        yield np.where(generator.random(QUESTIONS) < cell.correlation**0.5, shared, own)


def changed(cell: Cell, uniform: Any) -> Any:
    """Gained, lost or unchanged, of which the first two have a chance of `discordance` together."""
    return np.where(uniform < (cell.discordance + cell.gain) / 2, 1, np.where(uniform < cell.discordance, -1, 0))


def report(tests: Tests) -> Report:
    """What `evaluate` would have reported, of the slices that a decision reads."""
    return Report(
        models=tuple(Judged(role=role, weights=role, base="builtin", revision="") for role in tests.right),
        frozen="frozen",
        questions={"test": QUESTIONS, "ood": 0},
        sets=(),
        confidence=LEVEL,
        max_completion_tokens=1,
        protocol=Protocol(backend="transformers", strategy="method", decoding="greedy"),
        batch=1,
        versions={},
        rows=(
            *(row(role, "all", "all", correct) for role, correct in tests.right.items()),
            *(row("candidate", "family", name, QUESTIONS // 2) for name in tests.families),
        ),
        comparisons=(
            compared("all", "all", tests.whole),
            *(compared("family", *each) for each in tests.families.items()),
        ),
        conduct=(
            Conduct(
                role="candidate",
                set="test",
                n=QUESTIONS,
                truncated=0,
                malformed=0,
                unanswered=0,
                unscorable=0,
                tokens_right=None,
                tokens_wrong=None,
            ),
        ),
    )


def row(role: Role, slice_: Slice, name: str, correct: int) -> Row:
    limits_ = wilson(correct, QUESTIONS, LEVEL)
    return Row(
        role=role,
        set="test",
        slice=slice_,
        name=name,
        n=QUESTIONS,
        correct=correct,
        unscorable=0,
        accuracy=correct / QUESTIONS,
        low=limits_.low,
        high=limits_.high,
        chance=None,
    )


def compared(slice_: Slice, name: str, test: PairedTest) -> Comparison:
    """Without the bootstrap and Holm's correction, which decide nothing."""
    return comparison("base", "test", slice_, name, test, test.p, None)


def parameters(spending: Spending, margin: float) -> Decide:
    """Those of params.yaml, but for these."""
    return _written().model_copy(update={"spending": spending, "min_gain": margin})


@cache
def _written() -> Decide:
    file = Path(__file__).parents[1] / "params.yaml"
    return Params.read(yaml.safe_load(file.read_text(encoding="utf-8"))).decide


def holds(decision: Decision, name: str) -> bool:
    """Whether one condition of a decision holds."""
    return next(condition.holds for condition in decision.conditions if condition.name == name)


def share(these: Iterable[bool]) -> float:
    """Of them, those that are true."""
    return float(np.mean(list(these)))


def markdown(found: dict[str, Any]) -> str:
    """The tables as the README has them."""
    return "\n\n".join(
        [_headline(found), _power(found["power"]), _intervals(found["intervals"]), _spent(found["successive"])]
    )


def _headline(found: dict[str, Any]) -> str:
    null = [each for each in found["power"] if each["gain"] == 0]
    worst = max(rate for each in null for rate in each["promoted"].values())
    best = [
        f"{_percent(each['promoted']['0'])} at correlation {each['correlation']:g} and {each['groups']} groups"
        for each in found["power"]
        if each["gain"] and each["discordance"] == 0.3 and each["groups"] >= 200
    ]
    decisions = found["settings"]["decisions"]
    return f"By chance at most {_percent(worst)} in any cell of {decisions:,} decisions; +8 points: {', '.join(best)}."


def _power(cells: list[dict[str, Any]]) -> str:
    """A row a discordance and number of groups; a cell's two numbers are of uncorrelated and correlated groups."""
    by = {(each["discordance"], each["groups"], each["correlation"], each["gain"]): each for each in cells}

    def pair(discordance: float, groups: int, gain: float, margin: str) -> str:
        found = [by[discordance, groups, correlation, gain]["promoted"][margin] for correlation in CORRELATIONS]
        return " / ".join(map(_percent, found))

    rows = [
        [
            f"{discordance:g}",
            str(groups),
            pair(discordance, groups, 0.0, "0"),
            *(pair(discordance, groups, GAIN, f"{margin:g}") for margin in MARGINS),
            " / ".join(f"{100 * by[discordance, groups, each, GAIN]['detectable']:.1f}" for each in CORRELATIONS),
        ]
        for discordance, groups in product(DISCORDANCE, GROUPS)
    ]
    heads = ["no difference, margin 0", *(f"+8, margin {100 * margin:g}" for margin in MARGINS), "detectable points"]
    return _table(["discordance", "groups", *heads], rows)


def _intervals(cells: list[dict[str, Any]]) -> str:
    rows = [
        [
            str(each["groups"]),
            "unequal" if each["unequal"] else "equal",
            f"{each['correlation']:g}",
            _percent(each["cluster_robust"]),
            _percent(each["bootstrap"]),
        ]
        for each in cells
    ]
    return _table(["groups", "sizes", "correlation", "cluster-robust t", "percentile bootstrap"], rows)


def _spent(cells: list[dict[str, Any]]) -> str:
    rows = [
        [
            spending,
            f"{each['correlation']:g}",
            _percent(each["any_false"][spending]),
            *(_percent(each["power"][spending][str(place)]) for place in PLACES),
        ]
        for spending, each in product(SPENDINGS, cells)
    ]
    heads = [f"+8, decision {place}" for place in PLACES]
    return _table(["spending", "correlation", f"any false in {SUCCESSIVE}", *heads], rows)


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---:" for _ in heads], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _percent(rate: float) -> str:
    return f"{100 * rate:.1f}%"


if __name__ == "__main__":
    main()
