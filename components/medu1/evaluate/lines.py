"""What the page and the Markdown both say: a table's lines, the sentence that sums up, how answers were made."""

from typing import Final, NamedTuple

from medu1.drawing.percent import percent
from medu1.evaluate.figures import p_is, points
from medu1.report import Comparison, Decision, Incumbent, Report, Role, Row, SetName, Slice

TITLES: Final[dict[SetName, str]] = {"test": "Test", "ood": "Out of distribution"}


class Line(NamedTuple):
    """One slice across the models: a cell each, and the candidate's difference from each incumbent."""

    name: str
    cells: list[Row | None]
    differences: list[Comparison | None]


def lines(report: Report, set_: SetName, slice_: Slice) -> list[Line]:
    """A table's rows for one kind of slice."""
    roles: list[Role] = [model.role for model in report.models]
    return [
        Line(
            "all questions" if slice_ == "all" else name,
            [report.row(role, set_, slice_, name) for role in roles],
            [report.comparison(incumbent, set_, slice_, name) for incumbent in incumbents_of(report)],
        )
        for name in report.names(set_, slice_)
    ]


def incumbents_of(report: Report) -> list[Incumbent]:
    """Whom the candidate is compared with; the one that decides is last."""
    return ["base", "champion"] if report.model("champion") else ["base"]


def headline(report: Report) -> str:
    """The candidate against the incumbent on the test questions; "" where no question could be scored for both."""
    against = incumbents_of(report)[-1]
    whole = report.comparison(against, "test")
    now, then = report.row("candidate", "test"), report.row(against, "test")
    if whole is None or now is None or then is None:
        return ""
    return (
        f"The candidate answers {percent(now.accuracy)} of the test questions, the {against} "
        f"{percent(then.accuracy)}: {points(whole.difference)} points ({report.confidence:.0%} interval "
        f"{points(whole.low)} to {points(whole.high)}; {whole.gained:,} gained, {whole.lost:,} lost, exact McNemar "
        f"{p_is(whole.p)})."
    )


def verdict(decision: Decision) -> str:
    """The decision in two words."""
    return "register" if decision.passed else "do not register"


def stands(decision: Decision) -> str:
    """Against whom, and how many conditions are met."""
    against = f"Judged against {'the base' if decision.incumbent == 'base' else decision.incumbent}"
    if not decision.conditions:
        return f"{against}."
    met = sum(each.holds for each in decision.conditions)
    return f"{against}: {met} of {len(decision.conditions)} conditions are met."


def protocol(report: Report) -> list[tuple[str, str]]:
    """How every model was asked and judged, as labels and what they say."""
    models = [
        (model.role, " ".join(filter(None, (model.weights, model.base and f"from {model.base}",
                                            model.revision and f"at {model.revision}"))))
        for model in report.models
    ]  # fmt: skip
    return [
        *models,
        ("all questions", report.frozen),
        ("backend", report.protocol.backend),
        ("strategy", report.protocol.strategy.replace("_", " ")),
        ("decoding", report.protocol.decoding),
        ("confidence", f"{report.confidence:.0%}"),
        ("versions", ", ".join(f"{name} {version}" for name, version in report.versions.items())),
    ]
