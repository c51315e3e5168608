"""May the candidate be registered? It must beat the incumbent, no family may fall, and it must have learnt honestly.

The incumbent is the current champion, or the base where there is none. Every condition is on the test split:

- both models are judged on the same questions;
- the lower bound of the paired difference exceeds `min_gain`, at the level that is left after the decisions already
  taken on these frozen questions, and exact McNemar is below that level. The first keeps groups of questions whole, the
  second holds where a handful of changes makes any standard error a guess; either alone promotes too easily somewhere;
- no family falls, by the same two tests, one-sided at `veto`. It is uncorrected on purpose, as correcting it would make
  a fall easier to miss; Holm's correction applies to what is said of families that improve;
- choice questions are answered better than by blind guessing, answers are whole and in format;
- the training went through the audits.

Every reason is there in words and as figures, whichever way it points.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from medu1.drawing.percent import percent
from medu1.evaluate.figures import level, ordinal, p_is, points
from medu1.evaluate.statistics import (
    FEW_GROUPS,
    POWER,
    Interval,
    Spread,
    design_effect,
    detectable,
    fall,
    limits,
    spent,
)
from medu1.judging import Decide
from medu1.manifest import DatasetManifest
from medu1.report import Comparison, Condition, Decision, Incumbent, Report, Role

MET, NOT_MET = "Met:", "Not met:"


class Case(NamedTuple):
    """Whom the candidate is compared with, and at which level."""

    report: Report
    params: Decide
    against: Incumbent
    incumbent: str  # its name: base, or version N
    earlier: int  # decisions already taken on these frozen questions
    level: float  # two-sided, what is left of alpha


def decide(
    report: Report,
    params: Decide,
    champion_version: str,
    champion_weights: str,
    earlier: int,
    further: Sequence[Condition] = (),
) -> Decision:
    """Judge the candidate; the champion is two empty strings where there is none.

    `earlier` counts the other decisions taken on these frozen questions before; `further` conditions come from outside
    the report. Raises ValueError where the report lacks what a decision needs.
    """
    incumbent = f"version {champion_version}" if champion_weights else "base"
    if champion_weights and champion_weights == _weights(report, "candidate"):
        return Decision(passed=False, reasons=(f"already {incumbent}",), incumbent=incumbent)
    against: Incumbent = "champion" if report.model("champion") else "base"
    if champion_weights and champion_weights != _weights(report, against):
        raise ValueError(f"the report compares with other weights than those of {incumbent}")
    left = spent(params.alpha, params.spending, earlier)
    conditions = [*_conditions(Case(report, params, against, incumbent, earlier, left)), *further]
    return Decision(
        passed=all(condition.holds for condition in conditions),
        reasons=tuple(f"{MET if condition.holds else NOT_MET} {condition.words}" for condition in conditions),
        incumbent=incumbent,
        conditions=tuple(conditions),
    )


def audits(trained_on: Mapping[str, str], data: DatasetManifest) -> Condition:
    """Whether the candidate was trained on this dataset after its reward audit; `trained_on`: its record's inputs.

    prepare and audit leave an output only where every gate let the data pass, so to name one is to have passed.
    """
    audit, dataset = trained_on.get("audit", ""), trained_on.get("dataset", "")
    if audit and dataset == data.digest:
        words = f"trained on the dataset {dataset[:12]}, which passed the data gates and the reward audit {audit[:12]}."
        return Condition(name="audits", holds=True, words=words, figures={})
    words = f"the candidate's training names no reward audit of the dataset {data.digest[:12]}."
    return Condition(name="audits", holds=False, words=words, figures={})


def _weights(report: Report, role: Role) -> str:
    model = report.model(role)
    if model is None:
        raise ValueError(f"the report names no {role}")
    return model.weights


def _conditions(case: Case) -> list[Condition]:
    whole = case.report.comparison(case.against, "test")
    if whole is None:
        words = "no test question could be scored for both models."
        return [Condition(name="questions", holds=False, words=words, figures={})]
    return [
        _same_questions(case, whole),
        _gain(case, whole),
        _significance(case, whole),
        *_families(case),
        *_chance(case),
        *_conduct(case),
    ]


class Asked(NamedTuple):
    """Verdicts of one model on the test split."""

    scored: int
    unscorable: int

    def __str__(self) -> str:
        return f"{self.scored:,} scored and {self.unscorable:,} unscorable"


def _same_questions(case: Case, whole: Comparison) -> Condition:
    """A model must not gain by being judged on fewer questions."""
    now, then = _asked(case.report, "candidate"), _asked(case.report, case.against)
    return Condition(
        name="questions",
        holds=now == then and whole.n == now.scored,
        words=f"test verdicts: {now} for the candidate, {then} for {case.incumbent}, {whole.n:,} pairs.",
        figures={"candidate": now.scored, "incumbent": then.scored, "pairs": whole.n},
    )


def _asked(report: Report, role: Role) -> Asked:
    row = report.row(role, "test")
    return Asked(row.n, row.unscorable) if row else Asked(0, 0)


def _gain(case: Case, whole: Comparison) -> Condition:
    low, visible = _bounds(whole, 1 - case.level).low, _detectable(case, whole)
    now, then = case.report.row("candidate", "test"), case.report.row(case.against, "test")
    shares = f"{percent(now.accuracy if now else None)} against {percent(then.accuracy if then else None)}"
    return Condition(
        name="gain",
        holds=low > case.params.min_gain,
        words=f"test accuracy is {shares} of {case.incumbent} on the same {whole.n:,} questions in {whole.groups:,} "
        f"groups, {points(whole.difference)} points; its lower bound is {points(low)} and must exceed "
        f"{points(case.params.min_gain)}. It is the {ordinal(case.earlier + 1)} decision on these frozen questions, at "
        f"the two-sided level {level(case.level)}: {_power(visible)}{_few(whole)}",
        figures={
            "difference": whole.difference,
            "low": low,
            "min_gain": case.params.min_gain,
            "groups": whole.groups,
            "earlier": case.earlier,
            "level": case.level,
            **({} if visible is None else {"detectable": visible}),
        },
    )


def _detectable(case: Case, whole: Comparison) -> float | None:
    """None where it cannot be told: no change at all, or one group."""
    changed = whole.gained + whole.lost
    if not changed or not whole.freedom:
        return None
    design = design_effect(whole.n, whole.gained, whole.lost, _spread(whole))
    return detectable(whole.n, changed / whole.n, design, case.level, whole.freedom)


def _bounds(found: Comparison, confidence: float) -> Interval:
    return limits(found.difference, _spread(found), confidence)


def _spread(found: Comparison) -> Spread:
    return Spread(found.groups, found.error, found.freedom)


def _power(visible: float | None) -> str:
    if visible is None:
        return "what this test can see is unknown."
    return f"this test can see {100 * visible:.1f} points, {POWER:.0%} of the time."


def _few(whole: Comparison) -> str:
    """The warning that is due with few groups."""
    if whole.groups >= FEW_GROUPS:
        return ""
    return f" Only {whole.groups} groups: with fewer than {FEW_GROUPS} the bound is wide, and rests on few draws."


def _significance(case: Case, whole: Comparison) -> Condition:
    """Asked of gains only: a margin below zero asks whether a difference is bearable, not whether there is one."""
    asked = case.params.min_gain >= 0
    rule = f"it must be below {level(case.level)}" if asked else "a margin below zero does not ask for it"
    return Condition(
        name="mcnemar",
        holds=whole.p < case.level or not asked,
        words=f"{whole.gained:,} questions are gained and {whole.lost:,} lost, exact McNemar {p_is(whole.p)}; {rule}.",
        figures={"gained": whole.gained, "lost": whole.lost, "p": whole.p, "level": case.level},
    )


def _families(case: Case) -> list[Condition]:
    """One a family: whether it falls, its lower bound, and whether it may be said to improve."""
    names = case.report.names("test", "family")
    found = [case.report.comparison(case.against, "test", "family", name) for name in names]
    return [_family(case, family) for family in found if family]


def _family(case: Case, family: Comparison) -> Condition:
    p, high = fall(family.gained, family.lost), _bounds(family, 1 - 2 * case.params.veto).high
    falls = p < case.params.veto and (high < 0 or not family.freedom)  # one group has no bound: the counts must do
    holds = not falls
    better = family.low > 0 and family.p_holm < case.level
    said = "improves" if better else "does not fall" if holds else "falls"
    return Condition(
        name=f"family:{family.name}",
        holds=holds,
        words=f"{family.name} {said}: {points(family.difference)} points, at least {points(family.low)} "
        f"({case.report.confidence:.0%} interval); {family.gained:,} gained and {family.lost:,} lost, Holm-corrected "
        f"{p_is(family.p_holm)}. The veto takes a one-sided p of a fall below {case.params.veto:g} ({p_is(p)}) and an "
        f"upper bound below zero ({points(high)}).",
        figures={
            "difference": family.difference,
            "low": family.low,
            "high": high,
            "gained": family.gained,
            "lost": family.lost,
            "p_holm": family.p_holm,
            "p_fall": p,
            "veto": case.params.veto,
        },
    )


def _chance(case: Case) -> list[Condition]:
    """A model below blind guessing has learnt nothing of the choice questions, whatever it gained."""
    row = case.report.row("candidate", "test", "family", "choice")
    if not case.params.above_chance or row is None or row.chance is None:
        return []
    return [
        Condition(
            name="chance",
            holds=row.low > row.chance,
            words=f"choice is answered {percent(row.accuracy)} right, at least {percent(row.low)} "
            f"({case.report.confidence:.0%} interval), which must exceed the {percent(row.chance)} of blind guessing.",
            figures={"accuracy": row.accuracy or 0.0, "low": row.low, "chance": row.chance},
        )
    ]


def _conduct(case: Case) -> list[Condition]:
    """How the candidate writes; a limit of None judges nothing."""
    found = next((each for each in case.report.conduct if (each.role, each.set) == ("candidate", "test")), None)
    if found is None:
        raise ValueError("the report does not say how the candidate writes")
    judged = (
        ("truncated", "cut off by the token limit", found.truncated, case.params.max_truncated),
        ("malformed", "not in the format", found.malformed, case.params.max_malformed),
    )
    return [
        Condition(
            name=name,
            holds=count / found.n <= most,
            words=f"{count:,} of {found.n:,} test answers are {what}, {percent(count / found.n)}, at most "
            f"{percent(most)} may be.",
            figures={"share": count / found.n, "most": most},
        )
        for name, what, count, most in judged
        if most is not None
    ]
