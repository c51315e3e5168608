"""Makes saved checkpoints complete in the background: checksums, marker, rename, pruning, and the copy in the store.

The training step only writes files. One checkpoint is in work at a time and none waits, so memory and disk are bounded:
a save that comes while the one before is still being published waits for it.
"""

import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from medu1.train import checkpoints
from medu1.train.mirror import Mirror

MIB = 2**20


class Publisher:
    """Publishes checkpoints of one training below `root`. A failure is raised at the next call."""

    def __init__(
        self, root: Path, configuration: Mapping[str, str], kept: Callable[[], Collection[int]], mirror: Mirror | None
    ) -> None:
        self.root, self.configuration, self.kept, self.mirror = root, configuration, kept, mirror
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def publish(self, part: Path, step: int) -> None:
        """Begin to publish a written folder; returns as soon as the one before is done. Raises what that one raised."""
        self.wait()
        self._thread = threading.Thread(target=self._publish, args=(part, step), name="publisher", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Return once nothing is being published. Raises what publishing raised."""
        if self._thread:
            self._thread.join()
            self._thread = None
        if self._error:
            error, self._error = self._error, None
            raise error

    def close(self, seconds: float) -> tuple[str, ...]:
        """Wait for what is being published, and so long for its copies; says for people what did not reach the store.

        Raises what publishing raised.
        """
        self.wait()
        if self.mirror is None:
            return ()
        self.mirror.flush(seconds)
        status = self.mirror.status()
        self.mirror.close()
        pending = [each for each in (status.uploading, *status.waiting) if each]
        if not pending:
            return (f"warning: {status.error}",) if status.error else ()
        return (
            f"warning: {', '.join(pending)} did not reach the object store in {seconds:.0f} s. {status.error}".rstrip(),
        )

    def figures(self) -> dict[str, float]:
        """How far the copies are, for telemetry; nothing where none are made."""
        if self.mirror is None:
            return {}
        status = self.mirror.status()
        return {
            "sync/pending": float(len(status.waiting) + bool(status.uploading)),
            "sync/failures": float(status.failures),
            "sync/mib": status.bytes / MIB,
            "sync/seconds": status.seconds,
        }

    def _publish(self, part: Path, step: int) -> None:
        try:
            found = checkpoints.publish(part, self.root, step, self.configuration)
            kept = {*self.kept(), step}
            checkpoints.prune(self.root, kept)
            if self.mirror:
                self.mirror.keep({checkpoints.name(each) for each in kept})
                self.mirror.offer(found.folder)
        except BaseException as error:
            self._error = error
