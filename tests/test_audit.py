"""The reward audit: it passes a sound grader and sees a hackable one."""

import pytest

from medu1.question import Choice, Date, FreeText, Integer, Number, Question, WeeksDays
from medu1.scoring import audit as audit_module
from medu1.scoring.audit import audit
from medu1.scoring.battery import Pool, Probe, attempts, negation
from medu1.scoring.grading import DEFAULT_SCORING
from medu1.scoring.harmless import CHANGES
from medu1.scoring.score import judge
from medu1.scoring.verdict import Reason, Verdict

QUESTIONS = [
    Question(id="1", source="open", topic="cause", text="What prevents scurvy?", gold=FreeText(text="vitamin C")),
    Question(id="2", source="open", topic="drug", text="What lowers fever?", gold=FreeText(text="paracetamol")),
    Question(id="3", source="calc", topic="age", text="How old is the pregnancy?", gold=WeeksDays(weeks=3, days=2)),
    Question(id="4", source="calc", topic="bmi", text="What is the BMI?", gold=Number(value=24.2)),
    Question(id="5", source="calc", topic="due", text="When is the due date?", gold=Date(value="04/23/2021")),
    Question(id="6", source="calc", topic="score", text="What is the score?", gold=Integer(value=-1)),
    Question(id="6b", source="calc", topic="score", text="What is the other score?", gold=Integer(value=5)),
    Question(id="7", source="mcq", text="Which?", gold=Choice(letter="B"), options={"A": "x", "B": "y"}),
]
BROKEN = Question(id="8", source="calc", text="What?", gold=Number(value=9, lower=1, upper=2))


def test_sound_golds_pass_and_no_probe_is_accepted() -> None:
    report = audit(QUESTIONS)
    assert report.questions == len(QUESTIONS)
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


EQUAL, OFTEN = "It affects men and women in equal numbers.", "Most of them are older than forty years."


def test_golds_of_one_type_are_reported_and_never_block() -> None:
    same = [
        Question(id=f"t{n}", source="open", topic="spread", text=f"Who gets {name}?", gold=FreeText(text=text))
        for n, (name, text) in enumerate([("flu", f"{EQUAL} {OFTEN}"), ("gout", f"{OFTEN} {EQUAL}")])
    ]
    report = audit(same)
    rate = next(rate for rate in report.rates if rate.probe is Probe.SAME_TYPE_GOLD)
    worst = report.worst()
    assert rate.accepted
    assert worst is not None
    assert worst.probe.blocks


def test_every_probe_but_one_blocks() -> None:
    assert [probe for probe in Probe if not probe.blocks] == [Probe.SAME_TYPE_GOLD]


def test_a_ramble_has_two_thousand_words_and_the_gold() -> None:
    text = next(each.text for each in attempts(NUMBER, Pool([NUMBER]), DEFAULT_SCORING) if each.probe is Probe.RAMBLE)
    assert len(text.split()) >= 2000
    assert "the answer is 10 and" in text


def spoken(text: str, n: int) -> Question:
    return Question(id=f"s{n}", source="open", topic=f"t{n}", text=f"Why {n}?", gold=FreeText(text=text))


LONG = [
    spoken("Chemotherapy is usually the best choice for small cell lung cancer. It spreads quickly.", 1),
    spoken("Kidney stones form when urine holds more minerals than it can dissolve. Water helps to prevent them.", 2),
    spoken("Most people with a cold recover within ten days. Antibiotics do nothing against a virus.", 3),
]


def test_calibration_falls_with_the_threshold_and_keeps_the_gold() -> None:
    found = audit(LONG).calibration
    assert found is not None
    assert (found.questions, found.chosen) == (3, 0.6)
    for curve in found.curves:
        assert sorted(curve.accepted, reverse=True) == list(curve.accepted)
        assert curve.answer != "the gold" or set(curve.rates()) == {1.0}
        assert curve.is_right or set(curve.rates()) == {0.0}


def test_calibration_agrees_with_the_grader_at_every_threshold() -> None:
    found = audit(LONG).calibration
    assert found is not None
    for curve in (curve for curve in found.curves if curve.answer in CHANGES):
        for threshold, accepted in zip(found.thresholds, curve.accepted, strict=True):
            settings = DEFAULT_SCORING.model_copy(update={"free_text_threshold": threshold})
            judged = [judge(question, CHANGES[curve.answer](question), settings).correct for question in LONG]
            assert accepted == sum(map(bool, judged)), (curve.answer, threshold)


def test_thresholds_within_the_limits_are_named() -> None:
    found = audit(LONG).calibration
    assert found is not None
    assert 0.6 in found.within(0.01, 0.0)
    assert 1.0 not in found.within(0.01, 0.0)  # one harmless sentence more is right, and not the gold word for word


def test_there_is_nothing_to_calibrate_without_open_questions_or_under_paper() -> None:
    assert audit([NUMBER, CHOICE]).calibration is None
    assert audit(LONG, DEFAULT_SCORING.model_copy(update={"preset": "paper"})).calibration is None
