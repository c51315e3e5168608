"""One execution of one step: made once, closed whatever happens, and never half there."""

import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from medu1 import journal, record, storage
from medu1.errors import Stop
from medu1.journal import Event
from medu1.stage import Output, Stage, fetch, produce, tracked
from medu1.tracking import Tracking
from medu1.workspace import Workspace

Make = Callable[[Stage, Path], Mapping[str, Any]]


@pytest.fixture
def workspace(tracked_home: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The environment of a run in a home of its own."""
    found = Workspace(
        home=tracked_home,
        run="first",
        tracking_uri=f"sqlite:///{tracked_home / 'mlflow.db'}",
        commit="abc",
        dirty=True,
        image="image@sha256:1",
    )
    for name, value in found.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    return found


def make(stage: Stage, folder: Path) -> Mapping[str, Any]:
    (folder / "model.txt").write_text("weights", encoding="utf-8")
    stage.note("1 model")
    stage.metrics({"loss": 0.5}, 3)
    return {"size": 7}


def made(make: Make = make, code: str = "code", **params: object) -> Output:
    return produce("train", params, {"base": "b1"}, code, make)


def events(workspace: Workspace) -> list[tuple[str, str]]:
    return [(event.kind, event.message) for event, _ in journal.read(workspace.journal)]


def statuses(workspace: Workspace) -> list[tuple[str, str]]:
    """Name and status of the steps' runs."""
    runs = Tracking(workspace).tree()
    return [(run.info.run_name, run.info.status) for run in runs if not run.info.run_name.startswith("run ")]


def left(workspace: Workspace) -> list[str]:
    return sorted(
        path.relative_to(workspace.home / "store").as_posix() for path in (workspace.home / "store").iterdir()
    )


def test_an_output_is_made_with_its_record_and_its_run(workspace: Workspace) -> None:
    output = made(seed=1)
    found = output.record
    assert output.folder == workspace.home / "store" / output.key
    assert output.key == f"train/{record.fingerprint('train', {'seed': 1}, {'base': 'b1'}, 'code')}"
    assert (found.params, found.inputs, found.code, found.facts) == ({"seed": 1}, {"base": "b1"}, "code", {"size": 7})
    assert (found.commit, found.dirty, found.image, found.run) == ("abc", True, "image@sha256:1", "first")
    assert found.outputs["model.txt"].size == 7
    run = Tracking(workspace).client.get_run(found.mlflow_run)
    assert (run.info.status, run.data.params, run.data.metrics) == ("FINISHED", {"seed": "1"}, {"loss": 0.5})
    assert [file.path for file in Tracking(workspace).client.list_artifacts(found.mlflow_run)] == [record.NAME]
    assert events(workspace) == [("started", ""), ("note", "1 model"), ("finished", "")]


def test_the_same_fingerprint_is_made_once(workspace: Workspace) -> None:
    calls = []

    def counted(stage: Stage, folder: Path) -> Mapping[str, Any]:
        calls.append(folder)
        return make(stage, folder)

    first, again = made(counted, seed=1), made(counted, seed=1)
    assert again == first
    assert len(calls) == 1
    assert events(workspace)[-1] == ("reused", first.key)
    assert statuses(workspace) == [("train", "FINISHED")]


def test_another_parameter_or_code_is_made_anew(workspace: Workspace) -> None:
    keys = {made(seed=1).key, made(seed=2).key, made(seed=1, code="edited").key}
    assert len(keys) == 3
    assert left(workspace) == ["train"]


def test_another_run_of_the_chain_reuses_it(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    first = made(seed=1)
    monkeypatch.setenv("MEDU1_RUN", "second")
    assert made(seed=1).record.run == first.record.run == "first"
    second = workspace.model_copy(update={"run": "second"})
    assert events(second) == [("reused", first.key)]


def test_a_damaged_output_is_made_again(workspace: Workspace) -> None:
    first = made(seed=1)
    (first.folder / "model.txt").write_text("w", encoding="utf-8")
    assert made(seed=1).key == first.key
    assert (first.folder / "model.txt").read_text(encoding="utf-8") == "weights"
    assert statuses(workspace) == [("train", "FINISHED")] * 2


def fails(error: BaseException) -> Make:
    def make(stage: Stage, folder: Path) -> Mapping[str, Any]:
        (folder / "half.txt").write_text("half", encoding="utf-8")
        raise error

    return make


@pytest.mark.parametrize(
    ("error", "paragraph"),
    [
        (Stop("No data.", "It is gone.", "Fetch it."), "train: No data. It is gone. Fetch it."),
        (ValueError("7 is odd"), r"train: ValueError: 7 is odd (at test_stage.py:"),
    ],
)
def test_a_step_that_fails_leaves_no_output_a_failed_run_and_one_paragraph(
    workspace: Workspace, error: Exception, paragraph: str
) -> None:
    with pytest.raises(type(error)) as raised:
        made(fails(error))
    assert raised.value is error
    assert left(workspace) == []
    assert statuses(workspace) == [("train", "FAILED")]
    kinds = [kind for kind, _ in events(workspace)]
    assert kinds == ["started", "failed"]
    message = events(workspace)[-1][1]
    assert message.startswith(paragraph)
    assert "\n" not in message


def test_after_a_failure_the_step_can_be_made(workspace: Workspace) -> None:
    with pytest.raises(ValueError, match="broken"):
        made(fails(ValueError("broken")))
    assert made().record.facts == {"size": 7}
    assert sorted(status for _, status in statuses(workspace)) == ["FAILED", "FINISHED"]


def test_a_terminated_step_leaves_no_output_and_a_killed_run(workspace: Workspace) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def terminated(stage: Stage, folder: Path) -> Mapping[str, Any]:
        (folder / "half.txt").write_text("half", encoding="utf-8")
        os.kill(os.getpid(), signal.SIGTERM)
        return {}

    with pytest.raises(SystemExit) as stopped:
        made(terminated)
    assert stopped.value.code == 128 + signal.SIGTERM
    assert left(workspace) == []
    assert statuses(workspace) == [("train", "KILLED")]
    assert events(workspace)[-1][1].endswith("Run again: complete steps are reused.")
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_output_that_cannot_be_published_is_a_failed_run(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: storage.LocalStore, folder: Path, key: str) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage.LocalStore, "publish", full)
    with pytest.raises(OSError, match="No space left"):
        made()
    assert left(workspace) == []
    assert statuses(workspace) == [("train", "FAILED")]


def test_an_earlier_output_is_fetched_by_its_key(workspace: Workspace) -> None:
    output = made(seed=1)
    assert fetch(output.key, workspace) == output


def test_fetching_what_is_gone_or_torn_is_a_stop(workspace: Workspace) -> None:
    output = made(seed=1)
    (output.folder / "model.txt").unlink()
    for key in (output.key, "train/none"):
        with pytest.raises(Stop, match=f"{key} is not in the store, or not whole"):
            fetch(key, workspace)


def test_a_phase_of_a_task_whose_run_is_given_has_a_run_below_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KFP's backend opens one run a task and says so in MLFLOW_RUN_ID: a phase must neither use nor close it."""
    tracking = Tracking(workspace)
    given = tracking.child("opened by KFP")
    monkeypatch.setenv("MLFLOW_RUN_ID", given)
    phase = produce("warm_start", {}, {}, "code", make, is_phase=True).record.mlflow_run
    assert tracking.client.get_run(phase).data.tags["mlflow.parentRunId"] == given
    assert tracking.client.get_run(given).info.status == "RUNNING"
    assert produce("train", {}, {}, "code", make).record.mlflow_run == given
    assert tracking.client.get_run(given).info.status == "FINISHED"


def test_a_step_that_always_runs_has_a_run_each_time_and_no_output(workspace: Workspace) -> None:
    for _ in range(2):
        with tracked("decide", {"alpha": {"level": 0.05}}) as stage:
            stage.note("no gain")
    assert statuses(workspace) == [("decide", "FINISHED")] * 2
    run = Tracking(workspace).client.get_run(stage.run)
    assert run.data.params == {"alpha.level": "0.05"}
    assert not (workspace.home / "store").exists()


def test_progress_is_thinned_but_its_end_is_always_written(workspace: Workspace) -> None:
    with tracked("train") as stage:
        for done in range(1, 1001):
            stage.progress(done, 1000)
    written = [event for event, _ in journal.read(workspace.journal) if event.kind == "progress"]
    assert 1 < len(written) < 500
    assert written[-1].done == 1000


# The journal


def test_a_journal_is_read_on_from_an_offset_and_leaves_a_half_written_line(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "r" / "journal.jsonl"
    assert list(journal.read(path)) == []
    journal.append(path, Event(step="prepare", kind="note", message="發燒\nnext"))
    ((first, offset),) = journal.read(path)
    assert (first.message, first.seconds > 0) == ("發燒\nnext", True)
    with path.open("a", encoding="utf-8") as file:
        file.write('{"step": "prep')
    assert list(journal.read(path, offset)) == []
    with path.open("a", encoding="utf-8") as file:
        file.write('are", "kind": "finished"}\n')
    assert [event.kind for event, _ in journal.read(path, offset)] == ["finished"]


def test_the_environment_reads_back_as_the_same_workspace(workspace: Workspace) -> None:
    assert Workspace.from_environment() == workspace
