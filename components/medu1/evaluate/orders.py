"""A choice question with its options in several orders, the same ones on every machine.

A model that knows the answer follows the option to its new letter; one that prefers a letter stays. The first order is
the question's own. The next are its rotations, in which the right option meets every letter equally often (the circular
evaluation of Liu, Y. et al. (2023). MMBench. arXiv 2307.06281); what more is asked for is drawn by hash.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import count, islice
from math import factorial, prod

from medu1.question import Choice, Question

Order = tuple[str, ...]  # the question's own letters, as their options are shown under A, B, C


def permuted(question: Question, orders: int) -> list[tuple[str, Question]]:
    """Up to `orders` versions that read differently, each by its order, such as BCDA; fewer where there are no more."""
    wanted = min(orders, _arrangements(question))
    return [("".join(order), _reordered(question, order)) for order in islice(_distinct(question), wanted)]


def _arrangements(question: Question) -> int:
    """In how many orders the options read differently: equal options change nothing by changing places."""
    alike = Counter(question.options.values())
    return factorial(alike.total()) // prod(map(factorial, alike.values()))


def _distinct(question: Question) -> Iterator[Order]:
    seen: set[Order] = set()
    for order in _orders(question):
        shown = tuple(question.options[letter] for letter in order)
        if shown not in seen:
            seen.add(shown)
            yield order


def _orders(question: Question) -> Iterator[Order]:
    """Without end."""
    letters = sorted(question.options)
    yield tuple(letters)
    for first in _by_hash(letters[1:], question.id, "rotation"):
        at = letters.index(first)
        yield (*letters[at:], *letters[:at])
    for attempt in count():
        yield tuple(_by_hash(letters, question.id, str(attempt)))


def _by_hash(letters: Sequence[str], *key: str) -> list[str]:
    """The letters in an order that hangs on the key alone."""
    return sorted(letters, key=lambda letter: sha256("\x1f".join([*key, letter]).encode()).digest())


def _reordered(question: Question, order: Order) -> Question:
    letters = sorted(question.options)
    assert isinstance(question.gold, Choice), question.id
    options = {letter: question.options[own] for letter, own in zip(letters, order, strict=True)}
    gold = Choice(letter=letters[order.index(question.gold.letter)])
    return question.model_copy(update={"options": options, "gold": gold})
