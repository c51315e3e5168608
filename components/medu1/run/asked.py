"""What a run is asked to do, as its checks read it: the arguments of preflight, parsed, and where it happens."""

import json
from collections.abc import Mapping
from typing import NamedTuple, Self

from pydantic import TypeAdapter, ValidationError

from medu1.errors import Stop
from medu1.judging import Evaluate
from medu1.params import Prepare, Registry, Train
from medu1.placements import Placed
from medu1.workspace import Workspace

PIN = "data.dvc"  # in the argument data: the pin itself, and with a path behind it a pinned file


class Asked(NamedTuple):
    """One run's parameters, data, model and placement."""

    workspace: Workspace
    registry: Registry
    prepare: Prepare
    train: Train
    evaluate: Evaluate
    base_model: str  # builtin, a hub id, or a folder
    revision: str
    data: Mapping[str, str]  # digest of the raw bytes by what has them: the pin, pinned files, files of sources
    placed: Placed

    @classmethod
    def parse(
        cls,
        workspace: Workspace,
        registry: str,
        prepare: str,
        train: str,
        evaluate: str,
        base_model: str,
        revision: str,
        data: str,
        placed: str,
    ) -> Self:
        """Raises Stop naming the section and the key that is wrong."""
        return cls(
            workspace,
            Registry.parse(registry),
            Prepare.parse(prepare),
            Train.parse(train),
            Evaluate.parse(evaluate),
            base_model,
            revision,
            _digests(data),
            Placed.parse(placed),
        )

    @property
    def is_packaged(self) -> bool:
        """Whether a compiled package runs, in pods or containers, and not this machine's own Python."""
        return bool(self.placed.images)

    @property
    def sources(self) -> tuple[str, ...]:
        """The places of the files that prepare.sources names."""
        return tuple(place for place in self.data if place != PIN and not place.startswith(f"{PIN}/"))


def _digests(data: str) -> Mapping[str, str]:
    try:
        return TypeAdapter(dict[str, str]).validate_python(json.loads(data))
    except (ValueError, ValidationError):
        raise Stop(
            f"The argument data of preflight is {data[:200]!r}.",
            f"It is a JSON mapping of {PIN} and of each source file to a digest.",
            "Pass the digests of the raw data.",
        ) from None
