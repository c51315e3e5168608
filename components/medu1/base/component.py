"""Tokenizer and base as plain functions: kfp ships their source, so a body imports its step and makes one call."""


def tokenizer(base_model: str, revision: str, base: str, code: str) -> str:
    """The base model's tokenizer and identity, before any weights; gives a TokenizerManifest."""
    from medu1.base import step

    return step.tokenizer(base_model, revision, base, code)


def base(tokenizer: str, dataset: str, base: str, code: str) -> str:
    """The base model's weights; gives a ModelManifest."""
    from medu1.base import step

    return step.base(tokenizer, dataset, base, code)
