"""A line for each suite of an evaluation, on the candidate: what `medu1 run` ends with; the page has the rest."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from medu1.report import Consistency, LengthPoint, Probed, Probes, Sampling, Strategic

Figure = TypeVar("Figure", bound=Probed)


def suite_lines(probes: Probes) -> list[str]:
    """In the order of the page."""
    return [
        *_lines(probes.lengths, _lengths),
        *_lines(probes.consistency, _orders),
        *_lines(probes.sampling, _samples),
        *_lines(probes.strategies, _strategies),
    ]


def _lines(figures: Iterable[Figure], said: Callable[[Sequence[Figure]], str]) -> Iterator[str]:
    found: dict[str, list[Figure]] = {}
    for figure in figures:
        if figure.role == "candidate":
            found.setdefault(figure.suite, []).append(figure)
    return (f"{name}: {said(of)}" for name, of in found.items())


def _lengths(points: Sequence[LengthPoint]) -> str:
    return ", ".join(f"{_share(point.accuracy)} at {point.budget:,}" for point in points) + " tokens"


def _orders(figures: Sequence[Consistency]) -> str:
    (found,) = figures
    same = f"the same option in {found.orders} orders {_share(found.consistent)}"
    return f"{same}, right in all of them {_share(found.always_right)}"


def _samples(figures: Sequence[Sampling]) -> str:
    (found,) = figures
    if not found.n:
        return "no question is scored"
    passed = ", ".join(f"pass@{k} {_share(found.pass_at[k])}" for k in sorted({min(found.pass_at), max(found.pass_at)}))
    return f"{passed}, maj@{max(found.majority_at)} {_share(found.majority_at[max(found.majority_at)])}"


def _strategies(figures: Sequence[Strategic]) -> str:
    return ", ".join(f"{found.strategy.replace('_', ' ')} {_share(found.accuracy)}" for found in figures)


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
