"""The steps tokenizer and base: a model from the hub or a folder, or the tiny one built from its demonstrations.

The tokenizer comes first because prepare counts prompt tokens with it; the weights come after prepare because the warm
start may only see training questions. Either way the output has Hugging Face layout, weights as safetensors.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medu1 import record
from medu1.base import builtin, pretrained
from medu1.dataset import DEMONSTRATIONS, read, shards
from medu1.manifest import DatasetManifest, ModelManifest, TokenizerManifest
from medu1.params import Base
from medu1.stage import Output, Stage, fetch, produce
from medu1.workspace import Workspace

BUILTIN = "builtin"


def tokenizer(base_model: str, revision: str, base: str, code: str) -> str:
    """TokenizerManifest as JSON. Raises Stop where the named model has no tokenizer that can be read."""
    params = Base.parse(base)

    def make(stage: Stage, folder: Path) -> Mapping[str, Any]:
        if base_model == BUILTIN:
            size = builtin.write_tokenizer(folder, params.vocabulary)
        else:
            size = pretrained.copy_tokenizer(base_model, revision, folder)
        stage.note(f"{size:,} tokens, of {base_model}")
        return {"size": size, "digest": record.content_digest(folder)}

    identity = {"vocabulary": params.vocabulary} if base_model == BUILTIN else {"revision": revision}
    output = produce("tokenizer", {"base_model": _named(base_model), **identity}, {}, code, make)
    return TokenizerManifest(
        key=output.key, digest=output.record.facts["digest"], base=base_model, revision=revision
    ).text()


def base(tokenizer: str, dataset: str, base: str, code: str) -> str:
    """ModelManifest as JSON. The tiny model is made once for equal demonstrations and parameters."""
    vocabulary = TokenizerManifest.model_validate_json(tokenizer)
    data = DatasetManifest.model_validate_json(dataset)
    made = _tiny(vocabulary, data, Base.parse(base), code) if vocabulary.base == BUILTIN else _real(vocabulary, code)
    return ModelManifest(
        key=made.key, digest=made.record.facts["digest"], base=vocabulary.base, revision=vocabulary.revision
    ).text()


def _tiny(vocabulary: TokenizerManifest, data: DatasetManifest, params: Base, code: str) -> Output:
    prepared = fetch(data.key, Workspace.from_environment())
    demonstrations = shards(prepared.folder, DEMONSTRATIONS)

    def make(stage: Stage, folder: Path) -> Mapping[str, Any]:
        questions = read(prepared.folder, DEMONSTRATIONS)
        stage.note(f"warm start on {len(questions):,} demonstrations, {params.guesses:.0%} of the last ones guessed")
        builtin.write_model(folder, fetch(vocabulary.key, stage.workspace).folder, questions, params, stage)
        return {"digest": record.content_digest(folder)}

    inputs = {
        "tokenizer": vocabulary.digest,
        "demonstrations": " ".join(prepared.record.outputs[shard.name].sha256 for shard in demonstrations),
    }
    return produce("base", params.model_dump(mode="json"), inputs, code, make)


def _real(vocabulary: TokenizerManifest, code: str) -> Output:
    def make(stage: Stage, folder: Path) -> Mapping[str, Any]:
        pretrained.copy_model(vocabulary.base, vocabulary.revision, folder)
        return {"digest": record.content_digest(folder)}

    identity = {"base_model": _named(vocabulary.base), "revision": vocabulary.revision}
    return produce("base", identity, {"tokenizer": vocabulary.digest}, code, make)


def _named(base_model: str) -> str:
    """A folder is identified by its revision, which is the digest of its content; where it lies is nobody's concern."""
    return "folder" if Path(base_model).is_dir() else base_model
