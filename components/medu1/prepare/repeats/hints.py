"""Hashes that point at possible duplicates: cheap ones of every row, so that only a few pairs of rows are compared.

Three kinds, each coarser than the relation it points at: the whole prompt; the words that carry something, whatever
their order, with options and numbers; and MinHash bands of the 3-word shingles, with options and numbers, of texts long
enough for a changed word to be no other subject. Numbers are in the last two because templates filled with numbers
would all point at each other.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medu1.params import DuplicateLimits
from medu1.prepare.contamination.ngrams import Hashes, Places, hashed
from medu1.prepare.contamination.prose import Said, folded, words
from medu1.prepare.repeats.wording import SHINGLE
from medu1.prompt import answer_form
from medu1.question import Question
from medu1.scoring.words import STOP_WORDS

PORTION: Final = 1 << 18  # bytes hashed at a time: arrays of a few megabytes
BANDS: Final = 12
ROWS: Final = 4  # a band: pairs of similarity 0.8 share one of twelve with probability 0.998, of 0.5 with 0.54
SKETCH: Final = BANDS * ROWS  # hash functions; each agrees on two rows with the probability of their similarity

Bands = NDArray[np.uint32]  # [row, BANDS]
Sketches = NDArray[np.uint8]  # [row, SKETCH]

_ODD: Final = np.uint64(0x9E3779B97F4A7C15)
_FIGURE: Final = re.compile(rb"\d+")


class Hints(NamedTuple):
    """Of some rows, beside the hashes of their prompts; all but the gists are of the long rows alone."""

    gists: Hashes
    long: Places  # which of the rows
    bands: Bands
    sketches: Sketches  # 8 bits of each hash function's minimum


def hints_of(said: Sequence[Said], options: Hashes, limits: DuplicateLimits) -> Hints:
    """Of one or more questions, with the hash of each one's options."""
    least = min(limits.near_words, limits.near_words_choice)
    found = [_hints(said[part], options[part], least) for part in _portions(said)]
    starts = [part.start for part in _portions(said)]
    return joined([some._replace(long=some.long + start) for some, start in zip(found, starts, strict=True)])


def _hints(said: Sequence[Said], options: Hashes, least_words: int) -> Hints:
    bodies = [_singular(each) for each in said]
    every = hashed(bodies)
    facts = options * _ODD + _numbers(bodies)
    long = np.flatnonzero(every.counts() >= max(SHINGLE, least_words))
    minima = _minima([bodies[row] for row in long])
    bands = (_mixed(_keys(minima) + facts[long, None]) >> np.uint64(32)).astype(np.uint32)
    sketches = (_mixed(minima) >> np.uint64(56)).astype(np.uint8)
    return Hints(_mixed(_sums(every.runs(1), every.first) + facts), long, bands, sketches)


def _portions(said: Sequence[Said]) -> list[slice]:
    """All of them in order, about `PORTION` bytes at a time."""
    ends = np.cumsum([len(each.context) + len(each.text) for each in said]) // PORTION
    cuts = [0, *(np.flatnonzero(np.diff(ends)) + 1).tolist(), len(said)]
    return [slice(start, end) for start, end in pairwise(cuts)]


def joined(found: Sequence[Hints]) -> Hints:
    """Of all the rows, whose numbers in `long` are those they have together."""
    return Hints(*map(np.concatenate, zip(*found, strict=True)))


def prompts_of(questions: Sequence[Question], said: Sequence[Said]) -> Hashes:
    """One a question: equal where the normalised prompts are equal."""
    return digests([_prompt(question, each) for question, each in zip(questions, said, strict=True)])


def _prompt(question: Question, said: Said) -> bytes:
    """The words of `prompt.user_text`, from words that are folded already."""
    context = [b"context", *([said.context] if said.context else []), b"context"] if question.context else []
    options = [
        word
        for letter, option in zip(sorted(question.options), said.options, strict=True)
        for word in (letter.lower().encode(), *([option] if option else []))
    ]
    text = [said.text] if said.text else []
    return b" ".join([*context, *text, *options, _form(answer_form(question))])


@lru_cache
def _form(sentence: str) -> bytes:
    return b" ".join(words(sentence))


def _numbers(bodies: Sequence[bytes]) -> Hashes:
    return digests([b" ".join(_FIGURE.findall(body)) for body in bodies])


def digests(texts: Iterable[bytes]) -> Hashes:
    """64 bits of each text; any two of a million share them with a chance of 3 in 10^8."""
    return np.frombuffer(b"".join(blake2b(text, digest_size=8).digest() for text in texts), "<u8").astype(np.uint64)


def _singular(said: Said) -> bytes:
    """The words without a final s, whatever it stands for: a key may be too coarse, never too fine."""
    return (b" ".join([said.context, said.text, *sorted(said.options)]) + b" ").replace(b"s ", b" ")


def _sums(words: Hashes, first: Places) -> Hashes:
    """A sum a text of its words, but for those that carry nothing."""
    words = np.where(np.isin(words, _STOP), np.uint64(0), words)
    sums = np.zeros(len(words) + 1, np.uint64)
    np.cumsum(words, out=sums[1:])
    return sums[first[1:]] - sums[first[:-1]]


def _minima(bodies: Sequence[bytes]) -> Hashes:
    """The least value of every hash function over each text's shingles: [text, SKETCH]. Texts have three words."""
    if not bodies:
        return np.zeros((0, SKETCH), np.uint64)
    every = hashed(bodies)
    runs, first = every.runs(SHINGLE), every.first
    ends = first[1:] - (SHINGLE - 1)  # runs from here on reach into the next text
    edges = np.stack([first[:-1], np.minimum(ends, len(runs))], axis=1).ravel()[:-1]
    functions = (np.minimum.reduceat(_mixed(runs ^ seed), edges)[::2] for seed in _SEEDS)
    return np.stack(list(functions), axis=1)


def _keys(minima: Hashes) -> Hashes:
    """One key a band, from the minima of its hash functions."""
    parts = minima.reshape(-1, BANDS, ROWS)
    keys = np.zeros(parts.shape[:2], np.uint64)
    for row in range(ROWS):
        keys = _mixed(keys * _ODD + parts[:, :, row])
    return keys


def _mixed(values: Hashes) -> Hashes:
    values = (values ^ (values >> np.uint64(31))) * _ODD
    return values ^ (values >> np.uint64(29))


_SEEDS: Final = _mixed(np.arange(1, SKETCH + 1, dtype=np.uint64) * _ODD)
_STOP: Final = np.unique(hashed([_singular(Said(b"", folded(" ".join(sorted(STOP_WORDS))), []))]).runs(1))
