"""`medu1 submit` against a Kubeflow Pipelines API over real HTTP: what is refused before anything is sent, that an
order has one run, and a run followed to its end.
"""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from kfp_server import KfpServer, Moment
from medu1.errors import Stop
from medu1.params import Params
from pipelines import following, package, remote_request, request
from pipelines.access import Access
from pipelines.answers import Run
from pipelines.cli import app
from pipelines.endpoint import Endpoint
from pipelines.images import Images
from pipelines.wire import Patience

ROOT = Path(__file__).parents[1]
TOKEN = "s3cret-t0ken"
CPU, GPU = "12ab" * 16, "34cd" * 16
WRITE = package.write
STEPS = ("preflight", "tokenizer", "prepare", "audit", "base", "train", "evaluate", "decide", "register", "finalize")


class Registry(BaseHTTPRequestHandler):
    """Answers which images it has, by digest; one that holds nothing is not at work."""

    held: set[str]

    def do_HEAD(self) -> None:
        found = 200 if self.path.rpartition("sha256:")[2] in self.held else 404
        self.send_response(found if self.held else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[str, set[str]]]:
    """One for all tests: its port is in every package."""
    held: set[str] = set()
    served = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Registry,), {"held": held}))
    thread = Thread(target=served.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"127.0.0.1:{served.server_port}", held
    served.shutdown()
    thread.join()
    served.server_close()


@pytest.fixture
def registry(running: tuple[str, set[str]]) -> tuple[str, set[str]]:
    """Its address, and the digests it holds."""
    running[1].update((CPU, GPU))
    return running


@pytest.fixture(scope="module")
def compiled() -> Callable[..., Path]:
    """The compiler, which among a test session's modules takes seconds: once for the same files and words."""
    made: dict[object, bytes] = {}

    def write(out: Path, images: Path, place: str, allow_skew: bool, params: Path) -> Path:
        key = (images.read_bytes(), place, allow_skew, params.read_bytes())
        if key not in made:
            made[key] = WRITE(out, images, place, allow_skew, params).read_bytes()
        out.write_bytes(made[key])
        return out

    return write


@pytest.fixture
def server() -> Iterator[KfpServer]:
    with KfpServer(token=TOKEN) as served:
        yield served


class Ended(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Submit = Callable[..., Ended]


@pytest.fixture
def place(tmp_path: Path, registry: tuple[str, set[str]], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the parameters, the pin and a list of images that a registry holds."""
    for name in ("params.yaml", "data.dvc"):
        shutil.copy(ROOT / name, tmp_path)
    write_images(tmp_path, f"{registry[0]}/medu1-cpu@sha256:{CPU}", f"{registry[0]}/medu1-gpu@sha256:{GPU}")
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("MEDU1_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    return tmp_path


def write_images(folder: Path, cpu: str, gpu: str, commit: str = "0123456789" * 4) -> None:
    (folder / "images.json").write_text(json.dumps({"cpu": cpu, "gpu": gpu, "commit": commit}))


@pytest.fixture
def submit(place: Path, server: KfpServer, compiled: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Submit:
    """The command, in this process."""
    monkeypatch.setattr(package, "write", compiled)
    monkeypatch.setenv("MEDU1_KFP_TOKEN", TOKEN)

    def run(*words: str, endpoint: str = "") -> Ended:
        return invoked(*words, "--images", "images.json", "--allow-skew", "--endpoint", endpoint or server.url)

    return run


def invoked(*words: str) -> Ended:
    """A refusal is raised, as it is beyond `main`."""
    done = CliRunner().invoke(app, ["submit", *words], catch_exceptions=False)
    return Ended(done.exit_code, done.stdout, done.stderr)


# what is refused before anything is sent


@pytest.mark.parametrize(
    ("cpu", "commit", "said"),
    [
        (f"registry.example/medu1-cpu@sha256:{CPU}", "0123456789" * 4, "registry.example"),
        (f"127.0.0.1:1/medu1-cpu@sha256:{'1' * 64}", "0123456789" * 4, "1111"),
        (f"127.0.0.1:1/medu1-cpu@sha256:{CPU}", "0" * 40, "its commit is 000000000000"),
    ],
)
def test_placeholders_are_refused(
    cpu: str, commit: str, said: str, place: Path, submit: Submit, server: KfpServer
) -> None:
    write_images(place, cpu, f"127.0.0.1:1/medu1-gpu@sha256:{GPU}", commit)
    with pytest.raises(Stop, match="is a placeholder") as stop:
        submit()
    assert said in str(stop.value)
    assert not server.requests


def test_the_list_of_the_golden_package_is_refused(submit: Submit, server: KfpServer, place: Path) -> None:
    shutil.copy(ROOT / "tests" / "golden" / "images.json", place)
    with pytest.raises(Stop, match="is a placeholder"):
        submit()
    assert not server.requests


def test_an_image_that_the_registry_has_not_is_refused(
    submit: Submit, server: KfpServer, registry: tuple[str, set[str]]
) -> None:
    registry[1].discard(GPU)
    with pytest.raises(Stop, match=r"has no image .*medu1-gpu"):
        submit()
    assert not server.requests


def test_a_registry_that_does_not_tell_is_a_doubt(
    submit: Submit, server: KfpServer, registry: tuple[str, set[str]]
) -> None:
    registry[1].clear()
    ended = submit("--json")
    assert ended.code == 0
    assert f"{registry[0]}/medu1-cpu is not checked" in ended.err
    assert len(ended.json["doubts"]) == 2
    assert len(server.runs) == 1


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("prepare.sources=[builtin, 'medquad:questions.jsonl']", "prepare.sources names questions.jsonl"),
        ("prepare.sources=['medquad:data/imported/questions.jsonl']", "prepare.sources names data/imported"),
        ("prepare.repository=.", "prepare.repository is ."),
        ("prepare.repository=file:///srv/data", "prepare.repository is file:///srv/data"),
        ("prepare.dvc_remote=/srv/remote", "prepare.dvc_remote is /srv/remote"),
        ("train.base_model=./model", "train.base_model is ./model"),
        ("train.base_model=model", "train.base_model is model"),
    ],
)
def test_what_lies_on_this_machine_is_refused(
    setting: str, said: str, place: Path, submit: Submit, server: KfpServer
) -> None:
    (place / "model").mkdir()
    (place / "questions.jsonl").write_text("{}")
    with pytest.raises(Stop, match="A cluster cannot reach") as stop:
        submit("--set", setting, *(("--set", "prepare.revision=main") if "repository" in setting else ()))
    assert said in str(stop.value)
    assert not server.requests


def test_addresses_are_within_reach() -> None:
    data = yaml.safe_load((ROOT / "params.yaml").read_text())
    data["prepare"] |= {
        "sources": ["builtin", "medquad:s3://bucket/q.jsonl", "medquad:hf://owner/set/q.jsonl", "medquad:data/q.jsonl"],
        "repository": "git@github.com:team/data.git",
        "revision": "main",
        "dvc_remote": "s3://bucket/dvc",
    }
    data["train"]["base_model"] = "owner/model"
    remote_request.refuse_local(Params.read(data))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--set", "train.steps=0"), "train.steps = 0"),
        (("--params", "absent.yaml"), "absent.yaml"),
        (("--placement", "absent"), "absent"),
        (("--placement", "none"), "The placement none is this machine"),
        (("--request", "a b"), "is no name for a request"),
        (("--images", "absent.json"), "absent.json"),
    ],
)
def test_a_wrong_order_is_refused_before_anything_is_sent(
    words: tuple[str, ...], said: str, place: Path, server: KfpServer
) -> None:
    given = ("--images", "images.json") if "--images" not in words else ()
    with pytest.raises(Stop, match=said):
        invoked("--allow-skew", "--endpoint", server.url, *given, *words)
    assert not server.requests


def test_images_of_another_commit_are_refused(place: Path, server: KfpServer) -> None:
    with pytest.raises(Stop, match="--allow-skew"):
        invoked("--images", "images.json", "--endpoint", server.url)
    assert not server.requests


# one run


def test_an_order_becomes_a_run_with_all_that_was_asked(submit: Submit, server: KfpServer) -> None:
    ended = submit("--json", "--set", "train.seed=5", "--experiment", "trials", "--service-account", "runner")
    (run,) = server.runs.values()
    given = run["runtime_config"]["parameters"]
    assert json.loads(given["train"])["seed"] == 5
    assert given["code_train"] != given["code_prepare"] != ""
    assert json.loads(given["data"]).keys() == {"data.dvc"}
    assert run["service_account"] == "runner"
    assert server.experiments[run["experiment_id"]]["display_name"] == "trials"
    assert ended.json["run"] == run["run_id"]
    assert ended.json["link"] == f"{server.url}/#/runs/details/{run['run_id']}"
    assert ended.json["submitted"] is True
    assert TOKEN not in ended.out + ended.err + json.dumps(run) + json.dumps(list(server.versions.values()))


def test_a_person_reads_the_name_and_the_link(submit: Submit, server: KfpServer) -> None:
    ended = submit()
    (run,) = server.runs.values()
    assert ended.out.splitlines() == [
        f"Submitted {run['display_name']}",
        f"{server.url}/#/runs/details/{run['run_id']}",
    ]


def test_the_same_order_has_one_run(submit: Submit, server: KfpServer) -> None:
    first, second = submit("--json"), submit("--json")
    assert first.json["run"] == second.json["run"]
    assert (second.code, second.json["submitted"]) == (0, False)
    assert (len(server.runs), len(server.versions), len(server.pipelines)) == (1, 1, 1)
    assert "Nothing is submitted" in submit().out


def test_another_order_has_another_run(submit: Submit, server: KfpServer) -> None:
    submit()
    submit("--set", "train.seed=5")
    submit("--service-account", "runner")
    assert len(server.runs) == 3
    assert len(server.versions) == 1


@pytest.mark.parametrize("how", ["drop", 504])
def test_an_order_whose_answer_is_lost_has_one_run(how: int | str, submit: Submit, server: KfpServer) -> None:
    server.fail("POST", "/runs$", how, after_effect=True)
    ended = submit("--json")
    assert list(server.runs) == [ended.json["run"]]


def test_an_order_that_could_not_be_told_is_found_by_the_next(submit: Submit, server: KfpServer) -> None:
    """The run is made, and then the API is away for longer than the command waits."""
    server.fail("POST", "/runs$", "drop", after_effect=True)
    original = server.run_service_create_run

    def last(*asked: Any) -> Any:
        server.fail("GET", "/runs$", 503, times=4)
        return original(*asked)

    server.run_service_create_run = last  # type: ignore[method-assign]
    with pytest.raises(Stop, match="The same command looks for what it may have started"):
        submit()
    server.run_service_create_run = original  # type: ignore[method-assign]
    assert submit("--json").json["submitted"] is False
    assert len(server.runs) == 1


def test_a_failed_run_is_no_answer_unless_the_request_is_named(submit: Submit, server: KfpServer) -> None:
    for words, runs in (((), 2), (("--request", "job-7"), 3)):
        first = submit("--json", *words).json["run"]
        server.runs[first]["state"] = "FAILED"
        again = submit("--json", *words).json
        assert again["submitted"] is (not words)
        assert len(server.runs) == runs


# a trigger on new data


def test_unchanged_data_starts_no_run(submit: Submit, server: KfpServer) -> None:
    submit()
    ended = submit("--if-data-changed", "--set", "train.seed=5")
    assert ended.code == 0
    assert "has this data already" in ended.out
    assert len(server.runs) == 1
    assert submit("--if-data-changed", "--wait", "--json").json["submitted"] is False


def test_changed_data_starts_a_run(submit: Submit, server: KfpServer, place: Path) -> None:
    assert submit("--if-data-changed", "--json").json["submitted"] is True  # there is no run yet
    change(next(iter(server.runs.values())))
    assert submit("--if-data-changed", "--json", "--set", "train.seed=5").json["submitted"] is True


def test_runs_that_failed_and_runs_of_others_do_not_count(submit: Submit, server: KfpServer) -> None:
    submit()
    (first,) = server.runs.values()
    server.run_service_create_run(
        {}, {}, {"display_name": "other", "experiment_id": first["experiment_id"], "pipeline_spec": {"a": 1}}
    )
    failed = submit("--json", "--set", "train.seed=5").json["run"]
    server.runs[failed]["state"] = "FAILED"
    change(server.runs[failed])
    assert submit("--if-data-changed", "--json", "--set", "train.seed=6").json["run"] == first["run_id"]


def change(run: dict[str, Any]) -> None:
    """As though its data had been another."""
    run["runtime_config"]["parameters"]["data"] = json.dumps({"data.dvc": "0123456789abcdef0123456789abcdef.dir"})


# to the end


def plan(*states: str) -> list[Moment]:
    """A run whose tasks end one after the other; the last one ends it as it ends itself."""
    moments = []
    for at, step in enumerate(STEPS[: len(states)]):
        before = {done: states[index] for index, done in enumerate(STEPS[:at])}
        moments += [Moment("RUNNING", {**before, step: "RUNNING"}), Moment("RUNNING", {**before, step: states[at]})]
    return moments


def ending(state: str, moments: list[Moment], error: str = "") -> list[Moment]:
    return [*moments, Moment(state, moments[-1].tasks, error)]


def medu1(place: Path, server: KfpServer, *words: str) -> "subprocess.Popen[str]":
    """The command as a process."""
    paths = os.pathsep.join([str(ROOT / "components"), str(ROOT)])
    command = [sys.executable, "-m", "pipelines.cli", "submit", "--images", "images.json", "--allow-skew"]
    return subprocess.Popen(
        [*command, "--endpoint", server.url, *words],
        cwd=place,
        env={**os.environ, "PYTHONPATH": paths, "MEDU1_KFP_TOKEN": TOKEN},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored by what a shell starts with &
    )


def test_a_run_is_followed_through_its_steps_and_the_apis_failures(place: Path, server: KfpServer) -> None:
    server.plan = ending("SUCCEEDED", plan(*["SUCCEEDED"] * len(STEPS)))
    for how in (503, "drop", "garbage"):
        server.fail("GET", "/runs/[^/]+$", how)
    process = medu1(place, server, "--wait", "--poll", "0.05")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    lines = err.splitlines()
    assert [line.split() for line in lines if line.startswith("train ")] == [
        ["train", "running"],
        ["train", "succeeded"],
    ]
    assert [line.split()[0] for line in lines if line.endswith("succeeded")][:-1] == list(STEPS)
    assert lines[-1].endswith(": succeeded")
    assert "#/runs/details/" in out


def test_ctrl_c_leaves_the_run_and_says_how_to_find_it(place: Path, server: KfpServer) -> None:
    server.plan = [Moment("RUNNING", {"train": "RUNNING"})]
    process = medu1(place, server, "--wait", "--poll", "0.05")
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("train"):
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    (run,) = server.runs.values()
    assert process.returncode == 130
    assert run["state"] == "RUNNING"
    assert not server.asked("POST", ":terminate")
    assert f"Run {run['display_name']} goes on." in err
    assert f"#/runs/details/{run['run_id']}" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("state", ["FAILED", "CANCELED"])
def test_a_run_that_does_not_succeed_ends_with_one(state: str, submit: Submit, server: KfpServer) -> None:
    server.plan = ending(state, plan("SUCCEEDED", "FAILED"), "OOMKilled")
    ended = submit("--wait", "--poll", "0.02", "--json")
    assert ended.code == 1
    assert "tokenizer failed" in ended.err
    assert ended.json["state"] == state
    assert ended.json["tasks"] == {"preflight": "SUCCEEDED", "tokenizer": "FAILED"}


def test_the_same_order_follows_the_run_that_is_there(submit: Submit, server: KfpServer) -> None:
    submit()
    server.plan = ending("SUCCEEDED", plan("SUCCEEDED"))
    ended = submit("--wait", "--poll", "0.02")
    assert ended.code == 0
    assert "preflight  succeeded" in ended.err
    assert len(server.runs) == 1


def test_credentials_that_run_out_while_waiting_leave_the_run(submit: Submit, server: KfpServer) -> None:
    server.plan = [Moment("RUNNING", {"train": "RUNNING"})]
    server.fail("GET", "/runs/[^/]+$", 401)
    with pytest.raises(Stop, match=r"\(401\).*goes on"):
        submit("--wait", "--poll", "0.02")
    assert [run["state"] for run in server.runs.values()] == ["PENDING"]


def test_an_api_that_stays_away_is_given_up_after_a_while(submit: Submit, server: KfpServer) -> None:
    submit()
    run_id = next(iter(server.runs))
    endpoint = Endpoint(Access.read(server.url, environment={"MEDU1_KFP_TOKEN": TOKEN}), Patience(pauses=(0.01,)))
    run = endpoint.run(run_id)
    server.fail("GET", "/runs/", 503, times=99)
    board = following.Board(Console(quiet=True))
    with pytest.raises(Stop, match=r"\(503\).*goes on"):
        following.followed(endpoint, run, board, following.Pace(first=0.01, longest=0.01, outage=0.1))


def test_what_a_task_says_cannot_draw_on_the_terminal(submit: Submit, server: KfpServer) -> None:
    server.plan = [Moment("FAILED", {}, "evil \x1b[2J\x1b[31m text")]
    assert "\x1b" not in submit("--wait", "--poll", "0.02").err


def test_a_terminal_shows_one_line_a_task() -> None:
    screen = io.StringIO()
    board = following.Board(Console(file=screen, force_terminal=True, width=80))
    with board.live():
        board.show(seen({"train-driver": "FAILED", "train": "RUNNING"}))
        board.show(seen({"train-driver": "FAILED", "train": "SUCCEEDED"}))
    assert "succeeded" in screen.getvalue().rpartition("train")[2]
    assert "driver" not in screen.getvalue()


def seen(tasks: dict[str, str]) -> Run:
    """A run as an answer tells it."""
    details = [{"display_name": name, "state": state} for name, state in tasks.items()]
    return Run.model_validate({"run_id": "7", "state": "RUNNING", "run_details": {"task_details": details}})


# arguments for a cluster


def test_the_code_of_a_package_is_that_of_its_images(place: Path) -> None:
    params = request.read_params(Path("params.yaml"), [])
    images = Images.read(Path("images.json"))
    given = remote_request.arguments(params, images, place)
    moved = images.model_copy(update={"cpu": images.cpu.replace("127.0.0.1", "mirror")})
    assert remote_request.codes(moved) == remote_request.codes(images)
    rebuilt = images.model_copy(update={"gpu": images.gpu.replace(GPU, CPU)})
    changed = {name for name, code in remote_request.codes(rebuilt).items() if code != given[name]}
    assert changed == {"code_base", "code_train", "code_evaluate"}
