"""Multiple choice: one letter, the letter with its own option's text, or the text of exactly one option.

Case, spaces and final punctuation are folded and nothing else: `<`, `>`, `+` and `-` tell options apart in real
data. A bare option letter beats option text, because options can themselves be letters. There is no nearest option.
"""

import re
from collections.abc import Mapping

from medu1.question import Choice
from medu1.scoring.lead_in import without_lead_in
from medu1.scoring.verdict import Judgement, Reason, right, wrong

_LETTER = re.compile(r"(?:\\boxed)?[\s*_`\"'(\[{$]*([A-Za-z])[\s*_`\"')\]}$.:,;!]*")
_LETTER_AND_TEXT = re.compile(r"[*_(\[]*([A-Za-z])(?:[)\]*_]* ?[.:)=,\u2013\u2014-]| |[)\]*_]+)[*_]* ?(.+)")
_AFTER_LETTER = frozenset({": ", ". ", ") "})
_WORD = re.compile(r"\w+")
_BETWEEN_LETTERS = frozenset({"and", "or", "both", "option", "options", "either"})
_WRAPPING = "*_`\"'\u201c\u201d "
_FINAL = " .,;:!?"


def judge_choice(answer: str, options: Mapping[str, str], gold: Choice) -> Judgement:
    """Right where the answer names the gold's option and no other."""
    chosen = _plain(answer, options) or _chosen(" ".join(answer.split()), options)
    if isinstance(chosen, Reason):
        return wrong(chosen)
    return right() if chosen == gold.letter else wrong(Reason.WRONG_LETTER)


def _plain(answer: str, options: Mapping[str, str]) -> str | None:
    """The letter of `C` and of `C: text` with the option's text as it stands: most answers, at a glance."""
    letter = answer[:1]
    if letter not in options:
        return None
    with_text = answer[1:3] in _AFTER_LETTER and answer[3:] == options[letter] and answer not in options.values()
    return letter if len(answer) == 1 or with_text else None


def _chosen(answer: str, options: Mapping[str, str]) -> str | Reason:
    """The letter of the option named, or why none is."""
    bare = without_lead_in(answer)
    letter = _letter(bare)
    if letter in options:
        return letter
    named = _with_text(answer, options) or _with_text(bare, options)
    if named:
        return named[0] if len(named) == 1 else Reason.AMBIGUOUS_TEXT
    if letter:
        return Reason.NOT_AN_OPTION
    return _letter_with_text(bare, options)


def _letter(answer: str) -> str:
    found = _LETTER.fullmatch(answer)
    return found.group(1).upper() if found else ""


def _with_text(answer: str, options: Mapping[str, str]) -> list[str]:
    """Letters of the options whose text this is: as written if that decides, else folded."""
    exact = [letter for letter, text in options.items() if text.strip() == answer]
    if len(exact) == 1:
        return exact
    for folded in (_fold(answer), _fold(answer.strip(_WRAPPING))):
        same = [letter for letter, text in options.items() if folded and _fold(text) == folded]
        if same:
            return same
    return []


def _letter_with_text(answer: str, options: Mapping[str, str]) -> str | Reason:
    words = [word for word in _WORD.findall(answer) if word.casefold() not in _BETWEEN_LETTERS]
    found = _LETTER_AND_TEXT.fullmatch(answer)
    if found and (letter := found.group(1).upper()) in options:
        text = found.group(2)
        own = _fold(options[letter])
        if own and own in (_fold(text), _fold(text.strip(_WRAPPING)), _fold(text.removeprefix("(").removesuffix(")"))):
            return letter
    if len(words) > 1 and all(len(word) == 1 and word.isalpha() for word in words):
        return Reason.SEVERAL_LETTERS
    return Reason.LETTER_TEXT_CONFLICT if found and found.group(1).upper() in options else Reason.NOT_AN_OPTION


def _fold(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(_FINAL)
