"""The files of a base model, by name and size: of a folder, of a copy in the Hugging Face cache, or as the hub says.

Nothing is downloaded but the headers of one file, which tell whether the files are given to who asks: the hub lists the
files of a gated model to anyone.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple

from medu1.errors import Stop
from medu1.words import line

BUILTIN: Final = "builtin"
CONFIG: Final = "config.json"
INDEX: Final = "model.safetensors.index.json"
SECONDS: Final = 10.0
HALF: Final = ("float16", "bfloat16")


class Files(NamedTuple):
    """A model's files."""

    where: Literal["folder", "cache", "hub"]
    sizes: Mapping[str, int]  # bytes by file name
    folder: Path | None  # where they lie, if they do here

    @property
    def weights(self) -> int:
        """Bytes of the weights."""
        return sum(size for name, size in self.sizes.items() if is_weights(name))

    @property
    def bytes_a_weight(self) -> int:
        """By the configuration; where it is not here, half precision: more weights in the same bytes."""
        if self.folder is None:
            return 2
        stated = json.loads((self.folder / CONFIG).read_bytes())
        return 2 if (stated.get("dtype") or stated.get("torch_dtype")) in HALF else 4


def is_weights(name: str) -> bool:
    """Whether transformers reads weights from a file of that name."""
    return name.startswith("model") and name.endswith(".safetensors")


def files(name: str, revision: str) -> Files | None:
    """The files of a base model; None of the built-in one. Raises Stop that says why they cannot be had."""
    if name == BUILTIN:
        return None
    folder = Path(name).expanduser()
    if folder.is_dir():
        return Files("folder", _sizes(folder), folder)
    if folder.is_absolute() or name.startswith((".", "~")):
        raise Stop(
            f"train.base_model: there is no folder {name} where this step runs.",
            "A folder of the machine that started the run is not in a pod.",
            "Name a model of the hub, or put the folder where every step finds it.",
        )
    return _cached(name, revision) or _of_hub(name, revision)


def _sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}


def _cached(name: str, revision: str) -> Files | None:
    """A copy with its weights, of the revision, as transformers finds it without a network."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, CONFIG, revision=revision or None)
    if not isinstance(found, str):
        return None
    sizes = _sizes(Path(found).parent)
    return Files("cache", sizes, Path(found).parent) if any(map(is_weights, sizes)) else None


def _of_hub(name: str, revision: str) -> Files:
    from huggingface_hub import HfApi, errors, hf_hub_url

    api, at = HfApi(), revision or None
    try:
        api.get_hf_file_metadata(url=hf_hub_url(name, CONFIG, revision=at), timeout=SECONDS)
        listed = api.model_info(name, revision=at, files_metadata=True, timeout=SECONDS).siblings or []
        return Files("hub", {each.rfilename: each.size or 0 for each in listed}, None)
    except errors.GatedRepoError:
        raise Stop(
            f"train.base_model: {name} is gated.",
            "Its publisher gives it to those who accept its terms, and no token of one who did is shown.",
            "Accept the terms on the hub, and set HF_TOKEN where the steps run.",
        ) from None
    except errors.RevisionNotFoundError:
        raise Stop(
            f"train.base_model: {name} has no revision {revision}.", next_step="Correct train.revision."
        ) from None
    except errors.RemoteEntryNotFoundError:
        raise Stop(
            f"train.base_model: {name} has no {CONFIG}.", "It is no model transformers reads.", "Name another."
        ) from None
    except errors.RepositoryNotFoundError:
        raise Stop(
            f"train.base_model: the hub has no model {name} for this token.",
            "A private model is not found either, unless HF_TOKEN may read it.",
            "Correct the id, or set HF_TOKEN where the steps run.",
        ) from None
    except errors.HfHubHTTPError as error:
        raise _refused(name, error.response.status_code) from None
    except Exception as error:  # the HTTP library's own
        raise Stop(
            f"train.base_model: the hub does not answer for {name} ({type(error).__name__}: {line(error, 200)}).",
            "No copy of it with this revision lies in the cache either.",
            "Connect the steps to the hub, name a local folder, or fill the cache.",
        ) from None


def _refused(name: str, status: int) -> Stop:
    if status in (401, 403):
        return Stop(
            f"train.base_model: the hub answers {status} for {name}.",
            "HF_TOKEN is not valid, or may not read this model.",
            "Set it to a token that may.",
        )
    return Stop(
        f"train.base_model: the hub answers {status} for {name}.",
        "It is overloaded or down, and no copy of the model lies in the cache.",
        "Run again later.",
    )
