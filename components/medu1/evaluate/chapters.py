"""What the suites found out, chapter by chapter, as tables that the page and the Markdown share.

A kind of suite that was not asked has no chapter.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, TypeVar

from medu1.drawing.percent import NOTHING, percent
from medu1.drawing.table import Cell, Kind, Table
from medu1.evaluate.figures import p_value, points
from medu1.report import Consistency, LengthPoint, Probed, Report, Sampling, Strategic

Figure = TypeVar("Figure", bound=Probed)

EXACT: Final = {"exact": "exactly", "at_most": "at most"}


class Part(NamedTuple):
    """One suite."""

    suite: str  # its name
    tables: list[Table]


class Chapter(NamedTuple):
    """All suites of a kind."""

    title: str
    about: str
    parts: list[Part]


def chapters(report: Report) -> list[Chapter]:
    """Of the suites that were asked."""
    probes, interval = report.probes, f"{report.confidence:.0%}"
    found = [
        Chapter(
            "Accuracy against length",
            "The same questions under each reasoning-length budget: what a shorter answer costs, and how well a model "
            "keeps to what it is asked for.",
            [Part(name, [_lengths(of)]) for name, of in by_suite(probes.lengths).items()],
        ),
        Chapter(
            "Options in several orders",
            "The same choice questions with their options shuffled. Who knows the answer gives the same option in "
            "every order; who favours a letter does not.",
            [
                Part(name, [_consistency(of, interval), _letters(of)])
                for name, of in by_suite(probes.consistency).items()
            ],
        ),
        Chapter(
            "Several answers",
            "pass@k: a right answer is among k (the unbiased estimate). maj@k: the most frequent answer among k is "
            "right.",
            [Part(name, [_sampling(of)]) for name, of in by_suite(probes.sampling).items()],
        ),
        Chapter(
            "Reasoning strategies",
            "The same questions by several ways of asking; a difference is from the strategy named first, paired "
            "question by question.",
            [Part(name, [_strategies(of, interval)]) for name, of in by_suite(probes.strategies).items()],
        ),
    ]
    return [chapter for chapter in found if chapter.parts]


def by_suite(figures: Iterable[Figure]) -> dict[str, list[Figure]]:
    """In the report's order."""
    found: dict[str, list[Figure]] = {}
    for figure in figures:
        found.setdefault(figure.suite, []).append(figure)
    return found


def _lengths(asked: Sequence[LengthPoint]) -> Table:
    return Table(
        f"Asked for {EXACT[asked[0].mode]} so many tokens; kept: the share of responses "
        + ("within the budget" if asked[0].mode == "at_most" else "within a tenth of the budget")
        + "; closeness as the grader has it, from 0 to 1",
        ("model", "budget", "scored", "accuracy", "mean tokens", "kept", "closeness"),
        [
            (
                Cell(each.role),
                Cell(f"{each.budget:,}"),
                Cell(f"{each.n:,}"),
                _share(each.accuracy, each.low, each.high),
                Cell(_mean(each.tokens)),
                *_kept(each),
            )
            for each in asked
        ],
    )


def _kept(asked: LengthPoint) -> tuple[Cell, Cell]:
    """Nobody knows where the backend counts no tokens."""
    if asked.tokens is None:
        return Cell(NOTHING), Cell(NOTHING)
    return Cell(percent(asked.kept)), Cell(f"{asked.closeness:.2f}")


def _consistency(asked: Sequence[Consistency], interval: str) -> Table:
    return Table(
        f"Shares of the questions that are scored in every order, with the {interval} Wilson interval of the first; "
        "accuracy is the mean over orders",
        ("model", "questions", "orders", "same option in every order", "right in every order", "accuracy"),
        [
            (
                Cell(each.role),
                Cell(f"{each.n:,}"),
                Cell(str(each.orders)),
                _share(each.consistent, each.low, each.high),
                Cell(percent(each.always_right)),
                Cell(percent(each.accuracy)),
            )
            for each in asked
        ],
    )


def _letters(asked: Sequence[Consistency]) -> Table:
    """The right letters are the same for every model."""
    letters = sorted({letter for each in asked for letter in (*each.letters, *each.golds)})
    rows = [("right letters", asked[0].golds), *((each.role, each.letters) for each in asked)]
    return Table(
        "Letters answered against right letters, as shares over all orders: a model without a favourite answers each "
        "as often as it is right",
        ("", *letters),
        [(Cell(name), *(Cell(percent(shares.get(letter, 0.0))) for letter in letters)) for name, shares in rows],
    )


def _sampling(asked: Sequence[Sampling]) -> Table:
    sizes = sorted({k for each in asked for k in (*each.pass_at, *each.majority_at)})
    return Table(
        f"{asked[0].samples:,} answers a question at temperature {asked[0].temperature:g}; the interval is Wilson's",
        ("model", "questions", "measure", *(f"k = {k:,}" for k in sizes)),
        [
            (Cell(each.role), Cell(f"{each.n:,}"), Cell(measure), *(_at(each, measure, k) for k in sizes))
            for each in asked
            for measure in ("pass@k", "maj@k")
        ],
    )


def _at(asked: Sampling, measure: str, k: int) -> Cell:
    share = (asked.pass_at if measure == "pass@k" else asked.majority_at).get(k)
    judged = measure == "maj@k" and k == asked.samples
    return _share(share, asked.low, asked.high) if judged else Cell(percent(share))


def _strategies(asked: Sequence[Strategic], interval: str) -> Table:
    return Table(
        f"With {interval} intervals: Wilson's of the accuracy, cluster-robust of the difference, in points; p is an "
        "exact McNemar test, Holm-corrected beside it; tokens and calls of the model are means for one question; "
        "complete: the share of the strategy's named steps that are there",
        ("model", "strategy", "scored", "accuracy", "difference", "p", "tokens", "calls", "complete"),
        [
            (
                Cell(each.role),
                Cell(each.strategy.replace("_", " ")),
                Cell(f"{each.n:,}", f"{each.unscorable:,} unscorable" if each.unscorable else ""),
                _share(each.accuracy, each.low, each.high),
                _difference(each),
                _p(each),
                Cell(_mean(each.tokens)),
                Cell(f"{each.calls:.1f}"),
                Cell(percent(each.complete)),
            )
            for each in asked
        ],
    )


def _share(share: float | None, low: float, high: float) -> Cell:
    return Cell(percent(share)) if share is None else Cell(percent(share), f"{percent(low)} {NOTHING} {percent(high)}")


def _difference(asked: Strategic) -> Cell:
    low, high = asked.difference_low, asked.difference_high
    if asked.difference is None:
        return Cell(NOTHING)
    if low is None or high is None:
        return Cell(points(asked.difference))
    kind: Kind = "risen" if low > 0 else "fallen" if high < 0 else "level"
    return Cell(points(asked.difference), f"{points(low)} to {points(high)}", kind)


def _p(asked: Strategic) -> Cell:
    if asked.p is None:
        return Cell(NOTHING)
    return Cell(p_value(asked.p), "" if asked.p_holm is None else f"Holm {p_value(asked.p_holm)}")


def _mean(tokens: float | None) -> str:
    return NOTHING if tokens is None else f"{tokens:.1f}"
