"""The grader: golden rows with a reason each, and what must hold for any gold and any text."""

import time
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medu1.budget import LengthBudget
from medu1.completion import Completion
from medu1.errors import Stop
from medu1.question import Choice, Date, FreeText, Gold, Integer, Number, Question, WeeksDays, gold_text
from medu1.scoring import score as score_module
from medu1.scoring.free_text import rouge_l
from medu1.scoring.grading import DEFAULT_SCORING
from medu1.scoring.length import closeness, overlong_penalty
from medu1.scoring.number import UNITS, read_number
from medu1.scoring.score import score
from medu1.scoring.verdict import Reason, Verdict

OPTIONS = {"A": "Aspirin", "B": "Ibuprofen", "C": "Na+ > 140", "D": "Na+ < 140"}
EXAMPLES = settings(max_examples=60, deadline=None)


def asked(gold: Gold, text: str = "Which vitamin prevents scurvy?") -> Question:
    return Question(id="q", source="toy", text=text, gold=gold, options=OPTIONS if isinstance(gold, Choice) else {})


def written(text: str, tokens: int | None = None, cut: bool = False) -> Completion:
    return Completion(question_id="q", text=text, tokens=tokens, finish="length" if cut else "stop")


def answered(question: Question, answer: str) -> Verdict:
    return score(question, written(f"<think>t</think><answer>{answer}</answer>"))


ANSWER_ROWS = [  # completion, reason, format
    ("<think>t</think><answer>C</answer>", Reason.RIGHT, True),
    (" <think>t</think>\n<answer> C\n</answer>\n", Reason.RIGHT, True),
    ("<answer>C</answer>", Reason.RIGHT, False),  # format never changes the judgement
    ("<think>t</think>So: <answer>C</answer>", Reason.RIGHT, False),
    ("<think><answer>A</answer></think><answer>C</answer>", Reason.RIGHT, False),  # a draft while thinking
    ("<think>t</think><answer>C</answer><answer> C </answer>", Reason.RIGHT, False),  # repeated, not another
    ("<think>t</think><answer>C</answer></answer>", Reason.RIGHT, False),
    ("<answer>C</answer><think>t</think>", Reason.NO_ANSWER, False),  # before the thought ends
    ("<think>t</think><answer>C</answer><answer>A</answer>", Reason.SEVERAL_ANSWERS, False),
    ("<think>t</think><answer>C</answer><answer>A", Reason.SEVERAL_ANSWERS, False),
    ("<think>t</think><answer><answer>C</answer></answer>", Reason.NESTED_TAGS, False),
    ("<think>t</think><answer>A<answer>C</answer>", Reason.NESTED_TAGS, False),
    ("<think>t</think><answer><think>C</answer>", Reason.NESTED_TAGS, False),
    ("<think>t</think><answer> </answer>", Reason.EMPTY_ANSWER, True),
    ("<think>t</think>C", Reason.NO_ANSWER, False),
    ("", Reason.NO_ANSWER, False),
    ("<think>t</think><\u0430nswer>C</\u0430nswer>", Reason.LOOKALIKE_TAGS, False),  # Cyrillic a
    ("<think>t</think>\uff1canswer\uff1eC\uff1c/answer\uff1e", Reason.LOOKALIKE_TAGS, False),  # full width
    ("<think>t</think><ANSWER>C</ANSWER>", Reason.LOOKALIKE_TAGS, False),
    ("<think>t</think><answer>C</answer><\u0430nswer>A</\u0430nswer>", Reason.LOOKALIKE_TAGS, False),
    ("<think>t</think><answer>" + "C" * 2001 + "</answer>", Reason.OVERSIZED, True),
]


@pytest.mark.parametrize(("text", "reason", "format_ok"), ANSWER_ROWS)
def test_answer_block_and_format(text: str, reason: Reason, format_ok: bool) -> None:
    verdict = score(asked(Choice(letter="C")), written(text))
    assert (verdict.reason, verdict.format_ok) == (reason, format_ok)
    assert verdict.correct is (reason is Reason.RIGHT)


def test_cut_off_response_without_answer_is_wrong_because_truncated() -> None:
    verdict = score(asked(Choice(letter="C")), written("<think>t</think><answer>C", cut=True))
    assert (verdict.correct, verdict.reason) == (False, Reason.TRUNCATED)


def test_long_gold_can_always_be_given() -> None:
    question = asked(FreeText(text="heart " * 1000))
    assert answered(question, gold_text(question)).correct is True


CHOICE_ROWS = [
    *((style.format("C"), Reason.RIGHT) for style in ("{}", "({})", "{}.", "{})", "**{}**", "Option {}", "[{}]")),
    ("c", Reason.RIGHT),
    ("\\boxed{C}", Reason.RIGHT),
    ("The correct answer is: C", Reason.RIGHT),
    ("C: Na+ > 140", Reason.RIGHT),
    ("C. na+  > 140.", Reason.RIGHT),
    ("**(C)** Na+ > 140", Reason.RIGHT),
    ("C (Na+ > 140)", Reason.RIGHT),
    ("Na+ > 140", Reason.RIGHT),
    ("Na+ < 140", Reason.WRONG_LETTER),  # < and > tell options apart
    ("A", Reason.WRONG_LETTER),
    ("aspirin", Reason.WRONG_LETTER),
    ("C: Aspirin", Reason.LETTER_TEXT_CONFLICT),
    ("A: Na+ > 140", Reason.LETTER_TEXT_CONFLICT),
    ("C because sodium is high", Reason.LETTER_TEXT_CONFLICT),  # never a guess
    ("C or D", Reason.SEVERAL_LETTERS),
    ("A, B, C, D", Reason.SEVERAL_LETTERS),
    ("E", Reason.NOT_AN_OPTION),
    ("not C", Reason.NOT_AN_OPTION),
    ("sodium", Reason.NOT_AN_OPTION),
]


@pytest.mark.parametrize(("answer", "reason"), CHOICE_ROWS)
def test_choice(answer: str, reason: Reason) -> None:
    verdict = answered(asked(Choice(letter="C")), answer)
    assert (verdict.reason, verdict.correct) == (reason, reason is Reason.RIGHT)


def choice_of(options: dict[str, str], letter: str) -> Question:
    return Question(id="q", source="toy", text="Which?", gold=Choice(letter=letter), options=options)


def test_bare_letter_beats_option_text() -> None:
    question = choice_of({"A": "B", "B": "C"}, "A")
    assert answered(question, "B").reason is Reason.WRONG_LETTER
    assert answered(question, "A: B").correct is True


def test_letter_that_is_no_option_but_an_option_text_is_that_option() -> None:
    assert answered(choice_of({"A": "X", "B": "VIII"}, "A"), "X").correct is True


def test_text_of_two_options_names_neither() -> None:
    question = choice_of({"A": "Fever", "B": "fever.", "C": "Cough"}, "B")
    assert answered(question, "FEVER").reason is Reason.AMBIGUOUS_TEXT
    assert answered(question, "fever.").correct is True  # exactly as printed


NUMBER_ROWS = [
    ("53.1", Reason.RIGHT),
    ("53.1%", Reason.RIGHT),  # never rescaled
    ("0.531", Reason.OUTSIDE_LIMITS),
    ("~53.1 mg/dL", Reason.RIGHT),
    ("approximately 53.1", Reason.RIGHT),
    ("\u2248 53.1 kg/m\u00b2", Reason.RIGHT),
    ("53.1 mL/min/1.73 m\u00b2", Reason.RIGHT),
    ("53.1 mL/min per 1.73 m^2", Reason.RIGHT),
    ("53.1 x 10^9/L", Reason.RIGHT),  # the power belongs to the unit
    ("53.1 cells/mm3", Reason.RIGHT),
    ("FIB-4: 53.1", Reason.RIGHT),
    ("5.31e1", Reason.RIGHT),
    ("5.31 \u00d7 10\u00b9", Reason.RIGHT),
    ("5.31 \\times 10^{1}", Reason.RIGHT),
    ("\\boxed{53.1}", Reason.RIGHT),
    ("531 x 10^-1", Reason.RIGHT),
    ("53.1 (that is 53.10)", Reason.RIGHT),  # one value, twice
    ("+53.1", Reason.RIGHT),
    ("55.7", Reason.RIGHT),  # within 5%
    ("55.8", Reason.OUTSIDE_LIMITS),
    ("\u221253.1", Reason.OUTSIDE_LIMITS),
    ("minus 53.1", Reason.OUTSIDE_LIMITS),
    ("- 53.1", Reason.OUTSIDE_LIMITS),  # a sign, not a bullet
    ("Score - 53.1", Reason.SEVERAL_NUMBERS),  # a sign or a pause
    ("\u096c53.1", Reason.OUTSIDE_LIMITS),  # a Devanagari six
    ("531", Reason.OUTSIDE_LIMITS),
    ("53.1 or 60", Reason.SEVERAL_NUMBERS),
    ("53,1 or 53,1", Reason.SEVERAL_NUMBERS),
    ("53,1", Reason.SEVERAL_NUMBERS),  # a decimal comma is not guessed
    ("53-54", Reason.RANGE_OR_INEQUALITY),
    ("53 to 54", Reason.RANGE_OR_INEQUALITY),
    ("53.1 \u00b1 2", Reason.RANGE_OR_INEQUALITY),
    ("> 53", Reason.RANGE_OR_INEQUALITY),
    ("less than 53.1", Reason.RANGE_OR_INEQUALITY),
    ("53.1 or more", Reason.RANGE_OR_INEQUALITY),
    ("max 53.1", Reason.RANGE_OR_INEQUALITY),
    ("cannot be determined", Reason.NOT_A_NUMBER),
    ("53.1 + 53.1", Reason.SEVERAL_NUMBERS),  # equal terms of a sum are not one value
    ("not 53.1", Reason.NEGATED),
    ("1e999", Reason.NOT_A_NUMBER),
    ("nan", Reason.NOT_A_NUMBER),
    ("9" * 400, Reason.NOT_A_NUMBER),
    ("[53.1] * 10 ** 9 ** 9", Reason.SEVERAL_NUMBERS),  # nothing is evaluated
    ("10/25/2020", Reason.SEVERAL_NUMBERS),
]


@pytest.mark.parametrize(("answer", "reason"), NUMBER_ROWS)
def test_number(answer: str, reason: Reason) -> None:
    verdict = answered(asked(Number(value=53.1)), answer)
    assert (verdict.reason, verdict.correct) == (reason, reason is Reason.RIGHT)


@pytest.mark.parametrize("value", [1.5, 1500])
def test_power_before_a_volume_belongs_to_the_number_or_to_the_unit(value: float) -> None:
    assert answered(asked(Number(value=value)), "1.5 \u00d7 10\u00b3/\u00b5L").correct is True
    assert answered(asked(Number(value=value * 10)), "1.5 x 10^3/uL").correct is False


@pytest.mark.parametrize("answer", ["1500", "1 500", "1,500", "1.5e3", "1.5E+3", "1.5x10^3", "1.5*10**3", "1\u202f500"])
def test_thousands_and_powers(answer: str) -> None:
    assert answered(asked(Number(value=1500)), answer).correct is True


@pytest.mark.parametrize(
    "answer", ["-0.828", "- 0.828 L", "minus 0.83", "(-) 0.828", "\u22120.828", "-.828 L", "\u2212 0.83"]
)
def test_limits_of_a_negative_truth_come_in_either_order(answer: str) -> None:
    assert answered(asked(Number(value=-0.828, lower=-0.7866, upper=-0.8694)), answer).correct is True


def test_body_surface_of_1_73_is_an_answer_of_its_own() -> None:
    assert answered(asked(Number(value=1.73)), "1.73 m\u00b2").correct is True


def test_fraction_is_a_value_for_a_number_gold() -> None:
    assert answered(asked(Number(value=0.75)), "3/4").correct is True


INTEGER_ROWS = [
    *(
        (answer, Reason.RIGHT)
        for answer in ("4", "4.0", "4.2", "+4", "4 points", "**4**", "4/5", "4 out of 5", "4 of 5")
    ),
    ("4 points (out of 10)", Reason.RIGHT),
    ("a score of 4", Reason.RIGHT),
    ("CURB-65 score: 4", Reason.RIGHT),
    ("CHA2DS2-VASc = 4", Reason.RIGHT),
    ("5", Reason.WRONG_VALUE),
    ("40", Reason.WRONG_VALUE),
    ("-4", Reason.WRONG_VALUE),
    ("3-4", Reason.RANGE_OR_INEQUALITY),
    ("\u2265 4", Reason.RANGE_OR_INEQUALITY),
    ("4+", Reason.RANGE_OR_INEQUALITY),
    ("4 out of a maximum of 5", Reason.RIGHT),
    ("maximum 4", Reason.RANGE_OR_INEQUALITY),
    ("4+4", Reason.SEVERAL_NUMBERS),
    ("4 x 1", Reason.SEVERAL_NUMBERS),
    ("4 or 5", Reason.SEVERAL_NUMBERS),
    ("4/5/2006", Reason.SEVERAL_NUMBERS),
    ("four", Reason.NOT_A_NUMBER),
]


@pytest.mark.parametrize(("answer", "reason"), INTEGER_ROWS)
def test_integer(answer: str, reason: Reason) -> None:
    verdict = answered(asked(Integer(value=4)), answer)
    assert (verdict.reason, verdict.correct) == (reason, reason is Reason.RIGHT)


DATE_ROWS = [
    ("09/03/2014", Reason.RIGHT),
    ("9/3/2014", Reason.RIGHT),
    ("2014-09-03", Reason.RIGHT),
    ("2014-09-03T00:00:00Z", Reason.RIGHT),
    ("September 3, 2014", Reason.RIGHT),
    ("3rd of Sept. 2014", Reason.RIGHT),
    ("3-Sep-2014", Reason.RIGHT),
    ("3. September 2014", Reason.RIGHT),
    ("09.03.2014", Reason.NOT_A_DATE),
    ("3-Sep-14", Reason.NOT_A_DATE),
    ("40 weeks after the last period", Reason.NOT_A_DATE),
    ("09/03/2014 or later", Reason.RANGE_OR_INEQUALITY),
    ("The due date is 09/03/2014.", Reason.RIGHT),
    ("03/09/2014", Reason.WRONG_DATE),  # never day first
    ("09/04/2014", Reason.WRONG_DATE),
    ("23/09/2014", Reason.NOT_A_DATE),
    ("02/30/2014", Reason.NOT_A_DATE),
    ("early September", Reason.NOT_A_DATE),
    ("09/03/2014 or 09/04/2014", Reason.SEVERAL_DATES),
    ("09/03/2014 or 12", Reason.SEVERAL_DATES),
    ("before 09/03/2014", Reason.RANGE_OR_INEQUALITY),
    ("not 09/03/2014", Reason.NEGATED),
]


@pytest.mark.parametrize(("answer", "reason"), DATE_ROWS)
def test_date(answer: str, reason: Reason) -> None:
    verdict = answered(asked(Date(value="09/03/2014")), answer)
    assert (verdict.reason, verdict.correct) == (reason, reason is Reason.RIGHT)


WEEKS_DAYS_ROWS = [
    ("17 weeks and 6 days", Reason.RIGHT),
    ("17 weeks, 6 days", Reason.RIGHT),
    ("17w6d", Reason.RIGHT),
    ("17 wk 6 d", Reason.RIGHT),
    ("17+6", Reason.RIGHT),
    ("17 6/7 weeks", Reason.RIGHT),
    ("17-6/7 weeks", Reason.RIGHT),
    ("GA=17+6", Reason.RIGHT),
    ("17 weeks and 6 days (17+6)", Reason.RIGHT),
    ("17 weeks and 6 days (17+5)", Reason.NOT_WEEKS_DAYS),
    ('{"weeks": 17, "days": 6}', Reason.RIGHT),
    ("at most 17 weeks and 6 days", Reason.RANGE_OR_INEQUALITY),
    ("17 weeks and 6 days or more", Reason.RANGE_OR_INEQUALITY),
    ("('17 weeks', '6 days')", Reason.RIGHT),
    ("(17, 6)", Reason.RIGHT),
    ("17 weeks and 5 days", Reason.WRONG_WEEKS_DAYS),
    ("6 weeks and 17 days", Reason.WRONG_WEEKS_DAYS),
    ("17 weeks", Reason.NOT_WEEKS_DAYS),  # both parts
    ("125 days", Reason.NOT_WEEKS_DAYS),
    ("17 weeks 6 days or 18 weeks 6 days", Reason.NOT_WEEKS_DAYS),
    ("-17 weeks 6 days", Reason.NOT_WEEKS_DAYS),
    ("> 17 weeks 6 days", Reason.RANGE_OR_INEQUALITY),
    ("not 17 weeks 6 days", Reason.NEGATED),
]


@pytest.mark.parametrize(("answer", "reason"), WEEKS_DAYS_ROWS)
def test_weeks_days(answer: str, reason: Reason) -> None:
    verdict = answered(asked(WeeksDays(weeks=17, days=6)), answer)
    assert (verdict.reason, verdict.correct) == (reason, reason is Reason.RIGHT)


VITAMIN_C = FreeText(text="vitamin c", aliases=("ascorbic acid",))
TREATMENT = FreeText(
    text="Small cell lung cancer spreads quickly. Chemotherapy is usually the best choice for 2 years."
)
FREE_TEXT_ROWS = [
    (VITAMIN_C, "Vitamin C", Reason.RIGHT),
    (VITAMIN_C, "it is vitamin C", Reason.RIGHT),
    (VITAMIN_C, "The answer is: **Vitamin C**.", Reason.RIGHT),
    (VITAMIN_C, "Ascorbic acid", Reason.RIGHT),
    (VITAMIN_C, "vitamin C (ascorbic acid)", Reason.RIGHT),
    (VITAMIN_C, "The vitamin that prevents scurvy is vitamin C.", Reason.RIGHT),  # the question's own words
    (VITAMIN_C, "vitamin d", Reason.TOO_FEW_CONTENT_WORDS),
    (VITAMIN_C, "vitamin", Reason.TOO_FEW_CONTENT_WORDS),
    (VITAMIN_C, "of", Reason.TOO_FEW_CONTENT_WORDS),
    (VITAMIN_C, "Which vitamin prevents scurvy?", Reason.TOO_FEW_CONTENT_WORDS),
    (VITAMIN_C, "vitamin C or vitamin D", Reason.EXTRA_WORDS),
    (VITAMIN_C, "vitamin C deficiency", Reason.EXTRA_WORDS),
    (VITAMIN_C, "not vitamin C", Reason.NEGATED),
    (VITAMIN_C, "It isn't vitamin C", Reason.NEGATED),
    (VITAMIN_C, "Vitamin C. That is false.", Reason.NEGATED),
    (FreeText(text="vitamin A"), "Vitamin a.", Reason.RIGHT),
    (FreeText(text="vitamin A"), "a vitamin", Reason.TOO_FEW_CONTENT_WORDS),
    (FreeText(text="Hodgkin lymphoma"), "non-Hodgkin lymphoma", Reason.NEGATED),
    (FreeText(text="HER2+"), "HER2-", Reason.CONTRADICTED),
    (FreeText(text="beta blocker"), "Beta-blockers", Reason.RIGHT),
    (FreeText(text="Sj\u00f6gren's syndrome"), "Sjogren syndrome", Reason.RIGHT),
    (FreeText(text="aspirin"), "Aspirin", Reason.RIGHT),
    (FreeText(text="aspirin"), "ibuprofen", Reason.TOO_FEW_CONTENT_WORDS),
    (FreeText(text="aspirin"), "aspirin, ibuprofen", Reason.EXTRA_WORDS),
    (FreeText(text="No"), "no", Reason.RIGHT),
    (FreeText(text="No"), "yes", Reason.TOO_FEW_CONTENT_WORDS),
    (TREATMENT, TREATMENT.text, Reason.RIGHT),
    (TREATMENT, "Chemotherapy is the best choice for 2 years. Small cell lung cancer spreads quickly.", Reason.RIGHT),
    (TREATMENT, f"{TREATMENT.text} Please ask your doctor for advice.", Reason.RIGHT),
    (TREATMENT, f"{TREATMENT.text} This is not medical advice.", Reason.RIGHT),  # a disclaimer denies nothing
    (TREATMENT, TREATMENT.text.replace("is", "is not"), Reason.NEGATED),
    (TREATMENT, f"It is not true that {TREATMENT.text}", Reason.NEGATED),
    (TREATMENT, TREATMENT.text.replace("2", "5"), Reason.WRONG_VALUE),
    (TREATMENT, TREATMENT.text.replace("2", "two"), Reason.RIGHT),
    (TREATMENT, f"{TREATMENT.text} That is a misconception.", Reason.NEGATED),
    (FreeText(text="stable angina"), "unstable angina", Reason.CONTRADICTED),
    (FreeText(text="twenty-five minutes"), "25 minutes", Reason.RIGHT),
    (FreeText(text="one hundred micrograms"), "100 micrograms", Reason.RIGHT),
    (FreeText(text="drug therapy"), "not drug therapy", Reason.NEGATED),  # though both words are filler
    (FreeText(text="an autosomal dominant gene pattern"), "autosomal recessive gene pattern", Reason.CONTRADICTED),
    (TREATMENT, "lung cancer chemotherapy 2 " + "x" * 3, Reason.TOO_FEW_CONTENT_WORDS),
    (TREATMENT, TREATMENT.text + " scan biopsy nerve liver kidney skin blood bone eye ear nose toe hip arm leg neck"
     " spine heart rib jaw chin",
     Reason.BELOW_THRESHOLD),
]  # fmt: skip


@pytest.mark.parametrize(("gold", "answer", "reason"), FREE_TEXT_ROWS)
def test_free_text(gold: FreeText, answer: str, reason: Reason) -> None:
    verdict = answered(asked(gold), answer)
    assert (verdict.reason, verdict.correct) == (reason, reason is Reason.RIGHT)
    assert verdict.similarity is not None
    assert 0 <= verdict.similarity <= 1


def test_words_of_the_question_do_not_make_an_answer() -> None:
    gold = FreeText(text="The prevalence of ataxia neuropathy spectrum is unknown.")
    question = asked(gold, "How many people are affected by ataxia neuropathy spectrum?")
    assert answered(question, "Ataxia neuropathy spectrum is common.").correct is False
    assert answered(question, "The prevalence of ataxia neuropathy spectrum remains unknown").correct is True


def test_threshold_of_one_asks_for_every_word() -> None:
    words = "<answer>Chemotherapy is usually the best choice for small cell lung cancer for 2 years.</answer>"
    assert score(asked(TREATMENT), written(words)).correct is True
    strict = DEFAULT_SCORING.model_copy(update={"free_text_threshold": 1.0})
    assert score(asked(TREATMENT), written(words), settings=strict).correct is False


def test_rouge_l_by_hand() -> None:
    assert rouge_l(tuple("abcd"), tuple("axcd")) == pytest.approx(0.75)
    assert rouge_l(tuple("ab"), tuple("ba")) == pytest.approx(0.5)
    assert rouge_l(tuple("a"), ()) == 0.0


MALFORMED = [Number(value=5, lower=1, upper=2), FreeText(text="--"), FreeText(text="?", aliases=("!",))]


@pytest.mark.parametrize("gold", MALFORMED)
@pytest.mark.parametrize("text", ["", "<think>t</think><answer>5</answer>"])
def test_malformed_gold_is_unscorable_whatever_is_answered(gold: Gold, text: str) -> None:
    assert score(asked(gold), written(text)).correct is None


def test_fault_of_the_grader_is_unscorable_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(score_module, "judge_choice", broken)
    verdict = answered(asked(Choice(letter="C")), "C")
    assert (verdict.correct, verdict.reason) == (None, Reason.UNSCORABLE)
    assert "question q" in caplog.text


@pytest.mark.parametrize("unit", sorted(UNITS))
@pytest.mark.parametrize("figure", ["53.1", "-0.5", "+7", "0", "1234567", "007"])
def test_a_common_unit_changes_nothing(figure: str, unit: str) -> None:
    """What is read at a glance is read the same way in full, which the full stop asks for."""
    for whole in (False, True):
        at_a_glance = read_number(f"{figure} {unit}", whole)
        assert at_a_glance == read_number(figure + unit, whole) == read_number(f"{figure} {unit} .", whole)
        assert at_a_glance == (float(figure),)


LENGTH_ROWS = [
    ("exact", 100, 1.0),
    ("exact", 150, 0.5),
    ("exact", 50, 0.5),
    ("exact", 300, 0.0),
    ("at_most", 1, 1.0),
    ("at_most", 100, 1.0),
    ("at_most", 150, 0.5),
    ("at_most", 250, 0.0),
]


@pytest.mark.parametrize(("mode", "used", "expected"), LENGTH_ROWS)
def test_length_closeness(mode: str, used: int, expected: float) -> None:
    budget = LengthBudget.model_validate({"tokens": 100, "mode": mode})
    assert closeness(used, budget) == pytest.approx(expected)
    assert score(asked(VITAMIN_C), written("", used), budget).length == pytest.approx(expected)


def test_no_length_without_budget_or_count() -> None:
    assert closeness(5, None) is None
    assert closeness(None, LengthBudget(tokens=100)) is None


@pytest.mark.parametrize(
    ("tokens", "cache", "expected"),
    [
        *((700, 200, 0), (800, 200, 0), (900, 200, -0.5), (1000, 200, -1), (2000, 200, -1)),
        *((1000, 0, 0), (1001, 0, -1)),
    ],
)
def test_overlong_penalty(tokens: int, cache: int, expected: float) -> None:
    assert overlong_penalty(tokens, 1000, cache) == pytest.approx(expected)


def test_overlong_cache_beyond_the_limit_teaches() -> None:
    with pytest.raises(Stop, match="0 <= cache <= limit"):
        overlong_penalty(1, 100, 200)


NUMBERS = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12)
GOLDS: st.SearchStrategy[Gold] = st.one_of(
    st.sampled_from("ABCD").map(lambda letter: Choice(letter=letter)),
    NUMBERS.map(lambda value: Number(value=value)),
    st.integers(-(10**9), 10**9).map(lambda value: Integer(value=value)),
    st.dates(date(1900, 1, 1)).map(lambda day: Date(value=f"{day.month}/{day.day}/{day.year}")),
    st.builds(WeeksDays, weeks=st.integers(0, 60), days=st.integers(0, 6)),
    st.text(min_size=1).filter(lambda text: any(map(str.isalnum, text)) and "<" not in text).map(
        lambda text: FreeText(text=text)
    ),
)  # fmt: skip


@EXAMPLES
@given(GOLDS)
def test_every_gold_scores_itself_correct(gold: Gold) -> None:
    verdict = answered(asked(gold), gold_text(asked(gold)))
    assert verdict.correct is True or verdict.reason is Reason.UNSCORABLE


PIECES = st.sampled_from(
    ["<think>", "</think>", "<answer>", "</answer>", "1", "/", " ", "weeks", "not ", "C", "x10^9", "\u00b2"]
)
TEXTS = st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=20).map("".join)


@EXAMPLES
@given(GOLDS, TEXTS)
def test_no_completion_can_cause_unscorable(gold: Gold, text: str) -> None:
    question = asked(gold)
    if answered(question, gold_text(question)).reason is Reason.UNSCORABLE:
        return
    assert score(question, written(text)).correct is not None
    assert answered(question, text).correct is not None


@EXAMPLES
@given(TEXTS)
def test_format_never_changes_correct(text: str) -> None:
    clean = text.replace("<", "").replace(">", "")
    question = asked(VITAMIN_C)
    bare = score(question, written(f"<answer>{clean}</answer>"))
    assert (bare.format_ok, bare.correct) == (False, answered(question, clean).correct)


@EXAMPLES
@given(st.integers(1, 4000), st.integers(0, 9000), st.integers(0, 9000))
def test_past_an_at_most_budget_longer_never_pays_more(tokens: int, one: int, other: int) -> None:
    budget = LengthBudget(tokens=tokens, mode="at_most")
    shorter, longer = (closeness(used, budget) for used in sorted((one, other)))
    assert shorter is not None
    assert longer is not None
    assert 1 >= shorter >= longer >= 0


HOSTILE = [
    "<answer>",
    "</answer>",
    "<answer>x</answer>",
    "<",
    "< ",
    "</think><answer>",
    "9",
    "1,",
    "1/",
    "not ",
    "(",
    "a ",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_text_is_bounded_work(piece: str) -> None:
    golds: list[Gold] = [Choice(letter="A"), Number(value=1), Integer(value=1), Date(value="1/2/2020"), VITAMIN_C]
    for text in (piece * (1_000_000 // len(piece)), f"<answer>{(piece * 2000)[:2000]}</answer>"):
        start = time.process_time()
        for gold in golds:
            assert score(asked(gold), written(text)).correct is False or piece == "<answer>x</answer>"
        assert time.process_time() - start < 2.0  # a quadratic scan of a megabyte takes hours
