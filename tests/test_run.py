"""How a run begins and ends: abandoned runs are swept, the champion is named, nothing of the tree stays open."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from asked import PARAMS, arguments
from medu1 import journal
from medu1.errors import Stop
from medu1.register import trail
from medu1.registered_models import Champion
from medu1.run.finalize import finalize
from medu1.run.preflight import preflight
from medu1.tracking import LAUNCHER, RUN, Tracking, launcher
from medu1.workspace import Workspace
from pipelines.request import read_params

QUIET = read_params(PARAMS, []).notify.canonical()
DEAD = f"{socket.gethostname()} 1 0"  # process 1 did not start at boot's first tick

Begin = Callable[..., Tracking]


@pytest.fixture
def begin(tracked_home: Path, monkeypatch: pytest.MonkeyPatch) -> Begin:
    """Sets a run's environment on one home; gives its tracking."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)

    def start(run: str, launched_by: str = "") -> Tracking:
        workspace = Workspace(
            home=tracked_home,
            run=run,
            tracking_uri=f"sqlite:///{tracked_home / 'mlflow.db'}",
            launcher=launched_by or launcher(),
        )
        for key, value in workspace.environment().items():
            monkeypatch.setenv(key, value)
        return Tracking(workspace)

    return start


def statuses(tracking: Tracking) -> dict[str, str]:
    return {str(run.info.run_name): str(run.info.status) for run in tracking.tree()}


def test_runs_of_a_dead_process_are_swept_and_say_why(begin: Begin) -> None:
    killed = begin("killed", DEAD)
    killed.child("train")
    begin("next")
    preflight(*arguments())
    assert set(statuses(killed).values()) == {"KILLED"}
    assert "run next" in killed.tree()[0].data.tags["medu1.swept"]


def test_runs_of_a_living_process_are_left_open(begin: Begin) -> None:
    other = begin("other")
    other.child("train")
    begin("next")
    preflight(*arguments())
    assert statuses(other)["train"] == "RUNNING"


def test_there_is_no_champion_in_an_empty_registry(begin: Begin) -> None:
    begin("first")
    assert preflight(*arguments()) == Champion("", "", "")


def test_the_champion_is_named_with_its_weights_and_its_place(begin: Begin) -> None:
    client = begin("first").client
    client.create_registered_model("medu1")
    client.create_model_version("medu1", "file:///x", tags={"medu1.weights": "abc", "medu1.key": "train/1"})
    client.set_registered_model_alias("medu1", "champion", "1")
    assert preflight(*arguments()) == Champion("1", "abc", "train/1")


def test_a_registry_without_the_alias_has_no_champion(begin: Begin) -> None:
    begin("first").client.create_registered_model("medu1")
    assert preflight(*arguments()) == Champion("", "", "")


def test_a_champion_that_was_deleted_stops_the_run_before_anything_is_spent(begin: Begin) -> None:
    tracking = begin("first")
    tracking.client.create_registered_model("medu1")
    version = tracking.client.create_model_version("medu1", "file:///x", tags={"medu1.weights": "abc"})
    trail.enter(tracking, "medu1", trail.FIRST, "1", version.tags, replaces="")
    tracking.client.delete_model_version("medu1", "1")
    with pytest.raises(Stop, match="Version 1 of medu1 is the champion and is not in the registry"):
        preflight(*arguments())


@pytest.mark.parametrize("alias", [None, "2"])
def test_the_champion_is_the_one_of_the_promotion_log_whatever_the_alias_says(begin: Begin, alias: str | None) -> None:
    tracking = begin("first")
    tracking.client.create_registered_model("medu1")
    for weights in ("abc", "def"):
        tracking.client.create_model_version("medu1", "file:///x", tags={"medu1.weights": weights})
    trail.enter(tracking, "medu1", trail.FIRST, "1", {"medu1.weights": "abc"}, replaces="")
    tracking.client.delete_registered_model_alias("medu1", "champion")
    if alias:
        tracking.client.set_registered_model_alias("medu1", "champion", alias)
    assert preflight(*arguments()) == Champion("1", "abc", "")
    assert tracking.models.aliases("medu1") == {"champion": "1"}


@pytest.mark.parametrize(
    ("state", "status"), [("SUCCEEDED", "FINISHED"), ("FAILED", "FAILED"), ("CANCELLED", "KILLED")]
)
def test_the_tree_ends_as_the_chain_did(begin: Begin, state: str, status: str) -> None:
    tracking = begin("one")
    tracking.child("train")
    finalize(QUIET, state, "")
    assert set(statuses(tracking).values()) == {status}


def test_a_closed_child_keeps_its_status(begin: Begin) -> None:
    tracking = begin("one")
    tracking.close(tracking.child("train"), "FAILED")
    tracking.close(tracking.child("prepare"), "FINISHED")
    finalize(QUIET, "FAILED", "")
    assert statuses(tracking) == {"run one": "FAILED", "train": "FAILED", "prepare": "FINISHED"}


def test_only_runs_of_this_tree_are_closed(begin: Begin) -> None:
    other, mine = begin("other"), begin("mine")
    other.child("train")
    foreign = mine.client.create_run(mine.experiment_id)
    mine.child("train")
    finalize(QUIET, "SUCCEEDED", "")
    assert set(statuses(other).values()) == {"RUNNING"}
    assert mine.client.get_run(foreign.info.run_id).info.status == "RUNNING"
    assert RUN not in foreign.data.tags
    assert LAUNCHER not in foreign.data.tags


def test_an_unreachable_server_stops_preflight_with_a_paragraph(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = begin("one").workspace
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(Stop, match="does not answer"):
        preflight(*arguments())
    events = [event for event, _ in journal.read(workspace.journal)]
    assert [event.kind for event in events if event.kind != "note"] == ["started", "failed"]
    assert "Start it" in events[-1].message
