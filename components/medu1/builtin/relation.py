"""A kind of fact and the facts of that kind: what a built-in choice or open question is made of."""

from typing import NamedTuple


class Fact(NamedTuple):
    """One subject, its one right answer, and other texts that are as right in free text."""

    subject: str
    answer: str
    aliases: tuple[str, ...] = ()


class Relation(NamedTuple):
    """One kind of fact: what is asked, in eight wordings, and the facts it is asked about."""

    key: str
    source: str
    wordings: tuple[str, ...]  # eight format strings with {subject}
    facts: tuple[Fact, ...]
