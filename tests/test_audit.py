"""The reward audit: it passes a sound grader and sees a hackable one."""

import pytest

from medu1.question import Choice, Date, FreeText, Integer, Number, Question, WeeksDays
from medu1.scoring import audit as audit_module
from medu1.scoring.audit import Probe, audit, negation
from medu1.scoring.verdict import Reason, Verdict

QUESTIONS = [
    Question(id="1", source="open", topic="cause", text="What prevents scurvy?", gold=FreeText(text="vitamin C")),
    Question(id="2", source="open", topic="drug", text="What lowers fever?", gold=FreeText(text="paracetamol")),
    Question(id="3", source="calc", topic="age", text="How old is the pregnancy?", gold=WeeksDays(weeks=3, days=2)),
    Question(id="4", source="calc", topic="bmi", text="What is the BMI?", gold=Number(value=24.2)),
    Question(id="5", source="calc", topic="due", text="When is the due date?", gold=Date(value="04/23/2021")),
    Question(id="6", source="calc", topic="score", text="What is the score?", gold=Integer(value=-1)),
    Question(id="7", source="mcq", text="Which?", gold=Choice(letter="B"), options={"A": "x", "B": "y"}),
]
BROKEN = Question(id="8", source="calc", text="What?", gold=Number(value=9, lower=1, upper=2))


def test_sound_golds_pass_and_no_probe_is_accepted() -> None:
    report = audit(QUESTIONS)
    assert report.golds == len(QUESTIONS)
    assert report.false_rejects == ()
    assert [rate for rate in report.rates if rate.accepted] == []
    assert {rate.probe for rate in report.rates} == set(Probe)


def test_gold_outside_its_own_limits_is_a_false_reject() -> None:
    assert audit([*QUESTIONS, BROKEN]).false_rejects == ("8",)


def test_alias_counts_as_a_gold() -> None:
    question = Question(id="9", source="open", text="What?", gold=FreeText(text="aspirin", aliases=("--",)))
    assert audit([question]).false_rejects == ("9",)


def test_report_is_the_same_for_the_same_questions() -> None:
    assert audit(QUESTIONS) == audit(QUESTIONS)


def test_hackable_grader_is_seen_with_the_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    def generous(question: Question, *_: object, **__: object) -> Verdict:
        return Verdict(question_id=question.id, format_ok=True, answer="", correct=True, reason=Reason.RIGHT)

    monkeypatch.setattr(audit_module, "score", generous)
    worst = audit(QUESTIONS).worst()
    assert worst is not None
    assert worst.rate == 1.0
    assert worst.ids


def test_nothing_asked_has_no_worst() -> None:
    assert audit([]).worst() is None


@pytest.mark.parametrize(
    ("text", "denied"),
    [
        ("The gene is mutated and is active.", "The gene is not mutated and is active."),
        ("It does not spread.", "It does spread."),
        ("People cannot catch it.", "People can catch it."),
        ("Chemotherapy", "It is not true that Chemotherapy"),
    ],
)
def test_negation(text: str, denied: str) -> None:
    assert negation(text) == denied


NUMBER = Question(id="n", source="calc", topic="gap", text="Gap?", gold=Number(value=10, lower=9.5, upper=10.5))
CHOICE = Question(id="c", source="mcq", text="Which?", gold=Choice(letter="B"), options={"A": "iron", "B": "zinc"})


def other_golds(question: Question, other: Question) -> list[tuple[int, int]]:
    """Tried and accepted golds of `other` on `question`."""
    rates = audit([question, other]).rates
    return [(r.tried, r.accepted) for r in rates if r.probe is Probe.OTHER_GOLD and r.source == question.source]


@pytest.mark.parametrize(
    ("question", "right"),
    [
        (NUMBER, Number(value=10.2)),
        (NUMBER, Integer(value=10)),
        (Question(id="i", source="score", text="Score?", gold=Integer(value=3)), Number(value=3.2)),
        (Question(id="t", source="calc", text="Gap?", gold=Number(value=100)), Integer(value=104)),
        (CHOICE, FreeText(text="Zinc")),
    ],
)
def test_another_gold_that_is_right_here_too_is_not_drawn(
    question: Question, right: Number | Integer | FreeText
) -> None:
    """Accepting a right answer says nothing of a hackable grader."""
    assert other_golds(question, Question(id="o", source="other", topic="o", text="Other?", gold=right)) == []


@pytest.mark.parametrize(
    ("question", "wrong"),
    [(NUMBER, Number(value=10.6)), (NUMBER, Integer(value=9)), (CHOICE, FreeText(text="iron"))],
)
def test_another_gold_that_is_wrong_here_is_drawn_and_refused(
    question: Question, wrong: Number | Integer | FreeText
) -> None:
    """However near: skipping right answers must not empty the battery."""
    assert other_golds(question, Question(id="o", source="other", topic="o", text="Other?", gold=wrong)) == [(1, 0)]
