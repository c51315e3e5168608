"""The grader: training rewards, evaluation and the reward audit all call `score`, so that none has a second opinion."""

import logging
from collections.abc import Callable
from typing import Final, NamedTuple

from medu1.budget import LengthBudget
from medu1.completion import Completion
from medu1.params import Scoring
from medu1.question import Choice, Date, FreeText, Integer, Number, Question, WeeksDays
from medu1.scoring import paper
from medu1.scoring.answer import Read, read
from medu1.scoring.choice import judge_choice
from medu1.scoring.dates import judge_date
from medu1.scoring.free_text import has_words, judge_free_text
from medu1.scoring.grading import DEFAULT_SCORING
from medu1.scoring.integer import judge_integer
from medu1.scoring.length import closeness
from medu1.scoring.number import judge_number, lies_within_limits
from medu1.scoring.verdict import Judgement, Reason, Verdict, wrong
from medu1.scoring.weeks_days import judge_weeks_days

_log = logging.getLogger(__name__)
_MALFORMED_GOLD = Judgement(None, Reason.UNSCORABLE)


def score(
    question: Question,
    completion: Completion,
    budget: LengthBudget | None = None,
    settings: Scoring = DEFAULT_SCORING,
) -> Verdict:
    """The verdict on one completion. Never raises: a fault of the grader itself is logged and unscorable."""
    try:
        return _verdict(question, completion, budget, settings)
    except Exception:
        _log.exception("the grader failed on question %s", question.id)
        return Verdict(question_id=question.id, format_ok=False, answer=None, correct=None, reason=Reason.UNSCORABLE)


def judge(question: Question, answer: str, settings: Scoring = DEFAULT_SCORING) -> Judgement:
    """The judgement of the preset recommended on an answer already taken out of its tags."""
    match question.gold:
        case Choice() as gold:
            return judge_choice(answer, question.options, gold)
        case Number() as gold:
            return judge_number(answer, gold, settings.number_tolerance)
        case Integer() as gold:
            return judge_integer(answer, gold)
        case Date() as gold:
            return judge_date(answer, gold)
        case WeeksDays() as gold:
            return judge_weeks_days(answer, gold)
        case FreeText() as gold:
            return judge_free_text(answer, gold, question.text, settings.free_text_threshold)


def _read(question: Question, completion: Completion, settings: Scoring) -> Read:
    """Format and answer block; a long gold raises the limit, so that it can always be given."""
    limit = settings.max_answer_characters
    if isinstance(question.gold, FreeText):
        limit = max(limit, 2 * max(map(len, (question.gold.text, *question.gold.aliases))))
    return read(completion, limit)


class Rules(NamedTuple):
    """What a preset consists of; each verdict is these three, whatever the preset."""

    read: Callable[[Question, Completion, Scoring], Read]
    judge: Callable[[Question, str, Scoring], Judgement]
    closeness: Callable[[int | None, LengthBudget | None], float | None]


_RECOMMENDED: Final = Rules(_read, judge, closeness)
_PAPER: Final = Rules(paper.read, paper.judge, paper.length_term)


def _verdict(question: Question, completion: Completion, budget: LengthBudget | None, settings: Scoring) -> Verdict:
    rules = _PAPER if settings.preset == "paper" else _RECOMMENDED
    form, answer, fault = rules.read(question, completion, settings)
    if not is_scorable(question, settings):
        correct, reason, similarity = _MALFORMED_GOLD
    elif fault or answer is None:
        correct, reason, similarity = wrong(fault or Reason.NO_ANSWER)
    else:
        correct, reason, similarity = rules.judge(question, answer, settings)
    length = rules.closeness(completion.tokens, budget)
    return Verdict(question.id, form, answer, correct, reason, similarity, length)


def is_scorable(question: Question, settings: Scoring) -> bool:
    """False where no answer could be right by the gold's own rule."""
    match question.gold:
        case Number() as gold:
            return lies_within_limits(gold, settings.number_tolerance)
        case FreeText() as gold:
            return has_words(gold)
        case _:
            return True
