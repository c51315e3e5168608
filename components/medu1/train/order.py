"""A job that travels: what a node needs to train, by keys of the object store, since nodes share no disk.

The step writes it beside the training's checkpoints; every node reads it by its address, fetches base and questions
into a home of its own, and has a `Job`.
"""

from io import BytesIO
from pathlib import Path
from typing import Final, Self

from pydantic import ValidationError

from medu1 import record
from medu1.bucket import Bucket
from medu1.errors import Stop
from medu1.params import Scoring, Train
from medu1.question import Frozen
from medu1.stage import fetch
from medu1.train.job import Job
from medu1.workspace import Workspace

NAME: Final = "job.json"


class Order(Frozen):
    """A training by keys."""

    params: Train
    scoring: Scoring
    base: str  # key of the base's output
    dataset: str  # of the prepared questions
    shares: str  # of the filter's file, with its name; "": no filter
    key: str  # of the checkpoints
    configuration: dict[str, str]  # what an exact resume must share

    @classmethod
    def of(cls, job: Job, home: Path) -> Self:
        """A job whose folders lie in the store's cache of a home."""

        def key(path: Path) -> str:
            return path.relative_to(home / "store").as_posix()

        return cls(
            params=job.params,
            scoring=job.scoring,
            base=key(job.base),
            dataset=key(job.dataset),
            shares=key(job.shares) if job.shares else "",
            key=job.key,
            configuration=job.configuration,
        )

    @property
    def digest(self) -> str:
        """What tells two orders of one training apart, such as by their nodes; 16 hexadecimal digits."""
        return record.digest(self.model_dump(mode="json"))[:16]

    def write(self, bucket: Bucket) -> str:
        """Put it into the store; its address, which is the one argument of `python -m medu1.train`."""
        name = f"{self.key}/{NAME}"
        bucket.upload(BytesIO(self.model_dump_json(indent=1).encode()), name)
        return bucket.at(name)

    @classmethod
    def read(cls, url: str, store: str) -> Self:
        """The order at an address below the store. Raises Stop where there is none."""
        key = url.removeprefix(f"{store.rstrip('/')}/")
        if not store.startswith("s3://") or key == url:
            raise Stop(
                f"{url} does not lie in the object store of this node, {store or 'which has none'}.",
                "Its base, questions and checkpoints are read from MEDU1_STORE, where the job is.",
                "Set MEDU1_STORE to the store of the step that wrote the job.",
            )
        try:
            return cls.model_validate_json(Bucket(store).read(key))
        except ValidationError as error:
            raise Stop(
                f"{url} is no job: {str(error).splitlines()[0]}.",
                "Another version of medu1 wrote it, or something else.",
                "Run the step train with the image of its nodes: it writes the job anew.",
            ) from None

    def job(self, workspace: Workspace) -> Job:
        """Fetch what it names into a home. Raises Stop where the store lacks it."""
        shares = Path(self.shares)
        return Job(
            params=self.params,
            scoring=self.scoring,
            base=fetch(self.base, workspace).folder,
            dataset=fetch(self.dataset, workspace).folder,
            shares=fetch(shares.parent.as_posix(), workspace).folder / shares.name if self.shares else None,
            root=workspace.home / "store" / self.key,
            store=workspace.store,
            key=self.key,
            configuration=self.configuration,
            resume=None,
            lasting=False,
        )
