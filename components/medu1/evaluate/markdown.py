"""The report's essentials as Markdown, for MLflow's and KFP's interfaces: no plots, no samples, no topics.

All that data, models or people say goes through `markdown.text`, so that it is read and never interpreted.
"""

from collections.abc import Iterator
from typing import Final

from medu1.drawing.markdown import table, text
from medu1.drawing.percent import NOTHING, percent
from medu1.drawing.table import Cell
from medu1.evaluate.chapters import chapters
from medu1.evaluate.figures import p_value, points
from medu1.evaluate.lines import TITLES, headline, incumbents_of, lines, protocol, stands, verdict
from medu1.report import Comparison, Decision, Report, Row, SetName

NAME: Final = "report.md"


def render(report: Report, decision: Decision | None = None) -> str:
    """The document; the decision comes first where there is one."""
    return "\n\n".join(_blocks(report, decision)) + "\n"


def _blocks(report: Report, decision: Decision | None) -> Iterator[str]:
    yield "# Evaluation of the candidate"
    if decision:
        yield from _decision(decision)
    if said := headline(report):
        yield text(said)
    sets: tuple[SetName, ...] = ("test", "ood")
    for set_ in (each for each in sets if report.questions.get(each)):
        yield f"## {TITLES[set_]}, by family and source"
        yield _accuracy(report, set_)
    yield "## How the models write"
    yield _conduct(report)
    for chapter in chapters(report):
        yield f"## {chapter.title}"
        yield text(chapter.about)
        for part in chapter.parts:
            yield f"### {text(part.suite)}"
            yield from (each.markdown() for each in part.tables)
    yield "## Protocol"
    yield "\n".join(f"- {text(label)}: {text(said)}" for label, said in protocol(report))


def _decision(decision: Decision) -> Iterator[str]:
    yield f"## Decision: {verdict(decision)}"
    yield text(stands(decision))
    if decision.conditions:
        rows = [[each.name, "Met" if each.holds else "Not met", each.words] for each in decision.conditions]
        yield table(("condition", "holds", "in words"), rows, numbers=False)
    else:
        yield "\n".join(f"- {text(reason)}" for reason in decision.reasons)


def _accuracy(report: Report, set_: SetName) -> str:
    rows = [line for slice_ in ("all", "family", "source") for line in lines(report, set_, slice_)]
    differences = [column for each in incumbents_of(report) for column in (f"minus {each}", "McNemar p")]
    return table(
        ("slice", "scored", *(model.role for model in report.models), *differences),
        (
            [
                line.name,
                f"{line.cells[0].n:,}" if line.cells[0] else NOTHING,
                *map(_share, line.cells),
                *(cell for each in line.differences for cell in _difference(each)),
            ]
            for line in rows
        ),
    )


def _share(row: Row | None) -> str:
    if row is None or not row.n:
        return NOTHING
    return str(Cell(percent(row.accuracy), f"{percent(row.low)} {NOTHING} {percent(row.high)}"))


def _difference(comparison: Comparison | None) -> tuple[str, str]:
    if comparison is None:
        return NOTHING, NOTHING
    limits = f"{points(comparison.low)} to {points(comparison.high)}"
    return str(Cell(points(comparison.difference), limits)), p_value(comparison.p)


def _conduct(report: Report) -> str:
    counted = ("truncated", "malformed", "unanswered", "unscorable")
    return table(
        ("model", "set", "asked", "truncated", "not in format", "no answer", "unscorable"),
        (
            [row.role, TITLES[row.set], f"{row.n:,}", *(percent(getattr(row, name) / row.n) for name in counted)]
            for row in report.conduct
        ),
    )
