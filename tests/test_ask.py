"""A question to a registered model: the champion answers, after its files are proven, and its text stays text."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner, Result

from medu1 import stage
from medu1.completion import Completion
from medu1.errors import Stop
from medu1.prompt import user_text
from medu1.question import Choice, Date, FreeText, Gold, Number, WeeksDays
from medu1.register import files, trail
from medu1.stage import Stage
from medu1.tracking import Tracking
from medu1.workspace import Workspace
from models import write_tiny
from pipelines import asking, cli
from pipelines.asking import NOTICE, Answered
from pipelines.terminal import line, shown
from s3 import S3
from training import TINY

NAME = "medu1"
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("model"), ["Which drug thins the blood?"] * 5, TINY)


@pytest.fixture
def workspace(tracked_home: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    found = Workspace(home=tracked_home, run="one", tracking_uri=f"sqlite:///{tracked_home / 'mlflow.db'}")
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    for key, value in found.environment().items():
        monkeypatch.setenv(key, value)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    return found


def train(model: Path, seed: int = 0) -> stage.Output:
    """The model as the step train leaves it."""

    def make(running: Stage, folder: Path) -> dict[str, int]:
        for path in model.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        return {"seed": seed}

    return stage.produce("train", {"train": {"max_completion_tokens": 6, "seed": seed}}, {}, "code", make)


def register(tracking: Tracking, output: stage.Output, source: str = "", champion: bool = True) -> str:
    tags = {
        "medu1.weights": f"w{output.key}",
        "medu1.key": output.key,
        "medu1.files": files.digest(output.record.outputs),
        "medu1.train_run": output.record.mlflow_run,
        "medu1.champion": "",
        "medu1.evaluation": "e",
    }
    trail.ensure(tracking, NAME, "")
    found = tracking.client.create_model_version(NAME, source or output.folder.as_uri(), None, tags)
    if champion:
        trail.enter(tracking, NAME, trail.FIRST, str(found.version), tags, replaces="")
    return str(found.version)


@pytest.fixture
def tracking(workspace: Workspace, model: Path) -> Tracking:
    """Version 1 is champion."""
    found = Tracking(workspace)
    register(found, train(model))
    return found


def run(home: Path, *words: str, said: str | bytes = "") -> Result:
    return CliRunner().invoke(cli.app, ["ask", *words, "--home", str(home)], input=said)


def stopped(result: Result) -> str:
    assert isinstance(result.exception, Stop), result.output
    return str(result.exception)


# The prompt


def asked(form: str, options: tuple[str, ...] = ()) -> str:
    return user_text(asking.question("Which?", "A note.", options, form))


@pytest.mark.parametrize(
    ("form", "gold"),
    [
        ("", FreeText(text="some")),
        ("text", FreeText(text="other")),
        ("number", Number(value=3.5)),
        ("date", Date(value="12/31/1999")),
        ("weeks_days", WeeksDays(weeks=3, days=2)),
    ],
)
def test_the_prompt_is_that_of_a_question_with_any_gold_of_its_kind(form: str, gold: Gold) -> None:
    known = asking.question("Which?", "A note.", (), form).model_copy(update={"gold": gold})
    assert asked(form) == user_text(known)


@pytest.mark.parametrize("letter", ["A", "B"])
def test_the_prompt_of_a_choice_does_not_tell_which_is_right(letter: str) -> None:
    made = asking.question("Which?", "", ("A=one", "b = two"), "")
    assert user_text(made) == user_text(made.model_copy(update={"gold": Choice(letter=letter)}))
    assert "A: one\nB: two\nAnswer with one option letter only." in user_text(made)


@pytest.mark.parametrize(
    ("options", "form", "said"),
    [
        (("A=one",), "", "one option only"),
        (("A=one", "A=two"), "", "two options A"),
        (("A=one", "two"), "", "'two' is no option"),
        (("A=one", "AB=two"), "", "is no option"),
        (("A=one", "B="), "", "is no option"),
        (("A=one", "\u00c4=two"), "", "is no option"),
        (("A=one", "B=two"), "number", "do not go together"),
        ((), "poem", "no form of answer 'poem'"),
        (("A=" + "x" * 200_000, "B=two"), "", "characters long"),
    ],
)
def test_a_wrong_question_stops(options: tuple[str, ...], form: str, said: str) -> None:
    with pytest.raises(Stop, match=said):
        asking.question("Which?", "", options, form)


# The answer


def test_the_champion_answers_with_the_notice(tracking: Tracking) -> None:
    done = run(tracking.workspace.home, "Which drug thins the blood?")
    assert done.exit_code == 0, done.exception
    assert done.output.splitlines()[-1] == f"medu1 1, 6 tokens. {NOTICE}"


def test_json_tells_everything_and_the_same_every_time(tracking: Tracking) -> None:
    first, again = (json.loads(run(tracking.workspace.home, "Which?", "--json").output) for _ in range(2))
    assert first == again
    assert first.keys() == {
        *("name", "version", "weights", "reasoning", "answer", "reason", "completion", "tokens", "finish", "notice")
    }
    assert (first["version"], first["finish"], first["tokens"], first["answer"]) == ("1", "length", 6, None)


def test_a_version_or_an_alias_is_asked_instead(tracking: Tracking, model: Path) -> None:
    register(tracking, train(model, seed=1), champion=False)
    tracking.client.set_registered_model_alias(NAME, "challenger", "2")
    for words in (("--version", "2"), ("--alias", "challenger")):
        assert json.loads(run(tracking.workspace.home, "Which?", "--json", *words).output)["version"] == "2"


def test_tokens_are_limited_as_asked(tracking: Tracking) -> None:
    done = run(tracking.workspace.home, "Which?", "--json", "--max-tokens", "3", "--budget", "20")
    assert json.loads(done.output)["tokens"] == 3


def test_a_dash_reads_the_question_from_standard_input(tracking: Tracking) -> None:
    piped = run(tracking.workspace.home, "-", "--json", said="Which drug?\n")
    assert piped.output == run(tracking.workspace.home, "Which drug?", "--json").output
    assert "no question" in stopped(run(tracking.workspace.home, "-", said=" \n"))


def test_a_question_longer_than_the_model_reads_stops(tracking: Tracking) -> None:
    assert "more than the" in stopped(run(tracking.workspace.home, "word " * 3000))


# Whose files


def test_a_tampered_file_is_never_loaded(tracking: Tracking, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder,) = (tracking.workspace.home / "store" / "train").iterdir()
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"\1\1\1\1")
    monkeypatch.setattr("medu1.generation.local.load", lambda folder: pytest.fail("loaded"))
    assert "changed: model.safetensors" in stopped(run(tracking.workspace.home, "Which?"))


def test_an_added_file_is_never_loaded(tracking: Tracking) -> None:
    (folder,) = (tracking.workspace.home / "store" / "train").iterdir()
    (folder / "added_tokens.json").write_text("{}", encoding="utf-8")
    assert "added: added_tokens.json" in stopped(run(tracking.workspace.home, "Which?"))


def test_files_that_are_gone_stop(tracking: Tracking) -> None:
    (folder,) = (tracking.workspace.home / "store" / "train").iterdir()
    (folder / "config.json").unlink()
    assert "missing: config.json" in stopped(run(tracking.workspace.home, "Which?"))


def test_a_model_in_the_object_store_is_fetched_and_a_changed_copy_of_it_refused(
    workspace: Workspace, model: Path, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = f"s3://{s3.bucket()}/medu1"
    monkeypatch.setenv("MEDU1_STORE", store)
    tracking = Tracking(workspace.model_copy(update={"store": store}))
    output = train(model)
    register(tracking, output, source=f"{store}/{output.key}")
    assert run(workspace.home, "Which?").exit_code == 0
    copy = output.folder / "model.safetensors"
    copy.write_bytes(copy.read_bytes()[:-4] + b"\1\1\1\1")
    said = stopped(run(workspace.home, "Which?"))
    assert "The copy of version 1 of medu1 on this machine is not what was registered" in said
    assert "Delete the copy" in said


def test_a_model_among_mlflows_artifacts_is_fetched(workspace: Workspace, model: Path, tmp_path: Path) -> None:
    """As behind a server, where no path of this machine is registered."""
    tracking = Tracking(workspace)
    output = train(model)
    run_id = output.record.mlflow_run
    tracking.client.log_artifacts(run_id, str(output.folder), "model")
    root = tracking.client.get_run(run_id).info.artifact_uri
    register(tracking, output, source=f"{root}/model".replace("file://", "mlflow-artifacts:"))
    output.folder.rename(tmp_path / "away")
    done = run(workspace.home, "Which?")
    assert done.exit_code == 0, done.exception


def test_without_a_champion_it_stops(workspace: Workspace, model: Path) -> None:
    assert "The registry has no version of medu1" in stopped(run(workspace.home, "Which?"))
    register(Tracking(workspace), train(model), champion=False)
    assert "medu1 has no champion" in stopped(run(workspace.home, "Which?"))


def test_an_empty_home_stops_and_stays_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert "is empty" in stopped(run(tmp_path / "none", "Which?"))
    assert not (tmp_path / "none").exists()


def test_a_training_whose_record_is_gone_needs_the_limit(tracking: Tracking) -> None:
    tracking.client.set_model_version_tag(NAME, "1", "medu1.train_run", "0" * 32)
    assert "Say it with --max-tokens" in stopped(run(tracking.workspace.home, "Which?"))
    assert run(tracking.workspace.home, "Which?", "--max-tokens", "2").exit_code == 0


# On a terminal

HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202eevil\u2066\x00\rover[bold]text[/bold]"


def told(text: str) -> str:
    """On a terminal with colours."""
    answered = Answered(NAME, "1", "w", text, text, "", Completion(question_id="q", text=text, tokens=3))
    written = io.StringIO()
    asking.show(answered, Console(file=written, force_terminal=True, width=200))
    return written.getvalue()


def test_what_a_model_writes_moves_no_cursor_and_sets_no_colour() -> None:
    written = told(HOSTILE)
    assert "\x1b[2J" not in written
    assert not {"\x07", "\x9b", "\x00", "\r", "\u202e", "\u2066"} & set(written)
    assert {part.partition("m")[0] for part in written.split("\x1b[")[1:]} <= {"0", "1", "2"}  # off, bold, dim
    assert "[bold]text[/bold]" in written


@given(st.text())
def test_no_control_or_format_character_is_shown(text: str) -> None:
    assert not any(ord(each) < 32 and each not in "\n\t" for each in shown(text))
    assert "\n" not in line(text)
    assert shown(shown(text)) == shown(text)


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("<think> because </think><answer> B </answer>", "because", "B"),
        ("<think> because", "because", None),
        ("only text", "only text", None),
    ],
)
def test_reasoning_and_answer_are_told_apart(
    text: str, reasoning: str, answer: str | None, tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = Completion(question_id="asked", text=text, tokens=4, finish="stop")
    monkeypatch.setattr("medu1.generation.greedy.complete", lambda *words, **named: [written])
    found: dict[str, Any] = json.loads(run(tracking.workspace.home, "Which?", "--json").output)
    assert (found["reasoning"], found["answer"]) == (reasoning, answer)
