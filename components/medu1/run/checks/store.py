"""The object store takes, gives back and deletes: a small object of a name of its own goes all the way."""

import io
from uuid import uuid4

from medu1.bucket import Bucket
from medu1.errors import Stop
from medu1.run.asked import Asked
from medu1.run.finding import Checks, Unsure
from medu1.storage import open_store

PREFIX = "preflight"  # of probes; none outlives its check


def checks(asked: Asked) -> Checks:
    """Of the store of outputs."""
    return {"object store": lambda: _check(asked)}


def _check(asked: Asked) -> str:
    open_store(asked.workspace)  # refuses another kind of address
    if asked.workspace.store:
        return _probed(asked.workspace.store, asked.workspace.run)
    if asked.is_packaged:
        raise Unsure(
            f"MEDU1_STORE is not set, so outputs lie below {asked.workspace.home} of each step.",
            "That works where the home is one volume of all steps; else set MEDU1_STORE to s3://bucket/prefix.",
        )
    return f"outputs lie below {asked.workspace.home}."


def _probed(url: str, run: str) -> str:
    bucket, name, content = Bucket(url), f"{PREFIX}/{run}-{uuid4().hex}", run.encode()
    bucket.upload(io.BytesIO(content), name)
    try:
        back = bucket.read(name)
    finally:
        bucket.delete([name])
    if back != content:
        raise Stop(
            f"{bucket.at(name)} gives other bytes than were put there.",
            "Something between here and the store changes them.",
            "Look into the store's log and any proxy before it.",
        )
    return f"{url} takes, gives back and deletes an object."
