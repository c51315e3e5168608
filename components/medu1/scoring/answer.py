"""Which part of a completion is its answer, and whether the completion keeps the method's format.

The answer is the single block after the last `</think>`; the same block repeated is still one answer. Tags are exact
ASCII; one that only looks like an answer tag makes the answer wrong, so that no reader is shown another answer than
the grader read. Every scan is a C-level find, count or split: linear on any text.
"""

import re
import unicodedata
from typing import Final, NamedTuple

from medu1.completion import Completion
from medu1.scoring.verdict import Reason

TAGS: Final = ("<think>", "</think>", "<answer>", "</answer>")
_THINK, _END_THINK, _OPEN, _CLOSE = TAGS
_LEFT: Final = r"<\uff1c\u2039\u2329\u27e8\u02c2\ufe64\u227a"  # the less-than sign and what looks like it
_RIGHT: Final = r">\uff1e\u203a\u232a\u27e9\u02c3\ufe65\u227b"
_BRACKETED = re.compile(f"[{_LEFT}]([^{_LEFT}{_RIGHT}]{{1,20}})[{_RIGHT}]")
_INVISIBLE: Final = dict.fromkeys(map(ord, " \t\r\n\u00ad\u200b\u200c\u200d\u2060\ufeff\u00a0"))
_LOOKS_LIKE: Final = str.maketrans(  # Cyrillic, Greek, Armenian and small-capital letters
    "\u0430\u0251\u03b1\u1d00\u043f\u0578\u03b7\u0274\u0455\ua731\u051d\u0461\u03c9\u1d21\u0435\u1d07\u0433\u0280",
    "aaaannnnsswwwweerr",
)


class Extracted(NamedTuple):
    """The answer's text, or why there is none to judge."""

    text: str | None
    fault: Reason | None = None


class Read(NamedTuple):
    """A completion's format, and its answer or why there is none to judge."""

    format_ok: bool
    text: str | None
    fault: Reason | None = None


def read(completion: Completion, limit: int) -> Read:
    """`format_ok` and `extract`, by one look where the completion is exactly as the method asks, as most are."""
    answer = _in_form(completion.text)
    if answer is None:
        return Read(format_ok(completion.text), *extract(completion, limit))
    if not answer:
        return Read(True, None, Reason.EMPTY_ANSWER)
    return Read(True, answer[:limit], Reason.OVERSIZED) if len(answer) > limit else Read(True, answer)


def _in_form(text: str) -> str | None:
    """The answer where the four tags hold the only "<" of the text, so that none repeats or nests; else None.

    The part after the thought is ASCII, so that nothing in it looks like a tag and is none.
    """
    end = text.rfind(_END_THINK)
    if end < 0 or text.count("<") != len(TAGS) or not text.lstrip().startswith(_THINK):
        return None
    block = text[end + len(_END_THINK) :].strip()
    if block.startswith(_OPEN) and block.endswith(_CLOSE) and block.isascii():
        return block[len(_OPEN) : -len(_CLOSE)].strip()
    return None


def format_ok(text: str) -> bool:
    """True iff the four tags stand once each, in order, with nothing but white space outside the two blocks."""
    if any(text.count(tag) != 1 for tag in TAGS):
        return False
    body = text.strip()
    thought, _, rest = body.partition(_END_THINK)
    rest = rest.strip()
    return thought.startswith(_THINK) and rest.startswith(_OPEN) and rest.endswith(_CLOSE)


def extract(completion: Completion, limit: int) -> Extracted:
    """The stripped content of the answer block, of at most `limit` characters."""
    tail = completion.text.rpartition(_END_THINK)[2]
    blocks = _blocks(tail)
    if isinstance(blocks, Reason):
        return Extracted(None, blocks)
    if not blocks:
        return Extracted(None, _absence(completion, tail))
    answer = blocks[0].strip()
    return Extracted(answer[:limit] or None, _fault(blocks, answer, tail, limit))


def _blocks(tail: str) -> list[str] | Reason:
    """The contents between opening and closing tags; a Reason where a block is unclosed or holds another."""
    pieces = tail.split(_OPEN)[1:]
    if not any(_CLOSE in piece for piece in pieces):
        return []
    if any(_CLOSE not in piece for piece in pieces[:-1]):
        return Reason.NESTED_TAGS
    if _CLOSE not in pieces[-1]:
        return Reason.SEVERAL_ANSWERS
    return [piece.partition(_CLOSE)[0] for piece in pieces]


def _absence(completion: Completion, tail: str) -> Reason:
    if completion.finish == "length":
        return Reason.TRUNCATED
    return Reason.LOOKALIKE_TAGS if _has_lookalike(tail[:20_000]) else Reason.NO_ANSWER


def _fault(blocks: list[str], answer: str, tail: str, limit: int) -> Reason | None:
    if len(blocks) > 1 and any(block.strip() != answer for block in blocks):
        return Reason.SEVERAL_ANSWERS
    if not answer:
        return Reason.EMPTY_ANSWER
    if len(answer) > limit:
        return Reason.OVERSIZED
    if _THINK in answer:
        return Reason.NESTED_TAGS
    return Reason.LOOKALIKE_TAGS if _has_lookalike(tail) else None


def _has_lookalike(tail: str) -> bool:
    for found in _BRACKETED.finditer(tail):
        if found.group() in (_OPEN, _CLOSE):
            continue
        name = unicodedata.normalize("NFKC", found.group(1)).casefold().translate(_LOOKS_LIKE).translate(_INVISIBLE)
        if name.strip("/\\\u2215\u2044") == "answer":
            return True
    return False
