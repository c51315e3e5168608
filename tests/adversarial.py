"""A stream of random and hostile completions: what a grader must answer on, quickly, whatever a model writes.

Text `index` is the same everywhere: it draws from `random.Random(index).random()` only, which Python promises to keep.
Sizes are log-uniform from 1 byte to 100 kB. Half of the texts carry their hostility inside the answer block after the
thought, most of the long ones cut to just under the 2,000 characters beyond which the grader refuses an answer unread.
Every text is a slice or a repetition of pools made once, so that gigabytes of them take a minute.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache
from random import Random
from typing import Final, NamedTuple, TypeVar

from medu1.question import Choice, Date, FreeText, Gold, Integer, Number, Question, WeeksDays, gold_text

LARGEST: Final = 100_000  # bytes
LONGEST_ANSWER: Final = 2_000  # characters the grader reads of an answer by default

_POOL: Final = 150_000  # characters: every text is shorter than a pool
_EDGE: Final = 100  # characters below the longest answer within which answers are cut

_OPTIONS: Final = {"A": "Aspirin", "B": "Ibuprofen 10 mg", "C": "Na+ > 140", "D": "Na+ < 140", "E": "B"}
_LONG: Final = (
    "Small cell lung cancer spreads quickly and is usually treated with chemotherapy and radiation over about 3 months;"
    " surgery is not an option once the lymph nodes on the other side are affected. Type II hypertension, vitamin B12"
    " deficiency and hyponatremia of 125 mmol/L are common beside it. "
)
_GOLDS: Final[tuple[Gold, ...]] = (
    Choice(letter="C"),
    Number(value=53.1),
    Number(value=-0.828, lower=-0.7866, upper=-0.8694),
    Integer(value=4),
    Date(value="09/03/2014"),
    WeeksDays(weeks=17, days=6),
    FreeText(text="vitamin c", aliases=("ascorbic acid", "ascorbate")),
    FreeText(text=_LONG.strip()),
    FreeText(text=_LONG * 8),  # of an answer to this one more than twice as much is read
)
QUESTIONS: Final = tuple(
    Question(
        id=f"{gold.kind}-{place}",
        source="adversarial",
        text="Which treatment is usual for small cell lung cancer, and which vitamin prevents scurvy?",
        gold=gold,
        options=_OPTIONS if isinstance(gold, Choice) else {},
    )
    for place, gold in enumerate(_GOLDS)
)
_ANSWERS: Final = tuple(gold_text(question) for question in QUESTIONS[:-1])

_TAGS: Final = (
    *(
        "<think>",
        "</think>",
        "<answer>",
        "</answer>",
        "<answer",
        "</answer",
        "answer>",
        "<",
        ">",
        "</",
        "< ",
        "<<",
        "/>",
    ),
    *(
        "<ANSWER>",
        "< answer >",
        "<answer/>",
        "\uff1canswer\uff1e",
        "<\u0430nswer>",
        "<an\u200bswer>",
        "<b>",
        "<answer>x",
    ),
)
_NUMBERS: Final = (
    *("9", "0", "1,", "1/", "1.", "1e", "1e9", "-", "--", "+", "- 1", "1 ", "1-", "1 to ", "1,000", ".5", "4/5 ", "%"),
    *("10", "10^", "10**", "x10^9", " x 10 ^ ", "10^9/L ", "m^2 ", "/1.73 m2 ", "per 1", "per 1 h ", "CURB-65 ", "a1-"),
    *(
        "4 out of 5 ",
        "of ",
        " to ",
        "\u00b1",
        "~",
        "\u2248 ",
        "<= ",
        "\u2265",
        "1.73 ",
        "10-year ",
        "less than ",
        "53.1 ",
    ),
    *("\u00bd", "\u00b2", "\u207b\u00b9", "\u2212", "\u2460", "\u0663", "\U0001d7d7", "\u2044", "1\u202f000", "x", "*"),
)
_DATES: Final = (
    *(
        "1/2/",
        "01/02/2020 ",
        "2020-",
        "2020-01-02 ",
        "2020-01-02T00:00:00",
        "January ",
        "jan. 1, 2020 ",
        "1st ",
        "3rd of ",
    ),
    *("May 1", "weeks ", "3 weeks ", "days", "6 days ", "17w6d ", "17+6 ", "17 6/7 ", "(17, 6) ", "'17', ", "before "),
)
_WORDS: Final = (
    *("A ", "A, ", "A or ", "A: ", "(A) ", "Option ", "the answer is ", "correct ", "the final correct best ", "so, "),
    *(
        "a ",
        "an ",
        "not ",
        "n't ",
        "isn't ",
        "cannot ",
        "no ",
        "'s ",
        "it is not true ",
        "this is not a ",
        "hyper",
        "hypo",
    ),
    *("or ", "and/or ", "; ", ". ", ".", ", ", "\n", " ", "\t", "\x00", "\x85", "\u3000", "vitamin a ", "ies ", "is "),
)
_MARKS: Final = (
    *("(", ")", "[", "{", "}", "$", "\\", "\\boxed{", "\\frac{1}{", "\\times", "\\(", "*", "**", "_", "`", '"', "'"),
    *("\u0301", "e\u0301", "\u202e", "\u200f", "\u200b", "\u200d", "\ufeff", "\u00ad", "\ufdfa", "\ufb03", "\u0130"),
    *("\u00df", "\u03b1", "\u1e9b\u0323", "\uac00", "\u1100", "\U0001f469\u200d", "\U000e0041", "\u2028", "\ud7ff"),
)
_PIECES: Final = (*_TAGS, *_NUMBERS, *_DATES, *_WORDS, *_MARKS)

Item = TypeVar("Item")
Maker = Callable[[Random, int], str]  # at least so many characters, or nearly


class Case(NamedTuple):
    """One completion and the question it is an answer to."""

    question: Question
    text: str


def case(index: int) -> Case:
    """The text of this index, asked of every kind of gold in turn."""
    return Case(QUESTIONS[index % len(QUESTIONS)], text(index))


def text(index: int) -> str:
    """A completion of 1 to 100,000 bytes; wrapped ones have the tags' 40 more."""
    draw = Random(index)
    size = int(LARGEST ** draw.random())
    hostile = _cut(_one(_MAKERS, draw)(draw, size), size)
    if draw.random() < 0.5:
        return hostile
    if size <= LONGEST_ANSWER or draw.random() < 0.2:
        return _answered("t", hostile)
    answer = _at_the_limit(draw)
    return _answered(_cut(hostile, max(1, size - len(answer.encode()))), answer)


def _answered(thought: str, answer: str) -> str:
    return f"<think>{thought}</think><answer>{answer}</answer>"


def _at_the_limit(draw: Random) -> str:
    """A hostile answer that is only just read."""
    size = LONGEST_ANSWER - int(draw.random() * _EDGE)
    return _one(_MAKERS, draw)(draw, size)[:size]


def _cut(whole: str, size: int) -> str:
    """At most so many bytes, in whole characters, but one character at least."""
    if whole.isascii():
        return whole[:size]
    return whole[:size].encode()[:size].decode(errors="ignore") or whole[:1]


def _slice(draw: Random, size: int) -> str:
    """A part of a pool."""
    pool = _one(_pools(), draw)
    start = int(draw.random() * (len(pool) - size))
    return pool[start : start + size]


def _repeated(draw: Random, size: int) -> str:
    """One piece, over and over."""
    return _filled(_one(_PIECES, draw), size)


def _alternating(draw: Random, size: int) -> str:
    """Two pieces in turn, each a few times."""
    return _filled("".join(_one(_PIECES, draw) * (1 + int(draw.random() * 4)) for _ in "ab"), size)


def _closed_late(draw: Random, size: int) -> str:
    """One piece, another repeated, a third at the very end: what makes a careless pattern backtrack."""
    start, middle, end = (_one(_PIECES, draw) for _ in "abc")
    return start + _filled(middle, size)[: max(0, size - len(start) - len(end))] + end


def _padded(draw: Random, size: int) -> str:
    """A right answer with junk after it, before it, or on both sides."""
    real, junk, share = _one(_ANSWERS, draw), _junk(draw, size), draw.random()
    room = max(0, size - len(real))
    before = 0 if share < 0.3 else room if share < 0.6 else int(room * draw.random())
    return junk[:before] + real + junk[before:room]


def _padded_block(draw: Random, size: int) -> str:
    """A right answer in its block, with junk before, inside and after the block."""
    before, inside, after = (_junk(draw, size // 3) for _ in "abc")
    return f"{before}</think><answer>{_one(_ANSWERS, draw)}{inside}</answer>{after}"


def _nested(draw: Random, size: int) -> str:
    """A tag opened many times and closed as often, around a right answer."""
    tag = _one(("think", "answer", "b", "answer><think", "answer "), draw)
    depth = 1 + size // (2 * len(tag) + 5)
    return f"<{tag}>" * depth + _one(_ANSWERS, draw) + f"</{tag}>" * depth


def _parroted(draw: Random, size: int) -> str:
    """A gold said over and over, with something between."""
    return _filled(_one(_ANSWERS, draw) + _one(_PIECES, draw), size)


def _junk(draw: Random, size: int) -> str:
    return _one((_slice, _repeated, _alternating), draw)(draw, size)


def _filled(piece: str, size: int) -> str:
    return piece * (size // len(piece) + 1)


def _one(items: Sequence[Item], draw: Random) -> Item:
    return items[int(draw.random() * len(items))]


_MAKERS: Final[tuple[Maker, ...]] = (
    *(_slice, _slice, _repeated, _repeated, _alternating, _closed_late, _padded, _padded_block, _nested, _parroted),
)


@cache
def _pools() -> tuple[str, ...]:
    """Characters at random, by alphabet, and pieces at random, by theme."""
    draw = Random("pools")
    alphabets = (range(0x20, 0x7F), range(0x1, 0x3000), (*range(0x1, 0xD800), *range(0xE000, 0x110000)))
    gold_words = tuple(re.split(r"(?<= )", " ".join(_ANSWERS)))
    themes = (_TAGS, _NUMBERS, _DATES, (*_NUMBERS, *_DATES), _WORDS, _MARKS, _PIECES, gold_words)
    return (
        *("".join(chr(_one(alphabet, draw)) for _ in range(_POOL)) for alphabet in alphabets),
        *("".join(_one(theme, draw) for _ in range(_POOL)) for theme in themes),
    )
