"""The reward audit: every gold must pass the grader that rewards it, and degenerate answers must not.

A reward that a lone stop word or another question's gold can earn teaches a model to write it. The battery is fixed
and its draws are hashes of question ids, so that one set of questions has one report.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Final

from medu1.completion import Completion
from medu1.params import Scoring
from medu1.question import Choice, FreeText, Frozen, Integer, Number, Question, gold_text
from medu1.scoring.grading import DEFAULT_SCORING
from medu1.scoring.score import score

SHOWN: Final = 20  # ids kept of the accepted answers of one rate
_DRAWS: Final = 50  # questions looked at for another gold
_STOP_WORDS: Final = "the of and in is to a"
_AUXILIARY = re.compile(r"\b(is|are|was|were|can|may|will|has|have|does|do|should|could|would|might|had|did)\b", re.I)
_NEGATOR = re.compile(r"\b(?:not|no|never|without)\s+|(?<=can)not\b", re.I)


class Probe(StrEnum):
    """One way of being wrong."""

    EMPTY = "empty"  # nothing between the tags
    STOP_WORDS = "stop_words"  # words of any English text
    FIRST_WORD = "first_word"  # the gold's first word, where it is not an accepted answer
    QUESTION_ECHOED = "question_echoed"  # the question as its own answer
    OTHER_GOLD = "other_gold"  # the gold of a question of another topic or kind
    EVERY_OPTION = "every_option"  # all option letters
    TWO_NUMBERS = "two_numbers"  # the right number and another
    TEN_TIMES = "ten_times"  # the right number, ten times too large
    NEGATED_GOLD = "negated_gold"  # the gold, denied
    DIFFERENT_BLOCKS = "different_blocks"  # the gold in one answer block, something else in a second
    OUTSIDE_TAGS = "outside_tags"  # the gold without answer tags
    LOOKALIKE_TAGS = "lookalike_tags"  # the gold in tags spelt with a Cyrillic letter


class ProbeRate(Frozen):
    """How often one probe was accepted on one source."""

    source: str
    probe: Probe
    tried: int
    accepted: int
    ids: tuple[str, ...] = ()  # of the first accepted questions

    @property
    def rate(self) -> float:
        """Accepted over tried, in [0, 1]."""
        return self.accepted / self.tried


class AuditReport(Frozen):
    """What the grader does with every gold and with the battery, by source."""

    golds: int
    false_rejects: tuple[str, ...]  # ids of questions one of whose golds fails its own grader
    rates: tuple[ProbeRate, ...]  # by source, then probe

    def worst(self) -> ProbeRate | None:
        """The probe accepted most often; None where nothing was tried."""
        return max(self.rates, key=lambda rate: rate.rate, default=None)


def audit(questions: Sequence[Question], settings: Scoring = DEFAULT_SCORING) -> AuditReport:
    """Score every gold and every probe of every question."""
    tried: Counter[tuple[str, Probe]] = Counter()
    accepted: defaultdict[tuple[str, Probe], list[str]] = defaultdict(list)
    for question in questions:
        for probe, text in _probes(question, _unlike(question, questions, settings)):
            tried[question.source, probe] += 1
            if _accepts(question, text, settings):
                accepted[question.source, probe].append(question.id)
    return AuditReport(
        golds=len(questions),
        false_rejects=tuple(question.id for question in questions if not _accepts_its_golds(question, settings)),
        rates=tuple(_rate(source, probe, tried[source, probe], accepted) for source, probe in sorted(tried)),
    )


def negation(text: str) -> str:
    """The text denied: its first negator removed, else "not" after its first auxiliary, else "It is not true that"."""
    if _NEGATOR.search(text):
        return _NEGATOR.sub("", text, count=1)
    if _AUXILIARY.search(text):
        return _AUXILIARY.sub(r"\1 not", text, count=1)
    return f"It is not true that {text}"


def _rate(source: str, probe: Probe, tried: int, accepted: defaultdict[tuple[str, Probe], list[str]]) -> ProbeRate:
    ids = accepted[source, probe]
    return ProbeRate(source=source, probe=probe, tried=tried, accepted=len(ids), ids=tuple(ids[:SHOWN]))


def _accepts(question: Question, text: str, settings: Scoring) -> bool:
    return score(question, Completion(question_id=question.id, text=text), settings=settings).correct is True


def _accepts_its_golds(question: Question, settings: Scoring) -> bool:
    aliases = question.gold.aliases if isinstance(question.gold, FreeText) else ()
    return all(_accepts(question, _answered(text), settings) for text in (gold_text(question), *aliases))


def _probes(question: Question, other: Question | None) -> Iterator[tuple[Probe, str]]:
    """The battery as completions; what a gold kind cannot be probed with is left out."""
    gold = gold_text(question)
    yield Probe.EMPTY, _answered(" ")
    yield Probe.STOP_WORDS, _answered(_STOP_WORDS)
    yield Probe.QUESTION_ECHOED, _answered(question.text)
    yield Probe.NEGATED_GOLD, _answered(negation(gold))
    yield Probe.DIFFERENT_BLOCKS, f"{_answered(gold)}<answer>{gold} or not</answer>"
    yield Probe.OUTSIDE_TAGS, f"<think>I know.</think>{gold}"
    yield Probe.LOOKALIKE_TAGS, f"<think>I know.</think><\u0430nswer>{gold}</\u0430nswer>"
    if other:
        yield Probe.OTHER_GOLD, _answered(gold_text(other))
    yield from _probes_of_kind(question)


def _probes_of_kind(question: Question) -> Iterator[tuple[Probe, str]]:
    match question.gold:
        case Choice():
            yield Probe.EVERY_OPTION, _answered(", ".join(question.options))
        case Number(value=value) | Integer(value=value):
            yield Probe.TWO_NUMBERS, _answered(f"{value} or {value + abs(value) + 1}")
            if value:
                yield Probe.TEN_TIMES, _answered(f"{value * 10}")
        case FreeText(text=text, aliases=aliases):
            first, _, rest = text.partition(" ")
            if rest and first not in aliases:
                yield Probe.FIRST_WORD, _answered(first)
        case _:
            return


def _answered(answer: str) -> str:
    return f"<think>I know.</think><answer>{answer}</answer>"


def _unlike(question: Question, questions: Sequence[Question], settings: Scoring) -> Question | None:
    """A question of another topic or gold kind with another gold, drawn by the question's id."""
    right = _right_texts(question)
    start = int.from_bytes(hashlib.sha256(question.id.encode()).digest()[:8], "big")
    for step in range(min(_DRAWS, len(questions))):
        other = questions[(start + step) % len(questions)]
        of_another_kind = (other.topic, other.gold.kind) != (question.topic, question.gold.kind)
        if of_another_kind and gold_text(other).casefold() not in right and not _same_figure(question, other, settings):
            return other
    return None


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
