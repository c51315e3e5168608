"""Contamination of 200,000 training rows of 60 words against 10,000 evaluation questions.

The plain version holds the evaluation questions' 13-word runs as tuples in a set and looks every run of a row up in it.
It takes its words from the same fast normalisation as ours, so that the ratio is one of searching alone; beside it
stands the ratio where it takes them from `medu1.prompt.normalised`. Ratios are of CPU seconds, indexing included.
One row in a hundred hides 30 words in a row of an evaluation question; one in ten has a character outside ASCII.
"""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from random import Random
from typing import Any, Final, TypeVar

from medu1.prepare.contamination.contamination import DEFAULT_CONTAMINATION, Index
from medu1.prepare.contamination.prose import words
from medu1.prompt import normalised
from medu1.question import FreeText, Question

ROWS: Final = 200_000
EVALUATION: Final = 10_000
WORDS: Final = 60  # of a row
HIDDEN: Final = 30  # words of an evaluation question in a contaminated row
ROUND: Final = 20_000  # rows that ours and the plain version judge in turn
VOCABULARY: Final = 30_000

T = TypeVar("T")
Words = Callable[[str], Sequence[Any]]  # of a text
Ids = set[str]


class Clock:
    """Seconds of one side, added up."""

    def __init__(self) -> None:
        self.cpu, self.wall = 0.0, 0.0

    def time(self, act: Callable[[], T]) -> T:
        """Do it, and count how long it takes."""
        wall, cpu = time.perf_counter(), time.process_time()
        result = act()
        self.wall += time.perf_counter() - wall
        self.cpu += time.process_time() - cpu
        return result


def contamination() -> dict[str, Any]:
    """Seconds of ours and of the plain version, their ratio, and the rows they differ on."""
    ours, plain, normalising = Clock(), Clock(), Clock()
    asked, limits = evaluation(), DEFAULT_CONTAMINATION
    index = ours.time(partial(Index.of, asked, limits))
    runs = plain.time(partial(plain_index, asked, words, limits.ngram))
    own_runs = normalising.time(partial(plain_index, asked, split, limits.ngram))
    sides: list[tuple[Clock, Callable[[Sequence[Question]], Ids]]] = [
        (ours, lambda rows: {leak.id for leak in index.leaks(rows)}),
        (plain, lambda rows: plain_leaks(rows, runs, words, limits.ngram)),
        (normalising, lambda rows: plain_leaks(rows, own_runs, split, limits.ngram)),
    ]
    gc.freeze()  # what stays is looked through by no side's garbage collections
    found = differing = 0
    for number, rows in enumerate(rounds(asked)):
        begin = number % len(sides)  # whoever is first finds the rows in no cache
        told = {clock: clock.time(partial(leaks, rows)) for clock, leaks in sides[begin:] + sides[:begin]}
        found += len(told[ours])
        differing += len(told[ours] ^ told[plain])
    return {
        "rows": ROWS,
        "evaluation": EVALUATION,
        "found": found,
        "differing_rows": differing,
        "seconds": shortened(ours.wall),
        "cpu_seconds": {name: shortened(clock.cpu) for name, clock in (("ours", ours), ("plain", plain))},
        "ratio": shortened(plain.cpu / ours.cpu),
        "ratio_with_normalised": shortened(normalising.cpu / ours.cpu),
    }


def shortened(value: float) -> float:
    """Four digits."""
    return float(f"{value:.4g}")


# The plain version


def split(text: str) -> list[str]:
    """The words of the form in which prompts are compared."""
    return normalised(text).split()


def runs_of(said: Sequence[Any], length: int) -> Iterator[tuple[Any, ...]]:
    """Every run of words."""
    return (tuple(said[start : start + length]) for start in range(len(said) - length + 1))


def plain_index(asked: Sequence[Question], words_of: Words, length: int) -> set[tuple[Any, ...]]:
    """Every run of every evaluation question."""
    return {run for question in asked for run in runs_of(words_of(question.text), length)}


def plain_leaks(rows: Sequence[Question], runs: set[tuple[Any, ...]], words_of: Words, length: int) -> Ids:
    """The rows with a run that is known."""
    return {row.id for row in rows if any(run in runs for run in runs_of(words_of(row.text), length))}


# Rows


def evaluation() -> list[Question]:
    """Questions of random words."""
    draw = Random(1)
    vocabulary = [spelt(draw) for _ in range(VOCABULARY)]
    return [question("evaluation", number, said(vocabulary, draw)) for number in range(EVALUATION)]


def rounds(asked: Sequence[Question]) -> Iterator[list[Question]]:
    """The training rows, a round at a time."""
    draw = Random(2)
    vocabulary = [spelt(draw) for _ in range(VOCABULARY)]
    for first in range(0, ROWS, ROUND):
        yield [row(number, asked, vocabulary, draw) for number in range(first, first + ROUND)]


def row(number: int, asked: Sequence[Question], vocabulary: Sequence[str], draw: Random) -> Question:
    """One training row, contaminated or not."""
    text = said(vocabulary, draw)
    if number % 100 == 0:
        hidden, start = asked[int(draw.random() * len(asked))].text.split(), int(draw.random() * (WORDS - HIDDEN))
        text[start : start + HIDDEN] = hidden[start : start + HIDDEN]
    if number % 10 == 5:
        text[0] = f"{text[0]}\u00b0"
    return question("training", number, text)


def question(source: str, number: int, text: Sequence[str]) -> Question:
    """A question of some words."""
    return Question(id=f"{source}-{number}", source=source, text=" ".join(text), gold=FreeText(text="yes"))


def said(vocabulary: Sequence[str], draw: Random) -> list[str]:
    """Words as prose has them: few words make most of it, a capital and a full stop every so often."""
    text = [vocabulary[int(len(vocabulary) * draw.random() ** 3)] for _ in range(WORDS)]
    for place in range(0, WORDS, 12):
        text[place] = text[place].capitalize()
        text[place - 1] += "."
    return text


def spelt(draw: Random) -> str:
    """A word of two to eleven letters."""
    return "".join(
        "etaoinsrhldcumfpgwybvkxjqz"[int(26 * draw.random() ** 2)] for _ in range(2 + int(draw.random() * 10))
    )
