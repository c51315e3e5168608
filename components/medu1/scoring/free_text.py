"""Short free text against a gold and its aliases: bag of content words, longest common subsequence, hard rules.

An answer is right where it is a reference word for word, or where token-F1 (over content words) or ROUGE-L F (over
all words) reaches the threshold and none of the hard rules breaks: enough of the gold's content words, enough of them
that neither the question nor filler says, enough precision, no denial, no other figure, no opposite. A gold of at most
three content words must be given whole, beside nothing but filler and the question's own words; one of at most six may
be shortened, but no word of it replaced. Words are not understood: in a longer gold, another drug or organ in place of
the right one passes, and so does a subject exchanged with its object, or one kidney with the other.
"""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from medu1.question import FreeText
from medu1.scoring.lead_in import without_lead_in, without_subject
from medu1.scoring.opposites import gives_way, is_reversed, named, without_denied
from medu1.scoring.placement import is_exchanged
from medu1.scoring.reference import FILLER, Reference, figures, offers, references
from medu1.scoring.retraction import Denials, denials, sentences, without_disclaimer
from medu1.scoring.verdict import Judgement, Reason, right, wrong
from medu1.scoring.words import content, words

SHORT: Final = 3  # content words up to which a gold must be given whole
MEDIUM: Final = 6  # content words up to which none may be replaced
RECALL_FLOOR: Final = 0.6  # share of a longer gold's content words, and of those that tell something
PRECISION_FLOOR: Final = 0.4  # share of the answer's content words: one harmless sentence fits beside a short gold


class Said(NamedTuple):
    """An answer as it is held against a reference."""

    text: str
    words: tuple[str, ...]  # without a lead-in and the question repeated
    content: list[str]


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
    return bool(references((gold.text, *gold.aliases)).all)


def judge_free_text(answer: str, gold: FreeText, question_text: str, threshold: float) -> Judgement:
    """The best judgement over the gold and its aliases; of wrong ones, that of the reference shared most."""
    accepted = references((gold.text, *gold.aliases))
    told = words(answer)
    after = without_subject(without_lead_in(without_disclaimer(answer)))
    bare = told if after == answer else words(after)
    either = (_without_article(told), _without_article(bare))
    if any(_without_article(reference.words) in either for reference in accepted.all):
        return right(1.0)
    asked = _question_words(question_text)
    bare = _without_echo(bare, asked)
    said = Said(answer, bare, content(bare))
    judged = [_against(reference, said, accepted.known, frozenset(asked), threshold) for reference in accepted.all]
    return max(judged, key=lambda found: (found[0].correct is True, found[1]))[0]


def _against(
    reference: Reference, said: Said, known: frozenset[str], asked: frozenset[str], threshold: float
) -> tuple[Judgement, float]:
    """The judgement against one reference, and how much of it is shared."""
    if "not" in said.words and reference.poles:
        told = without_denied(said.words, reference.poles)
        said = Said(said.text, told, content(told))
    overlap = _overlap(reference, said.content)
    fault = _fault(reference, said, overlap)
    if fault:
        return wrong(fault, overlap.f1 if fault is Reason.TOO_FEW_CONTENT_WORDS else 0.0), overlap.f1
    if reference.size <= SHORT:
        return _judge_short(reference, said, known, asked, overlap), overlap.f1
    judged = _judge_long(reference, said, asked, overlap, threshold)
    return wrong(Reason.CONTRADICTED, 0.0) if judged.correct and _is_exchanged(reference, said) else judged, overlap.f1


def _fault(reference: Reference, said: Said, overlap: Overlap) -> Reason | None:
    """A hard fault. Of a short gold the opposite counts as given, so that it is named before what is missing."""
    if reference.size <= SHORT and overlap.shared + 1 >= reference.size and _is_contradicted(reference, said):
        return Reason.CONTRADICTED
    if overlap.shared < max(1, min(SHORT, reference.size)):
        return Reason.TOO_FEW_CONTENT_WORDS
    if _denials(reference, said.text) != reference.denials:
        return Reason.NEGATED
    if _has_other_figure(reference, said):
        return Reason.WRONG_VALUE
    return Reason.CONTRADICTED if _is_contradicted(reference, said) else None


def _denials(reference: Reference, text: str) -> Denials:
    told: Sequence[tuple[str, ...]] = sentences(text)
    if reference.poles:
        told = [kept for sentence in told if (kept := without_denied(sentence, reference.poles))]
    return denials(told, reference.deniable)


def _is_contradicted(reference: Reference, said: Said) -> bool:
    new, missing = set(said.content).difference(reference.counts), set(reference.counts).difference(said.content)
    return gives_way(reference.poles, named(said.words)) or is_reversed(missing, new)


def _is_exchanged(reference: Reference, said: Said) -> bool:
    """True where two words trade places; words left out or added trade nothing."""
    if reference.placement is None or _in_order(said.words, reference.words) or _in_order(reference.words, said.words):
        return False
    return is_exchanged(reference.placement, sentences(said.text))


def _in_order(part: Sequence[str], whole: Sequence[str]) -> bool:
    """Whether a text holds all words of another in their order."""
    rest = iter(whole)
    return all(word in rest for word in part)


def _has_other_figure(reference: Reference, said: Said) -> bool:
    """True where a figure of the reference gives way to another, or where all its printed ones are left out."""
    if not reference.figures:
        return False
    told = figures(said.content)
    missing = reference.figures - told
    is_dropped = reference.prints_figures and missing == reference.figures
    return bool(missing and (is_dropped or told - reference.figures))


def _judge_short(
    reference: Reference, said: Said, known: frozenset[str], asked: frozenset[str], overlap: Overlap
) -> Judgement:
    """The gold is all there (the caller saw to that): is anything else?"""
    extra = {word for word in said.content if word not in known and word not in FILLER}
    if extra - asked or (extra and offers(said.text) > reference.offers):
        return wrong(Reason.EXTRA_WORDS, overlap.f1)
    return right(overlap.f1)


def _judge_long(
    reference: Reference, said: Said, asked: frozenset[str], overlap: Overlap, threshold: float
) -> Judgement:
    similarity = max(overlap.f1, rouge_l(reference.words, said.words))
    telling = reference.telling - asked
    missing = telling.difference(said.content)
    if overlap.recall < RECALL_FLOOR or len(telling) - len(missing) < RECALL_FLOOR * len(telling):
        return wrong(Reason.TOO_FEW_CONTENT_WORDS, similarity)
    if missing and reference.size <= MEDIUM and set(said.content).difference(reference.counts, asked, FILLER):
        return wrong(Reason.TOO_FEW_CONTENT_WORDS, similarity)
    if similarity < threshold or overlap.precision < PRECISION_FLOOR:
        return wrong(Reason.BELOW_THRESHOLD, similarity)
    return right(similarity)


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


@lru_cache(maxsize=8192)
def _question_words(text: str) -> tuple[str, ...]:
    return words(text)
