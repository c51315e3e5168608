"""How the free-text threshold trades false accepts against false rejects, measured on the questions themselves.

Wrong answers are golds of other questions: of another type, which must not pass, and of the same type, which now and
then say the same. Right answers are the gold and harmless changes of it. The grader's hard rules do not move with the
threshold, so a rate need not reach 0 or 1 at the ends of the curve.
"""

from collections.abc import Sequence
from typing import Final

from medu1.params import Scoring
from medu1.question import FreeText, Frozen, Question, gold_text
from medu1.scoring.battery import Pool, draw
from medu1.scoring.harmless import CHANGES
from medu1.scoring.score import is_scorable, judge

GRID: Final = tuple(step / 20 for step in range(21))
SAMPLE: Final = 2000  # open questions measured at most, spread over the set by a hash of their ids
OTHER_TYPE: Final = "the gold of another question type"
SAME_TYPE: Final = "another gold of the same question type"


class Acceptance(Frozen):
    """How many answers of one making are accepted at each threshold."""

    answer: str  # how the answers are made
    is_right: bool  # whether they should be accepted
    tried: int
    accepted: tuple[int, ...]  # by threshold

    def rates(self) -> tuple[float, ...]:
        """Accepted over tried, by threshold, in [0, 1]."""
        return tuple(count / self.tried for count in self.accepted)


class Calibration(Frozen):
    """The curve, over the open questions or a sample of them."""

    questions: int
    thresholds: tuple[float, ...]  # rising; the one in use is among them
    chosen: float  # the threshold in use
    curves: tuple[Acceptance, ...]

    def at_chosen(self, curve: Acceptance) -> float:
        """The share of a curve's answers that is accepted at the threshold in use."""
        return curve.rates()[self.thresholds.index(self.chosen)]

    def within(self, max_false_accept: float, max_false_reject: float) -> tuple[float, ...]:
        """Thresholds at which another type's gold passes, and each right making fails, at most this often."""
        return tuple(
            threshold
            for place, threshold in enumerate(self.thresholds)
            if all(
                1 - curve.rates()[place] <= max_false_reject
                if curve.is_right
                else curve.rates()[place] <= max_false_accept
                for curve in self.curves
                if curve.answer != SAME_TYPE
            )
        )


def calibrated(questions: Sequence[Question], settings: Scoring) -> Calibration | None:
    """The curve of the preset recommended; None where no question is open or another preset is in use."""
    found = [each for each in questions if isinstance(each.gold, FreeText) and is_scorable(each, settings)]
    if not found or settings.preset != "recommended":
        return None
    asked = sorted(found, key=lambda question: draw(question.id))[:SAMPLE]
    answers = {name: [(question, change(question)) for question in asked] for name, change in CHANGES.items()}
    pool = Pool(found)
    wrong = {
        OTHER_TYPE: [(each, gold_text(other)) for each in asked if (other := pool.other_type(each, settings))],
        SAME_TYPE: [(each, gold_text(other)) for each in asked if (other := pool.same_type(each, settings))],
    }
    chosen = settings.free_text_threshold
    thresholds = tuple(sorted({*GRID, chosen}))
    made = {**answers, **wrong}.items()
    curves = tuple(_curve(name, name in CHANGES, pairs, thresholds, settings) for name, pairs in made if pairs)
    return Calibration(questions=len(asked), thresholds=thresholds, chosen=chosen, curves=curves)


def _curve(
    name: str,
    is_right: bool,
    answers: Sequence[tuple[Question, str]],
    thresholds: Sequence[float],
    settings: Scoring,
) -> Acceptance:
    reached = [reach(question, answer, settings) for question, answer in answers]
    accepted = tuple(sum(most is not None and most >= least for most in reached) for least in thresholds)
    return Acceptance(answer=name, is_right=is_right, tried=len(answers), accepted=accepted)


def reach(question: Question, answer: str, settings: Scoring) -> float | None:
    """The highest threshold at which an answer to an open question is right; None where it is wrong at any."""
    lenient = judge(question, answer, settings.model_copy(update={"free_text_threshold": 0.0}))
    if not lenient.correct:
        return None
    strict = judge(question, answer, settings.model_copy(update={"free_text_threshold": 1.0}))
    return 1.0 if strict.correct else lenient.similarity
