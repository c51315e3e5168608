"""Duplicates: what asks again is found whatever its typography, what asks something else is left alone."""

import random
from itertools import permutations

import pytest

from medu1.params import DuplicateLimits
from medu1.prepare.repeats.duplicate_report import DuplicateReport
from medu1.prepare.repeats.duplicates import DEFAULT_DUPLICATES, SHOWN, among
from medu1.prepare.repeats.wording import jaccard
from medu1.question import Choice, FreeText, Gold, Number, Question, Split

DRUGS = {"A": "Aspirin", "B": "Heparin", "C": "Warfarin", "D": "Alteplase"}
CASE = """A woman of middle age comes to the clinic because of pain in both hands that is worst after waking and eases
over the forenoon. She describes stiffness of the fingers, tiredness and a poor appetite since spring. Examination shows
swelling of the knuckles, which are warm and tender, and small firm nodules over the elbows. Laboratory studies show a
raised sedimentation rate. Radiographs of the hands show narrow joint spaces and erosions at the margins."""
TEMPLATE = (
    "You are a physician who answers questions of patients and of colleagues. Read the question with care, weigh the "
    "evidence for each answer and then give one short answer in plain words that a person without medical training "
    "can understand and use at home. The question is this: what are the symptoms of {} ?"
)


def question(name: str, text: str, gold: Gold | None = None, context: str = "", split: Split | None = None) -> Question:
    """An open question unless a gold is given."""
    return Question(
        id=name, source="own", text=text, gold=gold or FreeText(text="It is so."), context=context, split=split
    )


def choice(name: str, text: str, options: dict[str, str], letter: str = "A", split: Split | None = None) -> Question:
    """A multiple-choice question."""
    return Question(id=name, source="own", text=text, options=options, gold=Choice(letter=letter), split=split)


def found(
    *rows: Question, limits: DuplicateLimits = DEFAULT_DUPLICATES, shown: int = SHOWN
) -> tuple[DuplicateReport, frozenset[str]]:
    """The report and the ids that go."""
    duplicates = among(rows, limits, shown)
    return duplicates.report(), frozenset(rows[place].id for place in duplicates.firsts)


def kind(one: Question, other: Question) -> str:
    """What two questions are to each other."""
    report, _ = found(one, other)
    return "exact" if report.exact.total else "near" if report.near.total else "distinct"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("What causes asthma?", "WHAT CAUSES ASTHMA ?", "exact"),
        ("What causes asthma?", "What  causes \u201casthma\u201d", "exact"),
        ("What causes asthma?", "What is the cause of asthma?", "near"),
        ("What are the symptoms of shingles?", "What is a symptom of shingles", "near"),
        ("How is hepatitis A treated?", "How is a hepatitis A treated?", "near"),
        ("Patients with gout: which diets help?", "Which diets help patients with gout?", "distinct"),
        ("What are the symptoms of shingles?", "What are the symptoms of silicosis?", "distinct"),
        ("What are the symptoms of shingles?", "What are the treatments of shingles?", "distinct"),
        ("What is hepatitis A?", "What is hepatitis B?", "distinct"),
        ("What is hepatitis A?", "What is hepatitis?", "distinct"),
        ("What is type 1 diabetes?", "What is type 2 diabetes?", "distinct"),
        ("What is asthma?", "What to do for asthma?", "distinct"),
        ("Why is warfarin given?", "When is warfarin given?", "distinct"),
        ("Is warfarin safe in pregnancy?", "Is warfarin not safe in pregnancy?", "distinct"),
        ("Does stress cause ulcers?", "Do ulcers cause stress?", "distinct"),
        ("Is a creatinine of 1.2 mg/dL normal?", "Is a creatinine of 1.3 mg/dL normal?", "distinct"),
        ("Is a creatinine of 1.2 mg/dL normal?", "Is a creatinine of 12 mg/dL normal?", "distinct"),
        ("Is a base excess of 5 normal?", "Is a base excess of -5 normal?", "distinct"),
        ("Is an ejection fraction < 40 low?", "Is an ejection fraction > 40 low?", "distinct"),
        ("Does 1 2.3 add up?", "Does 1.2 3 add up?", "distinct"),
    ],
)
def test_two_open_questions_are_judged_by_what_they_ask(one: str, other: str, expected: str) -> None:
    assert kind(question("one", one), question("other", other)) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("comes to", "presents to", "near"),
        ("describes stiffness", "reports stiffness", "near"),
        ("A woman", "A man", "distinct"),
        ("worst after", "worst before", "distinct"),
        ("pain in both hands", "no pain in both hands", "distinct"),
        ("since spring", "since 3 weeks", "distinct"),
    ],
)
def test_a_word_of_a_long_text_matters_where_it_turns_the_question(old: str, new: str, expected: str) -> None:
    assert old in CASE
    asked = question("one", f"{CASE} What is the diagnosis?")
    assert kind(asked, question("other", f"{CASE} What is the diagnosis?".replace(old, new))) == expected


def test_two_questions_on_one_note_are_two_questions() -> None:
    asked = [question(text, text, Number(value=3), CASE) for text in ("What is the Apgar score?", "What is the age?")]
    assert kind(asked[0], asked[1]) == "distinct"


def test_the_note_counts_as_text() -> None:
    other = CASE.replace("tiredness", "weight loss").replace("swelling of the knuckles", "normal hands and warm skin")
    asked = [question(note, "What is the score?", Number(value=3), note) for note in (CASE, f"{CASE} ", other)]
    assert kind(asked[0], asked[1]) == "exact"
    assert kind(asked[0], asked[2]) == "distinct"


def test_shuffled_options_ask_the_same_and_agree_where_the_gold_is_the_same_text() -> None:
    shuffled = dict(zip("ABCD", reversed(DRUGS.values()), strict=True))
    rows = choice("one", "Which drug lyses clots?", DRUGS, "D"), choice("two", "Which drug lyses clots?", shuffled, "A")
    report, dropped = found(*rows)
    assert report.near.total == 1
    assert report.conflicts.total == 0
    assert len(dropped) == 1


@pytest.mark.parametrize("other", ["Aspirin 2", "Enoxaparin", "Aspirin +"])
def test_another_option_is_another_question(other: str) -> None:
    rows = choice("one", "Which drug?", DRUGS), choice("two", "Which drug?", DRUGS | {"B": other})
    assert kind(*rows) == "distinct"


def test_options_of_signs_alone_are_told_apart() -> None:
    rows = [choice(sign, "Which sign?", {"A": sign, "B": "none"}) for sign in ("++", "--")]
    assert kind(rows[0], rows[1]) == "distinct"


def test_the_row_that_stays_does_not_depend_on_the_order_of_rows() -> None:
    rows = [
        question("a", "What causes asthma?"),
        question("b", "What causes asthma"),
        question("c", "What is the cause of asthma?"),
        question("d", "What are the causes of an asthma?"),
    ]
    answers = set()
    for order in permutations(rows):
        report, gone = found(*order)
        answers.add((report.model_dump_json(), gone))
    assert len(answers) == 1
    (_, dropped), *_ = answers
    assert len(dropped) == 3


def test_a_declared_test_row_stays_and_the_training_row_goes() -> None:
    for name in map(str, range(20)):
        _, dropped = found(
            question(f"train {name}", f"What causes asthma {name}?"),
            question(f"test {name}", f"What causes asthma {name}", split="test"),
        )
        assert dropped == {f"train {name}"}


def test_no_row_of_a_declared_benchmark_is_dropped_and_repeats_are_told() -> None:
    rows = [question(name, "What causes asthma?", split="test") for name in ("one", "two", "three")]
    report, dropped = found(*rows, question("mine", "What causes an asthma?"))
    assert dropped == {"mine"}
    assert report.declared == {"own": 2}
    assert report.exact.total == 2


def test_one_question_with_two_golds_is_a_conflict_and_neither_row_trains() -> None:
    rows = choice("one", "Which drug lyses clots?", DRUGS, "D"), choice("two", "Which drug lyses clots?", DRUGS, "A")
    report, dropped = found(*rows)
    assert report.conflicts.total == 1
    assert {report.conflicts.pairs[0].first, report.conflicts.pairs[0].again} == {"one", "two"}
    assert dropped == {"one", "two"}
    _, dropped = found(*rows, limits=DEFAULT_DUPLICATES.model_copy(update={"drop_conflicting": False}))
    assert len(dropped) == 1


def test_a_third_copy_of_a_conflict_goes_too() -> None:
    rows = [choice(name, "Which drug?", DRUGS, letter) for name, letter in (("x", "A"), ("y", "B"), ("z", "A"))]
    assert found(*rows)[1] == {"x", "y", "z"}


def test_numbers_within_each_others_limits_agree() -> None:
    golds = Number(value=10.0, lower=9.5, upper=10.5), Number(value=10.1), Number(value=20.0)
    rows = [question(str(gold.value), "What is the score?", gold) for gold in golds]
    assert found(rows[0], rows[1])[0].conflicts.total == 0
    assert found(rows[0], rows[2])[0].conflicts.total == 1


def test_references_in_other_words_are_told_and_the_first_stays() -> None:
    golds = FreeText(text="Mutations of the gene CFTR."), FreeText(text="Nobody knows for certain.")
    report, dropped = found(*(question(gold.text, "What causes this?", gold) for gold in golds))
    assert report.conflicts.total == 1
    assert len(dropped) == 1


def test_long_questions_that_differ_in_a_word_and_in_their_gold_are_both_kept() -> None:
    golds = Choice(letter="A"), Choice(letter="B")
    texts = CASE, CASE.replace("small firm nodules", "small soft nodules")
    rows = [Question(id=text, source="own", text=text, options=DRUGS, gold=gold) for text, gold in zip(texts, golds,
            strict=True)]  # fmt: skip
    report, dropped = found(*rows)
    assert report.near.total == report.conflicts.total == 1
    assert not dropped


def test_the_subject_of_a_long_template_is_no_changed_word() -> None:
    syllables = random.Random(3)
    names = {"".join(syllables.choice(["ka", "ro", "mi", "te", "lo"]) for _ in range(5)) + "osis" for _ in range(300)}
    report, _ = found(*(question(name, TEMPLATE.format(name)) for name in sorted(names)))
    assert (
        jaccard(*(tuple(TEMPLATE.format(name).split()) for name in sorted(names)[:2]))
        > DEFAULT_DUPLICATES.near_similarity
    )
    assert report.near.total == report.exact.total == 0


def test_the_report_lists_the_first_pairs_by_id_and_counts_all() -> None:
    rows = [question(f"{name:02}{copy}", f"What is condition {name}?") for name in range(30) for copy in "ab"]
    report, dropped = found(*rows, shown=3)
    assert report.read == 60
    assert report.exact.rows == report.dropped == {"own": 30}
    assert [pair.first[:2] for pair in report.exact.pairs] == ["00", "01", "02"]
    assert len(dropped) == 30
