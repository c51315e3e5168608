"""The reward audit: every gold must pass the grader that rewards it, and degenerate answers must not.

A reward that a lone stop word or another question's gold can earn teaches a model to write it.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

from medu1.completion import Completion
from medu1.params import Scoring
from medu1.question import FreeText, Frozen, Question, gold_text
from medu1.scoring.battery import Pool, Probe, answered, attempts
from medu1.scoring.calibration import Calibration, calibrated
from medu1.scoring.grading import DEFAULT_SCORING
from medu1.scoring.score import score

SHOWN: Final = 20  # ids kept of the accepted answers of one rate


class ProbeRate(Frozen):
    """How often one probe was accepted on one source."""

    source: str
    probe: Probe
    tried: int  # questions
    accepted: int  # questions on which any attempt of the probe was accepted
    ids: tuple[str, ...] = ()  # of the first accepted questions

    @property
    def rate(self) -> float:
        """Accepted over tried, in [0, 1]."""
        return self.accepted / self.tried


class GoldRate(Frozen):
    """How many golds of one source fail their own grader."""

    source: str
    golds: int
    rejected: tuple[str, ...] = ()  # ids

    @property
    def rate(self) -> float:
        """Rejected over all, in [0, 1]."""
        return len(self.rejected) / self.golds


class AuditReport(Frozen):
    """What the grader does with every gold and with the battery, by source."""

    golds: tuple[GoldRate, ...]  # false rejects, by source
    rates: tuple[ProbeRate, ...]  # false accepts, by source, then probe
    calibration: Calibration | None  # of the free-text threshold; None without open questions

    @property
    def questions(self) -> int:
        """Questions audited."""
        return sum(rate.golds for rate in self.golds)

    @property
    def false_rejects(self) -> tuple[str, ...]:
        """Ids of questions one of whose golds fails its own grader."""
        return tuple(each for rate in self.golds for each in rate.rejected)

    def worst(self) -> ProbeRate | None:
        """The blocking probe accepted most often; None where nothing was tried."""
        return max((rate for rate in self.rates if rate.probe.blocks), key=lambda rate: rate.rate, default=None)


def audit(questions: Sequence[Question], settings: Scoring = DEFAULT_SCORING) -> AuditReport:
    """Score every gold and every degenerate answer of every question, and calibrate the free-text threshold."""
    return AuditReport(
        golds=_golds(questions, settings),
        rates=_rates(questions, settings),
        calibration=calibrated(questions, settings),
    )


def _golds(questions: Sequence[Question], settings: Scoring) -> tuple[GoldRate, ...]:
    asked = Counter(question.source for question in questions)
    rejected: defaultdict[str, list[str]] = defaultdict(list)
    for question in questions:
        if not _accepts_its_golds(question, settings):
            rejected[question.source].append(question.id)
    return tuple(
        GoldRate(source=source, golds=golds, rejected=tuple(rejected[source]))
        for source, golds in sorted(asked.items())
    )


def _rates(questions: Sequence[Question], settings: Scoring) -> tuple[ProbeRate, ...]:
    pool = Pool(questions)
    tried: Counter[tuple[str, Probe]] = Counter()
    ids: defaultdict[tuple[str, Probe], list[str]] = defaultdict(list)
    for question in questions:
        for probe, is_accepted in _outcomes(question, pool, settings).items():
            tried[question.source, probe] += 1
            if is_accepted:
                ids[question.source, probe].append(question.id)
    return tuple(
        ProbeRate(source=key[0], probe=key[1], tried=count, accepted=len(ids[key]), ids=tuple(ids[key][:SHOWN]))
        for key, count in sorted(tried.items())
    )


def _outcomes(question: Question, pool: Pool, settings: Scoring) -> dict[Probe, bool]:
    """Whether any attempt of each probe is accepted."""
    outcomes: dict[Probe, bool] = {}
    for probe, text in attempts(question, pool, settings):
        outcomes[probe] = outcomes.get(probe, False) or _accepts(question, text, settings)
    return outcomes


def _accepts(question: Question, text: str, settings: Scoring) -> bool:
    return score(question, Completion(question_id=question.id, text=text), settings=settings).correct is True


def _accepts_its_golds(question: Question, settings: Scoring) -> bool:
    aliases = question.gold.aliases if isinstance(question.gold, FreeText) else ()
    return all(_accepts(question, answered(text), settings) for text in (gold_text(question), *aliases))
