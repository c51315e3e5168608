"""Answers inside replies: which one a reply gives, when two are the same, and an answer in the method's form.

The grader's own readers say what an answer is; no gold is looked at, only of which kind it is, as every prompt tells.
"""

from typing import Final

from medu1.completion import Completion
from medu1.evaluate.strategies.quotation import unbracketed
from medu1.generation.backend import Reply
from medu1.prompt import normalised
from medu1.question import Choice, Date, FreeText, Integer, Number, Question, WeeksDays
from medu1.scoring.answer import TAGS, extract
from medu1.scoring.choice import judge_choice
from medu1.scoring.number import read_number
from medu1.scoring.verdict import Reason
from medu1.scoring.words import content, words

LONGEST: Final = 2000  # characters of an answer that is worth reading
_THINK, _END_THINK, _ANSWER, _ = TAGS


def stated(reply: Reply) -> str | None:
    """The content of the reply's one answer block; None where the grader would find none to judge."""
    text, fault = extract(Completion(question_id="", text=reply.text, finish=reply.finish), LONGEST)
    return None if fault else text


def thought(reply: Reply) -> str:
    """What the reply says before its answer."""
    before, end, _ = reply.text.rpartition(_END_THINK)
    return (before if end else reply.text.partition(_ANSWER)[0]).replace(_THINK, "").strip()


def after_thought(text: str) -> str:
    """What follows the last thought, where the grader looks for an answer; the whole text without one."""
    return text.rpartition(_END_THINK)[2]


def is_tagged(text: str) -> bool:
    """Whether any tag of the method stands in a text."""
    return any(tag in text for tag in TAGS)


def wrapped(reasons: str, answer: str) -> str:
    """An answer without tags, in the method's form; tags in the reasons are made harmless."""
    return f"{_THINK} {unbracketed(reasons).strip()} {_END_THINK}{_ANSWER} {answer.strip()} {TAGS[3]}"


def meaning(question: Question, answer: str | None) -> str | None:
    """Equal for answers that mean the same, such as `C` and `C: text`; None where an answer of the kind is not there.

    Numbers are equal to three significant digits, short texts by their content words in any order.
    """
    if answer is None:
        return None
    match question.gold:
        case Choice():
            return letter(question, answer)
        case Number():
            values = read_number(answer, whole=False)
            return None if isinstance(values, Reason) else f"{values[0]:.3g}"
        case Integer():
            values = read_number(answer, whole=True)
            return None if isinstance(values, Reason) else str(round(values[0]))
        case Date() | WeeksDays():
            parts = normalised(answer).split()
            return " ".join(part.lstrip("0") for part in parts if part != "and") if _has_figures(parts) else None
        case FreeText():
            return " ".join(sorted(set(content(words(answer))))) or normalised(answer) or None


def letter(question: Question, answer: str) -> str | None:
    """The option an answer names, by the grader's own rules; None where it names none or several."""
    named = (each for each in question.options if judge_choice(answer, question.options, Choice(letter=each)).correct)
    return next(named, None)


def _has_figures(parts: list[str]) -> bool:
    return any(part.isdecimal() for part in parts)
