"""Short free text against a gold and its aliases: bag of content words, longest common subsequence, hard rules.

An answer is right where it is a reference word for word, or where token-F1 (over content words) or ROUGE-L F (over
all words) reaches the threshold and none of the hard rules breaks: enough of the gold's content words, enough of them
that the question does not already say, enough precision, no denial, no other figure, no opposite. A gold of at most
three content words must be given whole, beside nothing but filler and the question's own words.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from medu1.question import FreeText
from medu1.scoring.denial import NEGATORS
from medu1.scoring.lead_in import without_lead_in
from medu1.scoring.verdict import Judgement, Reason, right, wrong
from medu1.scoring.words import content, words

SHORT: Final = 3  # content words up to which a gold must be given whole
RECALL_FLOOR: Final = 0.6  # share of a longer gold's content words, and of those the question does not say
PRECISION_FLOOR: Final = 0.4  # share of the answer's content words: one harmless sentence fits beside a short gold

_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|\n+")
_ALTERNATIVE = re.compile(r"\b(?:or|and|vs|versus|either|maybe|possibly|alternatively)\b|[/,;&|+]|\n")
_SAYS_FALSE = re.compile(
    r"\b(?:not|never) (?:\w+ ){0,3}(?:true|correct|case|right|so)\b|\b(?:false|untrue|incorrect|wrong)\b"
)
_DISCLAIMER = re.compile(r"\b(?:this|it) is not (?:\w+ ){0,4}advice\b", re.IGNORECASE)
_ROMAN: Final = frozenset({"ii", "iii", "iv", "vi", "vii", "viii", "ix", "xi", "xii"})
_FILLER_WORDS: Final = """
answer likely probably diagnosis condition called known name named term referred give given use used usually commonly
typically generally based patient would think thu therefore hence yes mean final correct case please consult doctor
physician healthcare provider professional information advice medical note important see ask talk discus contact
question detail individual hope help educational purpose general receive take administer administered treated treatment
therapy drug medication cause caused due present indicate suggest suggested consistent recommended appropriate best
next step choice first line
"""
_FILLER: Final = frozenset(_FILLER_WORDS.split())  # as `words` folds them
_PAIRS: Final = (
    "dominant recessive|increase decrease|increased decreased|increasing decreasing|high low|higher lower|"
    "positive negative|left right|acute chronic|benign malignant|rare common|upper lower|anterior posterior|"
    "proximal distal|agonist antagonist|male female|medial lateral|superior inferior|sensitive resistant|"
    "autosomal linked|hypertension hypotension|stop start|systolic diastolic|arterial venous|gain loss|"
    "bacterial viral|present absent|reversible irreversible|contagious noncontagious|central peripheral"
)
_OPPOSITE: Final = {word: other for pair in _PAIRS.split("|") for word, other in (pair.split(), reversed(pair.split()))}


class Reference(NamedTuple):
    """One accepted text, prepared once."""

    words: tuple[str, ...]
    counts: Counter[str]  # of its content words
    size: int  # number of its content words
    figures: frozenset[str]  # digits, single letters and Roman numerals: what two texts must share to be alike
    negators: int


class Overlap(NamedTuple):
    """How an answer's content words meet a reference's."""

    shared: int
    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def has_words(gold: FreeText) -> bool:
    """False for a malformed gold: no reference holds a word to compare."""
    return bool(_references((gold.text, *gold.aliases)))


def judge_free_text(answer: str, gold: FreeText, question_text: str, threshold: float) -> Judgement:
    """The best judgement over the gold and its aliases."""
    said = words(answer)
    references = _references((gold.text, *gold.aliases))
    bare = words(without_lead_in(answer))
    if any(
        _without_article(reference.words) in (_without_article(said), _without_article(bare))
        for reference in references
    ):
        return right(1.0)
    judgements = [_against(reference, answer, said, gold, question_text, threshold) for reference in references]
    return max(judgements, key=lambda judgement: (judgement.correct is True, judgement.similarity or 0.0))


def _against(
    reference: Reference, answer: str, said: tuple[str, ...], gold: FreeText, question_text: str, threshold: float
) -> Judgement:
    asked = _question_words(question_text)
    said = _without_echo(said, asked)
    spoken = content(said)
    overlap = _overlap(reference, spoken)
    if overlap.shared < min(SHORT, reference.size) or not overlap.shared:
        return wrong(Reason.TOO_FEW_CONTENT_WORDS, overlap.f1)
    fault = _hard_fault(reference, answer, spoken)
    if fault:
        return wrong(fault, 0.0)
    if reference.size <= SHORT:
        return _judge_short(reference, answer, spoken, gold, frozenset(asked), overlap)
    return _judge_long(reference, said, spoken, frozenset(asked), overlap, threshold)


def _judge_short(
    reference: Reference, answer: str, spoken: list[str], gold: FreeText, asked: frozenset[str], overlap: Overlap
) -> Judgement:
    """The gold is all there (the caller saw to that): is anything else?"""
    known = {word for other in _references((gold.text, *gold.aliases)) for word in other.counts}
    extra = {word for word in spoken if word not in known and word not in _FILLER}
    if extra - asked or (extra and _offers_alternatives(answer, gold)):
        return wrong(Reason.EXTRA_WORDS, overlap.f1)
    return right(overlap.f1)


def _judge_long(
    reference: Reference,
    said: tuple[str, ...],
    spoken: list[str],
    asked: frozenset[str],
    overlap: Overlap,
    threshold: float,
) -> Judgement:
    similarity = max(overlap.f1, rouge_l(reference.words, said))
    if min(overlap.recall, _told_recall(reference, spoken, asked)) < RECALL_FLOOR:
        return wrong(Reason.TOO_FEW_CONTENT_WORDS, similarity)
    if similarity < threshold or overlap.precision < PRECISION_FLOOR:
        return wrong(Reason.BELOW_THRESHOLD, similarity)
    return right(similarity)


def _told_recall(reference: Reference, spoken: list[str], asked: frozenset[str]) -> float:
    """Recall over the gold's words that the question does not already say; 1 where it says them all."""
    told = {word for word in reference.counts if word not in asked}
    return len(told.intersection(spoken)) / len(told) if told else 1.0


def _hard_fault(reference: Reference, answer: str, spoken: list[str]) -> Reason | None:
    if _is_denied(reference, answer):
        return Reason.NEGATED
    said = set(spoken)
    figures = _figures(spoken)
    missing, other = reference.figures - figures, figures - reference.figures
    if missing and (other or (missing == reference.figures and any(map(_has_digit, missing)))):
        return Reason.WRONG_VALUE
    opposites = (_opposite(word) for word in said if word not in reference.counts)
    if any(word in reference.counts and word not in said for word in opposites):
        return Reason.CONTRADICTED
    return None


def _is_denied(reference: Reference, answer: str) -> bool:
    """True where the sentences that speak of the gold hold other negators, or another takes it back."""
    negators = 0
    for sentence in _SENTENCE_END.split(_DISCLAIMER.sub(" ", answer)):
        told = words(sentence)
        if any(word in reference.counts and word not in _FILLER for word in told):
            negators += sum(word in NEGATORS for word in told)
        elif _SAYS_FALSE.search(" ".join(told)):
            return True
    return negators != reference.negators


def _opposite(word: str) -> str:
    if word.startswith("hyper"):
        return "hypo" + word[5:]
    if word.startswith("hypo"):
        return "hyper" + word[4:]
    return _OPPOSITE.get(word, "")


def _offers_alternatives(answer: str, gold: FreeText) -> bool:
    """True where the answer joins things ("or", "and", a comma) more often than the gold does."""
    return len(_ALTERNATIVE.findall(answer.casefold().rstrip(" .,;"))) > len(_ALTERNATIVE.findall(gold.text.casefold()))


def _overlap(reference: Reference, spoken: list[str]) -> Overlap:
    shared = sum((reference.counts & Counter(spoken)).values()) if spoken else 0
    return Overlap(shared, shared / len(spoken) if spoken else 0.0, shared / reference.size if reference.size else 0.0)


def rouge_l(reference: Sequence[str], candidate: Sequence[str]) -> float:
    """ROUGE-L F1 (Lin 2004) over words, with Hyyro's bit-parallel longest common subsequence: linear in the answer."""
    places: dict[str, int] = {}
    for place, word in enumerate(reference):
        places[word] = places.get(word, 0) | 1 << place
    full = (1 << len(reference)) - 1
    row = full
    for word in candidate:
        matched = row & places.get(word, 0)
        row = ((row + matched) | (row - matched)) & full
    longest = len(reference) - row.bit_count()
    return 2 * longest / (len(reference) + len(candidate)) if longest else 0.0


def _without_echo(said: tuple[str, ...], asked: tuple[str, ...]) -> tuple[str, ...]:
    """The answer without the whole question, where it starts by repeating it."""
    return said[len(asked) :] if said[: len(asked)] == asked else said


def _without_article(text_words: tuple[str, ...]) -> tuple[str, ...]:
    return text_words[1:] if len(text_words) > 1 and text_words[0] in {"a", "an", "the"} else text_words


def _figures(text_words: Sequence[str]) -> frozenset[str]:
    return frozenset(word for word in text_words if len(word) == 1 or word in _ROMAN or _has_digit(word))


def _has_digit(word: str) -> bool:
    return any("0" <= mark <= "9" for mark in word)


@lru_cache(maxsize=8192)
def _references(texts: tuple[str, ...]) -> tuple[Reference, ...]:
    return tuple(_reference(told) for told in map(words, texts) if told)


def _reference(told: tuple[str, ...]) -> Reference:
    spoken = content(told)
    negators = sum(word in NEGATORS for word in told)
    return Reference(told, Counter(spoken), len(spoken), _figures(spoken), negators)


@lru_cache(maxsize=8192)
def _question_words(text: str) -> tuple[str, ...]:
    return words(text)
