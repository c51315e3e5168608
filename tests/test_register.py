"""An accepted candidate becomes one version, with its lineage, however often it is registered."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from medu1 import record, result, stage
from medu1.errors import Stop
from medu1.judging import Decide
from medu1.manifest import DatasetManifest, EvaluationManifest, ModelManifest
from medu1.params import Registry
from medu1.register import card, files, hook, lineage, registry
from medu1.register.registry import register
from medu1.register.versions import versions
from medu1.report import Decision
from medu1.result import RunResult
from medu1.stage import Output, Stage
from medu1.tracking import Tracking
from medu1.workspace import Workspace

REGISTRY = Registry(name="medu1").canonical()
COMMIT = "a" * 40
SETS = {"ood/b": "2", "test/a": "1", "validation/a": "3"}

Register = Callable[..., tuple[str, str]]


@pytest.fixture
def workspace(tracked_home: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    workspace = Workspace(
        home=tracked_home, run="one", tracking_uri=f"sqlite:///{tracked_home / 'mlflow.db'}", commit=COMMIT, dirty=True
    )
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    for key, value in workspace.environment().items():
        monkeypatch.setenv(key, value)
    return workspace


def made(step: str, text: str) -> Output:
    """An output in the store that holds one file."""

    def make(running: Stage, folder: Path) -> dict[str, str]:
        (folder / "file.txt").write_text(text, encoding="utf-8")
        return {}

    return stage.produce(step, {"text": text}, {}, "code", make)


@pytest.fixture
def registered(workspace: Workspace) -> Register:
    """Registers a candidate of these weights with this evaluation over a champion; gives name and version."""

    def run(weights: str = "w1", evaluation: str = "e1", champion: str = "") -> tuple[str, str]:
        questions, start = made("prepare", "questions"), made("base", "base")
        model, judged = made("train", weights), made("evaluate", evaluation)
        text = register(
            REGISTRY,
            EvaluationManifest(
                key=judged.key, digest=evaluation, candidate=weights, champion=champion, frozen="f"
            ).text(),
            DatasetManifest(
                key=questions.key, digest="q", frozen="f", sets=SETS, rows={"train": 1}, data="d.dir"
            ).text(),
            ModelManifest(key=start.key, digest="b", base="builtin", revision="").text(),
            ModelManifest(key=model.key, digest=weights, base="builtin", revision="").text(),
        )
        found = json.loads(text)
        return found["name"], found["version"]

    return run


def test_the_first_version_is_champion_by_the_promotion_log(registered: Register, workspace: Workspace) -> None:
    assert registered() == ("medu1", "1")
    tracking = Tracking(workspace)
    (version,) = versions(tracking)
    assert version.aliases == ("champion",)
    (entry,) = tracking.models.promotions("medu1")
    assert (entry.target, entry.replaces, entry.evidence) == ("1", "", "e1")
    assert (entry.who, entry.why) == ("medu1 register", "first accepted version")


def test_a_later_version_challenges_and_leaves_the_champion(registered: Register, workspace: Workspace) -> None:
    registered("w1", "e1")
    assert registered("w2", "e2") == ("medu1", "2")
    newest, first = versions(Tracking(workspace))
    assert (newest.aliases, first.aliases) == (("challenger",), ("champion",))


def test_the_same_weights_and_evaluation_are_one_version(registered: Register, workspace: Workspace) -> None:
    registered()
    assert registered() == ("medu1", "1")
    assert len(versions(Tracking(workspace))) == 1


def test_an_interrupted_registration_is_completed(registered: Register, workspace: Workspace) -> None:
    registered()
    client = Tracking(workspace).client
    for alias in ("champion", "challenger"):
        client.delete_registered_model_alias("medu1", alias)
    registered()
    assert versions(Tracking(workspace))[0].aliases == ("champion",)


def test_a_registration_killed_before_its_champion_is_completed(
    registered: Register, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(registry, "_challenge", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            registered()
    assert versions(Tracking(workspace))[0].aliases == ()
    assert registered() == ("medu1", "1")
    assert versions(Tracking(workspace))[0].aliases == ("champion",)


def test_a_version_whose_answer_is_lost_is_found_and_not_made_twice(
    registered: Register, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = MlflowClient.create_model_version

    def lost(*words: Any, **named: Any) -> None:
        create(*words, **named)
        raise MlflowException("API request failed")

    monkeypatch.setattr(MlflowClient, "create_model_version", lost)
    assert registered() == ("medu1", "1")
    assert [(each.version, each.aliases) for each in versions(Tracking(workspace))] == [("1", ("champion",))]
    assert len(Tracking(workspace).models.promotions("medu1")) == 1


def test_the_same_weights_judged_against_another_champion_are_another_version(
    registered: Register, workspace: Workspace
) -> None:
    registered()
    registered("w2", "e2", "")
    assert registered("w2", "e2", "w1") == ("medu1", "3")
    newest, *_ = versions(Tracking(workspace))
    assert (newest.aliases, newest.lineage["medu1.champion"]) == (("challenger",), "w1")


def test_the_files_of_a_version_are_held_to_their_digest(registered: Register, workspace: Workspace) -> None:
    registered()
    tracking = Tracking(workspace)
    version = tracking.models.version("medu1", "1")
    assert version
    files.check(tracking, version)
    (Path(version.source.removeprefix("file://")) / "file.txt").write_text("w9", encoding="utf-8")
    with pytest.raises(Stop, match=r"changed: file\.txt"):
        files.check(tracking, version)


def test_lineage_names_data_code_parameters_and_runs(registered: Register, workspace: Workspace) -> None:
    registered()
    (version,) = versions(Tracking(workspace))
    lineage = version.lineage
    expected = {
        "medu1.weights": "w1",
        "medu1.evaluation": "e1",
        "medu1.base": "builtin",
        "medu1.data": "d.dir",
        "medu1.frozen": "f",
        "medu1.commit": f"{COMMIT}-dirty",
    }
    assert expected.items() <= lineage.items()
    assert len(lineage["medu1.params"]) == 64
    assert json.loads(lineage["medu1.sets"]) == {"ood/b": "2", "test/a": "1"}  # no model is judged on validation
    runs = {run.info.run_id: run.info.run_name for run in Tracking(workspace).tree()}
    steps = ("train", "evaluate", "prepare", "base")
    assert [runs[lineage[f"medu1.{step}_run"]] for step in steps] == list(steps)


def test_the_run_holds_the_card_and_the_lineage_before_there_is_a_version(
    registered: Register, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "create_model_version", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            registered()
    tracking = Tracking(workspace)
    killed = next(run for run in tracking.tree() if run.info.run_name == "register")
    assert tracking.files(killed.info.run_id, "") == {card.NAME, lineage.NAME, lineage.PARAMS, lineage.CHECKSUMS}
    registered()
    (version,) = versions(tracking)
    run = version.lineage[lineage.REGISTER_RUN]
    assert run != killed.info.run_id
    assert card.NAME in tracking.files(run, "")


def test_the_card_names_every_set_the_version_was_judged_on(registered: Register, workspace: Workspace) -> None:
    registered()
    (version,) = versions(Tracking(workspace))
    run = version.lineage[lineage.REGISTER_RUN]
    text = Path(Tracking(workspace).client.download_artifacts(run, card.NAME)).read_text(encoding="utf-8")
    assert "| ood/b | 2 |\n| test/a | 1 |" in text
    assert "validation/a" not in text


def test_a_version_names_the_champion_it_was_judged_against(registered: Register, workspace: Workspace) -> None:
    registered("w1", "e1")
    registered("w2", "e2", "w1")
    registered("w3", "e3", "w9")  # a champion that is not in the registry
    newest, second, first = versions(Tracking(workspace))
    parents = [each.lineage.get(lineage.PARENT) for each in (first, second, newest)]
    assert parents == [None, "1", None]
    assert second.lineage[lineage.EVALUATION_KEY].startswith("evaluate/")


def test_the_decision_and_sections_of_this_run_are_read_back(registered: Register, workspace: Workspace) -> None:
    decision = Decision(passed=True, reasons=("Met: it is better.",), incumbent="base")
    section = Decide(
        min_gain=0.0, alpha=0.05, spending="series", veto=0.05, above_chance=True, max_truncated=None, max_malformed=0.1
    )
    with stage.tracked("decide", {"decide": section.model_dump(mode="json")}) as running:
        path = workspace.home / "decision.json"
        path.write_text(decision.model_dump_json(), encoding="utf-8")
        running.tracking.artifact(running.run, path)
    found = lineage.decided(Tracking(workspace))
    assert found.decision == decision
    assert found.sections == {"decide": section.model_dump(mode="json")}
    registered()
    assert "it is better" in Tracking(workspace).client.get_model_version("medu1", "1").description


def test_a_first_champion_is_told_to_the_hook_and_a_hook_that_fails_fails_nothing(
    registered: Register, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(hook.HOOK, "false")
    assert registered() == ("medu1", "1")
    journal = workspace.journal.read_text(encoding="utf-8")
    assert "warning: The promotion stands" in journal
    monkeypatch.setenv(hook.HOOK, "true")
    registered()
    (entry,) = Tracking(workspace).models.versions("medu1-promotions")
    assert hook.TOLD in entry.tags


def test_the_version_points_at_the_model_in_the_store(registered: Register, workspace: Workspace) -> None:
    registered()
    (version,) = versions(Tracking(workspace))
    folder = Path(version.source.removeprefix("file://"))
    assert folder == workspace.home / "store" / version.lineage["medu1.key"]
    assert record.read(folder)


def test_the_command_line_hears_of_a_new_version_once(registered: Register, workspace: Workspace) -> None:
    decision = Decision(passed=True, reasons=("Met.",), incumbent="base")
    for new in (True, False):
        result.write(workspace, RunResult(evaluation="e", report="r", decision=decision, version=None))
        registered()
        told = result.read(workspace)
        assert told is not None
        assert (told.version, told.registered) == ("1", new)
