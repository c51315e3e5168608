"""What nodes tell the step that waits for them, through the object store, since they share no disk.

The first node sends its history and the tables beside it while it trains, and every node how it ended; the step makes
its own files the same, so that telemetry, progress and the choice of a candidate read them as if it had trained here.
A store that does not answer costs the training nothing: what is new is sent again a little later.
"""

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import ValidationError

from medu1 import record
from medu1.bucket import Absent, Bucket
from medu1.errors import Stop
from medu1.train.checkpoints import HISTORY
from medu1.train.job import Outcome
from medu1.train.recorder import TABLES

LIVE: Final = "live"  # below a training's key
SENDING_SECONDS: Final = 5.0  # between looks at the history
ENDING_SECONDS: Final = 60.0  # for the last of it, and the outcome
RETRY_SECONDS: Final = 1.0


class Sender:
    """A node's side: a thread sends the history's whole lines; `end` sends the rest and how the node ended."""

    def __init__(self, bucket: Bucket, key: str, root: Path, rank: int) -> None:
        self._bucket, self._place, self._root, self._rank = bucket, f"{key}/{LIVE}", root, rank
        self._sent: bytes | None = None
        self._tables: set[str] = set()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="relay", daemon=True)

    def start(self) -> None:
        """Begin to send; only the first node has a history of its own."""
        if self._rank == 0:
            self._thread.start()

    def end(self, outcome: Outcome) -> bool:
        """Send what is left and the outcome, as long as ENDING_SECONDS; says whether it arrived."""
        self._done.set()
        if self._thread.is_alive():
            self._thread.join(ENDING_SECONDS)
        deadline = time.monotonic() + ENDING_SECONDS
        while True:
            with suppress(Stop, OSError):
                if self._rank == 0:
                    self._send()
                content = outcome.model_dump_json(indent=1).encode()
                self._bucket.upload(BytesIO(content), f"{self._place}/{_outcome(self._rank)}")
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(RETRY_SECONDS)

    def _follow(self) -> None:
        while not self._done.wait(SENDING_SECONDS):
            with suppress(Stop, OSError):
                self._send()

    def _send(self) -> None:
        content = _whole_lines(self._root / HISTORY)
        if content != self._sent:
            self._bucket.upload(BytesIO(content), f"{self._place}/{HISTORY}")
            self._sent = content
        for path in sorted((self._root / TABLES).glob("*.json")):
            if path.name not in self._tables:
                self._bucket.upload(BytesIO(path.read_bytes()), f"{self._place}/{TABLES}/{path.name}")
                self._tables.add(path.name)


class Receiver:
    """The step's side: `pull` makes history and tables below `root` those of the first node."""

    def __init__(self, bucket: Bucket, key: str, root: Path) -> None:
        self._bucket, self._place, self._root = bucket, f"{key}/{LIVE}", root
        self._version = ""

    def clear(self) -> None:
        """Remove what an earlier attempt told. Raises Stop, as all of `Bucket`."""
        self._bucket.delete(f"{self._place}/{name}" for name in sorted(self._bucket.sizes(self._place)))
        self._version = ""

    def pull(self) -> None:
        """Bring over what is new. Raises Stop where the store cannot be read."""
        with suppress(Absent):
            version = self._bucket.version(f"{self._place}/{HISTORY}")
            if version != self._version:
                _extend(self._root / HISTORY, self._bucket.read(f"{self._place}/{HISTORY}"))
                self._version = version
        for name in sorted(self._bucket.sizes(f"{self._place}/{TABLES}")):
            path = self._root / TABLES / Path(name).name
            if not path.exists():
                record.write_text(path, self._bucket.read(f"{self._place}/{TABLES}/{name}").decode())

    def outcomes(self, nodes: int) -> dict[int, Outcome]:
        """How nodes ended, by their rank; one that was killed, or still trains, is not there."""
        found = {}
        for rank in range(nodes):
            with suppress(Absent, ValidationError):
                content = self._bucket.read(f"{self._place}/{_outcome(rank)}")
                found[rank] = Outcome.model_validate_json(content)
        return found


class Word(NamedTuple):
    """An outcome and the node that told it."""

    rank: int
    outcome: Outcome


def joined(outcomes: Mapping[int, Outcome]) -> Outcome | None:
    """The first node's outcome; of a training that failed every node's reason. None where none is known.

    A node that loses the others fails as well, so the reason often stands in another one's words.
    """
    failed = [Word(rank, each) for rank, each in sorted(outcomes.items()) if each.end == "failed"]
    if not failed:
        return outcomes.get(0)
    messages = dict.fromkeys(each.outcome.message for each in failed)
    if len(messages) == 1:
        return failed[0].outcome
    told = " ".join(f"Node {each.rank}: {each.outcome.message}" for each in failed)
    return failed[0].outcome.model_copy(update={"message": told})


def _outcome(rank: int) -> str:
    return f"outcome-{rank}.json"


def _whole_lines(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return b""
    return content[: content.rfind(b"\n") + 1]


def _extend(path: Path, content: bytes) -> None:
    """Make a file this content: by appending where it begins like it, since others read it from where they are."""
    held = path.read_bytes() if path.exists() else b""
    if not content.startswith(held):
        record.write_text(path, content.decode())
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:
        file.write(content[len(held) :])
