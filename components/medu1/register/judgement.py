"""What a model card says of the evaluation and the decision, in Markdown; all that data says is text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from medu1.drawing.markdown import table, text
from medu1.drawing.percent import percent
from medu1.report import Comparison, Decision, Incumbent, Probes, Report, Row, SetName, Slice

NOTHING: Final = "not recorded"
SETS: Final[dict[SetName, str]] = {"test": "Test questions", "ood": "Out-of-distribution questions"}
SLICES: Final[tuple[Slice, ...]] = ("all", "family", "source")


def headline(report: Report) -> str:
    """Test accuracy beside the incumbent's, in a sentence; "" where no question was scored for both."""
    against = _incumbents(report)[-1]
    now, then = report.row("candidate", "test"), report.row(against, "test")
    compared = report.comparison(against, "test")
    if not (now and then and compared):
        return ""
    return text(
        f"Test accuracy {percent(now.accuracy)} against {percent(then.accuracy)} of the {against} on the same "
        f"{compared.n:,} questions: {_points(compared)}."
    )


def judged(report: Report) -> Iterator[str]:
    """The blocks on how the models did: protocol, tables by set, conduct, suites."""
    protocol = report.protocol
    yield text(
        f"Answers by {protocol.backend}, strategy {protocol.strategy}, {protocol.decoding}. Accuracy with its "
        f"{report.confidence:.0%} Wilson interval; unscorable questions are not counted. Differences are paired, on "
        "the same questions, their intervals cluster-robust."
    )
    asked: list[SetName] = [name for name in SETS if report.questions.get(name)]
    for name in asked:
        yield f"### {SETS[name]}"
        yield table(("slice", *(model.role for model in report.models)), _accuracies(report, name))
        for against in _incumbents(report):
            yield f"Candidate minus {against}, in points:"
            yield table(
                ("slice", "questions", "difference", "gained", "lost", "McNemar p"), _differences(report, name, against)
            )
    yield "### How answers are written"
    counted = ("truncated", "malformed", "unanswered", "unscorable")
    rows = [[c.role, c.set, f"{c.n:,}", *(f"{getattr(c, name):,}" for name in counted)] for c in report.conduct]
    yield table(("model", "set", "asked", "truncated", "not in format", "no answer", "unscorable"), rows)
    yield from _probes(report.probes)


def _accuracies(report: Report, set_: SetName) -> Iterator[list[str]]:
    for slice_ in SLICES:
        for name in report.names(set_, slice_):
            yield [name, *(_share(report.row(model.role, set_, slice_, name)) for model in report.models)]


def _differences(report: Report, set_: SetName, against: Incumbent) -> Iterator[list[str]]:
    for slice_ in SLICES:
        for name in report.names(set_, slice_):
            if found := report.comparison(against, set_, slice_, name):
                counts = (f"{found.gained:,}", f"{found.lost:,}", _p(found.p))
                yield [name, f"{found.n:,}", _points(found), *counts]


def _incumbents(report: Report) -> tuple[Incumbent, ...]:
    return ("base", "champion") if report.model("champion") else ("base",)


def _share(row: Row | None) -> str:
    if row is None or row.accuracy is None:
        return "-"
    return f"{percent(row.accuracy)} ({percent(row.low)} to {percent(row.high)}), n = {row.n:,}"


def _points(found: Comparison) -> str:
    return f"{100 * found.difference:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f})"


def _p(value: float) -> str:
    return f"{value:.4f}" if value >= 0.0001 else "< 0.0001"


def decided(decision: Decision | None) -> Iterator[str]:
    """The blocks on the decision."""
    yield "### Decision"
    if decision is None:
        yield NOTHING.capitalize() + " in this pipeline run."
        return
    yield text(f"{'Passed' if decision.passed else 'Not passed'} against {decision.incumbent}.")
    yield "\n".join(f"- {text(reason)}" for reason in decision.reasons)


def _probes(probes: Probes) -> Iterator[str]:
    """The suites, where the evaluation had any."""
    chapters: list[tuple[str, Sequence[str], list[list[str]]]] = [
        (
            "Reasoning length",
            ("suite", "model", "budget", "accuracy", "kept", "mean tokens"),
            [[p.suite, p.role, f"{p.mode} {p.budget}", _interval(p.accuracy, p.low, p.high), percent(p.kept),
              _number(p.tokens)] for p in probes.lengths],
        ),
        (
            "Options in several orders",
            ("suite", "model", "orders", "accuracy", "same option in every order", "right in every order"),
            [[p.suite, p.role, str(p.orders), percent(p.accuracy), _interval(p.consistent, p.low, p.high),
              percent(p.always_right)] for p in probes.consistency],
        ),
        (
            "Several answers a question",
            ("suite", "model", "samples", "pass@k", "maj@k"),
            [[p.suite, p.role, f"{p.samples} at temperature {p.temperature:g}", _at(p.pass_at), _at(p.majority_at)]
             for p in probes.sampling],
        ),
        (
            "Reasoning strategies",
            ("suite", "model", "strategy", "accuracy", "mean tokens", "calls"),
            [[p.suite, p.role, p.strategy, _interval(p.accuracy, p.low, p.high), _number(p.tokens), f"{p.calls:.1f}"]
             for p in probes.strategies],
        ),
    ]  # fmt: skip
    for title, columns, rows in chapters:
        if rows:
            yield f"### {title}"
            yield table(columns, rows)


def _interval(share: float | None, low: float, high: float) -> str:
    return "-" if share is None else f"{percent(share)} ({percent(low)} to {percent(high)})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _at(shares: Mapping[int, float]) -> str:
    return ", ".join(f"{k}: {percent(share)}" for k, share in sorted(shares.items()))
