"""The report's plots, as SVG data URIs: the same bytes for the same figures.

Names come from data, so every label is drawn with mathematical markup off and in the letters the font has.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from medu1.drawing import svg
from medu1.evaluate.chapters import by_suite
from medu1.evaluate.lines import TITLES
from medu1.evaluate.verdicts import JudgedAnswer
from medu1.report import (
    WHOLE,
    Comparison,
    Incumbent,
    LengthPoint,
    Probes,
    Report,
    Role,
    Row,
    Sampling,
    SetName,
    Slice,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS: dict[Role, str] = {"base": "#9aa5b1", "champion": "#d9820f", "candidate": "#1b6ca8"}
FALLEN, RISEN, OPEN = "#b3261e", "#1a7f4b", "#5b6673"


class Bar(NamedTuple):
    """A share with its interval."""

    accuracy: float
    low: float
    high: float


def accuracy(report: Report) -> str:
    """Accuracy by family and model, one panel a set, with Wilson intervals."""
    sets = [set_ for set_ in TITLES if report.questions.get(set_)]
    figure, panels = svg.figure(9.2, 3.3, len(sets))
    for axes, set_ in zip(panels, sets, strict=True):
        _families(axes, report, set_)
    panels[0].set_ylabel("accuracy (%)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=3, frameon=False)
    return svg.uri(figure)


def _families(axes: "Axes", report: Report, set_: SetName) -> None:
    slices: list[tuple[Slice, str]] = [("all", WHOLE), *(("family", name) for name in report.names(set_, "family"))]
    roles = [model.role for model in report.models]
    width = 0.8 / len(roles)
    for place, role in enumerate(roles):
        found = [report.row(role, set_, slice_, name) for slice_, name in slices]
        bars = [(index, _bar(row)) for index, row in enumerate(found) if row and row.n]
        shift = (place - (len(roles) - 1) / 2) * width
        _bars(axes, [index + shift for index, _ in bars], [bar for _, bar in bars], 0.9 * width, role)
    axes.set_xticks(range(len(slices)), [name for _, name in slices], parse_math=False)
    axes.set_ylim(0, 105)
    axes.set_title(f"{TITLES[set_]} ({report.questions[set_]:,} questions)", loc="left", fontsize=10.5)
    axes.grid(axis="y", color=svg.GRID)
    axes.tick_params(length=0)


def _bar(row: Row) -> Bar:
    return Bar(100 * (row.accuracy or 0.0), 100 * row.low, 100 * row.high)


def _bars(axes: "Axes", places: Sequence[float], bars: Sequence[Bar], width: float, role: Role) -> None:
    axes.bar(
        places,
        [bar.accuracy for bar in bars],
        width=width,
        color=COLOURS[role],
        label=role,
        yerr=_spread(bars),
        error_kw={"elinewidth": 1, "capsize": 2.5, "ecolor": "#1f2933"},
    )


def _spread(bars: Sequence[Bar]) -> list[list[float]]:
    """Below and above; rounding may put a limit past its share, and matplotlib takes nothing below zero."""
    return [[max(0.0, bar.accuracy - bar.low) for bar in bars], [max(0.0, bar.high - bar.accuracy) for bar in bars]]


def gains(report: Report, against: Incumbent) -> str:
    """The paired difference on the test split by family and source, with its cluster-robust interval."""
    kinds: tuple[Slice, ...] = ("all", "family", "source")
    shown = [c for c in report.comparisons if (c.against, c.set) == (against, "test") and c.slice in kinds]
    figure, (axes,) = svg.figure(9.2, 1.0 + 0.32 * len(shown), 1)
    for height, comparison in enumerate(reversed(shown)):
        _gain(axes, height, comparison)
    labels = ["all questions" if c.slice == "all" else f"{c.slice}: {svg.label(c.name)}" for c in reversed(shown)]
    axes.set_yticks(range(len(shown)), labels, parse_math=False)
    axes.axvline(0, color="#1f2933", linewidth=1)
    axes.set_xlabel(f"candidate minus {against} (points of accuracy)")
    axes.grid(axis="x", color=svg.GRID)
    axes.margins(y=0.5 / max(1, len(shown)))
    return svg.uri(figure)


def _gain(axes: "Axes", height: int, comparison: Comparison) -> None:
    low, middle, high = (100 * value for value in (comparison.low, comparison.difference, comparison.high))
    colour = RISEN if low > 0 else FALLEN if high < 0 else OPEN
    axes.plot([low, high], [height, height], color=colour, linewidth=2, solid_capstyle="butt")
    axes.plot([middle], [height], marker="o", markersize=6, color=colour)


def lengths(answers: Mapping[Role, Sequence[JudgedAnswer]]) -> str:
    """Response length on the test split, right against wrong, one panel a model."""
    figure, panels = svg.figure(9.2, 2.5, len(answers), sharex=True)
    longest = max((row.tokens or 0 for rows in answers.values() for row in rows), default=0)
    edges = [longest * step / 24 for step in range(25)] if longest else [0.0, 1.0]
    for axes, (role, rows) in zip(panels, answers.items(), strict=True):
        tokens = [_tokens(rows, right) for right in (True, False)]
        axes.hist(tokens, bins=edges, stacked=True, color=[RISEN, "#d3a09b"], label=["right", "wrong"])
        axes.set_title(role, loc="left", fontsize=10.5)
        axes.set_xlabel("response length (tokens)")
    panels[0].set_ylabel("questions")
    panels[-1].legend(frameon=False)
    return svg.uri(figure)


def _tokens(rows: Iterable[JudgedAnswer], right: bool) -> list[int]:
    return [row.tokens for row in rows if row.correct is right and row.tokens is not None]


def suites(probes: Probes) -> dict[str, str]:
    """The plots of the suites that have one, by the suite's name."""
    lengths = {name: budgets(asked) for name, asked in by_suite(probes.lengths).items()}
    return lengths | {name: several(asked) for name, asked in by_suite(probes.sampling).items()}


def budgets(asked: Sequence[LengthPoint]) -> str:
    """One suite: accuracy with its interval, and mean tokens, against the budget; one line a model."""
    figure, (shares, tokens) = svg.figure(9.2, 3.1, 2, sharey=False)
    wanted = sorted({each.budget for each in asked})
    tokens.plot(wanted, wanted, color=OPEN, linewidth=1, linestyle=":", label="as asked")
    for role, of in _by_role(asked).items():
        scored = [each for each in of if each.accuracy is not None]
        places = [each.budget for each in scored]
        bars = [Bar(100 * (each.accuracy or 0.0), 100 * each.low, 100 * each.high) for each in scored]
        _line(shares, places, bars, role)
        long = [(each.budget, each.tokens) for each in of if each.tokens is not None]
        tokens.plot([x for x, _ in long], [y for _, y in long], color=COLOURS[role], marker="o", label=role)
    shares.set_ylabel("accuracy (%)")
    tokens.set_ylabel("mean tokens written")
    tokens.set_ylim(bottom=0)
    for axes in (shares, tokens):
        _counted(axes, wanted, "tokens asked for")
    tokens.legend(frameon=False)
    return svg.uri(figure)


def several(asked: Sequence[Sampling]) -> str:
    """One suite: pass@k and maj@k against k; one colour a model."""
    figure, (axes,) = svg.figure(9.2, 3.1, 1)
    for each in asked:
        for shares, style, name in ((each.pass_at, "-", "pass@k"), (each.majority_at, "--", "maj@k")):
            sizes = sorted(shares)
            heights = [100 * shares[k] for k in sizes]
            axes.plot(sizes, heights, style, color=COLOURS[each.role], marker="o", label=f"{each.role}, {name}")
    axes.set_ylabel("questions (%)")
    _counted(axes, sorted({k for each in asked for k in (*each.pass_at, *each.majority_at)}), "answers a question, k")
    axes.set_ylim(0, 105)
    figure.legend(loc="outside right upper", frameon=False)
    return svg.uri(figure)


def _by_role(asked: Iterable[LengthPoint]) -> dict[Role, list[LengthPoint]]:
    found: dict[Role, list[LengthPoint]] = {}
    for each in sorted(asked, key=lambda each: each.budget):
        found.setdefault(each.role, []).append(each)
    return found


def _line(axes: "Axes", places: Sequence[int], bars: Sequence[Bar], role: Role) -> None:
    heights = [bar.accuracy for bar in bars]
    axes.errorbar(places, heights, yerr=_spread(bars), color=COLOURS[role], marker="o", capsize=2.5, label=role)


def _counted(axes: "Axes", places: Sequence[int], title: str) -> None:
    """An axis of doublings that names the places there are."""
    from matplotlib.ticker import NullLocator

    axes.set_xscale("log", base=2)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(places, [f"{place:,}" for place in places])
    axes.set_xlabel(title)
    axes.grid(color=svg.GRID)
