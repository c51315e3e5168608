"""SVG figures as data URIs, so that a page is one file: no pyplot, no global state, one figure has one text of bytes.

Matplotlib is imported where a figure is drawn: a step that draws none does not wait for it.
"""

import base64
import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLE: Any = {"svg.hashsalt": "medu1", "font.size": 9.5, "axes.spines.top": False, "axes.spines.right": False}
STYLE |= {"axes.edgecolor": "#8a94a0", "axes.labelcolor": "#1f2933", "text.color": "#1f2933", "axes.axisbelow": True}
GRID = "#e4e7eb"


def figure(
    width: float, height: float, panels: int = 1, sharex: bool = False, sharey: bool = True
) -> "tuple[Figure, list[Axes]]":
    """A figure of so many inches and its panels, side by side, on one y axis unless `sharey` is off."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        drawn = Figure(figsize=(width, height), layout="constrained")
        axes: Any = drawn.subplots(1, panels, squeeze=False, sharey=sharey, sharex=sharex)
    return drawn, list(axes[0])


def label(text: str, longest: int = 40) -> str:
    """What data calls something, as the plots' font can draw it, on one line."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties()))
    line = " ".join(text[: longest + 1].split())
    cut = line if len(line) <= longest else f"{line[: longest - 1]}…"
    return "".join(letter if letter.isprintable() and font.get_char_index(ord(letter)) else "?" for letter in cut)


def uri(figure: "Figure") -> str:
    """The figure as the address of an image."""
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()
