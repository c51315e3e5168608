"""A checkpoint's model as one plain Hugging Face folder, in the precision its base came in; MLflow reads it as well."""

from pathlib import Path

from medu1 import record
from medu1.train import checkpoints, flavor
from medu1.train.checkpoints import Found
from medu1.train.job import Job


def write(job: Job, found: Found, folder: Path) -> str:
    """Write the model and, beside it, what MLflow reads it by. Returns its weights digest, which covers the model."""
    _write_model(job, found, folder)
    digest = record.content_digest(folder)
    flavor.write(folder, digest, job.params.max_completion_tokens)
    return digest


def _write_model(job: Job, found: Found, folder: Path) -> None:
    """Merge an adapter, round float32 weights to a base's half precision, or copy: safetensors and tokenizer.

    Weights that were in parts are written anew too: gathered, those that two modules share stand there twice.
    """
    import torch
    from transformers import AutoConfig

    from medu1.generation.model import policy
    from medu1.train.adapter import merged

    precision = AutoConfig.from_pretrained(job.base, trust_remote_code=False).dtype
    if job.params.adapter.rank:
        merged(job.base, found.folder, folder)
        return
    checkpoints.copy_model(found, folder)
    if precision in (torch.bfloat16, torch.float16) or job.params.sharding != "none":
        for weights in folder.glob("model*.safetensors*"):
            weights.unlink()
        policy(found.folder, dtype=precision).save_pretrained(folder)
