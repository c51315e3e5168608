"""A version's parameters, data pin and commit are restored as far as they are known, and what differs is told."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from compared import MODEL
from medu1 import stage
from medu1.errors import Stop
from medu1.params import Params
from medu1.prepare.versions.pin import Pin
from medu1.register import trail
from medu1.stage import Output, Stage
from medu1.tracking import Tracking
from medu1.workspace import Workspace
from pipelines import cli, registered, reproduction

ROOT = Path(__file__).parents[1]
RUN = "20260101-000000-abcd"
GIVEN: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
PARAMS: dict[str, Any] = Params.read(GIVEN).model_dump(mode="json")
PIN = "outs:\n- md5: {}.dir\n  size: 1\n  nfiles: 1\n  hash: md5\n  path: data\n"
THEN = "a" * 32
FREE = {"train": ("base_model", "revision", "save_every"), "prepare": ("repository", "revision", "dvc_remote")}


def git(place: Path, *words: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *words], cwd=place, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a commit that pins data and has parameters; the working directory."""
    found = tmp_path / "repository"
    found.mkdir()
    git(found, "init", "-q")
    write(found, THEN, PARAMS)
    git(found, "add", ".")
    git(found, "commit", "-q", "-m", "then")
    monkeypatch.chdir(found)
    for name in [name for name in os.environ if name.startswith(("MEDU1_", "MLFLOW_", "GIT_"))]:
        monkeypatch.delenv(name)
    return found


def write(place: Path, digest: str, params: Mapping[str, Any]) -> None:
    (place / "data.dvc").write_text(PIN.format(digest), encoding="utf-8")
    (place / "params.yaml").write_text(yaml.safe_dump(dict(params), sort_keys=False), encoding="utf-8")


@pytest.fixture
def tracking(place: Path, tracked_home: Path, monkeypatch: pytest.MonkeyPatch) -> Tracking:
    uri = f"sqlite:///{tracked_home / 'mlflow.db'}"
    workspace = Workspace(home=tracked_home, run=RUN, tracking_uri=uri, commit=git(place, "rev-parse", "HEAD"))
    for key, value in workspace.environment().items():
        monkeypatch.setenv(key, value)
    for name in ("MLFLOW_TRACKING_URI", "MEDU1_COMMIT"):
        monkeypatch.delenv(name)
    return Tracking(workspace)


def step(name: str, params: Mapping[str, Any]) -> Output:
    def make(running: Stage, folder: Path) -> dict[str, str]:
        (folder / "file.txt").write_text(name, encoding="utf-8")
        return {}

    return stage.produce(name, params, {}, f"code-{name}", make)


def section(name: str) -> dict[str, Any]:
    """As a step's record has it: without what changes no result."""
    return {key: value for key, value in PARAMS[name].items() if key not in FREE.get(name, ())}


@pytest.fixture
def trained(tracking: Tracking) -> Tracking:
    """Version 1, of a clean commit."""
    register(tracking)
    return tracking


def register(tracking: Tracking, **tags: str) -> None:
    made = {
        "base": step("base", section("base")),
        "prepare": step("prepare", {**section("prepare"), "tables": []}),
        "train": step("train", {"train": section("train"), "scoring": section("scoring")}),
        "evaluate": step("evaluate", {"evaluate": section("evaluate"), "scoring": section("scoring")}),
    }
    with stage.tracked("decide", {"decide": {**section("decide"), "min_gain": 0.25}}):
        pass
    told = {
        "medu1.commit": tracking.workspace.commit,
        "medu1.data": f"{THEN}.dir",
        "medu1.base": "builtin",
        **{f"medu1.{name}_run": output.record.mlflow_run for name, output in made.items()},
        **{f"medu1.{key}": value for key, value in tags.items()},
    }
    trail.ensure(tracking, MODEL, "")
    tracking.client.create_model_version(MODEL, "file:///nowhere", None, told)


def requested(home: Path, params: Mapping[str, Any]) -> None:
    """What the command line leaves beside the run's journal."""
    folder = home / "runs" / RUN
    folder.mkdir(parents=True, exist_ok=True)
    arguments = {**{name: json.dumps(of) for name, of in params.items()}, "data": "{}"}
    (folder / "request.json").write_text(json.dumps({"step": None, "arguments": arguments}), encoding="utf-8")


def run(home: Path, *words: str) -> Result:
    return CliRunner().invoke(cli.app, ["reproduce", *words, "--home", str(home)])


def restored(home: Path, *words: str) -> dict[str, Any]:
    done = run(home, "1", "--json", *words)
    assert done.exit_code == 0, done.exception
    found: dict[str, Any] = json.loads(done.output)
    return found


def differing(told: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    return {each["what"]: (each["then"], each["now"]) for each in told["differences"]}


# Parameters


def test_the_request_of_the_run_gives_the_parameters_whole(trained: Tracking, place: Path) -> None:
    then = {**PARAMS, "train": {**PARAMS["train"], "steps": 7, "save_every": 1, "validation": {
        "every": 1, "questions": 5, "patience": 0}}}  # fmt: skip
    requested(trained.workspace.home, then)
    told = restored(trained.workspace.home)
    text = (place / "reproduce-1" / "params.yaml").read_text(encoding="utf-8")
    assert Params.read(yaml.safe_load(text)).model_dump(mode="json") == then
    assert list(yaml.safe_load(text)) == list(Params.model_fields)
    assert differing(told)["params train.steps"] == (str(7), str(PARAMS["train"]["steps"]))
    assert not any("No run wrote these down" in note for note in told["notes"])


def test_records_and_the_commits_file_complete_each_other(trained: Tracking, place: Path) -> None:
    """The parameters here have moved on; the commit's have what no record holds."""
    now = {**PARAMS, "train": {**PARAMS["train"], "steps": 7, "save_every": 5}}
    write(place, THEN, now)
    told = restored(trained.workspace.home)
    found = yaml.safe_load((place / "reproduce-1" / "params.yaml").read_text(encoding="utf-8"))
    assert found == {**PARAMS, "decide": {**PARAMS["decide"], "min_gain": 0.25}}
    assert differing(told)["params train.save_every"] == (str(PARAMS["train"]["save_every"]), "5")
    (note,) = [note for note in told["notes"] if "No run wrote these down" in note]
    assert "as in params.yaml of its commit" in note
    assert "train.save_every" in note
    assert "train.steps" not in note
    assert "decide.min_gain" not in note


def test_a_mapping_is_restored_as_it_was_and_not_merged(trained: Tracking, place: Path) -> None:
    now = {**PARAMS, "train": {**PARAMS["train"], "grpo": {"beta": 0.1}}}
    write(place, THEN, now)
    git(place, "commit", "-q", "-a", "-m", "now")
    register(trained, commit=git(place, "rev-parse", "HEAD"))
    reproduction.reproduce(trained, MODEL, "2", None, Path("params.yaml"), False)
    assert yaml.safe_load((place / "reproduce-2" / "params.yaml").read_text("utf-8"))["train"]["grpo"] == {}


def test_the_registrations_own_parameters_are_preferred_to_the_records(trained: Tracking, tmp_path: Path) -> None:
    kept = tmp_path / "params.json"
    kept.write_text(json.dumps({"audit": {"max_false_accept": 0.5, "max_false_reject": 0.5}}), encoding="utf-8")
    with stage.tracked("register", {}) as running:
        running.tracking.artifact(running.run, kept)
        register(trained, register_run=running.run)
    made = reproduction.reproduce(trained, MODEL, "2", tmp_path / "out", Path("params.yaml"), False)
    assert yaml.safe_load((made.folder / "params.yaml").read_text("utf-8"))["audit"]["max_false_accept"] == 0.5


def test_sources_that_lie_elsewhere_are_not_made_up(trained: Tracking, tmp_path: Path) -> None:
    output = step("prepare", {**section("prepare"), "sources": ["medquad"], "tables": []})
    register(trained, prepare_run=output.record.mlflow_run, data=f"{THEN}.dir {'c' * 32}")
    made = reproduction.reproduce(trained, MODEL, "2", tmp_path / "out", Path("params.yaml"), False)
    assert any("prepare.sources" in note for note in made.notes)
    assert any(f"1 source files beside the pinned data must have the MD5 {'c' * 32}" in note for note in made.notes)


def test_values_survive_the_file(trained: Tracking, place: Path) -> None:
    small = {**PARAMS, "train": {**PARAMS["train"], "learning_rate": 1e-06}}
    requested(trained.workspace.home, small)
    restored(trained.workspace.home)
    found = yaml.safe_load((place / "reproduce-1" / "params.yaml").read_text(encoding="utf-8"))
    assert found["train"]["learning_rate"] == 1e-06


# Data


def test_the_pin_is_the_commits_whatever_is_pinned_now(trained: Tracking, place: Path) -> None:
    write(place, "b" * 32, PARAMS)
    told = restored(trained.workspace.home)
    assert (place / "reproduce-1" / "data.dvc").read_text(encoding="utf-8") == PIN.format(THEN)
    assert told["files"]["data.dvc"].startswith("commit ")
    assert differing(told)["data"] == (f"{THEN}.dir", f"{'b' * 32}.dir")


def test_a_pin_that_no_commit_has_is_written_from_the_digest(trained: Tracking, tmp_path: Path) -> None:
    register(trained, data=f"{'d' * 32}.dir")
    made = reproduction.reproduce(trained, MODEL, "2", tmp_path / "out", Path("params.yaml"), False)
    assert Pin.read(made.folder / "data.dvc").digest == f"{'d' * 32}.dir"
    assert any("the one written names it" in note for note in made.notes)
    assert any(command.startswith("cp ") for command in made.commands)


# Code


def test_a_dirty_commit_cannot_be_restored_exactly(trained: Tracking, tmp_path: Path) -> None:
    register(trained, commit=f"{trained.workspace.commit}-dirty")
    made = reproduction.reproduce(trained, MODEL, "2", tmp_path / "out", Path("params.yaml"), False)
    assert any("changes that are in no commit" in note for note in made.notes)


def test_a_commit_that_is_not_here_is_told(trained: Tracking, tmp_path: Path) -> None:
    register(trained, commit="e" * 40)
    made = reproduction.reproduce(trained, MODEL, "2", tmp_path / "out", Path("params.yaml"), False)
    assert any("is not in this repository" in note for note in made.notes)
    with pytest.raises(Stop, match="cannot be checked out"):
        reproduction.reproduce(trained, MODEL, "2", tmp_path / "again", Path("params.yaml"), True)


def test_the_commands_check_out_and_run_the_checkouts_own_sources(trained: Tracking, place: Path) -> None:
    first, last = restored(trained.workspace.home)["commands"]
    code = place / "reproduce-1" / "code"
    assert first == f"git worktree add --detach {code} {trained.workspace.commit}"
    assert f"PYTHONPATH={code / 'components'}:{code}" in last
    assert last.endswith(f"run --params {code.parent / 'params.yaml'} --home {code.parent / 'home'}")
    subprocess.run(first, shell=True, check=True, capture_output=True)
    assert git(code, "rev-parse", "HEAD") == trained.workspace.commit


def test_checkout_makes_the_worktree(trained: Tracking, place: Path) -> None:
    told = restored(trained.workspace.home, "--checkout")
    assert (place / "reproduce-1" / "code" / "data.dvc").is_file()
    assert [command.partition(" ")[0] for command in told["commands"]] == ["cd"]


def test_code_packages_and_commit_are_held_against_what_is_here(trained: Tracking, place: Path) -> None:
    (place / "params.yaml").write_text(yaml.safe_dump(PARAMS) + "# changed\n", encoding="utf-8")
    told = restored(trained.workspace.home)
    assert differing(told)["code train"][0] == "code-train"
    assert "package torch" in told["same"]
    commit = trained.workspace.commit
    assert differing(told)["commit"] == (commit, f"{commit}-dirty")
    assert not [what for what in differing(told) if what.startswith("params ") and "min_gain" not in what]


def test_a_person_reads_the_same(trained: Tracking, place: Path) -> None:
    done = run(trained.workspace.home, "1")
    assert done.exit_code == 0
    assert "medu1 1, restored in reproduce-1" in done.output
    assert "code train: code-train -> " in done.output
    assert done.output.splitlines()[-1].strip().startswith("cd ")


# What stops


def test_what_stands_in_the_folder_is_kept(trained: Tracking, place: Path) -> None:
    (place / "reproduce-1").mkdir()
    kept = place / "reproduce-1" / "mine.txt"
    kept.write_text("mine", encoding="utf-8")
    done = run(trained.workspace.home, "1")
    assert isinstance(done.exception, Stop)
    assert "is not empty" in str(done.exception)
    assert [path.name for path in kept.parent.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(("words", "said"), [(("9",), "no version '9'"), (("1", "--name", "x"), "no version of x")])
def test_an_unknown_version_stops_and_writes_nothing(
    words: tuple[str, ...], said: str, trained: Tracking, place: Path
) -> None:
    done = run(trained.workspace.home, *words)
    assert said in str(done.exception)
    assert not list(place.glob("reproduce*"))


def test_runs_that_are_gone_are_told(trained: Tracking, place: Path) -> None:
    version = registered.find(trained, MODEL, "1")
    trained.client.delete_run(version.tags["medu1.train_run"])
    trained.client.set_model_version_tag(MODEL, "1", "medu1.base_run", "0" * 32)
    told = restored(trained.workspace.home)
    assert any("The record of base is gone" in note for note in told["notes"])
