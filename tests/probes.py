"""What suites of every kind might have found out about three models."""

from medu1.evaluate.statistics import wilson
from medu1.report import Consistency, LengthPoint, Probes, Role, Sampling, Strategic
from medu1.suite import Strategy

QUESTIONS = 60
ROLES: tuple[Role, ...] = ("base", "candidate", "champion")
STRATEGIES: tuple[Strategy, ...] = ("direct", "step_by_step", "structured")


def length_point(role: Role, budget: int, correct: int) -> LengthPoint:
    low, high = wilson(correct, QUESTIONS, 0.95)
    return LengthPoint(
        suite="lengths",
        role=role,
        mode="exact",
        budget=budget,
        n=QUESTIONS,
        correct=correct,
        accuracy=correct / QUESTIONS,
        low=low,
        high=high,
        tokens=0.8 * budget,
        kept=0.3,
        closeness=0.5,
    )


def consistency(role: Role, same: int) -> Consistency:
    low, high = wilson(same, QUESTIONS, 0.95)
    return Consistency(
        suite="orders",
        role=role,
        orders=4,
        n=QUESTIONS,
        accuracy=0.5,
        consistent=same / QUESTIONS,
        low=low,
        high=high,
        always_right=0.3,
        letters={"A": 0.7, "B": 0.3},
        golds={"A": 0.5, "B": 0.25, "C": 0.25},
    )


def sampling(role: Role) -> Sampling:
    return Sampling(
        suite="samples",
        role=role,
        samples=8,
        temperature=1.0,
        n=QUESTIONS,
        pass_at={1: 0.4, 2: 0.5, 4: 0.6, 8: 0.8},
        majority_at={1: 0.4, 2: 0.4, 4: 0.45, 8: 0.5},
        low=0.37,
        high=0.63,
    )


def strategic(role: Role, strategy: Strategy, place: int) -> Strategic:
    correct, gain = 20 + 9 * place, 9 * place / QUESTIONS
    low, high = wilson(correct, QUESTIONS, 0.95)
    return Strategic(
        suite="strategies",
        role=role,
        strategy=strategy,
        n=QUESTIONS,
        correct=correct,
        unscorable=place,
        accuracy=correct / QUESTIONS,
        low=low,
        high=high,
        tokens=10.0 * (1 + place),
        calls=1.0 + place,
        complete=0.9 if strategy == "structured" else None,
        difference=gain if place else None,
        difference_low=gain - 0.1 if place else None,
        difference_high=gain + 0.1 if place else None,
        p=0.02 if place else None,
        p_holm=0.04 if place else None,
    )


PROBES = Probes(
    lengths=tuple(length_point(role, budget, 10 + budget // 2) for role in ROLES for budget in (20, 40, 80)),
    consistency=tuple(consistency(role, 20 + 8 * place) for place, role in enumerate(ROLES)),
    sampling=tuple(sampling(role) for role in ROLES),
    strategies=tuple(strategic(role, name, place) for role in ROLES for place, name in enumerate(STRATEGIES)),
)
