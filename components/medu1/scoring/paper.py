"""Preset `paper`: how the authors of Med-U1 (arXiv 2506.12307) extract, judge and measure, for comparison runs.

Faults are kept, since a comparison is with what they did: "(A)" is no letter, "25 mL/min" no number, limits are read
in the order given, and free text is judged by precision alone, so that one word of the reference is right. The reward
audit refuses to train with it unless its limits are raised. Words are lower-cased and split at white space, as the
method describes; the released code also drops articles and spells numbers as digits before it counts them.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice

from medu1.budget import LengthBudget
from medu1.completion import Completion
from medu1.params import Scoring
from medu1.question import Choice, Date, FreeText, Integer, Number, Question, WeeksDays, gold_text
from medu1.scoring.answer import TAGS, Extracted, Read
from medu1.scoring.verdict import Judgement, Reason, right, wrong

_OPEN, _CLOSE = TAGS[2:]
_SMOOTHED = 0.1  # the numerator of an n-gram precision without a match: method 1 of Chen and Cherry 2014
_ORDERS = (1, 2, 3)


def format_in_order(text: str) -> bool:
    """True iff the four tags stand once each and in order, whatever stands outside the blocks."""
    places = [text.find(tag) for tag in TAGS]
    return all(text.count(tag) == 1 for tag in TAGS) and places == sorted(places)


def read(question: Question, completion: Completion, settings: Scoring) -> Read:
    """Format and answer; neither depends on the other."""
    return Read(format_in_order(completion.text), *last_answer(completion.text))


def last_answer(text: str) -> Extracted:
    """The stripped content of the last answer block, wherever it stands."""
    found, start = None, 0
    while (opened := text.find(_OPEN, start)) >= 0 and (closed := text.find(_CLOSE, opened)) >= 0:
        found = text[opened + len(_OPEN) : closed]
        start = closed + len(_CLOSE)
    if found is None:
        return Extracted(None, Reason.NO_ANSWER)
    return Extracted(found.strip() or None, None if found.strip() else Reason.EMPTY_ANSWER)


def length_term(used: int | None, budget: LengthBudget | None) -> float | None:
    """In [-1, 1], N the budget: exact 1 - |used - N| / 1500, at most (N - used) / 500, both clipped; None without."""
    if used is None or budget is None:
        return None
    left = budget.tokens - used
    return max(-1.0, min(1.0, 1 - abs(left) / 1500 if budget.mode == "exact" else left / 500))


def judge(question: Question, answer: str, settings: Scoring) -> Judgement:
    """Equality with the gold as it is written, a float inside the limits, or a free text above the threshold."""
    match question.gold:
        case Choice(letter=letter):
            return _same(answer, letter, Reason.WRONG_LETTER if answer in question.options else Reason.NOT_AN_OPTION)
        case Number(value=value, lower=None):
            slack = abs(value) * settings.number_tolerance
            return _inside(answer, value - slack, value + slack)
        case Number(lower=float(lower), upper=float(upper)):
            return _inside(answer, lower, upper)
        case Integer(value=value):
            return _inside(answer, value, value)
        case Date(value=text):
            return _same(answer, text, Reason.WRONG_DATE)
        case WeeksDays():
            return _same(answer, gold_text(question), Reason.WRONG_WEEKS_DAYS)
        case FreeText(text=text):
            measure = _measure(text, answer, settings)
            is_right = measure > settings.paper_threshold
            return right(measure / 100) if is_right else wrong(Reason.BELOW_THRESHOLD, measure / 100)
    raise AssertionError(question.gold)


def exact_match_score(reference: str, candidate: str) -> float:
    """EMS, in [0, 100]: distinct words of the reference found in the candidate, over the candidate's words."""
    said = candidate.lower().split()
    return 100 * len(set(reference.lower().split()).intersection(said)) / len(said) if said else 0.0


def bleu(reference: str, candidate: str) -> float:
    """The mean of sentence BLEU (Papineni et al. 2002) by 1-, 2- and 3-grams alone; 0 without a shared word."""
    gold, said = reference.split(), candidate.split()
    if set(gold).isdisjoint(said):
        return 0.0
    brevity = 1.0 if len(said) > len(gold) else math.exp(1 - len(gold) / len(said))
    return sum(brevity * _precision(gold, said, order) for order in _ORDERS) / len(_ORDERS)


def _precision(gold: Sequence[str], said: Sequence[str], order: int) -> float:
    """Clipped n-gram precision."""
    wanted = Counter(_grams(gold, order))
    shared = (Counter(gram for gram in _grams(said, order) if gram in wanted) & wanted).total()
    return (shared or _SMOOTHED) / max(1, len(said) - order + 1)


def _grams(words: Sequence[str], order: int) -> Iterable[tuple[str, ...]]:
    return zip(*(islice(words, start, None) for start in range(order)), strict=False)


def _measure(reference: str, candidate: str, settings: Scoring) -> float:
    """In [0, 100] for EMS and in [0, 1] for BLEU; Merge averages the two, whose scales do not match."""
    match settings.paper_metric:
        case "ems":
            return exact_match_score(reference, candidate)
        case "bleu":
            return bleu(reference, candidate)
        case "merge":
            return 0.5 * exact_match_score(reference, candidate) + 0.5 * bleu(reference, candidate)


def _same(answer: str, gold: str, otherwise: Reason) -> Judgement:
    return right() if answer == gold else wrong(otherwise)


def _inside(answer: str, lower: float, upper: float) -> Judgement:
    try:
        value = float(answer)
    except ValueError:
        return wrong(Reason.NOT_A_NUMBER)
    return right() if lower <= value <= upper else wrong(Reason.OUTSIDE_LIMITS)
