"""The grader on hostile texts: it never fails, and what it says of a completion hangs on the answer alone."""

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medu1.completion import Completion
from medu1.params import Preset
from medu1.question import Choice, Question, gold_text
from medu1.scoring.answer import TAGS, extract, format_ok, read
from medu1.scoring.choice import judge_choice
from medu1.scoring.grading import DEFAULT_SCORING
from medu1.scoring.score import score
from medu1.scoring.verdict import Reason, Verdict
from tests.adversarial import LARGEST, LONGEST_ANSWER, QUESTIONS, case, text

EXAMPLES = settings(max_examples=150, deadline=None)
PRESETS: tuple[Preset, ...] = ("recommended", "paper")
HOSTILE = st.integers(0, 10**9).map(text)
PIECES = st.sampled_from([*TAGS, "53.1", "C", " ", "\n", "17 weeks and 6 days", "vitamin c", "not ", "1/"])
TEXTS = st.one_of(HOSTILE, st.lists(st.one_of(PIECES, st.text(max_size=5)), max_size=15).map("".join))
ASKED = st.sampled_from(QUESTIONS)
SPACES = st.text(" \t\r\n\u00a0\u3000", max_size=5)


def judged(question: Question, said: str, preset: Preset = "recommended") -> Verdict:
    chosen = DEFAULT_SCORING.model_copy(update={"preset": preset})
    return score(question, Completion(question_id=question.id, text=said), settings=chosen)


def untagged(said: str) -> str:
    """Without brackets, those outside ASCII included."""
    return said.encode("ascii", "ignore").decode().replace("<", "").replace(">", "")


@pytest.mark.parametrize("preset", PRESETS)
def test_no_hostile_text_makes_the_grader_fail(preset: Preset, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        verdicts = [judged(*case(index), preset) for index in range(3000)]
    assert not caplog.records
    assert {verdict.correct for verdict in verdicts} == {True, False}


def test_hostile_texts_span_the_sizes_and_reach_the_judges() -> None:
    sizes = [len(text(index).encode()) for index in range(3000)]
    assert min(sizes) == 1
    assert 0.9 * LARGEST < max(sizes) < 1.01 * LARGEST
    answers = [judged(*case(index)).answer or "" for index in range(3000)]
    assert sum(0.9 * LONGEST_ANSWER < len(answer) <= LONGEST_ANSWER for answer in answers) > 150
    assert text(7) == text(7)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.id)
def test_every_question_of_the_stream_can_be_answered(question: Question) -> None:
    assert judged(question, f"<think>t</think><answer>{gold_text(question)}</answer>").correct is True


@EXAMPLES
@given(ASKED, TEXTS, st.sampled_from(PRESETS))
def test_the_answer_shown_is_a_part_of_the_completion(question: Question, said: str, preset: Preset) -> None:
    verdict = judged(question, said, preset)
    assert verdict.answer is None or verdict.answer in said
    if verdict.reason is not Reason.OVERSIZED:  # else its beginning is shown
        assert verdict.answer is None or verdict.answer == verdict.answer.strip()


@EXAMPLES
@given(ASKED, TEXTS, st.sampled_from(PRESETS))
def test_nothing_is_right_without_an_answer(question: Question, said: str, preset: Preset) -> None:
    verdict = judged(question, said, preset)
    assert verdict.answer is not None or verdict.correct is False
    assert (verdict.correct is True) is (verdict.reason is Reason.RIGHT)


@EXAMPLES
@given(ASKED, TEXTS, st.sampled_from(PRESETS))
def test_format_holds_only_with_every_tag_once(question: Question, said: str, preset: Preset) -> None:
    if judged(question, said, preset).format_ok:
        assert [said.count(tag) for tag in TAGS] == [1, 1, 1, 1]


@EXAMPLES
@given(ASKED, TEXTS, TEXTS)
def test_nothing_before_the_end_of_the_thought_is_judged(question: Question, thought: str, said: str) -> None:
    answered = judged(question, f"</think>{said}")
    assert_same_judgement(answered, judged(question, f"{thought}</think>{said}"))


@EXAMPLES
@given(ASKED, TEXTS, SPACES, SPACES)
def test_white_space_around_the_answer_changes_nothing(question: Question, said: str, before: str, after: str) -> None:
    bare = judged(question, f"<think>t</think><answer>{said}</answer>")
    assert_same_judgement(bare, judged(question, f"<think>t</think><answer>{before}{said}{after}</answer>"))


@EXAMPLES
@given(ASKED, HOSTILE, HOSTILE)
def test_text_without_tags_around_the_block_changes_nothing(question: Question, before: str, after: str) -> None:
    block = f"<answer>{gold_text(question)}</answer>"
    assert judged(question, f"<think>t</think>{untagged(before)}{block}{untagged(after)}").correct is True


@EXAMPLES
@given(ASKED, TEXTS, HOSTILE)
def test_a_verdict_does_not_hang_on_what_was_graded_before(question: Question, said: str, other: str) -> None:
    first = judged(question, said)
    for each in QUESTIONS:
        judged(each, other)
    assert judged(question, said) == first


def assert_same_judgement(one: Verdict, other: Verdict) -> None:
    assert (one.answer, one.correct, one.similarity, one.reason) == (
        other.answer,
        other.correct,
        other.similarity,
        other.reason,
    )


SOUP = st.lists(
    st.one_of(
        st.sampled_from([*TAGS, *TAGS, " ", "C", "\u0430nswer", "\uff1canswer\uff1e", "<", ">", "\n", "x" * 30]),
        st.text(max_size=3),
    ),
    max_size=9,
).map("".join)
FORMS = st.builds(
    "{}<think>{}</think>{}<answer>{}</answer>{}".format, *[st.sampled_from(["", " ", "\n", "t", "<"])] * 5
)


@EXAMPLES
@given(st.one_of(SOUP, FORMS))
def test_an_answer_read_at_a_glance_is_read_the_same_way_in_full(text: str) -> None:
    completion = Completion(question_id="q", text=text)
    assert read(completion, 20) == (format_ok(text), *extract(completion, 20))


@EXAMPLES
@given(
    st.permutations(["Aspirin", "C", "B: Aspirin", "x"]), st.sampled_from("ABCD"), st.sampled_from([": ", ". ", ") "])
)
def test_a_letter_with_its_text_is_read_the_same_way_in_full(texts: list[str], letter: str, mark: str) -> None:
    """Spaces in front keep the glance from reading it."""
    options = dict(zip("ABCD", texts, strict=True))
    answer = f"{letter}{mark}{options[letter]}"
    for gold in (Choice(letter=each) for each in "ABCD"):
        assert judge_choice(answer, options, gold) == judge_choice(f" {answer}", options, gold)
