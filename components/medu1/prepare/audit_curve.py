"""The calibration as a figure: the share accepted of each making of answers, by the free-text threshold.

Several right makings lie on one line at the top, so each is drawn thinner than the one below it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

from medu1.drawing import svg
from medu1.scoring.calibration import Acceptance, Calibration

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

Corner = Literal["upper left", "lower left"]

RIGHT: Final = ("#b5dfc3", "#7cc795", "#43a86d", "#1a7f4b", "#0d4f2d")
WRONG: Final = ("#b3261e", "#e58a7b")
THICKEST, THINNEST = 7.0, 1.5  # points


def curve(calibration: Calibration) -> str:
    """The figure as the address of an image."""
    figure, (axes,) = svg.figure(9.2, 3.9)
    right, wrong = ([each for each in calibration.curves if each.is_right is kind] for kind in (True, False))
    _legend(axes, "right answers: should pass", _lines(axes, calibration, right, RIGHT), "upper left")
    _legend(axes, "wrong answers: should fail", _lines(axes, calibration, wrong, WRONG), "lower left")
    _mark(axes, calibration.chosen)
    axes.set_xlim(0, 1)
    axes.set_ylim(-4, 104)
    axes.set_xlabel("free-text threshold (similarity at which an answer counts as right)")
    axes.set_ylabel("answers accepted (%)")
    axes.grid(color=svg.GRID)
    return svg.uri(figure)


def _lines(
    axes: "Axes", calibration: Calibration, curves: Sequence[Acceptance], colours: Sequence[str]
) -> "list[Line2D]":
    """A line each, named as its making is."""
    step = (THICKEST - THINNEST) / len(RIGHT)
    return [
        axes.plot(
            calibration.thresholds,
            [100 * rate for rate in each.rates()],
            color=colours[place % len(colours)],
            linewidth=max(THINNEST, THICKEST - place * step) if each.is_right else 2.2,
            label=each.answer,
        )[0]
        for place, each in enumerate(curves)
    ]


def _legend(axes: "Axes", title: str, lines: "Sequence[Line2D]", corner: Corner) -> None:
    """Right of the axes, one of several. Names may hold a dollar sign: no mathematical markup."""
    from matplotlib.legend import Legend

    if lines:
        names = [str(line.get_label()) for line in lines]
        place = (1.02, 1 if corner == "upper left" else 0)
        legend = Legend(axes, lines, names, title=title, loc=corner, bbox_to_anchor=place, frameon=False)
        legend.set_alignment("left")
        for text in legend.get_texts():
            text.set_parse_math(False)
        axes.add_artist(legend)
        legend.set_clip_on(False)  # axes clip what is added to them


def _mark(axes: "Axes", chosen: float) -> None:
    axes.axvline(chosen, color="#1f2933", linewidth=1.2, linestyle=(0, (4, 3)))
    side, shift = ("right", -5) if chosen > 0.5 else ("left", 5)
    axes.annotate(
        f"chosen: {chosen:.2f}", (chosen, 50), xytext=(shift, 0), textcoords="offset points", ha=side, va="center"
    )
