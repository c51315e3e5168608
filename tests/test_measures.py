"""The suites' measures against enumerations of every subset, and the figures that are made of them."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import combinations, product
from math import isclose

import pytest

from medu1.budget import LengthBudget
from medu1.evaluate.asking import Asking
from medu1.evaluate.measures import Vote, keeps, majority_at, pass_at, sizes
from medu1.evaluate.probing import probes
from medu1.evaluate.statistics import wilson
from medu1.evaluate.suites import sheets
from medu1.evaluate.verdicts import JudgedAnswer
from medu1.question import Choice, FreeText, Integer, Question, gold_text
from medu1.report import Consistency, LengthPoint, Sampling, Strategic
from medu1.suite import Compared, Lengths, Permuted, Sampled, Suite


def enumerated(votes: Sequence[Vote], k: int) -> Fraction:
    """maj@k the slow way: every subset, the most frequent answers of each, one of them at random."""
    won = [Fraction(0)]
    subsets = list(combinations(range(len(votes)), k))
    for subset in subsets:
        counts = Counter(votes[place].answer for place in subset if votes[place].answer is not None)
        best = [answer for answer, count in counts.items() if count == max(counts.values())]
        right = {vote.answer for vote in votes if vote.is_right}
        won.append(Fraction(sum(answer in right for answer in best), len(best)) if best else Fraction(0))
    return sum(won) / len(subsets)


def votes_of(answers: Iterable[str]) -> list[Vote]:
    """Letters as answers: `-` is none, capitals are right."""
    return [Vote(None if letter == "-" else letter, letter.isupper()) for letter in answers]


@pytest.mark.parametrize("samples", range(1, 9))
def test_pass_at_k_is_the_share_of_subsets_with_a_right_answer(samples: int) -> None:
    for right, k in product(range(samples + 1), range(1, samples + 1)):
        subsets = list(combinations([True] * right + [False] * (samples - right), k))
        assert isclose(pass_at(samples, right, k), sum(map(any, subsets)) / len(subsets), abs_tol=1e-12)


@pytest.mark.parametrize(
    "answers",
    [
        "A",
        "b",
        "-",
        "Ab",
        "AAb",
        "Abb",
        "AAbb",
        "Aabb-",
        "AABBcc",
        "AAAbbbcc",
        "A-------",
        "AAbc-dd",
        "ABCabc--",
        "AAAAbbb-c",
    ],
)
def test_majority_at_k_is_its_share_of_all_subsets(answers: str) -> None:
    votes = votes_of(answers)
    ks = list(range(1, len(votes) + 1))
    found = majority_at(votes, ks)
    for k in ks:
        assert isclose(found[k], enumerated(votes, k), abs_tol=1e-12), k


def test_majority_at_k_agrees_with_the_enumeration_whatever_six_answers_are() -> None:
    for answers in product("ABcd-", repeat=6):
        votes = votes_of(answers)
        if sorted(answers) == list(answers):  # the order of answers says nothing
            found = majority_at(votes, [2, 3, 6])
            assert all(isclose(found[k], enumerated(votes, k), abs_tol=1e-12) for k in (2, 3, 6)), answers


def test_majority_does_not_hang_on_the_order_of_answers() -> None:
    assert majority_at(votes_of("AAbbc"), [3, 5]) == majority_at(votes_of("cbAbA"), [3, 5])


def test_a_tie_is_broken_evenly_and_silence_casts_no_vote() -> None:
    assert majority_at(votes_of("Ab"), [2]) == {2: 0.5}
    assert majority_at(votes_of("A---"), [4]) == {4: 1.0}
    assert majority_at(votes_of("----"), [4]) == {4: 0.0}


def test_as_many_samples_as_a_suite_may_ask_for_are_counted_at_once() -> None:
    votes = [Vote(str(number // 3), number // 3 == 5) for number in range(100)]
    found = majority_at(votes, sizes(100))
    assert isclose(found[1], 0.03)
    assert isclose(found[100], 1 / 33)  # 33 answers three times each, one once


def test_k_are_powers_of_two_and_the_number_of_samples() -> None:
    assert sizes(8) == [1, 2, 4, 8]
    assert sizes(6) == [1, 2, 4, 6]
    assert sizes(1) == [1]


@pytest.mark.parametrize(
    ("tokens", "is_whole", "mode", "kept"),
    [
        (36, True, "exact", True),
        (44, True, "exact", True),
        (35, True, "exact", False),
        (45, True, "exact", False),
        (40, False, "exact", False),
        (40, True, "at_most", True),
        (1, True, "at_most", True),
        (41, True, "at_most", False),
        (40, False, "at_most", False),
    ],
)
def test_a_budget_is_kept_within_a_tenth_or_from_below(tokens: int, is_whole: bool, mode: str, kept: bool) -> None:
    assert keeps(tokens, is_whole, LengthBudget(tokens=40, mode=mode)) is kept  # type: ignore[arg-type]


def choice(number: int, letter: str = "A") -> Question:
    options = {"A": f"one {number}", "B": f"two {number}", "C": f"three {number}", "D": f"four {number}"}
    return Question(
        id=f"c{number}",
        source="s",
        text=f"{number}?",
        gold=Choice(letter=letter),
        options=options,
        group=f"g{number % 4}",
    )


def row(asking: Asking, answer: str | None, correct: bool | None, **changes: object) -> JudgedAnswer:
    question = asking.question
    made = JudgedAnswer(
        question_id=question.id,
        split="test",
        source="s",
        family=question.family,
        group=question.group or question.id,
        topic="",
        gold=gold_text(question),
        completion="",
        tokens=10,
        finish="stop",
        format_ok=True,
        answer=answer,
        correct=correct,
        similarity=None,
        reason="right",
        variant=asking.variant,
    )
    return made.model_copy(update=changes)


Answer = Callable[[Asking], JudgedAnswer]


def figures(suite: Suite, questions: Sequence[Question], answer: Answer) -> tuple[object, ...]:
    """The one kind of figures that a suite gives, of the base."""
    asked = sheets("s", suite, questions)
    answers = {"base": {"s": [[answer(asking) for asking in sheet.askings] for sheet in asked]}}
    found = probes({"s": suite}, {"s": asked}, answers, 0.95)  # type: ignore[arg-type]
    (own,) = (kind for kind in (found.lengths, found.consistency, found.sampling, found.strategies) if kind)
    return own


ORDERS = Permuted(kind="permuted", split="test", questions=10, orders=4)


def consistency(answer: Answer, questions: Sequence[Question]) -> Consistency:
    (found,) = figures(ORDERS, questions, answer)
    assert isinstance(found, Consistency)
    return found


def test_who_follows_the_option_is_consistent_and_who_prefers_a_letter_is_not() -> None:
    questions = [choice(number, "ABCD"[number % 4]) for number in range(8)]
    knowing = consistency(lambda asking: row(asking, gold_text(asking.question), True), questions)
    assert (knowing.n, knowing.accuracy, knowing.consistent, knowing.always_right) == (8, 1.0, 1.0, 1.0)
    assert knowing.letters == knowing.golds == dict.fromkeys("ABCD", 0.25)  # a rotation brings every letter
    stubborn = consistency(lambda asking: row(asking, "B", gold_text(asking.question) == "B"), questions)
    assert (stubborn.n, stubborn.accuracy, stubborn.consistent, stubborn.always_right) == (8, 0.25, 0.0, 0.0)
    assert stubborn.letters == {"B": 1.0}
    assert (stubborn.low, stubborn.high) == tuple(wilson(0, 8, 0.95))


def test_an_option_named_by_its_text_counts_as_named() -> None:
    def by_text(asking: Asking) -> JudgedAnswer:
        shown = asking.question.options
        letter = next(letter for letter, text in shown.items() if text.startswith("two"))
        return row(asking, shown[letter] if asking.variant == "ABCD" else f"{letter}: {shown[letter]}", False)

    found = consistency(by_text, [choice(1), choice(2)])
    assert (found.consistent, found.always_right) == (1.0, 0.0)


def test_a_question_without_an_answer_in_one_order_is_not_consistent() -> None:
    found = consistency(
        lambda asking: row(asking, None if asking.variant == "ABCD" else gold_text(asking.question), True), [choice(1)]
    )
    assert found.consistent == 0.0
    assert sum(found.letters.values()) == pytest.approx(1.0)  # of the answers that name one


def test_a_question_unscorable_in_one_order_is_left_out() -> None:
    def answer(asking: Asking) -> JudgedAnswer:
        hidden = asking.question.id == "c1" and asking.variant == "ABCD"
        return row(asking, "A", None if hidden else False)

    assert consistency(answer, [choice(1), choice(2)]).n == 1
    nothing = consistency(lambda asking: row(asking, "A", None), [choice(1)])
    assert (nothing.n, nothing.accuracy, nothing.consistent, nothing.low, nothing.high) == (0, None, None, 0.0, 1.0)


SAMPLES = Sampled(kind="sampled", split="test", questions=10, samples=4, temperature=0.7)


def test_sampled_answers_become_pass_and_majority_figures() -> None:
    whole = Question(id="n", source="s", text="?", gold=Integer(value=3))
    free = Question(id="f", source="s", text="?", gold=FreeText(text="aspirin"))
    said = {"n": ["3", "3.0", "4", None], "f": ["ibuprofen", "Ibuprofen.", "aspirin", "aspirin"]}
    right = {"n": [True, True, False, False], "f": [False, False, True, True]}

    def answer(asking: Asking) -> JudgedAnswer:
        place = int(asking.variant) - 1
        return row(asking, said[asking.question.id][place], right[asking.question.id][place])

    (found,) = figures(SAMPLES, [whole, free], answer)
    assert isinstance(found, Sampling)
    assert (found.n, found.samples, found.temperature) == (2, 4, 0.7)
    assert found.pass_at == pytest.approx({1: 0.5, 2: 5 / 6, 4: 1.0})
    votes = [votes_of("AAb-"), votes_of("aaBB")]
    for k in (1, 2, 4):
        assert found.majority_at[k] == pytest.approx(float(sum(enumerated(own, k) for own in votes) / 2))
    assert (found.low, found.high) == tuple(wilson(round(1.5), 2, 0.95))


def test_a_question_with_an_unscorable_sample_is_left_out_and_none_left_is_said() -> None:
    (found,) = figures(SAMPLES, [choice(1)], lambda asking: row(asking, "A", None if asking.variant == "2" else True))
    assert isinstance(found, Sampling)
    assert (found.n, found.pass_at, found.majority_at, found.low, found.high) == (0, {}, {}, 0.0, 1.0)


def test_accuracy_and_adherence_are_told_budget_by_budget() -> None:
    suite = Lengths(kind="length", split="test", questions=10, tokens=(20, 40), mode="exact")

    def answer(asking: Asking) -> JudgedAnswer:
        assert asking.budget
        short = asking.budget.tokens == 20
        return row(asking, "A", short, tokens=20, length=1.0 if short else 0.5)

    points = figures(suite, [choice(1), choice(2)], answer)
    assert [
        (p.budget, p.mode, p.n, p.correct, p.tokens, p.kept, p.closeness) for p in points if isinstance(p, LengthPoint)
    ] == [
        (20, "exact", 2, 2, 20.0, 1.0, 1.0),
        (40, "exact", 2, 0, 20.0, 0.0, 0.5),
    ]


def test_strategies_are_compared_with_the_one_named_first() -> None:
    suite = Compared(kind="strategies", split="test", questions=60, names=("direct", "method", "structured"))
    questions = [choice(number) for number in range(12)]
    right = {"direct": range(4), "method": range(10), "structured": range(2, 7)}

    def answer(asking: Asking) -> JudgedAnswer:
        named = asking.variant == "structured"
        is_right = int(asking.question.id[1:]) in right[asking.variant]
        return row(asking, "A", is_right, calls=3 if named else 1, complete=0.5 if named else None)

    first, second, third = figures(suite, questions, answer)
    assert isinstance(first, Strategic)
    assert isinstance(second, Strategic)
    assert isinstance(third, Strategic)
    assert (first.difference, first.p, first.p_holm) == (None, None, None)
    assert (second.strategy, second.difference, second.p) == ("method", 0.5, 2 / 2**6)
    assert third.p == 1.0  # 3 gained, 2 lost
    assert (second.p_holm, third.p_holm) == (2 * 2 / 2**6, 1.0)
    assert second.difference_low is not None
    assert second.difference_high is not None
    assert second.difference_low < 0.5 < second.difference_high
    assert (third.calls, third.complete, second.complete, second.tokens) == (3.0, 0.5, None, 10.0)


def test_a_strategy_without_scored_questions_has_no_difference() -> None:
    suite = Compared(kind="strategies", split="test", questions=60, names=("direct", "method"))
    *_, second = figures(
        suite, [choice(1)], lambda a: row(a, "A", None if a.variant == "method" else True, tokens=None)
    )
    assert isinstance(second, Strategic)
    assert (second.n, second.unscorable, second.accuracy, second.difference, second.p_holm) == (0, 1, None, None, None)
    assert second.tokens is None
