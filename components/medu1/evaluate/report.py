"""The report a person reads: one self-contained HTML page of a `Report`, its plots and samples of what models wrote.

Completions are hostile text: the template escapes everything, and the page's policy lets it load or run nothing.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment

from medu1.drawing import page
from medu1.evaluate import figures, plots
from medu1.evaluate.tabulation import Verdicts
from medu1.evaluate.verdicts import JudgedAnswer
from medu1.prompt import user_text
from medu1.question import Question
from medu1.report import Comparison, Incumbent, Report, Role, Row, SetName, Slice

NAME = "report.html"
TEMPLATE = "report.html.jinja"
LONGEST_SAMPLE = 4000  # characters of a completion or a question


class Line(NamedTuple):
    """One slice across the models: a cell each, and the candidate's difference from each incumbent."""

    name: str
    cells: list[Row | None]
    differences: list[Comparison | None]


class Sample(NamedTuple):
    """One test question as the incumbent and the candidate answered it."""

    prompt: str
    before: JudgedAnswer
    after: JudgedAnswer


class Samples(NamedTuple):
    """Questions whose verdict or answer changed in one way."""

    title: str
    total: int  # of which some are shown
    shown: list[Sample]


def render(report: Report, verdicts: Verdicts, questions: Mapping[str, Question], shown: int) -> str:
    """The page; `questions` by id, at most `shown` samples in all."""
    incumbents = incumbents_of(report)
    return (
        _environment()
        .get_template(TEMPLATE)
        .render(
            report=report,
            incumbents=incumbents,
            incumbent=incumbents[-1],
            lines=lambda set_, *slices: [line for slice_ in slices for line in lines(report, set_, slice_)],
            titles=plots.TITLES,
            accuracy_plot=plots.accuracy(report),
            gain_plots={incumbent: plots.gains(report, incumbent) for incumbent in incumbents},
            length_plot=plots.lengths({role: sets["test"] for role, sets in verdicts.items()}),
            samples=samples(verdicts[incumbents[-1]]["test"], verdicts["candidate"]["test"], questions, shown),
        )
    )


def incumbents_of(report: Report) -> list[Incumbent]:
    """Whom the candidate is compared with; the one that decides is last."""
    return ["base", "champion"] if report.model("champion") else ["base"]


def lines(report: Report, set_: SetName, slice_: Slice) -> list[Line]:
    """A table's rows for one kind of slice."""
    roles: list[Role] = [model.role for model in report.models]
    return [
        Line(
            "all questions" if slice_ == "all" else name,
            [report.row(role, set_, slice_, name) for role in roles],
            [report.comparison(incumbent, set_, slice_, name) for incumbent in incumbents_of(report)],
        )
        for name in report.names(set_, slice_)
    ]


def samples(
    before: Sequence[JudgedAnswer], after: Sequence[JudgedAnswer], questions: Mapping[str, Question], shown: int
) -> list[Samples]:
    """Wins, losses, and flips from one wrong answer to another; spread over the set by a hash of the id."""
    pairs = sorted(zip(before, after, strict=True), key=lambda pair: sha256(pair[1].question_id.encode()).digest())
    kinds = {
        "Wins: wrong before, right now": [p for p in pairs if p[0].correct is False and p[1].correct],
        "Losses: right before, wrong now": [p for p in pairs if p[0].correct and p[1].correct is False],
        "Flips: another wrong answer": [
            p for p in pairs if p[0].correct is False and p[1].correct is False and p[0].answer != p[1].answer
        ],
    }
    return [
        Samples(title, len(found), [_sample(questions, *pair) for pair in found[: max(1, shown // len(kinds))]])
        for title, found in kinds.items()
    ]


def _sample(questions: Mapping[str, Question], before: JudgedAnswer, after: JudgedAnswer) -> Sample:
    return Sample(user_text(questions[after.question_id]), before, after)


def _environment() -> Environment:
    environment = page.environment(Path(__file__).parent)
    environment.filters |= {
        "points": figures.points,
        "p_value": figures.p_value,
        "p_is": figures.p_is,
        "excerpt": _excerpt,
    }
    return environment


def _excerpt(text: str) -> str:
    left = len(text) - LONGEST_SAMPLE
    return text if left <= 0 else f"{text[:LONGEST_SAMPLE]}… ({left:,} more characters)"
