"""What travels between steps: small JSON strings that say where bytes lie and what they hash to.

The bytes stay in the store; a step that needs them fetches them and checks the digest.
"""

from medu1.frozen import split_of
from medu1.question import Frozen


class Manifest(Frozen):
    """The complete output of one step: the folder `key` of the store, holding a step record."""

    key: str  # such as prepare/3f2a...
    digest: str  # of the content: equal bytes, equal digest, whatever made them

    def text(self) -> str:
        """Canonical JSON, read back with `model_validate_json`."""
        return self.model_dump_json()


class DatasetManifest(Manifest):
    """Prepared questions, split, with the digests of those that models are selected or judged on."""

    frozen: str  # of all test and out-of-distribution questions
    sets: dict[str, str]  # set, such as test/medqa -> digest; validation, test and out of distribution, by source
    rows: dict[str, int]  # split -> questions
    data: str  # the DVC digest(s) of the raw data

    def sets_of(self, *splits: str) -> dict[str, str]:
        """The digests of the sets of these splits."""
        return {name: digest for name, digest in self.sets.items() if split_of(name) in splits}


class TokenizerManifest(Manifest):
    """A tokenizer and the identity of the base it belongs to; its weights come later."""

    base: str
    revision: str


class ModelManifest(Manifest):
    """A model in Hugging Face layout. `digest` is the weights digest: weights, configuration and tokenizer."""

    base: str
    revision: str


class EvaluationManifest(Manifest):
    """Verdicts, report and the figures a decision needs, of one candidate against its base and the champion."""

    candidate: str  # weights digest
    champion: str  # weights digest; "" if none
    frozen: str
