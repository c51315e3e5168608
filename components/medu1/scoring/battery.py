"""The battery of degenerate answers: ways to be paid without the answer, tried on every question before training.

Every draw is a hash of the question's id, so that one set of questions has one battery.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta
from enum import StrEnum
from itertools import cycle
from typing import Final, NamedTuple

from medu1.params import Scoring
from medu1.question import Choice, Date, FreeText, Integer, Number, Question, WeeksDays, gold_text

_DRAWS: Final = 50  # questions looked at for another gold
_STOP_WORDS: Final = ("of", "the", "is", "the of and in is to a")
_AUXILIARY = re.compile(r"\b(is|are|was|were|can|may|will|has|have|does|do|should|could|would|might|had|did)\b", re.I)
_NEGATOR = re.compile(r"\b(?:not|no|never|without)\s+|(?<=can)not\b", re.I)
_RAMBLE: Final = "so we should consider every finding of this case once more and then again before we decide"
_RAMBLE_WORDS: Final = 2000


class Probe(StrEnum):
    """One way of being wrong."""

    EMPTY = "empty"  # nothing between the tags
    STOP_WORDS = "stop_words"  # words of any English text, one or several
    FIRST_WORD = "first_word"  # the gold's first word, where it is not an accepted answer
    QUESTION_ECHOED = "question_echoed"  # the question as its own answer
    OTHER_GOLD = "other_gold"  # the gold of a question of another topic or kind
    SAME_TYPE_GOLD = "same_type_gold"  # the gold of another question of this topic and kind; never blocks
    EVERY_OPTION = "every_option"  # all letters, or all options in full
    TWO_NUMBERS = "two_numbers"  # the right number, date or age, and another
    TEN_TIMES = "ten_times"  # the right number, ten times too large
    THOUSAND_TIMES = "thousand_times"  # the right number in another unit
    NEGATED_GOLD = "negated_gold"  # the gold, denied
    RAMBLE = "ramble"  # the gold somewhere in 2,000 words
    TAGS_REPEATED = "tags_repeated"  # the gold in one answer block, something else in a second
    TAGS_NESTED = "tags_nested"  # the gold in an answer block inside another
    OUTSIDE_TAGS = "outside_tags"  # the gold without answer tags
    LOOKALIKE_TAGS = "lookalike_tags"  # the gold in tags spelt with a Cyrillic letter

    @property
    def blocks(self) -> bool:
        """Whether acceptance refuses training: questions of one type share answers, so theirs are reported only."""
        return self is not Probe.SAME_TYPE_GOLD


class Attempt(NamedTuple):
    """A degenerate completion."""

    probe: Probe
    text: str


class Pool:
    """The questions another gold is drawn from. A question's type is its topic and gold kind."""

    def __init__(self, questions: Sequence[Question]) -> None:
        self.questions = questions
        self.by_type: defaultdict[tuple[str, str], list[Question]] = defaultdict(list)
        for question in questions:
            self.by_type[_type(question)].append(question)

    def other_type(self, question: Question, settings: Scoring) -> Question | None:
        """A question of another type with another gold; None where none is found."""
        return self._drawn(question, self.questions, settings, same_type=False)

    def same_type(self, question: Question, settings: Scoring) -> Question | None:
        """A question of the same type with another gold; None where none is found."""
        return self._drawn(question, self.by_type[_type(question)], settings, same_type=True)

    def _drawn(
        self, question: Question, among: Sequence[Question], settings: Scoring, same_type: bool
    ) -> Question | None:
        """Drawn by the question's id. One whose gold is right here too is passed over: accepting it tells nothing."""
        right, start = _right_texts(question), draw(question.id)
        for step in range(min(_DRAWS, len(among))):
            other = among[(start + step) % len(among)]
            is_right_too = gold_text(other).casefold() in right or _same_figure(question, other, settings)
            if (_type(other) == _type(question)) is same_type and not is_right_too:
                return other
        return None


def attempts(question: Question, pool: Pool, settings: Scoring) -> Iterator[Attempt]:
    """The battery for one question of a pool, in one or several attempts a probe; a kind has its own probes."""
    yield from _anywhere(question)
    yield from _by_kind(question)
    if other := pool.other_type(question, settings):
        yield Attempt(Probe.OTHER_GOLD, answered(gold_text(other)))
    if other := pool.same_type(question, settings):
        yield Attempt(Probe.SAME_TYPE_GOLD, answered(gold_text(other)))


def answered(answer: str) -> str:
    """A well-formed completion."""
    return f"<think>I know.</think><answer>{answer}</answer>"


def negation(text: str) -> str:
    """The text denied: its first negator removed, else "not" after its first auxiliary, else "It is not true that"."""
    if _NEGATOR.search(text):
        return _NEGATOR.sub("", text, count=1)
    if _AUXILIARY.search(text):
        return _AUXILIARY.sub(r"\1 not", text, count=1)
    return f"It is not true that {text}"


def _anywhere(question: Question) -> Iterator[Attempt]:
    gold = gold_text(question)
    yield Attempt(Probe.EMPTY, answered(" "))
    for words in _STOP_WORDS:
        yield Attempt(Probe.STOP_WORDS, answered(words))
    yield Attempt(Probe.QUESTION_ECHOED, answered(question.text))
    yield Attempt(Probe.NEGATED_GOLD, answered(negation(gold)))
    yield Attempt(Probe.RAMBLE, answered(_ramble(gold, question.id)))
    yield Attempt(Probe.TAGS_REPEATED, f"{answered(gold)}<answer>{gold} or not</answer>")
    yield Attempt(Probe.TAGS_NESTED, answered(f"<answer>{gold}</answer>"))
    yield Attempt(Probe.OUTSIDE_TAGS, f"<think>I know.</think>{gold}")
    yield Attempt(Probe.LOOKALIKE_TAGS, f"<think>I know.</think><\u0430nswer>{gold}</\u0430nswer>")


def _by_kind(question: Question) -> Iterator[Attempt]:
    match question.gold:
        case Choice():
            yield Attempt(Probe.EVERY_OPTION, answered(", ".join(question.options)))
            options = "\n".join(f"{letter}: {text}" for letter, text in question.options.items())
            yield Attempt(Probe.EVERY_OPTION, answered(options))
        case Number(value=value) | Integer(value=value):
            yield Attempt(Probe.TWO_NUMBERS, answered(f"{value} or {value + abs(value) + 1}"))
            if value:
                yield Attempt(Probe.TEN_TIMES, answered(f"{value * 10}"))
                yield Attempt(Probe.THOUSAND_TIMES, answered(f"{value * 1000}"))
        case Date(value=text) as gold:
            later = gold.as_date() + timedelta(days=1)
            yield Attempt(Probe.TWO_NUMBERS, answered(f"{text} or {later:%m/%d/%Y}"))
        case WeeksDays(weeks=weeks):
            later_weeks = gold_text(question).replace(str(weeks), str(weeks + 1), 1)
            yield Attempt(Probe.TWO_NUMBERS, answered(f"{gold_text(question)} or {later_weeks}"))
        case FreeText(text=text, aliases=aliases):
            first, _, rest = text.partition(" ")
            if rest and first not in aliases:
                yield Attempt(Probe.FIRST_WORD, answered(first))


def _ramble(gold: str, key: str) -> str:
    words = [word for word, _ in zip(cycle(_RAMBLE.split()), range(_RAMBLE_WORDS), strict=False)]
    words.insert(draw(key) % _RAMBLE_WORDS, f"the answer is {gold} and")
    return " ".join(words)


def _type(question: Question) -> tuple[str, str]:
    return question.topic, question.gold.kind


def draw(key: str) -> int:
    """A number fixed by a key: the same on every machine and in every order."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")


def _same_figure(question: Question, other: Question, settings: Scoring) -> bool:
    """Whether the other's gold is a number that is right here too, as small scores often are."""
    if not isinstance(other.gold, Number | Integer):
        return False
    match question.gold:
        case Integer(value=value):
            return round(other.gold.value) == value
        case Number(lower=float(low), upper=float(high)):
            return min(low, high) <= other.gold.value <= max(low, high)
        case Number(value=value):
            return abs(other.gold.value - value) <= settings.number_tolerance * abs(value)
        case _:
            return False


def _right_texts(question: Question) -> frozenset[str]:
    """Texts that are the right answer, case folded: another question may happen to have one of them as its gold."""
    texts = [gold_text(question)]
    match question.gold:
        case Choice(letter=letter):
            texts.append(question.options[letter])
        case FreeText(aliases=aliases):
            texts += aliases
    return frozenset(text.casefold() for text in texts)
