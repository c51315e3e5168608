"""`medu1 run --runner docker`: what is refused before anything starts, what a container gets, and the real thing.

Tests with the marker `containers` need a Docker engine; the others need none.
"""

import json
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import contained
from contained import LONG
from engine import Engine
from medu1 import journal, result
from medu1.errors import Interrupted, Stop
from medu1.journal import Event
from medu1.params import Prepare
from medu1.report import Decision
from medu1.workspace import Workspace
from mlflow_server import free_port
from pipelines import admission, completeness, containers, engine, guard, local
from pipelines.images import Images
from pipelines.request import read_params
from tiny import ROOT, medu1

DIGEST = "sha256:" + "0" * 64
ABSENT = Images(cpu=f"127.0.0.1:9/medu1@{DIGEST}", gpu=f"127.0.0.1:9/medu1@{DIGEST}", commit="")
SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "hidden-aws",
    "MLFLOW_TRACKING_PASSWORD": "hidden-mlflow",
    "MEDU1_ENDPOINT_KEY": "hidden-endpoint",
    "HF_TOKEN": "hidden-hub",
}


def workspace(home: Path, run: str = "r", **changed: str) -> Workspace:
    return Workspace(home=home, run=run, tracking_uri=f"sqlite:///{home / 'mlflow.db'}").model_copy(update=changed)


def listed(folder: Path, images: Images = ABSENT) -> Path:
    path = folder / "images.json"
    path.write_text(images.model_dump_json())
    return path


def silent(_: str) -> None:
    """Nobody is told."""


# What is refused


def test_a_runner_that_is_none_is_named(tmp_path: Path) -> None:
    done = medu1("run", tmp_path, "--runner", "podman")
    assert done.returncode == 2
    assert "There is no runner 'podman'." in done.stderr


def test_without_an_image_list_nothing_starts(tmp_path: Path) -> None:
    with pytest.raises(Stop, match=r"The image list .* cannot be read"):
        admission.admitted(admission.Asked(tmp_path / "none.json"), {}, workspace(tmp_path), silent)


def test_images_of_another_commit_are_refused(tmp_path: Path) -> None:
    path = listed(tmp_path, ABSENT.model_copy(update={"commit": "a" * 40}))
    with pytest.raises(Stop, match=r"of commit a{12}, this checkout is at b{12}.*--allow-skew"):
        admission.admitted(admission.Asked(path), {}, workspace(tmp_path, commit="b" * 40), silent)


def test_images_of_uncommitted_changes_are_of_their_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    path = listed(tmp_path, ABSENT.model_copy(update={"commit": "b" * 40 + "-dirty"}))
    with pytest.raises(Stop, match="Docker engine"):  # the next thing that is looked at
        admission.admitted(admission.Asked(path), {}, workspace(tmp_path, commit="b" * 40), silent)


def test_an_engine_that_is_not_there_is_told_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(Stop, match=r"Docker engine .*--runner subprocess"), engine.connected():
        pass


def test_an_engine_that_is_stopped_is_told_from_one_that_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "engine.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(place))  # as a killed engine leaves it: nobody listens
    monkeypatch.setenv("DOCKER_HOST", f"unix://{place}")
    with pytest.raises(Stop, match="does not run"), engine.connected():
        pass
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Stop, match="no Docker engine on this machine"), engine.connected():
        pass


def test_a_user_without_rights_on_the_socket_is_told_of_the_group() -> None:
    refusal = engine._unreachable("unix:///run/docker.sock", PermissionError(13, "Permission denied"))
    assert "group docker" in str(refusal)


def test_an_engine_of_another_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.1:2375")
    with pytest.raises(Stop, match="not on this machine"), engine.connected():
        pass


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("manifest for x not found: manifest unknown: manifest unknown", "does not have this digest"),
        ('Get "http://127.0.0.1:9/v2/": dial tcp 127.0.0.1:9: connect: connection refused', "does not answer"),
        ('Get "https://r.example/v2/": dial tcp: lookup r.example: no such host', "does not answer"),
        ("pull access denied for x, repository does not exist or may require 'docker login'", "docker login"),
        ("no space left on device", "no space left"),
    ],
)
def test_why_an_image_cannot_be_pulled_is_told_apart(told: str, expected: str) -> None:
    assert expected in str(engine._not_pulled(f"127.0.0.1:9/medu1@{DIGEST}", told))


# What a container gets


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Arguments that name files and folders of this machine in every place they can."""
    for name in ("model", "repository", "remote", "sources", "me"):
        (tmp_path / name).mkdir()
    (tmp_path / "sources" / "q.jsonl").write_text("{}")
    (tmp_path / "repository" / ".dvc").mkdir()
    (tmp_path / "me" / ".netrc").write_text("")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    for name in ("HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    changed = {
        "sources": (f"medquad:{tmp_path}/sources/q.jsonl",),
        "repository": str(tmp_path / "repository"),
        "revision": "a" * 40,
        "dvc_remote": str(tmp_path / "remote"),
    }
    prepare: Prepare = read_params(ROOT / "params.yaml", []).prepare.model_copy(update=changed)
    return {"prepare": prepare.canonical(), "base_model": str(tmp_path / "model")}


def test_what_parameters_name_is_there_to_be_read_and_the_home_to_be_written(
    asked: dict[str, Any], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    binds = {bind.path: bind.writable for bind in containers._binds(asked, workspace(home))}
    assert {
        str(path.relative_to(tmp_path)): writable for path, writable in binds.items() if tmp_path in path.parents
    } == {
        "home": True,
        "me/.cache/huggingface": True,
        "model": False,
        "repository": False,
        "repository/.dvc/tmp": True,
        "remote": False,
        "sources/q.jsonl": False,
        "me/.netrc": False,
    }


def test_a_database_elsewhere_can_be_written(asked: dict[str, Any], tmp_path: Path) -> None:
    place = workspace(tmp_path / "home", tracking_uri=f"sqlite:///{tmp_path}/elsewhere/mlflow.db")
    assert containers.Bind(path=tmp_path / "elsewhere", writable=True) in list(containers._binds(asked, place))


def test_a_container_gets_addresses_and_keys_and_nothing_of_this_machine_s_paths() -> None:
    given = {
        **SECRETS,
        "MEDU1_RUN": "r",
        "HTTPS_PROXY": "http://proxy",
        "PATH": "/x",
        "PYTHONPATH": "/y",
        "EDITOR": "z",
    }
    passed = containers.environment({**given, "MEDU1_IMAGE": "this one's"})
    assert passed.items() >= {**SECRETS, "MEDU1_RUN": "r", "HTTPS_PROXY": "http://proxy"}.items()
    assert not passed.keys() & {"PATH", "PYTHONPATH", "EDITOR", "MEDU1_IMAGE"}


def test_what_is_written_down_of_a_container_holds_no_key(
    asked: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Client:
        def info(self) -> dict[str, Any]:
            return {}

    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    found = containers.containers(Client(), ABSENT, asked, workspace(tmp_path / "home"))
    assert "hidden" not in found.model_dump_json()
    options = found.options(os.environ)
    assert options["environment"].items() >= SECRETS.items()
    assert options["read_only"]
    assert options["user"] == f"{os.getuid()}:{os.getgid()}"


def test_a_home_with_a_colon_is_refused(asked: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(Stop, match="colon"):
        containers.containers(None, ABSENT, asked, workspace(tmp_path / "a:b"))


# Whether all was done


def test_an_entry_of_kfp_s_cache_without_an_output_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "killed.json").write_text("{}")
    (tmp_path / "shown.json").write_text(json.dumps({"page": {"uri": "x"}}))
    assert local.forget_incomplete(tmp_path, tmp_path / "store") == 2


@pytest.mark.parametrize(
    ("said", "passed", "expected"),
    [
        (["preflight", "train", "decide"], False, []),
        (["preflight", "train", "decide", "register"], True, []),
        (["preflight", "train", "decide"], True, ["register"]),
        (["preflight", "train"], None, ["decide"]),
        (["decide"], False, ["preflight"]),
    ],
)
def test_a_run_is_whole_when_every_step_says_so(
    said: list[str], passed: bool | None, expected: list[str], tmp_path: Path
) -> None:
    place = workspace(tmp_path)
    for step in said:
        journal.append(place.journal, Event(step=step, kind="started"))
        journal.append(place.journal, Event(step=step, kind="finished"))
    if passed is not None:
        decision = Decision(passed=passed, reasons=(), incumbent="base")
        result.write(place, result.RunResult(evaluation="e", report="r", decision=decision, version=None))
    assert completeness.unfinished(place) == expected


def test_a_step_that_only_began_is_not_finished(tmp_path: Path) -> None:
    place = workspace(tmp_path)
    journal.append(place.journal, Event(step="train", kind="started"))
    assert "train" in completeness.unfinished(place)


# With an engine


@pytest.fixture
def client(engine: Engine) -> Iterator[Any]:
    from pipelines.engine import connected

    with connected() as found:
        yield found


@pytest.fixture(scope="module")
def done(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose chain ran in containers, tiny, with keys in the environment that nobody asks for."""
    home = tmp_path_factory.mktemp("contained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contained, "environment", lambda: {**ENVIRONMENT(), **SECRETS})
        ended = contained.ran(home, images)
    assert ended.returncode == 0, ended.stderr
    (home / "summary.json").write_text(ended.stdout)
    return home


ENVIRONMENT = contained.environment


@pytest.fixture
def begun(done: Path, tracked_home: Path) -> Path:
    """A home in which all is there but the training, with a database of its own."""
    for part in ("store", "kfp/cache"):
        leave = shutil.ignore_patterns("train", "checkpoints", "evaluate")
        shutil.copytree(done / part, tracked_home / part, ignore=leave)
    return tracked_home


@pytest.mark.containers
def test_a_digest_that_the_registry_does_not_have_is_told(client: Any, registry: str) -> None:
    with pytest.raises(Stop, match="does not have this digest"):
        engine.had(client, f"{registry}/medu1-none@{DIGEST}", silent)


@pytest.mark.containers
def test_a_registry_that_is_away_is_told(client: Any) -> None:
    with pytest.raises(Stop, match="does not answer"):
        engine.had(client, f"127.0.0.1:{free_port()}/medu1@{DIGEST}", silent)


@pytest.mark.containers
def test_kfp_looks_at_the_run_s_images_alone(client: Any, images: Path) -> None:
    name = Images.read(images).cpu
    with engine.knowing([name]):
        (found,) = client.images.list()
        assert name in found.attrs["RepoDigests"]
    assert client.images.list.__name__ == "list"


@pytest.mark.containers
def test_an_exit_code_is_known_though_the_container_is_gone(client: Any, images: Path) -> None:
    name, label = Images.read(images).cpu, f"{guard.RUN}=exits-{os.getpid()}"
    exits = engine.Exits(client, label)
    for code in (0, 3):
        options = {"labels": dict([label.split("=")]), "detach": True, "auto_remove": True}
        client.containers.run(name, ["sh", "-c", f"exit {code}"], **options)
    assert exits.failed() == ["a container that ended with exit code 3"]


@pytest.mark.containers
def test_an_image_without_medu1_is_refused(client: Any, images: Path, asked: dict[str, Any], tmp_path: Path) -> None:
    given = containers.containers(client, Images.read(images), asked, workspace(tmp_path / "home"))
    hidden = given.model_copy(update={"own": Path("/opt/medu1")})  # an empty folder there: the system's Python is left
    image = Images.read(images).cpu
    with pytest.raises(Stop, match="cannot run a step"):
        admission._told(client, image, hidden, workspace(tmp_path / "home"))
    assert not client.containers.list(all=True, filters={"label": f"{guard.HOME}={tmp_path / 'home'}"})


@pytest.mark.containers
def test_a_run_in_containers_comes_to_a_decision_in_the_image(done: Path, images: Path, engine: Engine) -> None:
    summary = json.loads((done / "summary.json").read_bytes())
    assert summary["reasons"]
    assert summary["reused"] == []
    for step in ("prepare", "base", "train", "evaluate"):
        assert contained.record(done, step)["image"] == Images.read(images).cpu
    assert {status for _, status in contained.runs(done)} == {"FINISHED"}
    assert contained.left(engine, done) == []


@pytest.mark.containers
def test_no_file_of_a_run_holds_a_key(done: Path) -> None:
    held = [path for path, content in contained.texts(done) if b"hidden-" in content]
    assert held == []


@pytest.mark.containers
def test_everything_belongs_to_who_started_the_run(done: Path) -> None:
    assert {path.stat().st_uid for path in done.rglob("*")} == {os.getuid()}


@pytest.mark.containers
def test_a_second_run_trains_nothing(done: Path, images: Path) -> None:
    again = contained.ran(done, images)
    assert again.returncode == 0, again.stderr
    assert {"tokenizer", "prepare", "audit", "base", "train", "evaluate"} <= set(json.loads(again.stdout)["reused"])


@pytest.mark.containers
def test_subprocesses_make_the_same_bytes_under_the_same_names(done: Path, tmp_path: Path) -> None:
    assert medu1("run", tmp_path).returncode == 0
    for step in ("tokenizer", "prepare", "audit", "base", "train"):
        there, here = contained.record(done, step), contained.record(tmp_path, step)
        assert there["fingerprint"] == here["fingerprint"], step
        assert there["facts"].get("digest") == here["facts"].get("digest"), step
    assert contained.record(done, "train")["facts"]["digest"]


@pytest.mark.containers
def test_a_training_container_that_is_killed_fails_the_run_and_the_next_goes_on_from_its_checkpoint(
    begun: Path, images: Path, engine: Engine
) -> None:
    with contained.started(begun, images, **LONG) as process:
        contained.until_saved(begun, process)
        (container,) = contained.left(engine, begun)
        engine("kill", "--signal", "KILL", container)
        assert process.wait(contained.PATIENCE_SECONDS) == 2
    assert "train: its process ended without a word" in (begun / "stderr").read_text()
    contained.until_none(engine, begun)
    assert "RUNNING" not in {status for _, status in contained.runs(begun)}
    kept = contained.saved(begun)
    again = contained.ran(begun, images, **LONG)
    assert again.returncode == 0, again.stderr
    assert {"tokenizer", "prepare", "audit", "base"} <= set(json.loads(again.stdout)["reused"])
    notes = [event.message for event in contained.events(begun) if event.step == "train"]
    assert any(note.startswith(f"going on from step {kept},") for note in notes), notes


@pytest.mark.containers
def test_sigterm_saves_and_leaves_no_container(begun: Path, images: Path, engine: Engine) -> None:
    with contained.started(begun, images, **LONG) as process:
        contained.until_saved(begun, process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(contained.PATIENCE_SECONDS) == Interrupted.CODE
    assert "is saved" in (begun / "stderr").read_text()
    assert contained.left(engine, begun) == []
    assert {status for _, status in contained.runs(begun)} == {"FINISHED", "KILLED"}


@pytest.mark.containers
@pytest.mark.parametrize("who", ["the command", "kfp"])
def test_whoever_is_killed_the_training_saves_and_no_container_is_left(
    who: str, begun: Path, images: Path, engine: Engine
) -> None:
    with contained.started(begun, images, **LONG) as process:
        contained.until_saved(begun, process)
        os.kill(process.pid if who == "the command" else contained.child(begun), signal.SIGKILL)
        process.wait(contained.PATIENCE_SECONDS)
    contained.until_none(engine, begun)
    contained.until_closed(begun)
    assert [event.kind for event in contained.events(begun) if event.step == "train"][-1] == "interrupted"


@pytest.mark.containers
def test_what_a_killed_command_and_a_killed_guard_left_is_ended_by_the_next_run(
    client: Any, images: Path, tmp_path: Path
) -> None:
    gone = f"{guard.launcher().rpartition(' ')[0]} 0"  # this process's id, of another start
    labels = {guard.RUN: f"left-{os.getpid()}", guard.HOME: str(tmp_path), guard.GUARD: gone, guard.LAUNCHER: gone}
    for launcher in (gone, guard.launcher()):
        client.containers.run(
            Images.read(images).cpu,
            ["sh", "-c", "sleep 600\n"],
            labels={**labels, guard.LAUNCHER: launcher, guard.RUN: f"{labels[guard.RUN]}-{launcher == gone}"},
            detach=True,
            pid_mode="host",
        )
    try:
        assert guard.sweep(client, tmp_path) == 1
        (living,) = client.containers.list(filters={"label": f"{guard.HOME}={tmp_path}"})
        assert living.labels[guard.LAUNCHER] == guard.launcher()
    finally:
        guard.stop(client, f"{guard.HOME}={tmp_path}", grace=0)
