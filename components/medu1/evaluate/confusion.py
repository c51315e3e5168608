"""Which letter the candidate answered where which one was right: a confusion matrix of the choice questions."""

from collections.abc import Mapping, Sequence
from typing import Final

from medu1.evaluate.strategies.answers import letter
from medu1.evaluate.verdicts import JudgedAnswer
from medu1.question import Choice, Frozen, Question

NAME: Final = "letters.json"
NONE: Final = "none"  # no answer, or one that names no option


class Confusion(Frozen):
    """Rows are right letters, columns answered ones, both in the order of `categories`; the last is `none`."""

    categories: tuple[str, ...]
    matrix: tuple[tuple[int, ...], ...]


def confusion(answers: Sequence[JudgedAnswer], questions: Mapping[str, Question]) -> Confusion | None:
    """Of one model's answers; `questions` by id. None where no question has options."""
    pairs = [
        (question.gold.letter, _answered(answer, question, question.gold))
        for answer in answers
        if isinstance((question := questions[answer.question_id]).gold, Choice)
    ]
    if not pairs:
        return None
    letters = {each for pair in pairs for each in pair} - {NONE}
    categories = (*sorted(letters), NONE)
    return Confusion(
        categories=categories,
        matrix=tuple(tuple(pairs.count((gold, answered)) for answered in categories) for gold in categories),
    )


def _answered(answer: JudgedAnswer, question: Question, gold: Choice) -> str:
    """The letter of the option the answer names; what was judged wrong names no right one."""
    if answer.correct:
        return gold.letter
    named = letter(question, answer.answer or "")
    return named if named and named != gold.letter else NONE
