"""How a training's processes are started: the devices they need, the world they are in, and how an end is told."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from medu1.errors import EXIT_CODE, Stop
from medu1.scoring.grading import DEFAULT_SCORING
from medu1.train import launch
from medu1.train.job import Job, Outcome
from training import PARAMS

COMPONENTS = Path(__file__).parent.parent / "components"


def job(root: Path, processes: int) -> Job:
    """A training that has not begun; its base and questions are never read."""
    root.mkdir(exist_ok=True)
    return Job(
        params=PARAMS.model_copy(update={"processes": processes}),
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
    ("processes", "environment", "told"),
    [
        (2, {"WORLD_SIZE": "1"}, "started 1 processes, and the training is made for 2"),
        (1, {"WORLD_SIZE": "4"}, "started 4 processes, and the training is made for 1"),
        (2, {"WORLD_SIZE": "2", "PET_NNODES": "2"}, "started 2 processes, and the training is made for 4"),
    ],
    ids=["too few", "too many", "one node of two"],
)
def test_a_world_of_another_size_is_a_stop_on_stderr_and_in_the_outcome(
    tmp_path: Path, processes: int, environment: dict[str, str], told: str
) -> None:
    ended = member(job(tmp_path, processes).write(), {"RANK": "0", **environment})
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


@pytest.mark.parametrize(
    ("processes", "world", "nodes"), [(1, "1", None), (2, "2", None), (2, "2", "1"), (2, "6", "3"), (2, "4", "1:2")]
)
def test_the_world_is_the_jobs_processes_on_every_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int, world: str, nodes: str | None
) -> None:
    monkeypatch.delenv(launch.NODES, raising=False)
    monkeypatch.setenv(launch.WORLD_SIZE, world)
    if nodes:
        monkeypatch.setenv(launch.NODES, nodes)
    launch._check_world(job(tmp_path, processes))


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
