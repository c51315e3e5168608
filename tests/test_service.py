"""The same chain against tracking as a service: MLflow on PostgreSQL behind passwords, artifacts and models on S3.

What goes wrong there and not with a file on this machine: a password that is not taken or is written somewhere, rights
that are missing, a server that is away, two people who promote at once.
"""

import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from medu1.errors import Stop
from medu1.promotions import fold
from medu1.register import trail
from medu1.register.promotion import promote
from medu1.tracking import STEP, Tracking
from medu1.workspace import Workspace
from mlflow_server import free_port
from pipelines.progress import ORDER
from services import ARTIFACTS, MODELS, READER, STEPS, TRAINER, Served, Services
from tiny import ROOT

pytestmark = pytest.mark.services
WHY = "better on the frozen questions"
PROMOTED, REFUSED = 0, 3  # exit codes of a racer


@pytest.fixture
def tracking(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tracking:
    """The server as the chain's account sees it."""
    for name, value in served.services.environment(TRAINER).items():
        monkeypatch.setenv(name, value)
    return at(served.services, tmp_path)


def at(services: Services, home: Path, run: str = "looking") -> Tracking:
    return Tracking(Workspace(home=home, run=run, tracking_uri=services.server.uri))


def refusal(done: Any) -> str:
    """The one paragraph in which a command refuses."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    paragraph: str = done.stderr.strip().splitlines()[-1]
    return paragraph


# What is there afterwards


def test_every_run_of_the_chain_is_one_closed_tree_with_its_metrics(served: Served, tracking: Tracking) -> None:
    tree = at(served.services, served.home, served.first["run"]).tree()
    steps = {run.data.tags[STEP]: run for run in tree if STEP in run.data.tags}
    (parent,) = [run for run in tree if STEP not in run.data.tags]
    assert set(ORDER) <= set(steps)
    assert {run.info.status for run in tree} == {"FINISHED"}
    assert {run.data.tags["mlflow.parentRunId"] for run in steps.values()} == {parent.info.run_id}
    assert "accuracy.test.candidate" in steps["evaluate"].data.metrics
    rewards = tracking.client.get_metric_history(steps["train"].info.run_id, "train/reward")
    assert {reward.step for reward in rewards} == set(range(1, STEPS[0] + 1))


def test_artifacts_and_models_are_in_their_buckets_and_nothing_is_tracked_here(
    served: Served, tracking: Tracking
) -> None:
    for run in at(served.services, served.home, served.first["run"]).tree():
        if run.data.tags.get(STEP) == "evaluate":
            assert f"{run.info.experiment_id}/{run.info.run_id}/artifacts/report.html" in served.services.store.keys(
                ARTIFACTS
            )
    models = served.services.store.keys(MODELS)
    assert any(key.startswith("medu1/train/") and key.endswith("/model.safetensors") for key in models)
    assert not (served.home / "mlflow.db").exists()
    assert not (served.home / "artifacts").exists()


def test_accepted_candidates_are_versions_whose_files_are_in_the_bucket(served: Served) -> None:
    found = served.services.told(served.home, "versions")
    assert [(one["version"], one["name"]) for one in found] == [("2", "medu1"), ("1", "medu1")]
    assert found[1]["aliases"] == ["champion"]
    assert found[0]["aliases"] == ["challenger"]
    keys = served.services.store.keys(MODELS)
    for one in found:
        assert one["source"].startswith(f"s3://{MODELS}/medu1/train/")
        assert one["source"].removeprefix(f"s3://{MODELS}/") + "/model.safetensors" in keys
    assert found[0]["lineage"]["medu1.champion"] == found[1]["lineage"]["medu1.weights"]


def test_promotion_and_rollback_move_the_champion_and_the_log_tells(served: Served, tracking: Tracking) -> None:
    services, home = served.services, served.home
    words = ("promote", "challenger", "--why", WHY, "--who", "ann")
    done = services.told(home, *words)
    assert (done["version"], done["replaced"], done["already"]) == ("2", "1", False)
    assert tracking.models.aliases("medu1") == {"champion": "2", "previous": "1"}
    assert services.told(home, *words)["already"]
    back = services.told(home, "rollback", "--why", "slow", "--who", "bob")
    assert (back["version"], back["replaced"]) == ("1", "2")
    log = services.told(home, "history")
    assert [(each["number"], each["kind"], each["target"], each["void"]) for each in log] == [
        (1, "promote", "1", None),
        (2, "promote", "2", None),
        (3, "rollback", "1", None),
    ]
    assert [each["who"] for each in log] == ["medu1 register", "ann", "bob"]


# Who may do what


@pytest.mark.parametrize("password", ["not this one", ""])
@pytest.mark.parametrize("words", [("versions",), ("promote", "1", "--why", WHY)])
def test_a_password_that_is_not_taken_is_one_paragraph(
    services: Services, tmp_path: Path, words: tuple[str, ...], password: str
) -> None:
    told = refusal(services.medu1(tmp_path, *words, MLFLOW_TRACKING_PASSWORD=password))
    assert "does not take the user trainer" in told
    assert "MLFLOW_TRACKING_PASSWORD" in told
    assert not password or password not in told


def test_with_a_wrong_password_no_run_is_started(served: Served, tracking: Tracking, tmp_path: Path) -> None:
    before = len(runs(tracking))
    done = served.services.medu1(tmp_path, "run", MLFLOW_TRACKING_PASSWORD="not this one")
    assert "does not take the user trainer" in refusal(done)
    assert "tokenizer" not in done.stderr
    assert len(runs(tracking)) == before
    assert not (tmp_path / "store").exists()


def test_a_user_who_may_only_read_is_told_which_rights_are_missing(
    served: Served, tracking: Tracking, tmp_path: Path
) -> None:
    before = len(runs(tracking)), tracking.models.aliases("medu1"), tracking.models.promotions("medu1")
    target = "2" if before[1]["champion"] == "1" else "1"
    listed = served.services.medu1(tmp_path, "versions", account=READER)
    assert listed.returncode == 0
    for words in (("run",), ("promote", target, "--why", WHY)):
        told = refusal(served.services.medu1(tmp_path, *words, account=READER))
        assert "does not let the user reader do this" in told
        assert "EDIT" in told
    assert (len(runs(tracking)), tracking.models.aliases("medu1"), tracking.models.promotions("medu1")) == before


def test_a_server_that_is_away_is_one_paragraph(services: Services, tmp_path: Path) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    told = refusal(services.medu1(tmp_path, "run", MLFLOW_TRACKING_URI=away))
    assert f"{away} does not answer" in told
    assert not (tmp_path / "store").exists()


def test_an_address_with_a_password_is_refused_without_repeating_it(services: Services, tmp_path: Path) -> None:
    password = services.passwords[TRAINER]
    address = services.server.uri.replace("://", f"://{TRAINER}:{password}@")
    told = refusal(services.medu1(tmp_path, "versions", MLFLOW_TRACKING_URI=address))
    assert "MLFLOW_TRACKING_PASSWORD" in told
    assert password not in told


def runs(tracking: Tracking) -> list[Any]:
    return list(tracking.client.search_runs([tracking.experiment_id]))


# Secrets


def test_no_password_is_written_anywhere(served: Served, tmp_path: Path) -> None:
    """Not by the chain on this machine, in either database or either bucket, nor into the package of a cluster."""
    services, package = served.services, tmp_path / "retraining.yaml"
    images = ROOT / "tests" / "golden" / "images.json"
    compiled = services.command("compile", "--images", str(images), "--allow-skew", "--out", str(package))
    assert compiled.returncode == 0, compiled.stderr
    texts = {"package": package.read_bytes(), "shown": served.shown.encode()}
    texts |= {name: services.cluster.dump(name) for name in ("mlflow", "accounts")}
    texts |= {str(path): path.read_bytes() for path in served.home.rglob("*") if path.is_file()}
    for bucket in (ARTIFACTS, MODELS):
        for key in services.store.keys(bucket):
            texts[f"{bucket}/{key}"] = services.store.client.get_object(Bucket=bucket, Key=key)["Body"].read()
    assert b"medu1.step" in texts["mlflow"]
    assert b"reader" in texts["accounts"]
    assert any(name.endswith("kfp.log") for name in texts)
    assert any(name.endswith("journal.jsonl") for name in texts)
    for password in (*services.passwords.values(), services.cluster.password):
        assert [name for name, content in texts.items() if password.encode() in content] == []


# Two at once


@pytest.fixture(scope="module")
def processes() -> Any:
    """Processes that begin with MLflow imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mlflow", "boto3", "medu1.register.promotion"])
    return context


def race(variables: dict[str, str], home: Path, name: str, version: str, who: str, start: Any) -> None:
    """A promotion in a process of its own, begun with the other's."""
    import os
    import sys

    os.environ.update(variables)
    tracking = Tracking(Workspace(home=home, run=who, tracking_uri=variables["MLFLOW_TRACKING_URI"]))
    start.wait(60)
    try:
        promote(tracking, name, version, who, WHY)
    except Stop as stop:
        print(stop, file=sys.stderr)
        sys.exit(REFUSED)


def copied(tracking: Tracking, name: str) -> None:
    """A registered model whose version 1 is champion, 2 and 3 judged against it, all with real files."""
    trail.ensure(tracking, name, "")
    for number in ("1", "2", "2"):
        found = tracking.models.version("medu1", number)
        assert found
        tracking.client.create_model_version(name, found.source, found.run_id, tags=dict(found.tags))
    first = tracking.models.version(name, "1")
    assert first
    trail.enter(tracking, name, trail.FIRST, "1", first.tags, replaces="")


@pytest.mark.parametrize("turn", range(4))
def test_of_two_promotions_at_once_one_wins_and_the_log_has_both_or_the_loser_was_told(
    served: Served, tracking: Tracking, processes: Any, tmp_path: Path, turn: int
) -> None:
    name, start = f"race-{turn}", processes.Barrier(2)
    copied(tracking, name)
    racers = [
        processes.Process(target=race, args=(served.services.environment(TRAINER), tmp_path, name, version, who, start))
        for version, who in (("2", "ann"), ("3", "bob"))
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(120)
    assert sorted(racer.exitcode for racer in racers) == [PROMOTED, REFUSED]
    winner = "2" if racers[0].exitcode == PROMOTED else "3"
    entries = tracking.models.promotions(name)
    state = fold(entries)
    assert (state.champion, state.previous) == (winner, "1")
    assert tracking.models.aliases(name) == {"champion": winner, "previous": "1"}
    assert [each.number for each in entries] == list(range(1, len(entries) + 1))
    assert [each.target for each in entries if each.number not in state.void] == ["1", winner]
    assert all("was the champion by then" in why for why in state.void.values())
    again = promote(tracking, name, winner, "carol", WHY)
    assert again.already
