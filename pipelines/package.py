"""The pipeline package for a cluster: the chain with its images and its placement, compiled into one file."""

import subprocess
from pathlib import Path

from medu1.errors import Stop
from medu1.placements import NONE
from pipelines import request
from pipelines.images import Images
from pipelines.placement import placement

PARAMS = Path("params.yaml")


def write(out: Path, images: Path, place: str, allow_skew: bool, params: Path = PARAMS) -> Path:
    """Compile the chain, placed by a profile of the parameter file. Raises Stop where the images hold other code than
    this checkout, are not named by digest or do not fit the placement, and where the profile is wrong or unknown."""
    named = Images.read(images)
    placed = placement(place, {} if place == NONE else request.placements(params), named)
    if not allow_skew:
        _same_code(named, images)
    from kfp import compiler

    from pipelines.retraining import chain

    out.parent.mkdir(parents=True, exist_ok=True)
    compiler.Compiler().compile(chain(named, placed), str(out))
    return out


def _same_code(images: Images, path: Path) -> None:
    """The package ships calls into the images: another commit there is other code than the one read here."""
    found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True)
    head = found.stdout.strip()
    if found.returncode or head != images.commit:
        raise Stop(
            f"{path} names images of commit {images.commit[:12]}, this checkout is at {head[:12] or 'none'}.",
            "The package would run code that is not the one compiled here.",
            "Build the images again, or pass --allow-skew.",
        )
