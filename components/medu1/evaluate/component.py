"""The tasks `evaluate` and `decide`; kfp ships each body as source, so it imports its step and makes one call."""


def evaluate(
    evaluate: str,
    scoring: str,
    dataset: str,
    base: str,
    candidate: str,
    champion_weights: str,
    champion_key: str,
    code: str,
) -> str:
    """Judge base, candidate and champion on the same frozen questions."""
    from medu1.evaluate import step

    return step.evaluate(evaluate, scoring, dataset, base, candidate, champion_weights, champion_key, code)


def decide(decide: str, evaluation: str, dataset: str, base: str, candidate: str, champion_version: str) -> bool:
    """Whether the candidate may be registered."""
    from medu1.evaluate import step

    return step.decide(decide, evaluation, dataset, base, candidate, champion_version)
