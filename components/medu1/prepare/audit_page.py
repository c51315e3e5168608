"""The audit a person reads: may training start, what the grader lets through, what it turns down, and on which rows.

`audit.json` beside it holds the same figures for machines. Ids and sources come from data and are hostile: the frame's
policy and escaping hold for them.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from medu1.drawing import page
from medu1.params import Audit
from medu1.prepare.audit_curve import curve
from medu1.scoring.audit import AuditReport, ProbeRate
from medu1.scoring.battery import Probe
from medu1.scoring.calibration import OTHER_TYPE, SAME_TYPE, Acceptance, Calibration
from medu1.scoring.harmless import GOLD

NAME: Final = "audit.html"
TEMPLATE: Final = "audit.html.jinja"
SIDE_BY_SIDE: Final = 6  # sources at most in one table of probes
SHOWN: Final = 10  # ids in a table's cell

WORDS: Final[Mapping[Probe, str]] = {
    Probe.EMPTY: "Nothing between the answer tags",
    Probe.STOP_WORDS: "Nothing but words of any English text, one or several",
    Probe.FIRST_WORD: "Only the first word of the right answer",
    Probe.QUESTION_ECHOED: "The question repeated as its own answer",
    Probe.OTHER_GOLD: "The right answer to a question of another topic or kind",
    Probe.SAME_TYPE_GOLD: "The right answer to another question of the same topic and kind",
    Probe.EVERY_OPTION: "Every option at once, as letters or in full",
    Probe.TWO_NUMBERS: "The right number, date or age, and a wrong one beside it",
    Probe.TEN_TIMES: "The right number times ten",
    Probe.THOUSAND_TIMES: "The right number times a thousand, as in a wrong unit",
    Probe.NEGATED_GOLD: "The right answer, denied",
    Probe.RAMBLE: "The right answer somewhere in 2,000 words of rambling",
    Probe.TAGS_REPEATED: "The right answer, and a second answer block that hedges it",
    Probe.TAGS_NESTED: "The right answer in an answer block inside another",
    Probe.OUTSIDE_TAGS: "The right answer without answer tags",
    Probe.LOOKALIKE_TAGS: "The right answer in tags spelt with a Cyrillic letter",
}


class Line(NamedTuple):
    """One probe on some sources: a rate each, None where it was not tried."""

    probe: Probe
    words: str
    rates: tuple[ProbeRate | None, ...]

    @property
    def tried(self) -> int:
        """On all the sources."""
        return sum(rate.tried for rate in self.rates if rate)

    @property
    def accepted(self) -> int:
        """On all the sources."""
        return sum(rate.accepted for rate in self.rates if rate)

    @property
    def worst(self) -> ProbeRate | None:
        """Of the source that accepts it most often; None where no source accepts any."""
        found = (rate for rate in self.rates if rate and rate.accepted)
        return max(found, key=lambda rate: rate.rate, default=None)


class Making(NamedTuple):
    """How one making of answers is judged: wrongly at the chosen threshold, and where within its limit."""

    curve: Acceptance
    errors: int  # right ones rejected, or wrong ones accepted
    limit: float | None  # None: reported only
    within: tuple[float, ...]  # thresholds

    @property
    def rate(self) -> float:
        """Errors over tried, in [0, 1]."""
        return self.errors / self.curve.tried

    @property
    def is_change(self) -> bool:
        """Whether it is a harmless change of the gold, whose limit is borrowed from the golds."""
        return self.curve.is_right and self.curve.answer != GOLD


class Threshold(NamedTuple):
    """The threshold in use, and those that keep the limits. Rates are in [0, 1], None where nothing was tried."""

    golds: float | None  # rejected
    changes: float | None  # rejected, of the harmless change rejected most often
    others: float | None  # accepted, of golds of another question type
    within: tuple[float, ...]  # for golds and golds of another type
    within_all: tuple[float, ...]  # where harmless changes are held to the golds' limit too: none is stated for them


def render(report: AuditReport, params: Audit, refusals: Sequence[str]) -> str:
    """The page; `refusals` are what is beyond the limits, a line each, and none where training may start."""
    calibration, sources = report.calibration, [rate.source for rate in report.golds]
    environment = page.environment(Path(__file__).parent)
    environment.filters["span"] = span
    return environment.get_template(TEMPLATE).render(
        report=report,
        params=params,
        refusals=refusals,
        words=WORDS,
        shown=SHOWN,
        sources=sources,
        side_by_side=len(sources) <= SIDE_BY_SIDE,
        lines=lambda *among: lines(report.rates, among),
        is_over=lambda rate: _is_over(rate, params),
        over={rate.source for rate in report.rates if _is_over(rate, params)},
        plot=curve(calibration) if calibration else None,
        makings=makings(calibration, params) if calibration else [],
        threshold=threshold(calibration, params) if calibration else None,
    )


def lines(rates: Iterable[ProbeRate], sources: Sequence[str]) -> list[Line]:
    """The probes tried on any of some sources, in the order of the battery."""
    found = {(rate.probe, rate.source): rate for rate in rates}
    table = [Line(probe, WORDS[probe], tuple(found.get((probe, source)) for source in sources)) for probe in Probe]
    return [line for line in table if line.tried]


def makings(calibration: Calibration, params: Audit) -> list[Making]:
    """Every curve at the threshold in use."""
    place = calibration.thresholds.index(calibration.chosen)
    return [
        Making(
            curve=each,
            errors=each.tried - each.accepted[place] if each.is_right else each.accepted[place],
            limit=_limit(each, params),
            within=_within(calibration, params, each.answer),
        )
        for each in calibration.curves
    ]


def threshold(calibration: Calibration, params: Audit) -> Threshold:
    """What the sentences above the table say."""
    found = makings(calibration, params)
    return Threshold(
        golds=_most(each for each in found if each.curve.answer == GOLD),
        changes=_most(each for each in found if each.is_change),
        others=_most(each for each in found if each.curve.answer == OTHER_TYPE),
        within=_within(calibration, params, GOLD, OTHER_TYPE),
        within_all=calibration.within(params.max_false_accept, params.max_false_reject),
    )


def _most(found: Iterable[Making]) -> float | None:
    return max((each.rate for each in found), default=None)


def _is_over(rate: ProbeRate, params: Audit) -> bool:
    return rate.probe.blocks and rate.rate > params.max_false_accept


def span(thresholds: Sequence[float]) -> str:
    """Neighbouring thresholds as a range: an acceptance never rises with the threshold, so none between is missing."""
    if not thresholds:
        return "none"
    first, last = thresholds[0], thresholds[-1]
    return f"{first:.2f} alone" if first == last else f"{first:.2f} to {last:.2f}"


def _within(calibration: Calibration, params: Audit, *answers: str) -> tuple[float, ...]:
    """Thresholds within the limits for some makings alone."""
    curves = tuple(each for each in calibration.curves if each.answer in answers)
    alone = calibration.model_copy(update={"curves": curves})
    return alone.within(params.max_false_accept, params.max_false_reject)


def _limit(each: Acceptance, params: Audit) -> float | None:
    if each.answer == SAME_TYPE:
        return None
    return params.max_false_reject if each.is_right else params.max_false_accept
