"""A training on several nodes, as the step sees it: a TrainJob is asked for once, followed, and ended with the step.

The step may be killed and tried again while the nodes train on: it finds their TrainJob by its name, follows the one
that runs, takes the outcome of one that is done, and replaces one that failed, which goes on from the newest checkpoint
in the object store. Two never train at once: before one is asked for, no pod of an earlier one is left.
"""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from medu1.bucket import Bucket
from medu1.errors import Stop
from medu1.placements import TrainJobPlan
from medu1.stage import Stage
from medu1.train import relay, restoration, trainjob
from medu1.train.cluster import Cluster, Passing, Standing, Taken
from medu1.train.ending import asked_to_end
from medu1.train.job import Job, Outcome
from medu1.train.order import Order
from medu1.train.podlog import Log
from medu1.train.pods import Pod

KUBECONFIG: Final = "KUBECONFIG"
POLL_SECONDS = 5.0  # between looks at the cluster and the store
OUTAGE_SECONDS = 900.0  # without an answer of the cluster, then the step gives up; its TrainJob trains on
PULLING_SECONDS = 900.0  # for an image that cannot be had
CANCEL_SECONDS = 20.0  # after SIGTERM, for pods to save: the step's own pod has 30 in all


def start(stage: Stage, job: Job, plan: TrainJobPlan) -> Outcome:
    """Train the job on the plan's nodes. Raises Stop where they fail, or cannot be had."""
    with asked_to_end() as asked:
        return Fleet(stage, job, plan, Cluster(os.environ.get(KUBECONFIG) or None), asked).outcome()


class Fleet:
    """The nodes of one training, while the step waits for them."""

    def __init__(self, stage: Stage, job: Job, plan: TrainJobPlan, cluster: Cluster, asked: threading.Event) -> None:
        self.job, self.plan, self.cluster, self.asked, self.note = job, plan, cluster, asked, stage.note
        self.run, self.home = stage.workspace.run, plan.home or str(stage.workspace.home)
        self.name = trainjob.name(Path(job.key).name)
        self.order = Order.of(job, stage.workspace.home)
        self.bucket = Bucket(job.store)
        self.receiver = relay.Receiver(self.bucket, job.key, job.root)
        self.log = Log(cluster)
        self._told: set[str] = set()
        self._silent_since: float | None = None
        self._pulling_since: float | None = None

    def outcome(self) -> Outcome:
        """Find or ask for the TrainJob, and follow it to its end."""
        while not self.asked.is_set():
            with self._patient():
                if found := self._begun():
                    return found if isinstance(found, Outcome) else self._followed()
            self.asked.wait(POLL_SECONDS)
        return self._interrupted()

    def _begun(self) -> Outcome | bool:
        """Whether a TrainJob of this order trains now; the outcome of one that is done."""
        found = self.cluster.find(self.name)
        if found is None:
            return self._created()
        if found.is_leaving:
            self._say(f"waits for an earlier TrainJob {self.name} to be gone")
            return False
        if found.end:
            return self._taken(found)
        if (theirs := found.labels.get(trainjob.ORDER_LABEL, "")) != self.order.digest:
            raise Stop(
                f"The TrainJob {self.name} trains the same with other nodes, processes or options (order {theirs}).",
                f"This run asks for {self.plan.nodes} nodes of {self.job.params.processes} processes.",
                f"Wait for it, or delete it: kubectl delete trainjob {self.name} -n {self.cluster.namespace}.",
            )
        self.note(f"TrainJob {self.name} runs already: followed from here")
        return True

    def _created(self) -> bool:
        """Ask for the TrainJob, once no pod of an earlier one is left: it may still be saving."""
        if left := self._living():
            self._say(f"waits for {left} pods of an earlier attempt to end")
            return False
        self.receiver.clear()
        url = self.order.write(self.bucket)
        labels = trainjob.labels(self.plan, self.order.digest, self.run)
        with suppress(Taken):  # by the attempt before, whose answer was lost; the next look finds it
            self.cluster.create(
                self.plan.runtime,
                trainjob.trainer(self.plan, self.home),
                trainjob.options(self.plan, self.name, url, self.home, labels),
            )
            self.note(f"TrainJob {self.name} of {self.plan.nodes} nodes is asked for in {self.cluster.namespace}")
            return True
        return False

    def _taken(self, found: Standing) -> Outcome | bool:
        """The outcome of a TrainJob that is done; one that failed, or told nothing, is removed."""
        told = self._joined() if found.end == "Complete" else None
        if told and told.end in ("finished", "stopped"):
            self.receiver.pull()
            self.note(f"TrainJob {self.name} is done already")
            return told
        self.note(f"TrainJob {self.name} of an earlier attempt is {found.end or 'of no use'}: removed")
        self.cluster.delete(self.name)
        return False

    def _followed(self) -> Outcome:
        while not self.asked.is_set():
            with self._patient():
                found, pods = self.cluster.find(self.name), self.cluster.pods(self.name)
                if found is None or found.is_leaving:
                    return self._removed()
                self._watch(found, pods)
                self.log.show(pods)
                if found.end:
                    return self._ended(found, pods)
                with suppress(Stop):  # the store may be away for a while; what is missed is brought later
                    self.receiver.pull()
            self.asked.wait(POLL_SECONDS)
        return self._interrupted()

    def _watch(self, found: Standing, pods: Sequence[Pod]) -> None:
        """Say what is new; end what cannot begin."""
        running = sum(pod.phase in ("Running", "Succeeded") for pod in pods)
        self._say(f"{running} of {self.plan.nodes} nodes run{', the TrainJob is suspended' * found.is_suspended}")
        for pod in pods:
            if pod.trouble:
                self._say(f"warning: node {pod.rank} ({pod.name}): {pod.trouble}")
        if not any(pod.is_pulling for pod in pods):
            self._pulling_since = None
        elif self._pulling_since is None:
            self._pulling_since = time.monotonic()
        elif time.monotonic() - self._pulling_since > PULLING_SECONDS:
            self.cluster.delete(self.name)
            raise Stop(
                f"The image of the nodes cannot be had: {_troubles(pods)}.",
                f"It was tried for {PULLING_SECONDS:.0f} s; the TrainJob is removed.",
                f"Push {self.plan.image}, or name the placement's image pull secrets.",
            )

    def _ended(self, found: Standing, pods: Sequence[Pod]) -> Outcome:
        self.receiver.pull()
        told = self._joined()
        if found.end == "Complete" and told and told.end != "failed":
            return told
        if told and told.end == "interrupted":
            return told
        last = self.log.last(pods)
        words = told.message if told else found.reason or "it told nothing"
        raise Stop(
            f"The TrainJob {self.name} failed: {words.rstrip('.')}.",
            " ".join(part for part in (_troubles(pods) and f"Its pods: {_troubles(pods)}.", last) if part),
            f"Run again: training goes on from {self._newest()}.",
        )

    def _removed(self) -> Outcome:
        """Somebody deleted the TrainJob: its pods save and end, as when the step is told to."""
        self._wait_for_pods(CANCEL_SECONDS)
        raise Stop(
            f"The TrainJob {self.name} was deleted while it trained.",
            "A person did so, or what cleans up in its namespace.",
            f"Run again: training goes on from {self._newest()}.",
        )

    def _interrupted(self) -> Outcome:
        """Told to end: the TrainJob is deleted, so its pods get SIGTERM, save, and send what they saved."""
        with suppress(Passing):
            self.cluster.delete(self.name)
        left = self._wait_for_pods(CANCEL_SECONDS)
        with suppress(Stop):
            self.receiver.pull()
        step = restoration.newest(self.bucket, self.job.key) or 0
        notes = (f"warning: {left} nodes are still saving, which the next attempt waits for",) if left else ()
        return Outcome(end="interrupted", step=step, notes=notes)

    def _wait_for_pods(self, seconds: float) -> int:
        """Until no pod is left, at most so long; how many are."""
        deadline, left = time.monotonic() + seconds, self.plan.nodes
        while left and time.monotonic() < deadline:
            with suppress(Passing):
                left = self._living()
            if left:
                time.sleep(min(POLL_SECONDS, 1.0))
        return left

    def _living(self) -> int:
        """How many pods have not ended; what they print is shown."""
        pods = [pod for pod in self.cluster.pods(self.name) if pod.phase not in ("Succeeded", "Failed")]
        self.log.show(pods)
        return len(pods)

    def _joined(self) -> Outcome | None:
        return relay.joined(self.receiver.outcomes(self.plan.nodes))

    def _newest(self) -> str:
        step = restoration.newest(self.bucket, self.job.key)
        return f"step {step}, the newest checkpoint in {self.job.store}" if step else "the beginning"

    def _say(self, line: str) -> None:
        """Once, however often it holds."""
        if line not in self._told:
            self._told.add(line)
            self.note(line)

    @contextmanager
    def _patient(self) -> Iterator[None]:
        """Lets a cluster be silent for a while. Raises Stop after OUTAGE_SECONDS: what it runs is found again."""
        try:
            yield
        except Passing as error:
            self._silent_since = self._silent_since or time.monotonic()
            self._say(f"warning: {error} It is asked again.")
            if time.monotonic() - self._silent_since > OUTAGE_SECONDS:
                raise Stop(
                    str(error),
                    f"It was asked again for {OUTAGE_SECONDS:.0f} s; a TrainJob that runs goes on.",
                    "Run again when the cluster answers: the step follows the TrainJob that it finds.",
                ) from None
        else:
            self._silent_since = None


def _troubles(pods: Sequence[Pod]) -> str:
    return "; ".join(f"node {pod.rank} {pod.trouble}" for pod in pods if pod.trouble)
