"""What counts as a training question that gives an evaluation question away, and what does not."""

from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medu1.prepare.contamination import contamination, ngrams
from medu1.prepare.contamination.contamination import DEFAULT_CONTAMINATION, Batch, Index, Packed
from medu1.prepare.contamination.leaks import ContaminationReport, Leak, SourcePair, dropped_groups, report
from medu1.prepare.contamination.ngrams import Hashes, hashed, hashed_sets
from medu1.prepare.contamination.prose import Said, folded, folded_all, spaced, words
from medu1.prepare.contamination.prose import asked as asked_of
from medu1.prompt import normalised
from medu1.question import Choice, FreeText, Question

EXAMPLES = settings(max_examples=50, deadline=None)
LIMITS = DEFAULT_CONTAMINATION
VIGNETTE = (
    "A 54-year-old sailor comes to the harbour clinic with a swollen knee that woke him at night. He ate mussels and "
    "drank dark beer at a wedding two days earlier. He takes a thiazide for high blood pressure. The joint is hot, and "
    "the fluid drawn from it holds needle-shaped crystals that are bright yellow along the axis of the compensator."
)
STEM = "Which of the following is the most appropriate next step in management?"
GOUT, GOUT_OR_LUPUS = 0x748392FA312573D9, 0xEA0D93935F364361
DRUGS = {"A": "Colchicine", "B": "Allopurinol", "C": "Febuxostat", "D": "Probenecid"}


def question(text: str, name: str = "row", **fields: object) -> Question:
    options = fields.get("options")
    gold = Choice(letter="A") if options else FreeText(text="gout")
    row = {"id": name, "source": "train", "text": text, "gold": gold, **fields}
    return Question.model_validate(row)


def found(training: Question | Sequence[Question], *evaluation: Question) -> list[Leak]:
    batch = [training] if isinstance(training, Question) else training
    return Index.of(evaluation, LIMITS).leaks(batch)


def lettered(options: Sequence[str]) -> dict[str, str]:
    return dict(zip("ABCDEFGH", options, strict=False))


def spoken(letters: str, at_most: int = 40) -> st.SearchStrategy[str]:
    return st.lists(st.text(letters, min_size=1, max_size=6), min_size=1, max_size=at_most).map(" ".join)


@st.composite
def asked(draw: st.DrawFn, letters: str, name: str) -> Question:
    """A question whose every word is of some letters."""
    options = draw(st.lists(spoken(letters, 3), min_size=2, max_size=5) | st.just([]))
    context = draw(spoken(letters) | st.just(""))
    return question(draw(spoken(letters)), name, context=context, options=lettered(options))


def several(letters: str, name: str) -> st.SearchStrategy[list[Question]]:
    rows = st.lists(asked(letters, name), max_size=6)
    return rows.map(lambda rows: [row.model_copy(update={"id": f"{name}-{place}"}) for place, row in enumerate(rows)])


TRAINING, EVALUATION = several("abé", "train"), several("abé", "evaluation")


# Words


@EXAMPLES
@given(st.text(st.characters(max_codepoint=0x2E7F)))
def test_words_are_those_of_the_normalised_prompt(text: str) -> None:
    assert b" ".join(words(text)).decode(errors="surrogatepass") == " ".join(normalised(text).split())


def test_a_character_of_a_script_without_spaces_is_a_word() -> None:
    assert [word.decode() for word in words("糖尿病のHbA1c、7%")] == ["糖", "尿", "病", "の", "hba1c", "7"]


def test_hashes_are_alike_in_every_process() -> None:
    assert hashed([folded("Gout?"), b""]).wholes().tolist() == [GOUT, 0]
    assert hashed_sets([[b"gout", b"lupus"], [folded("Lupus."), folded("GOUT")], []]).tolist() == [
        GOUT_OR_LUPUS,
        GOUT_OR_LUPUS,
        0,
    ]


# Properties


@EXAMPLES
@given(TRAINING, EVALUATION, asked("abé", "copied"))
def test_a_verbatim_copy_is_always_found(training: list[Question], others: list[Question], copied: Question) -> None:
    leaks = found([*training, copied], *others, copied)
    assert ("copied", "copied", 1.0) in {(leak.id, leak.evaluation, leak.share) for leak in leaks}


@EXAMPLES
@given(several("abcé", "train"), several("xyzö", "evaluation"))
def test_unrelated_text_is_never_found(training: list[Question], evaluation: list[Question]) -> None:
    assert found(training, *evaluation) == []


@EXAMPLES
@given(TRAINING, EVALUATION, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(
    training: list[Question], evaluation: list[Question], random: Random
) -> None:
    before = found(training, *evaluation)
    random.shuffle(training)
    random.shuffle(evaluation)
    assert sorted(map(str, found(training, *evaluation))) == sorted(map(str, before))


@EXAMPLES
@given(TRAINING, EVALUATION, st.integers(0, 6))
def test_the_borders_of_batches_do_not_matter(training: list[Question], evaluation: list[Question], at: int) -> None:
    index = Index.of(evaluation, LIMITS)
    assert index.leaks(training) == index.leaks(training[:at]) + index.leaks(training[at:])


@EXAMPLES
@given(TRAINING, EVALUATION)
def test_the_size_of_portions_does_not_matter(training: list[Question], evaluation: list[Question]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        whole = found(training, *evaluation)
        patch.setattr(contamination, "PORTION", 1)
        assert found(training, *evaluation) == whole


@EXAMPLES
@given(TRAINING, EVALUATION)
def test_colliding_hashes_drop_no_row(training: list[Question], evaluation: list[Question]) -> None:
    def colliding(values: Hashes) -> Hashes:
        return np.where(values == 0, values, np.uint64(8) | (values & np.uint64(3)))

    with pytest.MonkeyPatch.context() as patch:
        apart = found(training, *evaluation)
        patch.setattr(ngrams, "_mixed", colliding)
        index = Index.of(evaluation, LIMITS.model_copy(update={"boilerplate": 1000}))
        assert {(leak.id, leak.evaluation) for leak in index.leaks(training)} == {
            (leak.id, leak.evaluation) for leak in apart
        }


# Text


def test_case_and_punctuation_hide_no_copy() -> None:
    copied = VIGNETTE.upper().replace(".", " --").replace("needle-shaped", "needle\u2010shaped")
    (leak,) = found(question(copied), question(VIGNETTE, "asked"))
    assert (leak.share, leak.kind) == (1.0, "text")


def test_a_reworded_vignette_is_found_by_its_runs() -> None:
    reworded = VIGNETTE.replace("sailor", "fisherman").replace("two days", "three days").replace("bright", "vividly")
    (leak,) = found(question(reworded), question(VIGNETTE, "asked"))
    assert LIMITS.min_share < leak.share < 1


def test_a_vignette_inside_a_longer_text_is_found() -> None:
    long = f"Read the case and answer. {VIGNETTE} " + "Think about each of the drugs and say what it does. " * 20
    (leak,) = found(question(long), question(VIGNETTE, "asked"))
    assert leak.share == 1.0


def test_one_run_that_examinations_share_is_no_leak() -> None:
    vitals = "His temperature is 37.1 C (98.8 F), pulse is 78/min, and blood pressure is 128/82 mm Hg."
    other = (
        "A 23-year-old pilot noticed blisters on both hands the day after she weeded the garden of an aunt. They itch "
        "and weep and break, and new ones come along the lines where a leaf has brushed the skin of her arm. She "
        "has never had anything like it, uses no cream, and flies again on Monday."
    )
    assert found(question(f"{other} {vitals}"), question(f"{VIGNETTE} {vitals}", "asked")) == []


def test_a_run_of_many_evaluation_questions_counts_for_nothing() -> None:
    stem = "Which of the following is the most likely underlying cause of the findings in this patient?"
    cases = ("rash", "cough", "fever", "gout", "lupus", "asthma", "sprue", "goitre", "colic", "palsy", "croup", "mumps")
    asked = [question(f"{case.capitalize()}. {stem}", case) for case in cases]
    row = question(f"Tetanus. {stem}")
    assert len(found(row, *asked[: LIMITS.boilerplate])) == LIMITS.boilerplate
    assert found(row, *asked) == []
    assert found(asked[0], *asked) != []  # the whole question still counts


def test_a_short_stem_alone_gives_no_choice_question_away() -> None:
    stem = "Which of the following is true?"
    mussels = question(stem, "asked", options=lettered(["Mussels sing", "Mussels dance", "Mussels read"]))
    knees = question(stem, options=lettered(["Knees sing", "Knees dance", "Knees read"]))
    assert found(knees, mussels) == []
    assert found(mussels, mussels) != []


def test_a_short_choice_question_asked_openly_is_found() -> None:
    text = "What is the antidote of heparin?"
    (leak,) = found(question(text), question(text, "asked", options=DRUGS))
    assert leak.kind == "text"


# Options


def test_a_reworded_short_question_is_found_by_its_options_in_any_order() -> None:
    row = question("DOC for acute gout attacks", options=lettered([*reversed(DRUGS.values())]))
    (leak,) = found(row, question("What is the DOC for an acute attack of gout?", "asked", options=DRUGS))
    assert (leak.kind, leak.share) == ("options", 0.75)


def test_the_same_options_on_another_subject_are_no_leak() -> None:
    row = question("Which of the following blocks the tubular secretion of penicillin?", options=DRUGS)
    assert found(row, question("Which of the following is safe in an acute attack?", "asked", options=DRUGS)) == []


@pytest.mark.parametrize("options", [["Yes", "No", "Maybe"], ["1", "2", "3", "4"], ["A", "B", "All of the above"]])
def test_options_that_say_nothing_give_no_question_away(options: list[str]) -> None:
    row = question("How many bones has the wrist, thumb included?", options=lettered(options))
    assert found(row, question("How many bones has the wrist?", "asked", options=lettered(options))) == []


# Notes


def test_one_calculation_on_two_notes_is_no_leak() -> None:
    wording = "What is the creatinine clearance by the Cockcroft-Gault equation in mL/min for the weight in the note?"
    other = "A pilot noticed blisters on both hands after gardening. They itch, weep and come back every single summer."
    row = question(wording, context=other)
    assert found(row, question(wording, "asked", context=VIGNETTE)) == []
    assert found(row, question(wording, "asked", context="Age 50.")) == []


def test_a_note_gives_away_every_question_about_it() -> None:
    asked = question("What is the body mass index in kg/m2?", "asked", context=VIGNETTE)
    (leak,) = found(question("How old is he?", context=VIGNETTE), asked)
    assert leak.kind == "text"
    assert found(question(f"{VIGNETTE} How old is he?"), asked) != []


# Groups and counts


def test_a_generated_source_is_not_held_against_itself() -> None:
    row, other = question(VIGNETTE, source="facts"), question(VIGNETTE, source="medqa")
    index = Index.of([question(VIGNETTE, "asked", source="facts")], LIMITS, generated=["facts"])
    assert [leak.source for leak in index.leaks([row, other])] == ["medqa"]


def test_whole_groups_leave_and_counts_are_by_pair_of_sources() -> None:
    asked = [question(VIGNETTE, "one", source="medqa"), question(STEM, "two", source="mmlu", options=DRUGS)]
    rows = [
        question(VIGNETTE, "a", group="gout"),
        question(f"{VIGNETTE} Why?", "b", group="gout"),
        question("Most appropriate next step in management", "c", options=lettered([*reversed(DRUGS.values())])),
        question("Why do knees swell?", "d", group="gout"),
        question("Why do knees bend?", "e"),
    ]
    leaks = found(rows, *asked)
    assert dropped_groups(leaks) == {"gout", "c"}
    assert report(leaks) == ContaminationReport(
        questions=3,
        groups=2,
        pairs=(
            SourcePair(source="train", evaluation_source="medqa", text=2, options=0, groups=1, evaluation=1),
            SourcePair(source="train", evaluation_source="mmlu", text=0, options=1, groups=1, evaluation=1),
        ),
    )


def test_nothing_comes_of_nothing() -> None:
    assert found([], question(VIGNETTE)) == []
    assert found(question(VIGNETTE)) == []
    assert found(question("?!", options=lettered(["+", "-"])), question("?!", "asked")) == []
    assert report([]) == ContaminationReport(questions=0, groups=0, pairs=())


@given(st.lists(st.text(alphabet="aB c\u00df\u00e9.,\x1e\n-9\u767c", max_size=20), max_size=12))
def test_texts_folded_together_are_folded_as_one_by_one(texts: list[str]) -> None:
    assert spaced(texts) == [b" ".join(words(text)) for text in texts]
    assert folded_all(texts) == [folded(text) for text in texts]


def test_packed_questions_leak_what_the_questions_do() -> None:
    evaluation = [question(VIGNETTE, "asked", options=DRUGS), question("What is gout?", "short")]
    training = [
        question(f"{VIGNETTE} Why so?", "longer"),
        question("What is gout?", "again"),
        question("Which of these is raised in gout, then?", "options", options=DRUGS),
        question("Another thing.", "other"),
    ]
    index = Index.of(evaluation, LIMITS)
    rows = [Packed(each.id, each.source, each.group or each.id, Said.of(each).packed) for each in training]
    hashes = hashed_sets([[folded(option) for option in each.options.values()] for each in training])
    assert [leak for _, leak in index.leaks_of(Batch.of_packed(rows, hashes))] == index.leaks(training)
    again = Index.of_batches([Batch.of(evaluation, asked_of(evaluation))], LIMITS)
    assert again.leaks(training) == index.leaks(training) != []
