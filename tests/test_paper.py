"""Preset paper: the authors' formulas by hand, against NLTK, and the faults that come with them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from medu1.budget import LengthBudget
from medu1.completion import Completion
from medu1.question import Choice, Date, FreeText, Gold, Integer, Number, Question, WeeksDays
from medu1.scoring.audit import audit
from medu1.scoring.grading import DEFAULT_SCORING
from medu1.scoring.paper import bleu, exact_match_score, length_term
from medu1.scoring.score import score
from medu1.scoring.verdict import Reason, Verdict

PAPER = DEFAULT_SCORING.model_copy(update={"preset": "paper"})
OPTIONS = {"A": "iron", "B": "zinc"}
WORDS = st.lists(st.sampled_from(["heart", "of", "the", "lung", "is", "not"]), min_size=1, max_size=14).map(" ".join)


def asked(gold: Gold) -> Question:
    return Question(id="q", source="toy", text="Which?", gold=gold, options=OPTIONS if isinstance(gold, Choice) else {})


def graded(gold: Gold, text: str, metric: str = "merge", budget: LengthBudget | None = None) -> Verdict:
    settings = PAPER.model_copy(update={"paper_metric": metric})
    return score(asked(gold), Completion(question_id="q", text=text, tokens=100), budget, settings)


def answered(gold: Gold, answer: str, metric: str = "merge") -> Verdict:
    return graded(gold, f"<think>t</think><answer>{answer}</answer>", metric)


@pytest.mark.parametrize(
    ("gold", "answer", "reason"),
    [
        (Choice(letter="A"), "A", Reason.RIGHT),
        (Choice(letter="A"), "B", Reason.WRONG_LETTER),
        *((Choice(letter="A"), answer, Reason.NOT_AN_OPTION) for answer in ("(A)", "A.", "a", "iron")),
        (Number(value=25.2, lower=24, upper=26), " 25.2 ", Reason.RIGHT),
        (Number(value=25.2, lower=24, upper=26), "2.52e1", Reason.RIGHT),
        (Number(value=25.2, lower=24, upper=26), "26.1", Reason.OUTSIDE_LIMITS),
        *((Number(value=25.2, lower=24, upper=26), answer, Reason.NOT_A_NUMBER) for answer in ("25.2 mL/min", "25.2%")),
        (Number(value=25.2, lower=24, upper=26), "nan", Reason.OUTSIDE_LIMITS),
        (Number(value=-1, lower=-0.95, upper=-1.05), "-1", Reason.OUTSIDE_LIMITS),  # limits as given, unsorted
        (Number(value=100), "104", Reason.RIGHT),
        (Number(value=100), "106", Reason.OUTSIDE_LIMITS),
        (Integer(value=4), "4.0", Reason.RIGHT),
        (Integer(value=4), "4.2", Reason.OUTSIDE_LIMITS),
        (Date(value="04/23/2021"), "04/23/2021", Reason.RIGHT),
        (Date(value="04/23/2021"), "4/23/2021", Reason.WRONG_DATE),
        (WeeksDays(weeks=17, days=6), "17 weeks and 6 days", Reason.RIGHT),
        (WeeksDays(weeks=17, days=6), "17 weeks, 6 days", Reason.WRONG_WEEKS_DAYS),
        (FreeText(text="a bleed of the stomach"), "of", Reason.RIGHT),  # why the preset is for comparison only
        (FreeText(text="the pain of the heart of the man is the pain"), "the pain of the heart of the man is the pain",
         Reason.BELOW_THRESHOLD),  # the gold itself: words repeat
        (FreeText(text="aspirin"), "ibuprofen", Reason.BELOW_THRESHOLD),
        (Number(value=9, lower=1, upper=2), "1.5", Reason.UNSCORABLE),
    ],
)  # fmt: skip
def test_answers_are_judged_as_the_authors_do(gold: Gold, answer: str, reason: Reason) -> None:
    verdict = answered(gold, answer)
    assert verdict.reason is reason
    assert verdict.correct is (None if reason is Reason.UNSCORABLE else reason is Reason.RIGHT)


@pytest.mark.parametrize(
    ("text", "answer", "reason", "form"),
    [
        ("<think>t</think><answer>A</answer>", "A", Reason.RIGHT, True),
        ("Hm. <think>t</think> so <answer> A </answer> it is", "A", Reason.RIGHT, True),  # text outside is no matter
        ("<answer>B</answer><answer>A</answer>", "A", Reason.RIGHT, False),  # the last block
        ("<answer>A</answer><think>t</think>", "A", Reason.RIGHT, False),  # before the thought ends
        ("<answer>B<answer>A</answer>", "B<answer>A", Reason.NOT_AN_OPTION, False),
        ("<think>t</think><answer> </answer>", None, Reason.EMPTY_ANSWER, True),
        ("<think>t</think><answer>A", None, Reason.NO_ANSWER, False),
        ("A", None, Reason.NO_ANSWER, False),
        ("", None, Reason.NO_ANSWER, False),
    ],
)
def test_the_last_block_is_the_answer(text: str, answer: str | None, reason: Reason, form: bool) -> None:
    verdict = graded(Choice(letter="A"), text)
    assert (verdict.answer, verdict.reason, verdict.format_ok) == (answer, reason, form)


def test_exact_match_score_by_hand() -> None:
    assert exact_match_score("the heart of the man", "of") == 100
    assert exact_match_score("the heart of the man", "the heart of the man") == 80  # four distinct of five words
    assert exact_match_score("Heart failure", "heart attack today now") == 25
    assert exact_match_score("heart", "") == 0


def test_bleu_by_hand() -> None:
    assert bleu("a b c d", "a b c d") == 1.0
    assert bleu("a b c d", "a b c x") == pytest.approx((3 / 4 + 2 / 3 + 1 / 2) / 3)
    assert bleu("a b c d", "") == 0.0


@given(WORDS, WORDS)
def test_bleu_agrees_with_nltk(reference: str, candidate: str) -> None:
    orders = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    smoothed = SmoothingFunction().method1
    gold, said = reference.split(), candidate.split()
    theirs = [sentence_bleu([gold], said, weights=weights, smoothing_function=smoothed) for weights in orders]
    assert bleu(reference, candidate) == pytest.approx(sum(theirs) / 3)


@given(WORDS, WORDS)
def test_merge_averages_two_scales(reference: str, candidate: str) -> None:
    gold = FreeText(text=reference)
    verdict = answered(gold, candidate)
    merged = 0.5 * exact_match_score(reference, candidate) + 0.5 * bleu(reference, candidate)
    assert verdict.similarity == pytest.approx(merged / 100)
    assert verdict.correct is (merged > 45)


def test_the_metric_is_a_parameter() -> None:
    gold = FreeText(text="a bleed of the stomach")
    assert [answered(gold, "of", metric).correct for metric in ("merge", "ems", "bleu")] == [True, True, False]


@pytest.mark.parametrize(
    ("mode", "used", "expected"),
    [
        *(("exact", 1000, 1), ("exact", 1750, 0.5), ("exact", 250, 0.5), ("exact", 9999, -1)),
        *(
            ("at_most", 1000, 0),
            ("at_most", 750, 0.5),
            ("at_most", 1, 1),
            ("at_most", 1250, -0.5),
            ("at_most", 9999, -1),
        ),
    ],
)
def test_length_term(mode: str, used: int, expected: float) -> None:
    assert length_term(used, LengthBudget.model_validate({"tokens": 1000, "mode": mode})) == pytest.approx(expected)


def test_length_is_measured_whether_or_not_the_answer_is_right() -> None:
    verdict = graded(Choice(letter="A"), "<answer>B</answer>", budget=LengthBudget(tokens=100))
    assert (verdict.correct, verdict.length) == (False, 1.0)


def test_the_reward_audit_sees_through_it() -> None:
    questions = [
        Question(id=str(n), source="open", topic=f"t{n}", text="Why?", gold=FreeText(text=f"a bleed of the {organ}"))
        for n, organ in enumerate(["stomach", "spleen", "liver"])
    ]
    worst = audit(questions, PAPER).worst()
    assert worst is not None
    assert worst.rate == 1.0
    assert audit(questions).worst().rate == 0.0  # type: ignore[union-attr]
