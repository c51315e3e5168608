"""May the candidate be registered? It must beat the incumbent, and no family may fall.

The incumbent is the current champion, or the base where there is none. Every condition is on the test split: the
lower bound of the paired difference exceeds `min_gain`, exact McNemar is below `alpha`, and no family falls by a
one-sided exact test at `alpha`. The veto is uncorrected on purpose: correcting it would make a fall easier to miss.
"""

from typing import NamedTuple

from medu1.drawing.percent import percent
from medu1.evaluate.figures import p_is, points
from medu1.evaluate.statistics import fall
from medu1.params import Decide
from medu1.report import Comparison, Decision, Incumbent, Report, Role

MET, NOT_MET = "Met:", "Not met:"


class Condition(NamedTuple):
    """One condition: whether it holds, and the numbers it was judged by."""

    holds: bool
    words: str

    def sentence(self) -> str:
        """The condition as a reason."""
        return f"{MET if self.holds else NOT_MET} {self.words}"


def decide(report: Report, params: Decide, champion_version: str, champion_weights: str) -> Decision:
    """Judge the candidate; the champion is two empty strings where there is none.

    Raises ValueError where the report lacks what a decision needs.
    """
    incumbent = f"version {champion_version}" if champion_weights else "base"
    if champion_weights and champion_weights == _weights(report, "candidate"):
        return Decision(passed=False, reasons=(f"already {incumbent}",), incumbent=incumbent)
    against: Incumbent = "champion" if report.model("champion") else "base"
    if champion_weights and champion_weights != _weights(report, against):
        raise ValueError(f"the report compares with other weights than those of {incumbent}")
    conditions = _conditions(report, against, incumbent, params)
    return Decision(
        passed=all(condition.holds for condition in conditions),
        reasons=tuple(condition.sentence() for condition in conditions),
        incumbent=incumbent,
    )


def _weights(report: Report, role: Role) -> str:
    model = report.model(role)
    if model is None:
        raise ValueError(f"the report names no {role}")
    return model.weights


def _conditions(report: Report, against: Incumbent, incumbent: str, params: Decide) -> list[Condition]:
    whole = report.comparison(against, "test")
    if whole is None:
        return [Condition(False, "no test question could be scored for both models.")]
    return [
        _same_questions(report, against, incumbent, whole),
        _gain(report, against, incumbent, whole, params),
        _significance(whole, params),
        *_families(report, against, params),
    ]


def _same_questions(report: Report, against: Incumbent, incumbent: str, whole: Comparison) -> Condition:
    """A model must not gain by being judged on fewer questions."""
    asked = {role: _asked(report, role) for role in ("candidate", against)}
    words = f"{asked['candidate']} for the candidate, {asked[against]} for {incumbent}, {whole.n:,} pairs."
    same = asked["candidate"] == asked[against] and whole.n == asked["candidate"].scored
    return Condition(same, f"test verdicts: {words}")


class Asked(NamedTuple):
    """Verdicts of one model on the test split."""

    scored: int
    unscorable: int

    def __str__(self) -> str:
        return f"{self.scored:,} scored and {self.unscorable:,} unscorable"


def _asked(report: Report, role: Role) -> Asked:
    row = report.row(role, "test")
    return Asked(row.n, row.unscorable) if row else Asked(0, 0)


def _gain(report: Report, against: Incumbent, incumbent: str, whole: Comparison, params: Decide) -> Condition:
    now, then = report.row("candidate", "test"), report.row(against, "test")
    shares = f"{percent(now.accuracy if now else None)} against {percent(then.accuracy if then else None)}"
    return Condition(
        whole.low > params.min_gain,
        f"test accuracy is {shares} of {incumbent} on the same {whole.n:,} questions, "
        f"{points(whole.difference)} points with a {report.confidence:.0%} interval of "
        f"{points(whole.low)} to {points(whole.high)}; its lower bound must exceed {points(params.min_gain)}.",
    )


def _significance(whole: Comparison, params: Decide) -> Condition:
    return Condition(
        whole.p < params.alpha,
        f"{whole.gained:,} questions are gained and {whole.lost:,} lost, exact McNemar {p_is(whole.p)}; "
        f"it must be below {params.alpha:g}.",
    )


def _families(report: Report, against: Incumbent, params: Decide) -> list[Condition]:
    """One sentence when every family holds, else one for each that falls."""
    found = [(name, report.comparison(against, "test", "family", name)) for name in report.names("test", "family")]
    families = [comparison for _, comparison in found if comparison]
    fallen = [family for family in families if fall(family.gained, family.lost) < params.alpha]
    changes = ", ".join(f"{family.name} {points(family.difference)}" for family in families)
    if not fallen:
        return [Condition(True, f"no family falls ({changes} points).")]
    return [
        Condition(
            False,
            f"{family.name} falls by {-100 * family.difference:.1f} points ({family.lost:,} lost, {family.gained:,} "
            f"gained, one-sided {p_is(fall(family.gained, family.lost))}, veto below {params.alpha:g}).",
        )
        for family in fallen
    ]
