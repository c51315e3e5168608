"""What nodes print, on the log of the step that waits for them: asked for again and again, since a stream breaks."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from medu1.errors import Stop
from medu1.train.cluster import Cluster, Passing
from medu1.train.pods import Pod

FIRST_LINES: Final = 1000  # of a log that is first seen
LAST_LINES: Final = 40  # of a pod that failed
TOLD_LINES: Final = 3  # of them in a paragraph
LONGEST_LINE: Final = 300  # characters, in a paragraph
OVERLAP_SECONDS: Final = 10  # of two looks, by clocks that differ


class Log:
    """What the first node prints, on the step's own log while it waits."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._last: dict[str, str] = {}  # time of the last line shown, by pod

    def show(self, pods: Sequence[Pod]) -> None:
        """The lines that are new. Raises as the cluster does."""
        for pod in pods:
            if pod.rank == 0 and pod.phase != "Pending":
                self._show(pod)

    def _show(self, pod: Pod) -> None:
        last = self._last.get(pod.name)
        limits: Mapping[str, int] = {"seconds": _since(last)} if last else {"lines": FIRST_LINES}
        for line in self._cluster.log(pod.name, **limits):
            at, said = moment(line)
            if at > self._last.get(pod.name, ""):
                self._last[pod.name] = at
                print(f"node {pod.rank}: {said}", flush=True)

    def last(self, pods: Sequence[Pod]) -> str:
        """The last words of the pods that failed, for a paragraph; more of them on the step's own log."""
        told = []
        for pod in pods:
            if pod.phase != "Failed":
                continue
            with suppress(Passing, Stop):
                lines = [moment(line)[1] for line in self._cluster.log(pod.name, lines=LAST_LINES)]
                for line in lines:
                    print(f"node {pod.rank}, last: {line}", flush=True)
                shown = " / ".join(line.strip()[:LONGEST_LINE] for line in lines[-TOLD_LINES:] if line.strip())
                told += [f"Node {pod.rank} said last: {shown}."] if shown else []
        return " ".join(told)


def _since(last: str) -> int:
    """Seconds from a log line until now, and some more for clocks that differ."""
    then = datetime.fromisoformat(last[:19]).replace(tzinfo=UTC)
    return max(1, int((datetime.now(UTC) - then).total_seconds())) + OVERLAP_SECONDS


def moment(line: str) -> tuple[str, str]:
    """A log line's time, which sorts as text, and what it says."""
    time, _, said = line.partition(" ")
    try:
        datetime.fromisoformat(time[:19])
    except ValueError:
        return "", line
    return time, said
