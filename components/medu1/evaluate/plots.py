"""The report's plots, as SVG data URIs: the same bytes for the same figures.

Names come from data, so every label is drawn with mathematical markup off.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from medu1.drawing import svg
from medu1.evaluate.verdicts import JudgedAnswer
from medu1.report import WHOLE, Comparison, Incumbent, Report, Role, Row, SetName, Slice

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS: dict[Role, str] = {"base": "#9aa5b1", "champion": "#d9820f", "candidate": "#1b6ca8"}
TITLES: dict[SetName, str] = {"test": "Test", "ood": "Out of distribution"}
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
    spread = [[bar.accuracy - bar.low for bar in bars], [bar.high - bar.accuracy for bar in bars]]
    axes.bar(
        places,
        [bar.accuracy for bar in bars],
        width=width,
        color=COLOURS[role],
        label=role,
        yerr=spread,
        error_kw={"elinewidth": 1, "capsize": 2.5, "ecolor": "#1f2933"},
    )


def gains(report: Report, against: Incumbent) -> str:
    """The paired difference on the test split by family and source, with its cluster-robust interval."""
    kinds: tuple[Slice, ...] = ("all", "family", "source")
    shown = [c for c in report.comparisons if (c.against, c.set) == (against, "test") and c.slice in kinds]
    figure, (axes,) = svg.figure(9.2, 1.0 + 0.32 * len(shown), 1)
    for height, comparison in enumerate(reversed(shown)):
        _gain(axes, height, comparison)
    labels = ["all questions" if c.slice == "all" else f"{c.slice}: {c.name[:40]}" for c in reversed(shown)]
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
