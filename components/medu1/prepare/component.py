"""Prepare and audit as plain functions: kfp ships their source, so a body imports its step and makes one call."""


def prepare(prepare: str, data: str, tokenizer: str, code: str) -> str:
    """Questions split, filtered and written; gives a DatasetManifest."""
    from medu1.prepare import step

    return step.run(prepare, data, tokenizer, code)


def audit(audit: str, scoring: str, dataset: str, code: str) -> str:
    """The reward audit of the training questions; raises to refuse training, gives a Manifest."""
    from medu1.prepare import audit as step

    return step.run(audit, scoring, dataset, code)
