"""Checkpoints in an object store: copied behind a training's back, and back whole or not at all."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from hashlib import sha256
from pathlib import Path
from threading import Event, Thread
from typing import Any, BinaryIO, TypeVar
from uuid import uuid4

import pytest

from medu1.bucket import PART, Absent, Bucket, Torn
from medu1.errors import Stop
from medu1.train.mirror import Mirror
from medu1.train.restoration import newest, restore
from s3 import S3

KEY = "checkpoints/0123456789abcdef"
PATIENCE = 60.0  # seconds; nothing here takes them unless it hangs
SMALL = {"model.safetensors": b"weights", "state/optimizer.pt": b"momenta", "state/nothing.pt": b""}

Made = Callable[..., Mirror]
Opened = TypeVar("Opened", bound=Bucket)


def checkpoint(root: Path, step: int, files: Mapping[str, bytes] = SMALL, **more: object) -> Path:
    """A complete checkpoint folder."""
    folder = root / f"step-{step:08d}"
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    entries = {path: {"sha256": sha256(content).hexdigest(), "size": len(content)} for path, content in files.items()}
    marker = {"step": step, "files": entries, "configuration": {"seed": "1"}} | more
    (folder / "checkpoint.json").write_text(json.dumps(marker), encoding="utf-8")
    return folder


def contents(folder: Path | None) -> dict[str, bytes]:
    """Every file below a folder."""
    assert folder is not None
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def eventually(true: Callable[[], object]) -> None:
    """Wait for a condition another thread brings about."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it does not come about"
        time.sleep(0.01)


def opened(kind: type[Opened]) -> Opened:
    """A bucket that is there and empty; its own client makes it, since a second one takes a while."""
    bucket = kind(f"s3://bucket-{uuid4().hex[:8]}/prefix")
    bucket._client.create_bucket(Bucket=bucket.name)
    return bucket


@pytest.fixture
def bucket(s3: S3) -> Bucket:
    return opened(Bucket)


@pytest.fixture
def made() -> Iterator[Made]:
    """Makes mirrors that end with the test."""
    mirrors: list[Mirror] = []

    def make(bucket: Bucket, key: str = KEY) -> Mirror:
        mirrors.append(Mirror(bucket, key))
        return mirrors[-1]

    yield make
    for each in mirrors:
        each.close()


def copied(mirror: Mirror, *folders: Path) -> None:
    """Copy folders one after another."""
    for folder in folders:
        mirror.offer(folder)
        assert mirror.flush(PATIENCE)


def put(bucket: Bucket, root: Path, *steps: int) -> None:
    """Checkpoints in the bucket, without a mirror."""
    for step in steps:
        folder = checkpoint(root, step, {"model.safetensors": f"of step {step}".encode()})
        for path in sorted(contents(folder), key=lambda path: path == "checkpoint.json"):
            with (folder / path).open("rb") as file:
                bucket.upload(file, f"{KEY}/{folder.name}/{path}")


def replaced(bucket: Bucket, name: str, content: bytes, root: Path) -> None:
    """Another object under a name below KEY."""
    (root / "object").write_bytes(content)
    with (root / "object").open("rb") as file:
        bucket.upload(file, f"{KEY}/{name}")


def steps(bucket: Bucket) -> set[str]:
    """Folders in the bucket, complete or not."""
    return {path.partition("/")[0] for path in bucket.sizes(KEY)}


class Held(Bucket):
    """A bucket whose uploads wait for a sign, and then fail where `error` is set."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.go, self.began, self.names = Event(), Event(), list[str]()
        self.error: Exception | None = None
        self.allowed = 0  # uploads that need no sign

    def upload(self, file: BinaryIO, name: str) -> None:
        if len(self.names) >= self.allowed:
            self.began.set()
            assert self.go.wait(PATIENCE)
            if self.error:
                raise self.error
        self.names.append(name.removeprefix(f"{KEY}/"))
        super().upload(file, name)


@pytest.fixture
def held(s3: S3) -> Iterator[Held]:
    bucket = opened(Held)
    yield bucket
    bucket.go.set()


# There and back


def test_a_checkpoint_comes_back_as_it_was(bucket: Bucket, made: Made, tmp_path: Path) -> None:
    files = SMALL | {"optimizer.pt": os.urandom(2 * PART + 12345), "exact.bin": os.urandom(PART)}
    folder = checkpoint(tmp_path, 20, files)
    mirror = made(bucket)
    copied(mirror, folder)
    found = restore(bucket, KEY, tmp_path / "fresh")
    assert found.folder == tmp_path / "fresh" / "step-00000020"
    assert contents(found.folder) == contents(folder)
    assert found.notes == ()
    assert [path.name for path in (tmp_path / "fresh").iterdir()] == ["step-00000020"]
    status = mirror.status()
    assert (status.uploaded, status.uploading, status.waiting) == (("step-00000020",), None, ())
    assert (status.error, status.failures) == ("", 0)
    assert status.bytes == sum(map(len, files.values()))
    assert status.seconds > 0


def test_large_files_go_in_parts_whose_checksums_the_store_keeps(bucket: Bucket, s3: S3, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(os.urandom(2 * PART + 1))
    with path.open("rb") as file:
        bucket.upload(file, "large")
    there = s3.client.head_object(Bucket=bucket.name, Key="prefix/large", ChecksumMode="ENABLED")
    assert there["ETag"].endswith('-3"')
    assert there["ChecksumCRC32"]


def test_the_newest_complete_checkpoint_is_the_one_restored(bucket: Bucket, tmp_path: Path) -> None:
    put(bucket, tmp_path / "made", 20, 100, 40)
    assert newest(bucket, KEY) == 100
    found = restore(bucket, KEY, tmp_path / "fresh")
    assert contents(found.folder)["model.safetensors"] == b"of step 100"


def test_one_step_is_restored_by_name(bucket: Bucket, tmp_path: Path) -> None:
    put(bucket, tmp_path / "made", 20, 40)
    assert contents(restore(bucket, KEY, tmp_path / "fresh", step=20).folder)["model.safetensors"] == b"of step 20"
    assert restore(bucket, KEY, tmp_path / "fresh", step=30).folder is None


def test_an_empty_bucket_holds_no_checkpoint(bucket: Bucket, tmp_path: Path) -> None:
    assert newest(bucket, KEY) is None
    assert restore(bucket, KEY, tmp_path / "fresh") == (None, ())


def test_another_training_whose_name_begins_alike_is_not_read(bucket: Bucket, tmp_path: Path) -> None:
    put(bucket, tmp_path, 20)
    assert newest(bucket, KEY[:-1]) is None


# Marker last


def test_a_copy_cut_anywhere_is_not_there(held: Held, made: Made, tmp_path: Path) -> None:
    held.allowed = len(SMALL)
    mirror = made(held)
    mirror.offer(checkpoint(tmp_path, 20))
    assert held.began.wait(PATIENCE)
    assert {path.partition("/")[2] for path in held.sizes(KEY)} == set(SMALL)
    assert newest(held, KEY) is None
    assert restore(held, KEY, tmp_path / "fresh").folder is None
    held.go.set()
    assert mirror.flush(PATIENCE)
    assert held.names[-1] == "step-00000020/checkpoint.json"
    assert newest(held, KEY) == 20


def test_a_killed_process_leaves_no_checkpoint_and_the_next_one_completes_it(
    bucket: Bucket, made: Made, tmp_path: Path
) -> None:
    folder = checkpoint(tmp_path, 20)
    code = f"""
import os, sys, time
from pathlib import Path
from medu1.bucket import Bucket
from medu1.train.mirror import Mirror

class Killed(Bucket):
    def upload(self, file, name):
        if name.endswith("checkpoint.json"):
            os.kill(os.getpid(), 9)
        super().upload(file, name)

mirror = Mirror(Killed({bucket.url!r}), {KEY!r})
mirror.offer(Path({str(folder)!r}))
time.sleep({PATIENCE})
"""
    assert python(code).returncode == -9
    assert steps(bucket) == {"step-00000020"}
    assert newest(bucket, KEY) is None
    copied(made(bucket), folder)
    assert contents(restore(bucket, KEY, tmp_path / "fresh").folder) == contents(folder)


def python(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1] / "components")}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def test_other_bytes_of_the_same_step_replace_those_there(bucket: Bucket, made: Made, tmp_path: Path) -> None:
    put(bucket, tmp_path / "old", 20)
    folder = checkpoint(tmp_path / "new", 20)
    copied(made(bucket), folder)
    assert contents(restore(bucket, KEY, tmp_path / "fresh").folder) == contents(folder)


def test_while_they_are_replaced_no_marker_stands_beside_them(held: Held, made: Made, tmp_path: Path) -> None:
    held.allowed = 2
    put(held, tmp_path / "old", 20)
    made(held).offer(checkpoint(tmp_path / "new", 20))
    assert held.began.wait(PATIENCE)
    assert newest(held, KEY) is None
    held.go.set()


def test_what_is_there_already_is_not_sent_again(held: Held, made: Made, tmp_path: Path) -> None:
    held.go.set()
    folder = checkpoint(tmp_path, 20)
    copied(made(held), folder)
    sent = len(held.names)
    mirror = made(held)
    copied(mirror, folder)
    assert len(held.names) == sent
    assert mirror.status().uploaded == ("step-00000020",)
    assert mirror.status().bytes == 0


# Behind the training's back


def test_of_those_that_wait_the_newest_goes_first_and_what_is_not_kept_stays_here(
    held: Held, made: Made, tmp_path: Path
) -> None:
    """Step 40 is the best one: a machine that takes over has to find it."""
    mirror = made(held)
    mirror.offer(checkpoint(tmp_path, 20))
    assert held.began.wait(PATIENCE)
    for step in (40, 60, 80):
        mirror.keep({"step-00000040", f"step-{step:08d}"})
        mirror.offer(checkpoint(tmp_path, step))
    status = mirror.status()
    assert (status.uploading, status.waiting) == ("step-00000020", ("step-00000080", "step-00000040"))
    assert not mirror.flush(0.01)
    held.go.set()
    assert mirror.flush(PATIENCE)
    assert mirror.status().uploaded == ("step-00000080", "step-00000040")
    assert steps(held) == {"step-00000040", "step-00000080"}


def test_a_newer_folder_goes_before_one_that_fails(held: Held, made: Made, tmp_path: Path) -> None:
    held.error = Stop("The store is down.")
    held.go.set()
    mirror = made(held)
    mirror.offer(checkpoint(tmp_path, 20))
    eventually(lambda: mirror.status().error)
    assert "step-00000020 is not copied" in mirror.status().error
    assert "The store is down." in mirror.status().error
    mirror.offer(checkpoint(tmp_path, 40))
    eventually(lambda: mirror.status().waiting == ("step-00000020",))
    held.error = None
    assert mirror.flush(PATIENCE)
    assert mirror.status().uploaded == ("step-00000040", "step-00000020")
    assert mirror.status().error == ""
    assert mirror.status().failures >= 1


def test_another_attempt_sends_only_what_is_left(held: Held, made: Made, tmp_path: Path) -> None:
    held.allowed, held.error = 2, ConnectionResetError("cut")
    held.go.set()
    mirror = made(held)
    mirror.offer(checkpoint(tmp_path, 20))
    eventually(lambda: mirror.status().failures >= 1)
    assert "ConnectionResetError: cut" in mirror.status().error
    held.error = None
    assert mirror.flush(PATIENCE)
    assert sorted(held.names) == sorted(f"step-00000020/{path}" for path in (*SMALL, "checkpoint.json"))


def test_flush_and_close_are_quick_where_nothing_is_offered(bucket: Bucket, made: Made) -> None:
    mirror = made(bucket)
    assert mirror.flush(0)
    mirror.close()
    mirror.close()
    assert mirror.flush(0)


def test_after_close_nothing_is_copied(bucket: Bucket, made: Made, tmp_path: Path) -> None:
    mirror = made(bucket)
    mirror.close()
    mirror.offer(checkpoint(tmp_path, 20))
    assert mirror.flush(PATIENCE)
    assert mirror.status().waiting == ()
    assert steps(bucket) == set()


def test_close_leaves_off_between_two_files(held: Held, made: Made, tmp_path: Path) -> None:
    held.allowed = 1
    mirror = made(held)
    mirror.offer(checkpoint(tmp_path, 20))
    assert held.began.wait(PATIENCE)
    ending = Thread(target=mirror.close)
    ending.start()
    eventually(lambda: mirror.flush(0) or mirror._closed)
    held.go.set()
    ending.join(PATIENCE)
    assert "The training ends first." in mirror.status().error
    assert newest(held, KEY) is None


# Folders that change here


def test_a_folder_pruned_before_it_is_sent_is_left_out_quietly(held: Held, made: Made, tmp_path: Path) -> None:
    mirror = made(held)
    mirror.offer(checkpoint(tmp_path, 20))
    assert held.began.wait(PATIENCE)
    mirror.offer(checkpoint(tmp_path, 40))
    shutil.rmtree(tmp_path / "step-00000040")
    held.go.set()
    assert mirror.flush(PATIENCE)
    assert steps(held) == {"step-00000020"}
    assert (mirror.status().error, mirror.status().failures) == ("", 0)


def test_a_folder_pruned_while_it_is_sent_arrives(held: Held, made: Made, tmp_path: Path) -> None:
    """Else a training that saves faster than it uploads would never have a copy."""
    folder = checkpoint(tmp_path, 20)
    was = contents(folder)
    mirror = made(held)
    mirror.offer(folder)
    assert held.began.wait(PATIENCE)
    shutil.rmtree(folder)
    held.go.set()
    assert mirror.flush(PATIENCE)
    assert contents(restore(held, KEY, tmp_path / "fresh").folder) == was


def test_a_folder_pruned_between_two_attempts_is_left_out(held: Held, made: Made, tmp_path: Path) -> None:
    held.allowed, held.error = 1, Stop("The store is down.")
    held.go.set()
    mirror = made(held)
    mirror.offer(checkpoint(tmp_path, 20))
    eventually(lambda: mirror.status().failures >= 1)
    shutil.rmtree(tmp_path / "step-00000020")
    held.error = None
    assert mirror.flush(PATIENCE)
    assert mirror.status().uploaded == ()


def lose_a_file(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def cut_a_file(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"wei")


def flip_a_bit(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"veights")


def cut_the_marker(folder: Path) -> None:
    text = (folder / "checkpoint.json").read_text(encoding="utf-8")
    (folder / "checkpoint.json").write_text(text[: len(text) // 2], encoding="utf-8")


def take_another_marker(folder: Path) -> None:
    shutil.copy(checkpoint(folder.parent / "other", 40) / "checkpoint.json", folder)


DAMAGES = [
    (lose_a_file, "model.safetensors"),
    (cut_a_file, "3 bytes"),
    (flip_a_bit, "checksum"),
    (cut_the_marker, "cannot be read"),
    (take_another_marker, "of step 40"),
]


@pytest.mark.parametrize(("damage", "told"), DAMAGES)
def test_a_folder_damaged_here_is_never_complete_there(
    bucket: Bucket, made: Made, tmp_path: Path, damage: Callable[[Path], None], told: str
) -> None:
    folder = checkpoint(tmp_path, 20)
    damage(folder)
    mirror = made(bucket)
    copied(mirror, folder)
    assert newest(bucket, KEY) is None
    assert told in mirror.status().error


# Removal there


def test_what_is_not_kept_is_removed_after_the_next_copy(bucket: Bucket, made: Made, tmp_path: Path) -> None:
    mirror = made(bucket)
    copied(mirror, *(checkpoint(tmp_path, step) for step in (20, 40, 60)))
    assert len(steps(bucket)) == 3
    mirror.keep(["step-00000020", "step-00000080"])  # best and last
    assert len(steps(bucket)) == 3
    copied(mirror, checkpoint(tmp_path, 80))
    assert steps(bucket) == {"step-00000020", "step-00000080"}
    assert mirror.status().uploaded == ("step-00000020", "step-00000080")
    assert restore(bucket, KEY, tmp_path / "fresh", step=20).folder


def test_halves_without_a_marker_are_removed_too_and_other_names_are_not(
    bucket: Bucket, made: Made, tmp_path: Path
) -> None:
    replaced(bucket, "step-00000010/model.safetensors", b"half", tmp_path)
    replaced(bucket, "notes/step-00000010.txt", b"mine", tmp_path)
    mirror = made(bucket)
    mirror.keep({"step-00000020"})
    copied(mirror, checkpoint(tmp_path, 20))
    assert steps(bucket) == {"step-00000020", "notes"}


def test_the_newest_complete_one_stays_until_a_newer_one_is_there(bucket: Bucket, made: Made, tmp_path: Path) -> None:
    mirror = made(bucket)
    mirror.keep({"step-00000040"})  # it is not offered yet
    copied(mirror, checkpoint(tmp_path, 20))
    assert newest(bucket, KEY) == 20
    copied(mirror, checkpoint(tmp_path, 40))
    assert steps(bucket) == {"step-00000040"}


def test_a_marker_is_removed_before_what_it_names(s3: S3, made: Made, tmp_path: Path) -> None:
    removed: list[str] = []

    class Watched(Bucket):
        def delete(self, names: Any) -> None:
            removed.extend(names)

    bucket = opened(Watched)
    mirror = made(bucket)
    copied(mirror, checkpoint(tmp_path, 20))
    mirror.keep({"step-00000040"})
    copied(mirror, checkpoint(tmp_path, 40))
    assert len(removed) == len(SMALL) + 1
    assert removed[0].endswith("step-00000020/checkpoint.json")


def test_a_removal_that_fails_is_told_and_tried_after_the_next_copy(s3: S3, made: Made, tmp_path: Path) -> None:
    class Guarded(Bucket):
        guards = True

        def delete(self, names: Any) -> None:
            if self.guards:
                raise Stop("You may not.")
            super().delete(names)

    bucket = opened(Guarded)
    mirror = made(bucket)
    copied(mirror, checkpoint(tmp_path, 20))
    mirror.keep({"step-00000040", "step-00000060"})
    copied(mirror, checkpoint(tmp_path, 40))
    assert mirror.status().error.startswith("Old checkpoints stay in s3://")
    assert mirror.status().uploaded == ("step-00000020", "step-00000040")
    bucket.guards = False
    copied(mirror, checkpoint(tmp_path, 60))
    assert mirror.status().error == ""
    assert steps(bucket) == {"step-00000040", "step-00000060"}


# Nothing in the store is believed


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("model.safetensors", b"of step 41", "does not have the checksum"),
        ("model.safetensors", b"of step", "has 7 bytes there"),
        ("checkpoint.json", b'{"step": 40, "fi', "cannot be read"),
        ("checkpoint.json", b"\xff\xfe", "cannot be read"),
        ("checkpoint.json", b'{"step": 30, "files": {}}', "is of step 30"),
        ("checkpoint.json", b'{"step": 40}', "files: Field required"),
    ],
)
def test_a_damaged_checkpoint_is_passed_over_and_told(
    bucket: Bucket, tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    put(bucket, tmp_path / "made", 20, 40)
    replaced(bucket, f"step-00000040/{name}", content, tmp_path)
    found = restore(bucket, KEY, tmp_path / "fresh")
    assert contents(found.folder)["model.safetensors"] == b"of step 20"
    assert len(found.notes) == 1
    assert found.notes[0].startswith(f"{bucket.url}/{KEY}/step-00000040 is passed over.")
    assert told in found.notes[0]
    assert [path.name for path in (tmp_path / "fresh").iterdir()] == ["step-00000020"]


def test_a_checkpoint_that_lost_an_object_is_passed_over(bucket: Bucket, tmp_path: Path) -> None:
    put(bucket, tmp_path / "made", 20, 40)
    bucket.delete([f"{KEY}/step-00000040/model.safetensors"])
    found = restore(bucket, KEY, tmp_path / "fresh")
    assert found.folder == tmp_path / "fresh" / "step-00000020"
    assert "has no bytes there" in found.notes[0]


@pytest.mark.parametrize("gone", ["model.safetensors", "checkpoint.json"])
def test_a_checkpoint_removed_while_it_is_read_is_passed_over(s3: S3, tmp_path: Path, gone: str) -> None:
    class Fleeting(Bucket):
        def sizes(self, below: str) -> dict[str, int]:
            found = super().sizes(below)
            self.delete([f"{KEY}/step-00000040/{gone}"])
            return found

    bucket = opened(Fleeting)
    put(bucket, tmp_path / "made", 20, 40)
    found = restore(bucket, KEY, tmp_path / "fresh")
    assert found.folder == tmp_path / "fresh" / "step-00000020"
    assert "There is no object" in found.notes[0]


def test_where_all_are_damaged_nothing_is_restored_and_each_is_told(bucket: Bucket, tmp_path: Path) -> None:
    put(bucket, tmp_path / "made", 20, 40)
    for step in (20, 40):
        replaced(bucket, f"step-000000{step}/model.safetensors", b"damaged", tmp_path)
    found = restore(bucket, KEY, tmp_path / "fresh")
    assert found.folder is None
    assert len(found.notes) == 2
    assert contents(tmp_path / "fresh") == {}


OUTSIDE = ["/etc/x", "../x", "a/../../x", "a/..", "..", ".", "", "a//b", "./a", "a/", "a\\x", "a\0b", "x" * 300]


def test_names_that_lead_out_of_the_folder_are_refused(bucket: Bucket, tmp_path: Path) -> None:
    put(bucket, tmp_path / "made", 20)
    for step, path in enumerate([*OUTSIDE, "checkpoint.json"], 40):
        marker = {"step": step, "files": {path: {"sha256": sha256(b"x").hexdigest(), "size": 1}}}
        replaced(bucket, f"step-{step:08d}/checkpoint.json", json.dumps(marker).encode(), tmp_path)
    into = tmp_path / "deep" / "down" / "fresh"
    found = restore(bucket, KEY, into)
    assert found.folder == into / "step-00000020"
    assert len([note for note in found.notes if "checkpoint.json cannot be read" in note]) == len(OUTSIDE) + 1
    assert len(list((tmp_path / "deep").rglob("*"))) == 5  # down, fresh, the folder and its two files


def test_a_name_that_is_file_and_folder_is_refused(bucket: Bucket, tmp_path: Path) -> None:
    entry = {"sha256": sha256(b"x").hexdigest(), "size": 1}
    marker = {"step": 40, "files": {"a": entry, "a/b": entry}}
    replaced(bucket, "step-00000040/checkpoint.json", json.dumps(marker).encode(), tmp_path)
    assert "'a' is a file and a folder" in restore(bucket, KEY, tmp_path / "fresh").notes[0]


# What is here already


class Counted(Bucket):
    """A bucket that counts what is fetched."""

    fetched = 0

    def download(self, wanted: Mapping[str, Path]) -> Iterator[str]:
        self.fetched += len(wanted)
        return super().download(wanted)


def test_what_is_here_already_is_not_fetched(s3: S3, tmp_path: Path) -> None:
    bucket = opened(Counted)
    put(bucket, tmp_path, 20)
    assert restore(bucket, KEY, tmp_path).folder == tmp_path / "step-00000020"
    assert bucket.fetched == 0


@pytest.mark.parametrize("damage", [damage for damage, _ in DAMAGES])
def test_a_folder_damaged_here_is_replaced_by_the_one_there(
    s3: S3, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    bucket = opened(Counted)
    put(bucket, tmp_path / "fresh", 20)
    whole = contents(tmp_path / "fresh" / "step-00000020")
    damage(tmp_path / "fresh" / "step-00000020")
    shutil.rmtree(tmp_path / "fresh" / "other", ignore_errors=True)
    assert contents(restore(bucket, KEY, tmp_path / "fresh").folder) == whole
    assert bucket.fetched == 1
    assert [path.name for path in (tmp_path / "fresh").iterdir()] == ["step-00000020"]


def test_what_a_killed_restore_left_is_no_hindrance(bucket: Bucket, tmp_path: Path) -> None:
    put(bucket, tmp_path / "made", 20)
    for left in (".restoring-step-00000020", ".replaced-step-00000020"):
        (tmp_path / "fresh" / left / "deep").mkdir(parents=True)
    restore(bucket, KEY, tmp_path / "fresh")
    assert [path.name for path in (tmp_path / "fresh").iterdir()] == ["step-00000020"]


# Stores that are down, silent or closed


class Server:
    """A store of its own that stops, and starts again at the same port; what it holds stays."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.start()

    def start(self) -> None:
        from moto.server import ThreadedMotoServer

        self.running = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self.running.start()

    def stop(self) -> None:
        self.running.stop()


@pytest.fixture
def server(s3: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.port}")
    yield server
    server.stop()


def test_a_store_that_goes_down_and_comes_back_gets_the_newest(
    server: Server, s3: S3, made: Made, tmp_path: Path
) -> None:
    bucket = opened(Bucket)
    mirror = made(bucket)
    copied(mirror, checkpoint(tmp_path, 20))
    server.stop()
    mirror.offer(checkpoint(tmp_path, 40))
    assert not mirror.flush(0)
    eventually(lambda: mirror.status().error)
    assert "cannot be reached" in mirror.status().error
    assert "AWS_ENDPOINT_URL" in mirror.status().error
    mirror.offer(checkpoint(tmp_path, 60))
    server.start()
    assert mirror.flush(PATIENCE)
    assert mirror.status().uploaded[-1] == "step-00000060"
    assert mirror.status().error == ""
    assert newest(bucket, KEY) == 60


@pytest.fixture
def silent(s3: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[Event]:
    """A store that takes connections and never answers; set once it has one."""
    taken, connections = Event(), list[socket.socket]()
    listening = socket.create_server(("127.0.0.1", 0))

    def take() -> None:
        while True:
            try:
                connections.append(listening.accept()[0])
            except OSError:
                return
            taken.set()

    Thread(target=take, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{listening.getsockname()[1]}")
    yield taken
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    for each in connections:
        each.close()


def test_a_silent_store_holds_up_neither_the_training_nor_its_end(silent: Event, made: Made, tmp_path: Path) -> None:
    mirror = made(Bucket("s3://somewhere"))
    mirror.offer(checkpoint(tmp_path, 20, {"model.safetensors": bytes(PART + 1)}))
    assert silent.wait(PATIENCE)
    for step in range(30, 60):
        mirror.keep({f"step-{step:08d}"})
        mirror.offer(checkpoint(tmp_path, step))
    assert (mirror.status().uploading, mirror.status().waiting) == ("step-00000020", ("step-00000059",))
    assert not mirror.flush(0.1)
    mirror.close()
    assert mirror.status().waiting == ()


def test_a_silent_store_does_not_keep_a_finished_process_alive(silent: Event, tmp_path: Path) -> None:
    """Threads of concurrent.futures are joined at exit; the store's are not."""
    (tmp_path / "large").write_bytes(bytes(3 * PART))
    code = f"""
from pathlib import Path
from threading import Thread
from time import sleep
from medu1.bucket import Bucket

bucket = Bucket("s3://somewhere")
Thread(target=bucket.upload, args=(open({str(tmp_path / "large")!r}, "rb"), "large"), daemon=True).start()
while not bucket._moving:
    sleep(0.01)
sleep(0.5)
print("done")
"""
    began = time.monotonic()
    assert python(code).stdout == "done\n"
    assert time.monotonic() - began < 25  # seconds; a silent connection is given up after 30, thrice


def test_without_a_store_a_restore_stops_and_says_so(silent: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
    with pytest.raises(Stop, match=r"s3://somewhere/.* cannot be reached.*Check AWS_ENDPOINT_URL"):
        newest(Bucket("s3://somewhere"), KEY)


def test_a_missing_bucket_is_named_and_training_goes_on(s3: S3, made: Made, tmp_path: Path) -> None:
    bucket = Bucket("s3://no-such-bucket/prefix")
    with pytest.raises(Stop, match=r"There is no bucket for s3://no-such-bucket/prefix/.*make the bucket"):
        restore(bucket, KEY, tmp_path)
    mirror = made(bucket)
    mirror.offer(checkpoint(tmp_path, 20))
    eventually(lambda: mirror.status().error)
    assert "There is no bucket for s3://no-such-bucket" in mirror.status().error
    s3.bucket("no-such-bucket")
    assert mirror.flush(PATIENCE)
    assert newest(bucket, KEY) == 20


def test_absent_keys_are_named(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    name = s3.bucket()
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(key)
    with pytest.raises(Stop, match=r"Unable to locate credentials.*Set AWS_ACCESS_KEY_ID"):
        newest(Bucket(f"s3://{name}"), KEY)


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (403, "AccessDenied", r"The keys in the environment may not do this.*s3:PutObject"),
        (403, "InvalidAccessKeyId", "Set keys that are valid"),
        (403, "RequestTimeTooSkewed", "clock is wrong"),
        (301, "PermanentRedirect", "Set AWS_DEFAULT_REGION"),
        (503, "SlowDown", "Try again later"),
        (404, "NoSuchBucket", "There is no bucket"),
    ],
)
def test_a_refusal_says_what_to_do(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, status: int, code: str, told: str
) -> None:
    from botocore.exceptions import ClientError

    answer = {"Error": {"Code": code, "Message": "No."}, "ResponseMetadata": {"HTTPStatusCode": status}}

    def refuse(**_: object) -> None:
        raise ClientError(answer, "DeleteObject")

    monkeypatch.setattr(bucket._client, "delete_object", refuse)
    with pytest.raises(Stop, match=told):
        bucket.delete(["a"])


def test_a_bucket_name_that_cannot_be_is_told(s3: S3) -> None:
    with pytest.raises(Stop, match=r"Invalid bucket name.*Correct the address"):
        newest(Bucket("s3://no bucket/prefix"), KEY)


@pytest.mark.parametrize("size", [5, 2 * PART])
def test_a_full_disk_is_no_damage(bucket: Bucket, tmp_path: Path, size: int) -> None:
    replaced(bucket, "a", bytes(size), tmp_path)
    with pytest.raises(OSError, match="No space left"):
        list(bucket.download({f"{KEY}/a": Path("/dev/full")}))


@pytest.mark.parametrize(("url", "told"), [("gs://bucket", "Only s3://"), ("s3://", "s3://bucket/prefix"), ("", "s3")])
def test_what_is_no_bucket_is_a_stop(url: str, told: str) -> None:
    with pytest.raises(Stop, match=told):
        Bucket(url)


def test_an_endpoint_that_is_no_url_is_a_stop(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "nonsense")
    with pytest.raises(Stop, match="Write AWS_ENDPOINT_URL as a URL"):
        Bucket("s3://bucket")


# Objects


def test_an_object_that_is_not_there_is_absent(bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(Absent, match=r"There is no object s3://.*/prefix/a"):
        bucket.read("a")
    with pytest.raises(Absent):
        list(bucket.download({"a": tmp_path / "a"}))
    bucket.delete(["a"])
    assert list(tmp_path.iterdir()) == []


def test_an_object_the_store_lost_bits_of_is_torn(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from botocore.exceptions import FlexibleChecksumError

    def differ(**_: object) -> None:
        raise FlexibleChecksumError(error_msg="the CRC-32 is another")

    replaced(bucket, "a", b"bits", tmp_path)
    monkeypatch.setattr(bucket._client, "get_object", differ)
    with pytest.raises(Torn, match="is damaged: the CRC-32 is another"):
        bucket.read(f"{KEY}/a")
    with pytest.raises(Torn, match="is damaged"):
        list(bucket.download({f"{KEY}/a": tmp_path / "a"}))


def test_an_object_that_is_replaced_while_its_parts_are_read_is_torn(bucket: Bucket, tmp_path: Path) -> None:
    replaced(bucket, "a", bytes(2 * PART), tmp_path)
    once: list[str] = []

    def replace(**_: object) -> None:
        if not once:
            once.append("done")
            replaced(bucket, "a", bytes(PART) + b"x" * PART, tmp_path)

    bucket._client.meta.events.register("before-parameter-build.s3.GetObject", replace)
    with pytest.raises(Torn, match="is replaced while it is read"):
        list(bucket.download({f"{KEY}/a": tmp_path / "a"}))


def test_a_transfer_that_is_cancelled_ends_and_leaves_nothing(bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(6 * PART))
    began, go = Event(), Event()

    def wait(**_: object) -> None:
        began.set()
        assert go.wait(PATIENCE)

    def cancel() -> None:
        assert began.wait(PATIENCE)
        bucket.cancel()
        go.set()

    bucket._client.meta.events.register("before-parameter-build.s3.UploadPart", wait)
    Thread(target=cancel).start()
    with (tmp_path / "large").open("rb") as file, pytest.raises(CancelledError):
        bucket.upload(file, f"{KEY}/large")
    assert bucket.sizes(KEY) == {}
    assert "Uploads" not in bucket._client.list_multipart_uploads(Bucket=bucket.name)


def test_many_objects_are_listed_and_fetched(bucket: Bucket, s3: S3, tmp_path: Path) -> None:
    names = [f"many/{number}" for number in range(50)]
    for name in names:
        s3.put(bucket.name, f"prefix/{name}", name.encode())
    assert bucket.sizes("many") == {name.removeprefix("many/"): len(name) for name in names}
    wanted = {name: tmp_path / name.replace("/", "-") for name in names}
    assert list(bucket.download(wanted)) == names
    assert all(path.read_text(encoding="utf-8") == name for name, path in wanted.items())


# Memory


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_upload_holds_a_few_parts_in_memory_and_not_the_file(bucket: Bucket, tmp_path: Path) -> None:
    folder = tmp_path / "step-00000020"
    folder.mkdir()
    size = 25 * PART
    with (folder / "optimizer.pt").open("wb") as file:
        file.truncate(size)
    digest = sha256(bytes(size)).hexdigest()
    marker = {"step": 20, "files": {"optimizer.pt": {"sha256": digest, "size": size}}}
    (folder / "checkpoint.json").write_text(json.dumps(marker), encoding="utf-8")
    code = f"""
from pathlib import Path
from medu1.bucket import Bucket
from medu1.train.mirror import Mirror
from medu1.train.restoration import newest

def peak():  # of this program; getrusage's is also of the process it is forked from
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])

bucket = Bucket({bucket.url!r})
newest(bucket, {KEY!r})  # what boto3 needs anyway
before = peak()
mirror = Mirror(bucket, {KEY!r})
mirror.offer(Path({str(folder)!r}))
assert mirror.flush({PATIENCE}), mirror.status()
print(peak() - before)
"""
    ran = python(code)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) < 64 * 1024  # KiB
    assert newest(bucket, KEY) == 20
