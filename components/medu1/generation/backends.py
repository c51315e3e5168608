"""Which backend answers for a model, as the section evaluate of `params.yaml` says."""

from collections.abc import Callable
from pathlib import Path

from medu1.generation.backend import Backend
from medu1.judging import Evaluate


def opened(params: Evaluate, role: str, weights: str, folder: Callable[[], Path]) -> Backend:
    """A model ready to be asked; `folder` is called, and the model fetched, only where it runs in this process.

    Raises Stop where the backend is not there, or an endpoint does not serve the model.
    """
    match params.backend:
        case "transformers":
            from medu1.generation import local

            return local.load(folder())
        case "vllm":
            from medu1.generation.engine import Engine

            return Engine(folder(), params.batch)
        case "endpoint":
            from medu1.generation import endpoint

            return endpoint.connected(params.endpoint, role=role, weights=weights, key=endpoint.key())
