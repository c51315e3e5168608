"""The comparison's plots: accuracy of both models beside their paired difference, one row a slice."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from medu1.drawing import svg
from medu1.report import Row, Slice

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from medu1.evaluate.comparison import Line

BEFORE, AFTER = "#9aa5b1", "#1b6ca8"
FALLEN, RISEN, OPEN = "#b3261e", "#1a7f4b", "#5b6673"
SHOWN: tuple[Slice, ...] = ("all", "family", "source")
APART = 0.16  # of a row, between the two models


def gains(lines: "Sequence[Line]", before: str, after: str) -> str:
    """Accuracies with Wilson's intervals on the left, on the right the difference with its cluster-robust one."""
    shown = [line for line in reversed(lines) if line.slice in SHOWN]
    figure, (shares, difference) = svg.figure(9.6, 1.2 + 0.34 * len(shown), 2)
    for height, line in enumerate(shown):
        _share(shares, height + APART, line.before, BEFORE)
        _share(shares, height - APART, line.after, AFTER)
        _difference(difference, height, line)
    for colour, name in ((BEFORE, before), (AFTER, after)):
        shares.plot([], [], color=colour, marker="o", label=svg.label(name))
    figure.legend(*shares.get_legend_handles_labels(), loc="outside upper right", ncols=2, frameon=False)
    labels = ["all questions" if line.slice == "all" else f"{line.slice}: {svg.label(line.name)}" for line in shown]
    shares.set_yticks(range(len(shown)), labels, parse_math=False)
    shares.set_xlim(0, 100)
    shares.set_xlabel("accuracy (%)")
    difference.axvline(0, color="#1f2933", linewidth=1)
    difference.set_xlabel("difference (points)")
    for axes in (shares, difference):
        axes.grid(axis="x", color=svg.GRID)
        axes.margins(y=0.5 / max(1, len(shown)))
    return svg.uri(figure)


def _share(axes: "Axes", height: float, row: Row | None, colour: str) -> None:
    if row is None or row.accuracy is None:
        return
    axes.plot([100 * row.low, 100 * row.high], [height, height], color=colour, linewidth=2, solid_capstyle="butt")
    axes.plot([100 * row.accuracy], [height], marker="o", markersize=5, color=colour)


def _difference(axes: "Axes", height: int, line: "Line") -> None:
    if line.paired is None:
        return
    low, middle, high = (100 * value for value in (line.paired.low, line.paired.difference, line.paired.high))
    colour = RISEN if low > 0 else FALLEN if high < 0 else OPEN
    axes.plot([low, high], [height, height], color=colour, linewidth=2, solid_capstyle="butt")
    axes.plot([middle], [height], marker="o", markersize=6, color=colour)
