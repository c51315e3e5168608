"""What nodes tell their step through the store: history, tables, outcomes; and from where the step goes on."""

import threading
import time
from pathlib import Path

import pytest

from medu1.bucket import Bucket
from medu1.errors import Stop
from medu1.scoring.grading import DEFAULT_SCORING
from medu1.train import checkpoints, origin, relay
from medu1.train.history import History
from medu1.train.job import Job, Outcome
from medu1.train.mirror import Mirror
from medu1.train.relay import Receiver, Sender, joined
from s3 import S3
from training import PARAMS

KEY = "checkpoints/0"


@pytest.fixture
def bucket(s3: S3) -> Bucket:
    return Bucket(f"s3://{s3.bucket()}/medu1")


def finished(step: int = 4) -> Outcome:
    return Outcome(end="finished", step=step)


def test_history_and_tables_arrive_as_they_are_written(bucket: Bucket, tmp_path: Path) -> None:
    there, here = tmp_path / "node", tmp_path / "step"
    History(there / "history.jsonl").append(1, {"reward": 0.25})
    (there / "tables").mkdir()
    (there / "tables" / "step-00000001.json").write_text('{"columns": []}', encoding="utf-8")
    assert Sender(bucket, KEY, there, 0).end(finished())
    receiver = Receiver(bucket, KEY, here)
    receiver.pull()
    assert (here / "history.jsonl").read_bytes() == (there / "history.jsonl").read_bytes()
    assert (here / "tables" / "step-00000001.json").read_text(encoding="utf-8") == '{"columns": []}'
    assert receiver.outcomes(2) == {0: finished()}


def test_it_is_sent_while_the_node_trains(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "SENDING_SECONDS", 0.05)
    there, here = tmp_path / "node", tmp_path / "step"
    sender, receiver = Sender(bucket, KEY, there, 0), Receiver(bucket, KEY, here)
    sender.start()
    for step in (1, 2):
        History(there / "history.jsonl").append(step, {"reward": 0.25})
        deadline = time.monotonic() + 20
        while [line.step for line in History(here / "history.jsonl").lines()] != [*range(1, step + 1)]:
            assert time.monotonic() < deadline
            receiver.pull()
    assert receiver.outcomes(1) == {}
    assert sender.end(finished())


def test_a_line_that_is_half_written_is_left_for_later(bucket: Bucket, tmp_path: Path) -> None:
    there = tmp_path / "node"
    there.mkdir()
    (there / "history.jsonl").write_bytes(b'{"whole": 1}\n{"ha')
    Sender(bucket, KEY, there, 0).end(finished())
    Receiver(bucket, KEY, tmp_path / "step").pull()
    assert (tmp_path / "step" / "history.jsonl").read_bytes() == b'{"whole": 1}\n'


def test_other_nodes_tell_only_how_they_ended(bucket: Bucket, tmp_path: Path) -> None:
    there = tmp_path / "node"
    History(there / "history.jsonl").append(1, {"reward": 0.25})
    Sender(bucket, KEY, there, 1).end(finished())
    receiver = Receiver(bucket, KEY, tmp_path / "step")
    receiver.pull()
    assert not (tmp_path / "step" / "history.jsonl").exists()
    assert receiver.outcomes(2) == {1: finished()}


def test_a_history_that_goes_on_is_appended_to_and_another_one_takes_its_place(tmp_path: Path) -> None:
    """A recorder reads on from where it is, and anew where the file is another."""
    path = tmp_path / "history.jsonl"
    relay._extend(path, b"one\n")
    first = path.stat().st_ino
    relay._extend(path, b"one\ntwo\n")
    assert (path.read_bytes(), path.stat().st_ino) == (b"one\ntwo\n", first)
    relay._extend(path, b"another\n")
    assert path.read_bytes() == b"another\n"
    assert path.stat().st_ino != first


def test_what_was_told_before_is_cleared(bucket: Bucket, tmp_path: Path) -> None:
    Sender(bucket, KEY, tmp_path / "node", 0).end(finished())
    receiver = Receiver(bucket, KEY, tmp_path / "step")
    receiver.clear()
    receiver.pull()
    assert receiver.outcomes(1) == {}


def test_an_end_that_does_not_reach_the_store_is_said(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "ENDING_SECONDS", 0.0)
    absent = Bucket("s3://there-is-no-such-bucket")
    assert not Sender(absent, KEY, tmp_path, 1).end(finished())


def test_the_first_nodes_outcome_is_the_trainings() -> None:
    assert joined({0: finished(), 1: finished(2)}) == finished()
    assert joined({1: finished()}) is None
    assert joined({}) is None


def test_a_failure_is_told_by_every_node_that_knows_a_reason() -> None:
    lost, reason = (Outcome(end="failed", step=0, message=each) for each in ("Lost node 1.", "Out of memory."))
    told = joined({0: lost, 1: reason})
    assert told is not None
    assert told.message == "Node 0: Lost node 1. Node 1: Out of memory."
    assert joined({0: lost, 1: lost}) == lost


# From where a step goes on whose nodes train for it


def training(bucket: Bucket, root: Path) -> Job:
    return Job(
        params=PARAMS.model_copy(update={"nodes": 2}),
        scoring=DEFAULT_SCORING,
        base=root,
        dataset=root,
        shares=None,
        root=root / "training",
        store=bucket.url,
        key=KEY,
        configuration={"seed": "0"},
        resume=None,
    )


def saved(bucket: Bucket, folder: Path, step: int, seed: str = "0") -> None:
    """A checkpoint in the store, as a node sends it."""
    part = folder / f"part-{step}"
    part.mkdir(parents=True)
    (part / "model.safetensors").write_bytes(b"weights")
    History(part / checkpoints.HISTORY).append(step, {"reward": 0.5})
    found = checkpoints.publish(part, folder, step, {"seed": seed})
    mirror = Mirror(bucket, KEY)
    mirror.offer(found.folder)
    assert mirror.flush(20)
    mirror.close()


def test_the_newest_checkpoint_in_the_store_is_told_and_its_weights_are_left_there(
    bucket: Bucket, tmp_path: Path
) -> None:
    saved(bucket, tmp_path / "node", 2)
    saved(bucket, tmp_path / "node", 4)
    job = training(bucket, tmp_path / "step")
    found = origin.told(job)
    assert found is not None
    assert found.marker.step == 4
    assert [line.step for line in History(job.root / checkpoints.HISTORY).lines()] == [4]
    assert [path.name for path in job.root.iterdir()] == [checkpoints.HISTORY]


def test_without_one_the_training_begins(bucket: Bucket, tmp_path: Path) -> None:
    assert origin.told(training(bucket, tmp_path)) is None


def test_one_of_another_configuration_is_a_stop_before_any_node_is_asked_for(bucket: Bucket, tmp_path: Path) -> None:
    saved(bucket, tmp_path / "node", 2, seed="1")
    with pytest.raises(Stop, match="seed is 1 there and 0 here"):
        origin.told(training(bucket, tmp_path / "step"))


def test_threads_that_send_end_with_the_node(bucket: Bucket, tmp_path: Path) -> None:
    sender = Sender(bucket, KEY, tmp_path, 0)
    sender.start()
    sender.end(finished())
    assert "relay" not in {thread.name for thread in threading.enumerate()}
