"""Duplicates among questions: asked again in the same words, or nearly so, and those whose golds disagree.

Rows leave a hundred bytes each behind, hashes that point at possible pairs; the row itself is read again where they do,
because a pair is a duplicate when its words say so. No collision drops a row. Two rows are

- exact duplicates where the normalised prompts are equal, and the signs normalising drops ("1.2", "12", "< 5", "> 5");
- near duplicates where at most light words, plurals or the order of options differ, or where the 3-word shingles of
  long texts are nearly the same. Numbers, negations, words with an opposite and options are equal in both: creatinine
  1.2 and creatinine 1.3 are two questions. In a short question one word can be the subject ("symptoms of X"), so
  another word there is another question.

Of a cluster the first row stays, in an order of the strictest declared split, then of the hash of the id: the order of
files changes nothing. Rows that a source declares test or out of distribution always stay, since a benchmark with rows
missing is another benchmark. Two rows that ask the same and answer differently are a conflict.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medu1.params import DuplicateLimits, Scoring
from medu1.prepare.contamination.ngrams import Hashes, hashed_sets
from medu1.prepare.contamination.prose import Said
from medu1.prepare.repeats.candidates import Pairs, Ranks, alike, neighbours, repeats
from medu1.prepare.repeats.duplicate_report import Again, DuplicateReport, Found, Kind, Pair, Tally
from medu1.prepare.repeats.hints import Hints, digests, hints_of, prompts_of
from medu1.prepare.repeats.wording import Wording
from medu1.prepare.split import STRICTEST
from medu1.question import Choice, FreeText, Question, gold_text
from medu1.scoring.grading import DEFAULT_SCORING
from medu1.scoring.score import judge

Mask = NDArray[np.bool_]  # one a row
Codes = NDArray[np.int8]

SHOWN: Final = 20  # pairs listed of a kind; all are counted
DEFAULT_DUPLICATES: Final = DuplicateLimits(
    near_similarity=0.8, near_words=40, near_words_choice=25, most_alike=8, drop_conflicting=True
)
NOTHING: Final = DuplicateReport(read=0, exact=Found(), near=Found(), conflicts=Found(), dropped={}, declared={})
SLACK: Final = 0.2  # of sketches: three standard deviations at the similarity 0.8


class _Alike(NamedTuple):
    """How two questions are duplicates."""

    kind: Kind
    similarity: float


class Duplicates:
    """The search, over every row at once: the hashes of prompts, hints, ranks (`ranks_of`), the rows by their place."""

    def __init__(
        self,
        prompts: Hashes,
        found: Hints,
        ranks: Ranks,
        row_at: Callable[[int], Question],
        limits: DuplicateLimits = DEFAULT_DUPLICATES,
        scoring: Scoring = DEFAULT_SCORING,
        shown: int = SHOWN,
    ) -> None:
        self.limits = limits
        self._prompts, self._hints, self._ranks = prompts, found, ranks
        self._row_at, self._scoring = row_at, scoring
        self._tally = Tally(shown)
        self.firsts: dict[int, int] = {}  # place of a row that goes -> of the row it asks again
        self._search()

    def report(self) -> DuplicateReport:
        """Counts by source and the first pairs of each kind."""
        return self._tally.report(len(self._ranks))

    def _search(self) -> None:
        """Hint after hint, each coarser and among the rows that are left: one that goes points at no other."""
        left, told = np.ones(len(self._ranks), np.bool_), np.zeros(len(self._ranks), np.bool_)
        for pairs in self._candidates(left):
            for first, row in pairs.tolist():
                if left[first] and not told[row] and (again := self._compared(first, row)):
                    self._tally.count(again)
                    told[row], left[row] = True, not again.goes
                    self.firsts |= {row: first} if again.goes else {}
                    self.firsts |= {first: row} if again.first_goes else {}

    def _candidates(self, left: Mask) -> Iterator[Pairs]:
        every = self._hints
        for keys in (self._prompts, every.gists):
            yield repeats(keys, np.flatnonzero(left), self._ranks)
        kept = left[every.long]
        pairs = neighbours(every.bands[kept], every.long[kept], self._ranks, self.limits.most_alike)
        yield alike(pairs, every.sketches, every.long, self.limits.near_similarity - SLACK)

    def _compared(self, first: int, row: int) -> Again | None:
        """The pair, where the words say that it is one."""
        one, other = self._row_at(first), self._row_at(row)
        alike = self._alike(Wording.of(one), Wording.of(other), self._least_words(one))
        if not alike:
            return None
        agree, declared = self._agree(one, other), _is_declared(other)
        checkable = not isinstance(one.gold, FreeText)
        wrong = checkable and not agree  # one of the golds, or the words differ more than they seem to
        both = wrong and alike.similarity == 1 and self.limits.drop_conflicting
        return Again(
            kind=alike.kind,
            pair=Pair(
                first=one.id, first_source=one.source, again=other.id, source=other.source, similarity=alike.similarity
            ),
            agree=agree,
            declared=declared,
            goes=not declared and not (wrong and alike.similarity < 1),
            first_goes=both and not _is_declared(one),
        )

    def _least_words(self, question: Question) -> int:
        return self.limits.near_words_choice if question.options else self.limits.near_words

    def _alike(self, one: Wording, other: Wording, least_words: int) -> _Alike | None:
        if one.is_same(other):
            return _Alike("exact", 1)
        if one.says_the_same(other):
            return _Alike("near", 1)
        if one.least_words(other) < least_words:
            return None
        similarity = one.similarity(other)
        return _Alike("near", similarity) if similarity >= self.limits.near_similarity else None

    def _agree(self, one: Question, other: Question) -> bool:
        """Whether the grader takes one's gold as an answer to the other, or the golds are the same words."""
        mine, theirs = _said(one), _said(other)
        return mine == theirs or any(
            judge(question, answer, self._scoring).correct is True
            for question, answer in ((one, theirs), (other, mine))
        )


def _said(question: Question) -> str:
    """The gold in words: letters change with the order of options."""
    gold = question.gold
    return question.options[gold.letter] if isinstance(gold, Choice) else gold_text(question)


def _is_declared(question: Question) -> bool:
    """Whether its source declares that it judges: a benchmark with rows missing is another benchmark."""
    return question.split in ("test", "ood")


def ranks_of(strictness: Codes, identities: Hashes) -> Ranks:
    """Each row's place in the order of what stays, in 64 bits: by its declared split's place in `STRICTEST` (one more
    where none is declared), then by the hash of its id."""
    return strictness.astype(np.uint64) << np.uint64(61) | identities >> np.uint64(3)


def among(
    questions: Sequence[Question], limits: DuplicateLimits = DEFAULT_DUPLICATES, shown: int = SHOWN
) -> Duplicates:
    """The search among questions in memory, at least one."""
    strictness = [STRICTEST.index(each.split) if each.split else len(STRICTEST) for each in questions]
    identities = digests(each.id.encode() for each in questions)
    ranks = ranks_of(np.array(strictness, np.int8), identities)
    row_at = questions.__getitem__
    said = Said.all(questions)
    options = hashed_sets([each.options for each in said])
    prompts = prompts_of(questions, said)
    return Duplicates(prompts, hints_of(said, options, limits), ranks, row_at, limits, shown=shown)
