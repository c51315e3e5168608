"""What became of each source's rows as a figure: one bar a source, in shares, so that small sources are seen too."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from medu1.drawing import svg
from medu1.prepare.fates import Account
from medu1.prepare.rows.fate import Fate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BARS: Final = 30  # sources drawn, the largest
NAME: Final = 28  # characters of a source's name

COLOURS: Final[Mapping[Fate, str]] = {
    Fate.KEPT: "#43a86d",
    Fate.LABEL: "#7a1f7a",
    Fate.IDENTIFIED: "#1f2933",
    Fate.REPEATED: "#8fa3b8",
    Fate.ASKED: "#c9b458",
    Fate.CONTAMINATED: "#b3261e",
    Fate.TOO_LONG: "#e58a4b",
    Fate.OVER_CAP: "#d7dde4",
}


def bars(accounts: Sequence[Account]) -> str:
    """The figure as the address of an image."""
    drawn = largest(accounts)
    figure, (axes,) = svg.figure(9.2, 1.1 + 0.3 * len(drawn))
    _stack(axes, drawn)
    axes.set_yticks(range(len(drawn)), [label(each) for each in drawn], parse_math=False)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("rows (%)")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return svg.uri(figure)


def largest(accounts: Sequence[Account]) -> list[Account]:
    """What there is room for, alphabetically."""
    return sorted(sorted(accounts, key=lambda each: (-each.total, each.source))[:BARS], key=lambda each: each.source)


def label(account: Account) -> str:
    """A source and its rows; the figure's font has plain letters only."""
    plain = "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in account.source)
    name = plain if len(plain) <= NAME else plain[: NAME - 3] + "..."
    return f"{name}  {account.total:,}"


def _stack(axes: "Axes", drawn: Sequence[Account]) -> None:
    """What is kept first, then every fate that some row has."""
    left = [0.0] * len(drawn)
    for fate, colour in COLOURS.items():
        if not any(each.rows[fate] for each in drawn):
            continue
        shares = [100 * each.rows[fate] / each.total for each in drawn]
        axes.barh(range(len(drawn)), shares, left=left, height=0.68, color=colour, label=fate.value)
        left = [start + share for start, share in zip(left, shares, strict=True)]
