"""The report a person reads: one self-contained HTML page of a `Report`, its plots and samples of what models wrote.

Completions are hostile text: the template escapes everything, and the page's policy lets it load or run nothing. The
decision comes later than the page and stands first on it: `decided` puts it where the page says `MARK`, which no text
of a model can say, as its `<` is escaped.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from jinja2 import Environment
from markupsafe import Markup

from medu1.drawing import page
from medu1.errors import Stop
from medu1.evaluate import figures, plots
from medu1.evaluate.chapters import chapters
from medu1.evaluate.lines import TITLES, headline, incumbents_of, lines, protocol, stands, verdict
from medu1.evaluate.tabulation import Verdicts
from medu1.evaluate.verdicts import JudgedAnswer
from medu1.prompt import user_text
from medu1.question import Question
from medu1.report import Decision, Report

NAME: Final = "report.html"
TEMPLATE: Final = "report.html.jinja"
DECISION: Final = "decision.html.jinja"
MARK: Final = "<!-- the decision -->"
LONGEST_SAMPLE: Final = 4000  # characters of a completion or a question


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
    """The page without a decision; `questions` by id, at most `shown` samples in all."""
    incumbents = incumbents_of(report)
    return (
        _environment()
        .get_template(TEMPLATE)
        .render(
            report=report,
            incumbents=incumbents,
            incumbent=incumbents[-1],
            headline=headline(report),
            lines=lambda set_, *slices: [line for slice_ in slices for line in lines(report, set_, slice_)],
            titles=TITLES,
            accuracy_plot=plots.accuracy(report),
            gain_plots={incumbent: plots.gains(report, incumbent) for incumbent in incumbents},
            length_plot=plots.lengths({role: sets["test"] for role, sets in verdicts.items()}),
            chapters=chapters(report),
            suite_plots=plots.suites(report.probes),
            samples=samples(verdicts[incumbents[-1]]["test"], verdicts["candidate"]["test"], questions, shown),
            protocol=protocol(report),
        )
    )


def decided(page: str, decision: Decision) -> str:
    """A rendered page with the decision on top. Raises Stop where it has no place for one."""
    above, mark, below = page.partition(MARK)
    if not mark:
        raise Stop(
            "The page of the evaluation has no place for the decision.",
            "Another version of medu1 made it.",
            "Evaluate the candidate again.",
        )
    template = _environment().get_template(DECISION)
    told = template.render(decision=decision, verdict=verdict(decision), stands=stands(decision))
    return f"{above}{told}{below}"


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
    environment.globals["mark"] = Markup(MARK)
    environment.filters |= {"points": figures.points, "p_value": figures.p_value, "excerpt": _excerpt}
    return environment


def _excerpt(text: str) -> str:
    left = len(text) - LONGEST_SAMPLE
    return text if left <= 0 else f"{text[:LONGEST_SAMPLE]}… ({left:,} more characters)"
