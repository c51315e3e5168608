"""Train as a plain function: kfp ships its source, so the body imports its step and makes one call."""


def train(train: str, scoring: str, base: str, dataset: str, audited: str, code: str) -> str:
    """GRPO from the base on the audited training questions; gives the candidate's ModelManifest."""
    from medu1.train import step

    return step.run(train, scoring, base, dataset, audited, code)
