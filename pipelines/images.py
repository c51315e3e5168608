"""The images a package runs, named by digest: a tag may move, and a reused result would then come from other code."""

import re
from pathlib import Path

from pydantic import ValidationError

from medu1.errors import Stop
from medu1.question import Frozen

BY_DIGEST = re.compile(r"[\w.-]+(?::\d+)?(?:/[\w.-]+)*@sha256:[0-9a-f]{64}", re.ASCII)  # a port may stand, a tag not


class Images(Frozen):
    """What the image build writes: two images and the commit they hold."""

    cpu: str
    gpu: str  # train, evaluate and base
    commit: str

    @classmethod
    def read(cls, path: Path) -> "Images":
        """Raises Stop where the file is absent, holds something else, or names an image by a tag."""
        try:
            images = cls.model_validate_json(path.read_bytes())
        except OSError:
            raise Stop(
                f"The image list {path} cannot be read.",
                "A package names its images by digest.",
                "Build the images, or name a list with --images FILE.",
            ) from None
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(str(part) for part in problem["loc"])
            raise Stop(
                f"The image list {path} is not usable: {where or 'file'}: {problem['msg']}.",
                'It holds {"cpu": ..., "gpu": ..., "commit": ...}.',
                "Build the images again.",
            ) from None
        for name in ("cpu", "gpu"):
            if not BY_DIGEST.fullmatch(image := getattr(images, name)):
                raise Stop(
                    f"The image list {path} names {name} as {image!r}, not by digest alone.",
                    "What a tag names may change while a package stays the same.",
                    "Build the images, which writes host/name@sha256:... with 64 hexadecimal digits.",
                )
        return images


LOCAL = Images(cpu="local/python", gpu="local/python", commit="")  # the interpreter that runs `medu1`
