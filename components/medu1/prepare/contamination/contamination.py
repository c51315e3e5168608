"""Training questions that an evaluation set gives away: found by their words and by their options, dropped by group.

A training question leaks an evaluation question where it

- has the same words, and the same options where both have some;
- shares `min_share` of the 13-word runs of the shorter of the two. One shared run alone is no leak: the prose of
  examinations ("his temperature is 37 C (98.6 F), pulse is ...") is shared by unrelated questions. Unrelated questions
  of MedQA's test set share up to 0.2 of their runs, reworded ones 0.27 and more. Runs in the evaluation questions of
  more than `boilerplate` groups count for nothing ("which of the following is the most likely cause of this ...");
- or has the same options, in any order, with `min_options` that say something, and `min_words` of the telling words.

Hashes only point at pairs; a pair is a leak when the words themselves say so, so no collision drops a row.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medu1.params import Contamination
from medu1.prepare.contamination.leaks import Kind, Leak
from medu1.prepare.contamination.ngrams import Hashed, Hashes, Places, hashed, hashed_sets
from medu1.prepare.contamination.postings import Owners, Postings
from medu1.prepare.contamination.prose import Prose, Said, asked, folded_all, telling_options
from medu1.prepare.split import group_of
from medu1.question import Question

Mask = NDArray[np.bool_]
Pair = tuple[int, int]  # a question of a batch, an evaluation question

PORTION: Final = 1 << 18  # bytes hashed at a time: arrays that fit in a processor's cache
TAKEN: Final = 1 << 10  # questions folded at once


DEFAULT_CONTAMINATION: Final = Contamination(ngram=13, min_share=0.25, boilerplate=10, min_options=3, min_words=0.5)


class Evaluated(NamedTuple):
    """An evaluation question as the index holds it."""

    id: str
    source: str
    prose: bytes  # packed


class Packed(NamedTuple):
    """A question by what the search reads of it."""

    id: str
    source: str
    group: str
    prose: bytes  # as `Said.packed` gives it

    @property
    def head(self) -> bytes:
        """Context and text."""
        return self.prose[: _options_begin(self.prose)]


class Batch(NamedTuple):
    """Some questions and their hashes."""

    rows: Sequence[Question] | Sequence[Packed]
    asked: Hashed
    options: Hashes  # 0: none

    @classmethod
    def of(cls, questions: Sequence[Question], texts: Sequence[bytes]) -> "Batch":
        """The questions, whose `asked` is given."""
        if not any(question.options for question in questions):
            return cls(questions, hashed(texts), np.zeros(len(questions), np.uint64))
        options = [folded_all(list(question.options.values())) for question in questions]
        return cls(questions, hashed(texts), hashed_sets(options))

    @classmethod
    def of_packed(cls, rows: Sequence[Packed], options: Hashes) -> "Batch":
        """Packed questions, whose options' hashes are given."""
        return cls(rows, hashed([row.head for row in rows]), options)

    def packed(self) -> Iterator[Packed]:
        """All of the questions."""
        questions = [row for row in self.rows if isinstance(row, Question)]
        said = iter(Said.all(questions))
        for row in self.rows:
            yield row if isinstance(row, Packed) else Packed(row.id, row.source, group_of(row), next(said).packed)

    def prose(self, row: int) -> Prose:
        """The words of one question."""
        found = self.rows[row]
        return Prose.parse(found.prose) if isinstance(found, Packed) else Prose.of(found)

    def is_noted(self, row: int) -> bool:
        """Whether one question has a context."""
        found = self.rows[row]
        return bool(found.prose.partition(b"\n")[0].strip() if isinstance(found, Packed) else found.context)


class Candidates(NamedTuple):
    """Pairs that hashes point at."""

    rows: Places  # in the batch
    owners: Places  # in the index


class Index(NamedTuple):
    """Every evaluation question, ready to be found."""

    limits: Contamination
    evaluated: Sequence[Evaluated]
    sources: Places  # number of each one's source where that is generated, else -1
    generated: Mapping[str, int]
    words: Places  # in each one's context and text
    noted: Mask  # whether it has a context
    options: Hashes  # each one's; 0: none
    by_run: Postings
    by_whole: Postings
    by_options: Postings

    @classmethod
    def of(cls, evaluation: Iterable[Question], limits: Contamination, generated: Collection[str] = ()) -> "Index":
        """From a stream. `generated` sources fill templates, their groups say what they share: none is held against
        itself."""
        return cls.of_batches(portions(evaluation), limits, generated)

    @classmethod
    def of_batches(cls, batches: Iterable[Batch], limits: Contamination, generated: Collection[str] = ()) -> "Index":
        """The same, from a stream of batches."""
        made = _Making(limits, {source: number for number, source in enumerate(sorted(generated))})
        for batch in batches:
            made.add(batch)
        return made.index()

    def leaks(self, batch: Sequence[Question]) -> list[Leak]:
        """Every pair of a training question of the batch and an evaluation question it gives away, in order."""
        return [leak for portion in portions(batch) for _, leak in self.leaks_of(portion)]

    def leaks_of(self, batch: Batch) -> Iterator[tuple[int, Leak]]:
        """The same, of one batch, each after its question's place in it."""
        found: dict[Pair, tuple[float, Kind]] = {pair: (share, "options") for pair, share in self._by_options(batch)}
        found |= {pair: (share, "text") for pair, share in self._by_run(batch)}
        found |= dict.fromkeys(self._by_whole(batch), (1.0, "text"))
        for (row, owner), (share, kind) in sorted(found.items()):
            evaluated = self.evaluated[owner]
            question = batch.rows[row]
            leak = Leak(
                id=question.id,
                group=question.group or question.id,
                source=question.source,
                evaluation=evaluated.id,
                evaluation_source=evaluated.source,
                share=share,
                kind=kind,
            )
            yield row, leak

    def _by_whole(self, batch: Batch) -> Iterator[Pair]:
        rows, owners = self.by_whole.find(batch.asked.wholes())
        mine, theirs = batch.options[rows], self.options[owners]
        alike = (mine == 0) | (theirs == 0) | (mine == theirs)
        for row, owner in self._foreign(batch, Candidates(rows[alike], owners[alike])):
            if batch.prose(row).is_same(self._prose(owner)):
                yield row, owner

    def _by_options(self, batch: Batch) -> Iterator[tuple[Pair, float]]:
        if not batch.options.any():
            return
        for row, owner in self._foreign(batch, Candidates(*self.by_options.find(batch.options))):
            mine, theirs = batch.prose(row), self._prose(owner)
            share = mine.share_of_words(theirs)
            if mine.options == theirs.options and share >= self.limits.min_words:
                yield (row, owner), share

    def _by_run(self, batch: Batch) -> Iterator[tuple[Pair, float]]:
        for (row, owner), starts in self._runs_shared(batch).items():
            mine = batch.prose(row)
            share = mine.share_of_runs(self._prose(owner), starts, self.limits.ngram)
            if share and share >= self.limits.min_share:
                yield (row, owner), share

    def _runs_shared(self, batch: Batch) -> Mapping[Pair, list[int]]:
        """Where the shared runs of each pair begin, for the pairs that have enough of them."""
        places, owners = self.by_run.find(batch.asked.runs(self.limits.ngram))
        rows, begin, inside = batch.asked.spans(places, self.limits.ngram)
        pairs, begin = Candidates(rows[inside], owners[inside]), begin[inside]
        enough = self._enough(batch, pairs)
        starts = defaultdict[Pair, list[int]](list)
        for row, owner, start in zip(*(each[enough].tolist() for each in (*pairs, begin)), strict=True):
            starts[row, owner].append(start)
        return starts

    def _enough(self, batch: Batch, pairs: Candidates) -> Mask:
        """Which of the pairs occur often enough for `min_share`; two contexts are told apart later, by their words."""
        codes = pairs.rows * len(self.evaluated) + pairs.owners
        _, which, counts = np.unique(codes, return_inverse=True, return_counts=True)
        shorter = np.minimum(batch.asked.counts()[pairs.rows], self.words[pairs.owners]) - self.limits.ngram + 1
        enough: Mask = counts[which] / shorter >= self.limits.min_share
        noted = np.array([batch.is_noted(row) for row in pairs.rows.tolist()], np.bool_)
        enough |= noted & self.noted[pairs.owners]
        return enough & self._is_foreign(batch, pairs)

    def _foreign(self, batch: Batch, pairs: Candidates) -> Iterator[Pair]:
        foreign = self._is_foreign(batch, pairs)
        return zip(pairs.rows[foreign].tolist(), pairs.owners[foreign].tolist(), strict=True)

    def _is_foreign(self, batch: Batch, pairs: Candidates) -> Mask:
        """Which of the pairs are not of one generated source."""
        mine = [self.generated.get(batch.rows[row].source, -2) for row in pairs.rows.tolist()]
        foreign: Mask = np.array(mine, np.int64) != self.sources[pairs.owners]
        return foreign

    def _prose(self, owner: int) -> Prose:
        return Prose.parse(self.evaluated[owner].prose)


class _Making:
    """An index while evaluation questions still come."""

    def __init__(self, limits: Contamination, generated: Mapping[str, int]) -> None:
        self.limits, self.generated = limits, generated
        self.evaluated: list[Evaluated] = []
        self.sources: list[int] = []
        self.groups: list[int] = []
        self.numbers: dict[str, int] = {}  # of groups
        self.telling: list[bool] = []  # whether the options can give the question away
        self.noted: list[bool] = []
        self.words: list[Places] = [np.empty(0, np.int64)]
        self.options: list[Hashes] = [np.empty(0, np.uint64)]
        self.wholes: list[Hashes] = [np.empty(0, np.uint64)]
        self.runs: list[Hashes] = [np.empty(0, np.uint64)]
        self.owners: list[Owners] = [np.empty(0, np.int32)]  # of the runs

    def add(self, batch: Batch) -> None:
        length, before = self.limits.ngram, len(self.evaluated)
        runs = batch.asked.runs(length)
        texts, _, inside = batch.asked.spans(np.arange(len(runs)), length)
        self.runs.append(runs[inside])
        self.owners.append((texts[inside] + before).astype(np.int32))
        self.words.append(batch.asked.counts())
        self.wholes.append(batch.asked.wholes())
        self.options.append(batch.options)
        for row in batch.packed():
            self._hold(row)
        self.noted += map(batch.is_noted, range(len(batch.rows)))

    def _hold(self, row: Packed) -> None:
        self.evaluated.append(Evaluated(row.id, row.source, row.prose))
        self.sources.append(self.generated.get(row.source, -1))
        self.groups.append(self.numbers.setdefault(row.group, len(self.numbers)))
        self.telling.append(telling_options(row.prose[_options_begin(row.prose) :]) >= self.limits.min_options)

    def index(self) -> Index:
        options, wholes = np.concatenate(self.options), np.concatenate(self.wholes)
        by_run = Postings.of(np.concatenate(self.runs), np.concatenate(self.owners))
        return Index(
            limits=self.limits,
            evaluated=self.evaluated,
            sources=np.array(self.sources, np.int64),
            generated=self.generated,
            words=np.concatenate(self.words),
            noted=np.array(self.noted, np.bool_),
            options=options,
            by_run=by_run.without_common(self.groups, self.limits.boilerplate),
            by_whole=_postings(wholes, wholes != 0),
            by_options=_postings(options, np.array(self.telling, np.bool_)),
        )


def _options_begin(prose: bytes) -> int:
    """Where the lines of the context and the text end."""
    end = prose.find(b"\n", prose.find(b"\n") + 1)
    return end if end >= 0 else len(prose)


def portions(questions: Iterable[Question]) -> Iterator[Batch]:
    """The questions in order, at most `TAKEN` and about `PORTION` bytes of context and text at a time."""
    stream = iter(questions)
    while taken := list(islice(stream, TAKEN)):
        yield from _portions(taken)


def _portions(questions: Sequence[Question]) -> Iterator[Batch]:
    texts = asked(questions)
    ends = np.cumsum([len(text) for text in texts])
    start = 0
    while start < len(texts):
        before = ends[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + PORTION)))
        yield Batch.of(questions[start:end], texts[start:end])
        start = end


def _postings(hashes: Hashes, chosen: Mask) -> Postings:
    """One hash an owner, of the chosen ones."""
    return Postings.of(hashes[chosen], np.flatnonzero(chosen).astype(np.int32))
