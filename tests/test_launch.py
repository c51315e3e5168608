"""How a training's processes are started: the devices they need, the world they are in, and how an end is told."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from medu1.bucket import Bucket
from medu1.errors import EXIT_CODE, Stop
from medu1.scoring.grading import DEFAULT_SCORING
from medu1.train import launch, node
from medu1.train.job import Job, Outcome
from medu1.train.order import Order
from s3 import S3
from training import PARAMS

COMPONENTS = Path(__file__).parent.parent / "components"


def job(root: Path, processes: int, nodes: int = 1) -> Job:
    """A training that has not begun; its base and questions are never read."""
    root.mkdir(exist_ok=True)
    return Job(
        params=PARAMS.model_copy(update={"processes": processes, "nodes": nodes}),
        scoring=DEFAULT_SCORING,
        base=root / "base",
        dataset=root / "dataset",
        shares=None,
        root=root,
        store="",
        key="",
        configuration={},
        resume=None,
    )


def member(path: Path, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """One process of a training, as a launcher starts it."""
    outer = {name: value for name, value in os.environ.items() if name not in {launch.NODES, launch.PARENT}}
    return subprocess.run(
        [sys.executable, "-m", "medu1.train", str(path)],
        env={**outer, "PYTHONPATH": str(COMPONENTS), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


# Devices


def gpus(monkeypatch: pytest.MonkeyPatch, present: int) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: present)


def test_more_processes_than_gpus_are_a_stop_with_both_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, 2)
    with pytest.raises(Stop, match=r"asks for 4 GPUs and this machine has 2\..*Set train\.processes to 2 or less"):
        launch.check_devices(4)


@pytest.mark.parametrize(("present", "processes"), [(2, 1), (2, 2), (0, 1), (0, 4), (0, 64)])
def test_a_gpu_for_each_process_is_enough_and_without_any_they_share_the_cores(
    monkeypatch: pytest.MonkeyPatch, present: int, processes: int
) -> None:
    gpus(monkeypatch, present)
    launch.check_devices(processes)


def test_a_training_that_lacks_gpus_starts_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gpus(monkeypatch, 1)
    with pytest.raises(Stop, match="asks for 2 GPUs"):
        launch.start(job(tmp_path / "training", 2))
    assert list((tmp_path / "training").iterdir()) == []


# The command


@pytest.mark.parametrize("arguments", [[], ["one.json", "two.json"]])
def test_without_exactly_one_job_the_usage_is_printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert launch.main(arguments) == EXIT_CODE == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "usage: python -m medu1.train JOB\n")


@pytest.mark.parametrize("content", [None, "", "{}", "[1"])
def test_a_file_that_is_no_job_is_a_stop_that_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    path = tmp_path / "job.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    assert launch.main([str(path)]) == EXIT_CODE
    assert f"{path} is no job: " in capsys.readouterr().err


def test_one_machine_meets_by_itself_and_several_where_the_operator_says(tmp_path: Path) -> None:
    found = job(tmp_path, 2)
    alone, among = launch._argv(found, {}), launch._argv(found, {launch.NODES: "2"})
    assert alone == ["--standalone", "--nnodes=1", *among]
    assert "--nproc-per-node=2" in among
    assert among[-3:] == ["-m", "medu1.train", str(found.path)]


# The world


@pytest.mark.parametrize(
    ("processes", "nodes", "world", "told"),
    [
        (2, 1, "1", "started 1 processes, and the training is made for 2"),
        (1, 1, "4", "started 4 processes, and the training is made for 1"),
        (2, 2, "2", "started 2 processes, and the training is made for 4"),
        (1, 2, "3", "started 3 processes, and the training is made for 2"),
    ],
    ids=["too few", "too many", "one node of two", "three nodes of two"],
)
def test_a_world_of_another_size_is_a_stop_on_stderr_and_in_the_outcome(
    tmp_path: Path, processes: int, nodes: int, world: str, told: str
) -> None:
    ended = member(job(tmp_path, processes, nodes).write(), {"RANK": "0", "WORLD_SIZE": world})
    assert ended.returncode == EXIT_CODE, ended.stderr
    assert f"The launcher {told}." in ended.stderr
    assert "Traceback" not in ended.stderr
    outcome = Outcome.read(tmp_path)
    assert outcome is not None
    assert (outcome.end, outcome.step) == ("failed", 0)
    assert outcome.message == ended.stderr.rstrip("\n")


def test_the_first_process_to_fail_is_the_one_whose_reason_is_kept(tmp_path: Path) -> None:
    path = job(tmp_path, 2).write()
    Outcome(end="failed", step=0, message="the first reason").write(tmp_path)
    assert member(path, {"RANK": "1", "WORLD_SIZE": "1"}).returncode == EXIT_CODE
    outcome = Outcome.read(tmp_path)
    assert outcome is not None
    assert outcome.message == "the first reason"


@pytest.mark.parametrize(("processes", "nodes", "world"), [(1, 1, "1"), (2, 1, "2"), (1, 4, "4"), (1, 2, "2")])
def test_the_world_is_the_jobs_processes_on_every_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int, nodes: int, world: str
) -> None:
    monkeypatch.setenv(launch.WORLD_SIZE, world)
    launch._check_world(job(tmp_path, processes, nodes))


# A node


@pytest.mark.parametrize(("started", "wanted"), [("2", 2), ("1:2", 2), (None, 1)])
def test_as_many_nodes_as_the_job_is_made_for_are_right(started: str | None, wanted: int) -> None:
    node.check_nodes(wanted, {launch.NODES: started} if started else {})


@pytest.mark.parametrize(("started", "told"), [("3", "3"), (None, "1")])
def test_another_number_of_nodes_than_the_job_is_made_for_is_a_stop(started: str | None, told: str) -> None:
    with pytest.raises(Stop, match=f"started {told} nodes, and the training is made for 2"):
        node.check_nodes(2, {launch.NODES: started} if started else {})


def test_files_of_a_volume_become_variables_and_the_containers_own_win(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Kubernetes mounts them: links into a folder that it swaps."""
    (tmp_path / "..data").mkdir()
    for name, content in {"MEDU1_STORE": "s3://bucket/medu1\n", "AWS_DEFAULT_REGION": "here"}.items():
        (tmp_path / "..data" / name).write_text(content, encoding="utf-8")
        (tmp_path / name).symlink_to(tmp_path / "..data" / name)
    monkeypatch.setenv(node.VARIABLES, str(tmp_path))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "there")
    monkeypatch.delenv("MEDU1_STORE", raising=False)
    node.read_variables(os.environ)
    assert (os.environ["MEDU1_STORE"], os.environ["AWS_DEFAULT_REGION"]) == ("s3://bucket/medu1", "there")
    assert "..data" not in os.environ


@pytest.mark.parametrize(
    ("store", "told"),
    [
        ("", "does not lie in the object store of this node, which has none"),
        ("s3://another", "does not lie in the object store of this node, s3://another"),
    ],
)
def test_a_job_that_lies_in_another_store_is_a_stop(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], store: str, told: str
) -> None:
    monkeypatch.setenv("MEDU1_STORE", store)
    monkeypatch.delenv(node.VARIABLES, raising=False)
    assert launch.main(["s3://bucket/medu1/checkpoints/0/job.json"]) == EXIT_CODE
    assert told in capsys.readouterr().err


def test_an_order_travels_by_keys_and_is_told_from_one_of_other_nodes(s3: S3, tmp_path: Path) -> None:
    one = job(tmp_path, 2, 2)
    home = tmp_path / "home"
    held = {"base": home / "store" / "base" / "b", "dataset": home / "store" / "prepare" / "d", "key": "checkpoints/0"}
    order = Order.of(
        one.model_copy(update={**held, "shares": home / "store" / "prefilter" / "p" / "shares.json"}), home
    )
    store = f"s3://{s3.bucket()}/medu1"
    url = order.write(Bucket(store))
    assert url == f"{store}/checkpoints/0/job.json"
    assert Order.read(url, store) == order
    assert (order.base, order.dataset, order.shares) == ("base/b", "prepare/d", "prefilter/p/shares.json")
    assert str(tmp_path) not in order.model_dump_json()
    other = order.model_copy(update={"params": one.params.model_copy(update={"nodes": 4})})
    assert order.digest != other.digest


def test_what_is_no_order_in_the_store_is_a_stop(s3: S3) -> None:
    store = f"s3://{s3.bucket()}"
    url = s3.put(store.removeprefix("s3://"), "checkpoints/0/job.json", b"{}")
    with pytest.raises(Stop, match=r"job\.json is no job: "):
        Order.read(url, store)


# The end


def test_processes_that_end_without_a_word_are_a_stop_with_their_code(tmp_path: Path) -> None:
    with pytest.raises(Stop, match=r"ended with code -9 before the training was done\..*goes on from its newest"):
        launch._ended(job(tmp_path, 2), -9)


def test_a_failure_that_was_written_down_is_told_as_it_is(tmp_path: Path) -> None:
    found = job(tmp_path, 2)
    Outcome(end="failed", step=3, message="The reason.").write(tmp_path)
    with pytest.raises(Stop) as stop:
        launch._ended(found, 1)
    assert str(stop.value) == "The reason."


def test_how_an_earlier_attempt_ended_is_forgotten_when_the_job_is_written(tmp_path: Path) -> None:
    Outcome(end="failed", step=3, message="The reason.").write(tmp_path)
    found = job(tmp_path, 2)
    assert Job.model_validate_json(found.write().read_bytes()) == found
    assert Outcome.read(tmp_path) is None
