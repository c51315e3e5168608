"""The built-in facts keep their promises: enough of them, one right answer each, wordings that differ, short texts."""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import permutations

import pytest

from medu1.builtin.facts import TAUGHT, UNTAUGHT
from medu1.builtin.relation import Fact, Relation
from medu1.prompt import normalised

ALL = (*TAUGHT, *UNTAUGHT)
WORD = r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*"
SHORT_TEXT = re.compile(rf"{WORD}( {WORD}){{0,2}}")  # one to three words, hyphens inside a word only

each_relation = pytest.mark.parametrize("relation", ALL, ids=lambda relation: relation.key)


def _facts(relations: tuple[Relation, ...]) -> Iterator[Fact]:
    return (fact for relation in relations for fact in relation.facts)


def _accepted(fact: Fact) -> set[str]:
    return {normalised(text) for text in (fact.answer, *fact.aliases)}


def _repeated(texts: list[str]) -> list[str]:
    return [text for text, count in Counter(texts).items() if count > 1]


def _overlap(one: str, other: str) -> float:
    """F1 of the words of two texts."""
    ours, theirs = Counter(normalised(one).split()), Counter(normalised(other).split())
    return 2 * (ours & theirs).total() / (ours.total() + theirs.total())


def test_taught_relations_hold_enough_facts() -> None:
    assert len(TAUGHT) >= 12
    assert sum(1 for _ in _facts(TAUGHT)) >= 168


def test_untaught_relations_hold_enough_facts() -> None:
    assert len(UNTAUGHT) >= 4
    assert sum(1 for _ in _facts(UNTAUGHT)) >= 64


def test_relation_keys_are_unique_names() -> None:
    keys = [relation.key for relation in ALL]
    assert not _repeated(keys)
    assert [key for key in keys if not re.fullmatch(r"[a-z]+(_[a-z]+)*", key)] == []


def test_untaught_relations_are_a_source_of_their_own() -> None:
    assert {relation.source for relation in UNTAUGHT} == {"facts-untaught"}
    assert "facts-untaught" not in {relation.source for relation in TAUGHT}
    assert all(relation.source.startswith("facts-") for relation in TAUGHT)


def test_no_subject_occurs_twice_in_all_relations() -> None:
    assert _repeated([normalised(fact.subject) for fact in _facts(ALL)]) == []


def test_untaught_answers_occur_nowhere_among_taught_answers() -> None:
    taught = {normalised(fact.answer) for fact in _facts(TAUGHT)}
    assert taught.isdisjoint(normalised(fact.answer) for fact in _facts(UNTAUGHT))


def test_untaught_wordings_occur_nowhere_among_taught_wordings() -> None:
    taught = {normalised(wording) for relation in TAUGHT for wording in relation.wordings}
    assert taught.isdisjoint(normalised(wording) for relation in UNTAUGHT for wording in relation.wordings)


@each_relation
def test_relation_has_twelve_facts_or_more(relation: Relation) -> None:
    assert len(relation.facts) >= 12


@each_relation
def test_no_text_is_right_for_two_subjects_of_a_relation(relation: Relation) -> None:
    assert _repeated([text for fact in relation.facts for text in _accepted(fact)]) == []


@each_relation
def test_aliases_differ_from_their_answer_and_each_other(relation: Relation) -> None:
    wasted = [fact for fact in relation.facts if len(set(map(str.casefold, fact.aliases))) < len(fact.aliases)]
    wasted += [fact for fact in relation.facts if fact.answer.casefold() in map(str.casefold, fact.aliases)]
    assert wasted == []


@each_relation
def test_answers_of_a_relation_share_at_most_half_their_words(relation: Relation) -> None:
    pairs = permutations((fact.answer for fact in relation.facts), 2)
    assert [pair for pair in pairs if _overlap(*pair) > 0.5] == []


@each_relation
def test_subjects_and_answers_are_one_to_three_plain_words(relation: Relation) -> None:
    texts = [text for fact in relation.facts for text in (fact.subject, fact.answer)]
    assert [text for text in texts if not SHORT_TEXT.fullmatch(text)] == []


@each_relation
def test_relation_has_eight_wordings_with_one_subject_each(relation: Relation) -> None:
    assert len(relation.wordings) == 8
    assert [wording for wording in relation.wordings if re.findall(r"{.*?}", wording) != ["{subject}"]] == []


@each_relation
def test_no_wording_is_part_of_another(relation: Relation) -> None:
    asked = [f" {normalised(wording.format(subject='thing'))} " for wording in relation.wordings]
    assert [pair for pair in permutations(asked, 2) if pair[0] in pair[1]] == []


@each_relation
def test_wordings_share_few_words_beside_the_subject(relation: Relation) -> None:
    frames = [wording.format(subject="") for wording in relation.wordings]
    assert [pair for pair in permutations(frames, 2) if _overlap(*pair) > 0.8] == []


@each_relation
def test_subject_stands_in_varying_places(relation: Relation) -> None:
    places = {wording.split("{subject}")[0].count(" ") for wording in relation.wordings}
    assert len(places) >= 3


@each_relation
def test_questions_are_sentences_of_at_most_twelve_words(relation: Relation) -> None:
    questions = [wording.format(subject=fact.subject) for wording in relation.wordings for fact in relation.facts]
    assert [question for question in questions if len(question.split()) > 12] == []
    assert [question for question in questions if not re.fullmatch(r"[A-Z].*[?.]", question)] == []
