"""The last step of an accepted candidate, as kfp ships it: a plain function, no kfp import."""


def register(registry: str, evaluation: str, dataset: str, base: str, candidate: str) -> str:
    """Create the candidate's version in the registry, or find it there. Returns {"name", "version"} as JSON."""
    from medu1.register.registry import register

    return register(registry, evaluation, dataset, base, candidate)
