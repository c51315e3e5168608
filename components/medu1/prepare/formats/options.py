"""A choice question's options by letter, however its publisher writes them: mapping, pairs, list, or a column each."""

from collections.abc import Mapping, Sequence
from string import ascii_uppercase

from medu1.prepare.formats.row import Fields, WrongField
from medu1.question import Choice

LETTERS = frozenset(ascii_uppercase)


def mapped(fields: Fields, name: str, padded: bool = False) -> dict[str, str]:
    """From a mapping of letters to texts, or pairs of a letter and a text.

    Padded: trailing nulls are no options (a Parquet row has every letter).
    """
    options = _joined(fields.row.get(name))
    if padded and isinstance(options, Mapping):
        options = _unpadded(options)
    if not isinstance(options, Mapping) or len(options) < 2:
        raise WrongField(name, "is not a mapping of two or more letters to texts")
    if wrong := [letter for letter in options if letter not in LETTERS]:
        raise WrongField(name, f"{wrong[0]!r} is not a single capital letter")
    texts = Fields(options)
    try:
        return {letter: texts.label(letter) for letter in sorted(options)}
    except WrongField as error:
        raise WrongField(f"{name}.{error.field}", error.reason) from None


def _joined(options: object) -> object:
    """Pairs `{"key": letter, "value": text}` as the mapping they make; anything else, and a letter twice, as it is."""
    if not isinstance(options, list):
        return options
    pairs = {
        pair["key"]: pair.get("value")
        for pair in options
        if isinstance(pair, Mapping) and isinstance(pair.get("key"), str)
    }
    return pairs if len(pairs) == len(options) else options


def _unpadded(options: Mapping[str, object]) -> dict[str, object]:
    last = max((letter for letter, text in options.items() if text is not None), default="")
    return {letter: text for letter, text in options.items() if letter <= last}


def lettered(texts: Sequence[str], name: str) -> dict[str, str]:
    """From texts in order: the first is A."""
    if not 2 <= len(texts) <= len(ascii_uppercase):
        raise WrongField(name, f"has {len(texts)} options, not 2 to {len(ascii_uppercase)}")
    return dict(zip(ascii_uppercase, texts, strict=False))


def letter(fields: Fields, name: str, options: Mapping[str, str]) -> Choice:
    """The gold where it is written as a letter."""
    stated = fields.text(name)
    if stated not in options:
        raise WrongField(name, f"{stated!r} is not among the options {', '.join(options)}")
    return Choice(letter=stated)


def place(fields: Fields, name: str, options: Mapping[str, str], first: int) -> Choice:
    """The gold where it is written as a number; `first` is option A's."""
    number = fields.whole(name)
    if not first <= number < first + len(options):
        raise WrongField(name, f"{number} is not among {first} to {first + len(options) - 1}")
    return Choice(letter=ascii_uppercase[number - first])
