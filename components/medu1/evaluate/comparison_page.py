"""The comparison as one self-contained page: figures, plots, and questions on which the two models differ.

Completions are hostile text: the template escapes everything, and the page's policy lets it load or run nothing.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from medu1.drawing import page
from medu1.drawing.percent import percent
from medu1.evaluate import comparison_plots
from medu1.evaluate.comparison import Change, Changed, Compared, Line
from medu1.evaluate.figures import p_is, p_value, points
from medu1.report import Comparison, Row, SetName, Slice

TEMPLATE = "comparison.html.jinja"
LONGEST_SAMPLE = 4000  # characters of a completion or a question
SHOWN = 20  # questions of each kind of change
TITLES: Mapping[SetName, str] = {"test": "Test questions", "ood": "Out of distribution"}
CHANGES: Mapping[Change, str] = {
    "gained": "Gained: wrong before, right now",
    "lost": "Lost: right before, wrong now",
    "flipped": "Another wrong answer",
}


class Samples(NamedTuple):
    """Questions that changed in one way."""

    title: str
    total: int  # of which some are shown
    shown: list[Changed]


def render(compared: Compared, prompts: Mapping[str, str]) -> str:
    """The page; `prompts` are the questions' texts by id, as far as they are there."""
    environment = page.environment(Path(__file__).parent)
    environment.filters |= {"points": points, "p_value": p_value, "p_is": p_is, "excerpt": _excerpt}
    sets = [set_ for set_ in TITLES if _lines(compared, set_)]
    return environment.get_template(TEMPLATE).render(
        compared=compared,
        headline=headline(compared),
        sets=[(TITLES[set_], _kinds(_lines(compared, set_)), _plot(compared, set_)) for set_ in sets],
        samples=[_samples(compared.changed, change) for change in CHANGES],
        prompts=prompts,
    )


def headline(compared: Compared) -> str:
    """All test questions in a sentence; "" where none is scored for both."""
    line = next((line for line in compared.lines if (line.set, line.slice) == ("test", "all")), None)
    if line is None or line.paired is None:
        return ""
    return (
        f"{compared.after.name} answers {_share(line.after)} of the test questions, {compared.before.name} "
        f"{_share(line.before)}: {points(line.paired.difference)} points ({compared.confidence:.0%} interval "
        f"{points(line.paired.low)} to {points(line.paired.high)}; {_counts(line.paired)}, exact McNemar "
        f"{p_is(line.paired.p)})."
    )


def _share(row: Row | None) -> str:
    return percent(row.accuracy if row else None)


def _counts(paired: Comparison) -> str:
    return f"{paired.gained:,} gained, {paired.lost:,} lost"


def _lines(compared: Compared, set_: SetName) -> list[Line]:
    return [line for line in compared.lines if line.set == set_]


def _plot(compared: Compared, set_: SetName) -> str:
    return comparison_plots.gains(_lines(compared, set_), compared.before.name, compared.after.name)


def _kinds(lines: Sequence[Line]) -> dict[str, list[Line]]:
    """By the heading of a table: all questions and families together, then each other kind of slice."""
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(_heading(line.slice), []).append(line)
    return found


def _heading(slice_: Slice) -> str:
    return "By family" if slice_ in ("all", "family") else f"By {slice_}"


def _samples(changed: Sequence[Changed], change: Change) -> Samples:
    """Spread over the sets by a hash of the question's id."""
    found = sorted(
        (each for each in changed if each.change == change),
        key=lambda each: sha256(each.after.question_id.encode()).digest(),
    )
    return Samples(CHANGES[change], len(found), found[:SHOWN])


def _excerpt(text: str) -> str:
    left = len(text) - LONGEST_SAMPLE
    return text if left <= 0 else f"{text[:LONGEST_SAMPLE]}… ({left:,} more characters)"
