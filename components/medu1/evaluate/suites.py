"""From a suite to what it asks. Nothing hangs on the suite's name: two suites of one split ask the same questions.

Questions are those whose ids hash lowest, so that a larger suite asks a smaller one's questions too.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import assert_never

from medu1.budget import LengthBudget
from medu1.errors import Stop
from medu1.evaluate.asking import Asking, Sheet
from medu1.evaluate.orders import permuted
from medu1.question import Question
from medu1.report import SetName
from medu1.suite import Compared, Lengths, Permuted, Sampled, Suite

Sheets = Mapping[str, Sequence[Sheet]]  # by suite


def asked(suites: Mapping[str, Suite], sets: Mapping[SetName, Sequence[Question]]) -> Sheets:
    """The sheets of every suite. Raises Stop where one has no question to ask."""
    return {name: sheets(name, suite, sets[suite.split]) for name, suite in suites.items()}


def sheets(name: str, suite: Suite, questions: Sequence[Question]) -> list[Sheet]:
    """What a suite asks, of the questions of its split: one sheet, or one a strategy."""
    match suite:
        case Lengths(tokens=tokens, mode=mode):
            budgets = [LengthBudget(tokens=budget, mode=mode) for budget in dict.fromkeys(tokens)]
            chosen = _chosen(name, suite, questions)
            return [_sheet(name, suite, [Asking(q, str(b.tokens), b) for b in budgets for q in chosen])]
        case Permuted(orders=orders):
            chosen = _chosen(name, suite, [question for question in questions if question.options], "choice questions")
            return [_sheet(name, suite, [Asking(put, order) for q in chosen for order, put in permuted(q, orders)])]
        case Sampled(samples=samples, temperature=temperature):
            numbers = [str(number) for number in range(1, samples + 1)]
            sheet = _sheet(name, suite, [Asking(q, n) for q in _chosen(name, suite, questions) for n in numbers])
            return [sheet._replace(temperature=temperature)]
        case Compared(strategies=strategies):
            chosen = _chosen(name, suite, questions)
            return [
                Sheet(suite.split, f"{name}, {strategy}", strategy, tuple(Asking(q, strategy) for q in chosen))
                for strategy in strategies
            ]
        case _:
            assert_never(suite)


def _sheet(name: str, suite: Suite, askings: Sequence[Asking]) -> Sheet:
    return Sheet(suite.split, name, "method", tuple(askings))


def _chosen(name: str, suite: Suite, questions: Sequence[Question], what: str = "questions") -> list[Question]:
    """At most the suite's number of questions, in the split's order."""
    if not questions:
        raise Stop(
            f"The suite evaluate.suites.{name} is empty: the split {suite.split} has no {what}.",
            f"A suite of kind {suite.kind} asks the {what} of its split.",
            f"Take {name} out of evaluate.suites, or give it another split.",
        )
    kept = {question.id for question in sorted(questions, key=_hash)[: suite.questions]}
    return [question for question in questions if question.id in kept]


def _hash(question: Question) -> bytes:
    return sha256(question.id.encode()).digest()
