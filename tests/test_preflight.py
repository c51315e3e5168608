"""What preflight looks at, each thing failing alone and several at once: one report, and nothing is spent."""

import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from answering import Answer, answering
from asked import DIGEST, PIN, arguments, asked, packaged
from hub import Hub
from medu1 import journal
from medu1.errors import Stop
from medu1.placements import Placed
from medu1.run import preflight as room
from medu1.run.checks import base_model, data, disk, endpoint, images, parallelism, store
from medu1.run.finding import Check, Checks, Finding, Unsure, look, made
from medu1.run.preflight import preflight
from medu1.run.report import Report
from medu1.run.weights import Files
from medu1.tracking import Tracking
from medu1.workspace import Workspace
from mlflow_server import Server, free_port
from model_hub import COMMIT, WHOLE, ModelHub
from model_hub import model_hub as model_hub
from s3 import S3

ADMIN, TRAINER, READER = ("admin", "password1234567"), ("trainer", "trainer1234567"), ("reader", "reader12345678")


def found(checks: Checks) -> dict[str, Finding]:
    return {finding.name: finding for finding in look(checks)}


def only(checks: Checks) -> Finding:
    (finding,) = look(checks)
    return finding


@pytest.fixture
def workspace(tracked_home: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A home, in the environment."""
    here = Workspace(home=tracked_home, run="one", tracking_uri=f"sqlite:///{tracked_home / 'mlflow.db'}")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in here.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return here


def notes(workspace: Workspace) -> list[str]:
    return [event.message for event, _ in journal.read(workspace.journal) if event.kind == "note"]


# The report


def test_on_a_laptop_all_is_well_and_said_in_one_line(workspace: Workspace) -> None:
    preflight(*arguments())
    said = notes(workspace)
    assert re.match(r"(\d+) of \1 checks passed: tracking server, experiment, ", said[0])
    assert said[1:] == ["champion of medu1: none yet"]


def test_the_report_is_on_the_run_and_beside_the_journal(workspace: Workspace) -> None:
    preflight(*arguments())
    tracking = Tracking(workspace)
    (run,) = [run for run in tracking.tree() if run.data.tags.get("medu1.step") == "preflight"]
    assert tracking.files(run.info.run_id, "") >= {"preflight.json", "preflight.md"}
    beside = Report.model_validate_json((workspace.journal.parent / "preflight.json").read_bytes())
    assert {finding.state for finding in beside.findings} == {"passed"}


def test_all_failures_are_told_at_once_each_with_its_next_step(workspace: Workspace) -> None:
    words = arguments(
        "train.sharding=fsdp", base_model="/no/such/folder", data={"/no/such/file.csv": "0" * 32, "s3:///x": "0" * 32}
    )
    with pytest.raises(Stop) as refused:
        preflight(*words)
    told = str(refused.value)
    assert told.startswith("4 checks fail, and nothing was started. (1) ")
    for part in (
        "source /no/such/file.csv: The source file /no/such/file.csv cannot be read",
        "correct prepare.sources",
        "source s3:///x: 's3://' is no object store",
        "base model: train.base_model: there is no folder /no/such/folder",
        "sharding: train.sharding is fsdp, and one process trains",
        "set train.sharding to none",
    ):
        assert part in told
    assert "disk: how large the base model is cannot be told" not in told
    assert any(note.startswith("warning: disk: how large the base model is") for note in notes(workspace))
    assert sum(note.startswith("failed: ") for note in notes(workspace)) == 4
    (last,) = [event for event, _ in journal.read(workspace.journal) if event.kind == "failed"]
    assert last.message == f"preflight: {told}"
    assert Tracking(workspace).models.aliases("medu1") == {}


def test_what_fails_beside_a_server_that_is_away_is_told_with_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Stop, match=r"^2 checks fail.*\(1\) tracking server: .*does not answer.*\(2\) base model: "):
        preflight(*arguments(base_model="/no/such/folder"))
    kinds = [event.kind for event, _ in journal.read(workspace.journal) if event.kind != "note"]
    assert kinds == ["started", "failed"]
    assert (workspace.journal.parent / "preflight.json").is_file()


def test_an_experiment_that_cannot_be_written_is_one_of_the_findings(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Tracking) -> None:
        raise OSError("database or disk is full")

    monkeypatch.setattr(Tracking, "begin", full)
    with pytest.raises(Stop, match=r"\(1\) experiment: The experiment medu1 cannot be written \(OSError: database or"):
        preflight(*arguments())


def test_a_store_of_artifacts_that_takes_none_is_one_of_the_findings(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*words: object) -> None:
        raise PermissionError("no")

    monkeypatch.setattr(Tracking, "artifact", refuse)
    with pytest.raises(Stop, match="artifacts: The run's artifacts cannot be written"):
        preflight(*arguments())
    assert '"artifacts"' in (workspace.journal.parent / "preflight.json").read_text()


def test_a_check_that_breaks_is_a_warning_and_the_run_goes_on(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(asked: Any) -> Checks:
        return {"disk": lambda: str(1 / 0)}

    monkeypatch.setattr(room.disk, "checks", broken)
    assert preflight(*arguments()) == ("", "", "")
    assert "warning: disk: the check itself failed (ZeroDivisionError: division by zero)." in notes(workspace)


def test_a_check_that_does_not_end_holds_nobody_up() -> None:
    never = threading.Event()
    slow: Mapping[str, Check] = {"slow": lambda: str(never.wait()), "quick": lambda: "seen"}
    late, quick = look(slow, seconds=0.3)
    assert (late.state, quick.state) == ("unknown", "passed")
    assert late.seen == "it did not end within 0.3 s."
    never.set()


def test_more_checks_than_threads_are_all_made_in_order() -> None:
    checks = {f"number {n}": (lambda n=n: str(n)) for n in range(50)}
    assert [finding.seen for finding in look(checks)] == [str(n) for n in range(50)]


def test_a_section_with_a_wrong_key_names_it(workspace: Workspace) -> None:
    words = list(arguments())
    words[2] = json.dumps({**json.loads(words[2]), "proceses": 2})
    with pytest.raises(Stop, match="proceses is not a parameter; the nearest is processes"):
        preflight(*words)
    (last,) = [event for event, _ in journal.read(workspace.journal) if event.kind == "failed"]
    assert "proceses" in last.message


def test_data_that_is_no_mapping_is_refused(workspace: Workspace) -> None:
    words = list(arguments())
    words[6] = "[1]"
    with pytest.raises(Stop, match="The argument data of preflight"):
        preflight(*words)


def test_what_others_said_is_text_in_the_report() -> None:
    said = "<script>alert(1)</script> | a | [x](javascript:1)\n# big **bold** `code` \x1b[31m"
    report = Report(run="<b>", findings=(made("a", lambda: said),))
    page = report.markdown()
    assert len(page.splitlines()) == 5
    assert not {"<", "[", "*", "`", "#"} & set(page.splitlines()[-1].replace("&#", "&"))
    assert page.splitlines()[-1].count("|") == 5
    assert "\x1b" not in page


def test_addresses_lose_their_passwords_in_a_finding() -> None:
    def check() -> str:
        raise Stop("http://ann:s3cr3t@store/x is away.", "s3://a:s3cr3t@b", "Mend https://ann:s3cr3t@store.")

    assert "s3cr3t" not in made("a", check).model_dump_json()


# The tracking server and its registry


class Secured(Server):
    """MLflow behind its own accounts, whoever has one may read."""

    def _words(self) -> list[str]:
        return ["--app-name", "basic-auth", *super()._words()]

    def _environment(self) -> dict[str, str]:
        lines = {
            "default_permission": "READ",
            "database_uri": f"sqlite:///{self.home / 'accounts.db'}",
            "admin_username": ADMIN[0],
            "admin_password": ADMIN[1],
            "auth_cache_ttl_seconds": "60",
        }
        path = self.home / "basic_auth.ini"
        path.write_text("[mlflow]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items()), encoding="utf-8")
        return {"MLFLOW_AUTH_CONFIG_PATH": str(path), "MLFLOW_FLASK_SERVER_SECRET_KEY": "of this test"}


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Server]:
    """One server for all tests of rights: it takes seconds to start."""
    home = tmp_path_factory.mktemp("secured")
    shutil.copy(empty_database, home / "mlflow.db")
    server = Secured(home)
    try:
        server.start()
        for name, password in (TRAINER, READER):
            _sign_up(server.uri, name, password)
        yield server
    finally:
        server.stop()


def _sign_up(uri: str, name: str, password: str) -> None:
    import base64

    word = base64.b64encode(":".join(ADMIN).encode()).decode()
    headers = {"Authorization": f"Basic {word}", "Content-Type": "application/json"}
    body = json.dumps({"username": name, "password": password}).encode()
    request = Request(f"{uri}/api/2.0/mlflow/users/create", body, headers)
    with build_opener(ProxyHandler({})).open(request, timeout=60):
        pass


@pytest.fixture
def at_server(
    secured: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[tuple[str, str], str], Workspace]:
    """Sets the environment of an account and of a run; the experiment is of this test."""
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def become(account: tuple[str, str], run: str) -> Workspace:
        here = Workspace(home=tmp_path, run=run, tracking_uri=secured.uri, experiment=f"of-{tmp_path.name}")
        for name, value in here.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", account[0])
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", account[1])
        return here

    return become


Become = Callable[[tuple[str, str], str], Workspace]


def test_a_user_who_may_do_all_leaves_nothing_in_the_registry(at_server: Become) -> None:
    here = at_server(TRAINER, "first")
    preflight(*arguments("registry.name=absent"))
    client = Tracking(here).client
    assert list(client.search_registered_models()) == []
    client.create_registered_model("there")
    client.create_registered_model("there-promotions")
    preflight(*arguments("registry.name=there"))
    tags = [model.tags for model in client.search_registered_models()]
    assert tags == [{}, {}]
    for name in ("there", "there-promotions"):
        client.delete_registered_model(name)


def test_rights_that_are_missing_are_named_for_experiment_and_registry_at_once(at_server: Become) -> None:
    here = at_server(TRAINER, "owner")
    client = Tracking(here).client
    client.create_registered_model("owned")
    preflight(*arguments("registry.name=owned"))
    runs = len(Tracking(here).tree())
    at_server(READER, "reader")
    with pytest.raises(Stop) as refused:
        preflight(*arguments("registry.name=owned", base_model="/no/such/folder"))
    told = str(refused.value)
    assert "experiment: The MLflow tracking server does not let the user reader do this (/api/" in told
    assert "EDIT" in told
    assert "base model: " in told
    at_server(TRAINER, "owner")
    assert len(Tracking(here).tree()) == runs
    assert Tracking(here).client.get_registered_model("owned").tags == {}


def test_a_model_of_another_user_is_named(at_server: Become) -> None:
    here = at_server(TRAINER, "owner")
    Tracking(here).client.create_registered_model("foreign")
    at_server(READER, "of-reader")
    os.environ["MLFLOW_EXPERIMENT_NAME"] = f"readers-{here.experiment}"
    with pytest.raises(Stop, match=r"^1 check fails.*\(1\) registry foreign: .*does not let the user reader do this"):
        preflight(*arguments("registry.name=foreign"))


def test_a_wrong_password_is_told_and_nothing_is_asked_of_the_registry(at_server: Become) -> None:
    here = at_server((TRAINER[0], "not this one"), "wrong")
    with pytest.raises(Stop, match=r"^1 check fails.*tracking server: .*does not take the user trainer"):
        preflight(*arguments())
    assert "not this one" not in "".join(notes(here))


# The object store


def test_the_object_store_is_tried_and_nothing_stays(s3: S3, tmp_path: Path) -> None:
    bucket = s3.bucket()
    finding = only(store.checks(asked(tmp_path, store=f"s3://{bucket}/medu1")))
    assert finding.state == "passed"
    assert s3.client.list_objects_v2(Bucket=bucket).get("KeyCount") == 0


def test_a_bucket_that_is_not_there_fails(s3: S3, tmp_path: Path) -> None:
    finding = only(store.checks(asked(tmp_path, store="s3://no-such-bucket/medu1")))
    assert (finding.state, finding.next_step) == ("failed", "Correct MEDU1_STORE, or make the bucket.")


def test_keys_that_may_not_write_fail_and_are_told_the_rights(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    denied = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    with answering(lambda request: Answer(403, denied)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{server.host}")
        finding = only(store.checks(asked(tmp_path, store="s3://bucket/medu1")))
    assert finding.state == "failed"
    assert "s3:PutObject" in finding.next_step


def test_an_address_of_another_kind_fails(tmp_path: Path) -> None:
    assert only(store.checks(asked(tmp_path, store="gs://bucket"))).state == "failed"


def test_pods_without_an_object_store_are_a_warning(tmp_path: Path) -> None:
    assert only(store.checks(asked(tmp_path))).state == "passed"
    finding = only(store.checks(asked(tmp_path, placed=packaged())))
    assert (finding.state, "MEDU1_STORE is not set" in finding.seen) == ("unknown", True)


# The data


def sources(home: Path, *places: str, settings: tuple[str, ...] = ()) -> dict[str, Finding]:
    return found(data.checks(asked(home, *settings, data=dict.fromkeys(places, "0" * 32))))


def test_builtin_data_needs_nothing(tmp_path: Path) -> None:
    assert {name: each.state for name, each in sources(tmp_path).items()} == {"data": "passed"}


def test_a_pinned_file_is_no_source(tmp_path: Path) -> None:
    assert set(sources(tmp_path, "data.dvc/real/medqa/test.jsonl")) == {"data"}


def test_a_file_that_cannot_be_read_fails(tmp_path: Path) -> None:
    (tmp_path / "there.csv").write_text("x")
    findings = sources(tmp_path, str(tmp_path / "there.csv"), str(tmp_path / "gone.csv"), str(tmp_path))
    assert [finding.state for finding in findings.values()] == ["passed", "passed", "failed", "failed"]


def test_an_object_is_asked_for_by_its_headers(s3: S3, tmp_path: Path) -> None:
    bucket = s3.bucket()
    there = s3.put(bucket, "raw/medqa.jsonl", b"{}")
    findings = sources(tmp_path, there, f"s3://{bucket}/raw/gone.jsonl", "s3://no-such-bucket/x.jsonl")
    assert [finding.state for finding in findings.values()] == ["passed", "passed", "failed", "failed"]


def test_a_dataset_of_the_hub_is_there_gated_or_absent(hub: Hub, tmp_path: Path) -> None:
    there = hub.put("owner/open", "a/test.jsonl", b"{}")
    pinned = hub.put("owner/open", "a/test.jsonl", b"{}", revision="v1")
    gone, gated = "hf://owner/open@v9/a/test.jsonl", hub.put("owner/gated", "x.csv", b"", revision="held")
    absent = "hf://owner/none/x.csv"
    findings = sources(tmp_path, there, pinned, gone, gated.replace("@held", ""), absent)
    states = [finding.state for finding in findings.values()]
    assert states == ["passed", "passed", "passed", "failed", "failed", "failed"]
    assert "RevisionNotFound, 404" in findings[f"source {gone}"].seen
    assert "is gated" in findings["source hf://owner/gated/x.csv"].seen
    assert "HF_TOKEN" in findings[f"source {absent}"].next_step


def test_a_dvc_remote_has_the_pin_or_fails(s3: S3, tmp_path: Path) -> None:
    bucket = s3.bucket()
    s3.put(bucket, f"raw/files/md5/{PIN[:2]}/{PIN[2:]}", b"[]")
    (tmp_path / "remote" / "files" / "md5" / PIN[:2]).mkdir(parents=True)
    (tmp_path / "remote" / "files" / "md5" / PIN[:2] / PIN[2:]).write_text("[]")
    states = {
        remote: sources(tmp_path, settings=(f"prepare.dvc_remote={remote}",))["data"].state
        for remote in (
            *(f"s3://{bucket}/raw", f"s3://{bucket}/other", str(tmp_path / "remote"), str(tmp_path / "none")),
            "ssh://host/path",
        )
    }
    assert list(states.values()) == ["passed", "failed", "passed", "failed", "unknown"]


def test_a_source_below_data_comes_with_the_pin_or_must_lie_here(tmp_path: Path) -> None:
    name = "source data/real/medqa/no.jsonl"
    assert sources(tmp_path, "data/real/medqa/no.jsonl")[name].state == "failed"
    remote = (f"prepare.dvc_remote={tmp_path}",)
    assert sources(tmp_path, "data/real/medqa/no.jsonl", settings=remote)[name].state == "passed"


def test_a_repository_has_its_commit_or_fails(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (["init", "-q", str(repository)], ["-C", str(repository), *identity, "commit", "-q", "--allow-empty"]):
        subprocess.run(["git", *words, *(["-m", "one"] if "commit" in words else [])], check=True)
    head = subprocess.run(
        ["git", "-C", str(repository), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()

    def state(place: str, revision: str) -> Finding:
        return sources(tmp_path, settings=(f"prepare.repository={place}", f"prepare.revision='{revision}'"))["data"]

    assert state(str(repository), head).state == "passed"
    assert state(str(repository), "1" * 40).state == "failed"
    assert "is seen when prepare clones it" in state(f"file://{repository}", head).seen
    gone = state(f"file://{tmp_path}/none", head)
    assert (gone.state, "git credentials" in gone.next_step) == ("failed", True)


# The base model


def model(folder: Path, *leave_out: str, **files: bytes) -> str:
    folder.mkdir()
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    whole = {
        "config.json": b'{"dtype": "bfloat16"}',
        "model.safetensors.index.json": json.dumps(index).encode(),
        "model-00001-of-00002.safetensors": bytes(8),
        "model-00002-of-00002.safetensors": bytes(8),
    }
    for name, content in whole.items():
        if name not in leave_out:
            (folder / name).write_bytes(content)
    return str(folder)


def test_a_folder_is_whole_or_told_what_it_lacks(tmp_path: Path) -> None:
    assert base_model.check(model(tmp_path / "whole"), "").startswith(f"{tmp_path / 'whole'} lies in its folder")
    for number, absent in enumerate(("config.json", "model-00002-of-00002.safetensors")):
        with pytest.raises(Stop, match=f"has no {re.escape(absent)}"):
            base_model.check(model(tmp_path / str(number), absent), "")
    (tmp_path / "empty").mkdir()
    with pytest.raises(Stop, match=r"has no config\.json and no model\.safetensors"):
        base_model.check(str(tmp_path / "empty"), "")


@pytest.mark.parametrize(
    ("name", "revision", "said"),
    [
        ("own/gated", COMMIT, "own/gated is gated"),
        ("own/private", COMMIT, "the hub has no model own/private for this token"),
        ("own/none", COMMIT, "the hub has no model own/none for this token"),
        ("own/whole", "1" * 40, f"own/whole has no revision {'1' * 40}"),
        ("own/empty", COMMIT, r"own/empty has no config\.json"),
        ("own/pickled", COMMIT, r"own/pickled has no model\.safetensors"),
    ],
)
def test_what_the_hub_does_not_give_is_told_apart(model_hub: ModelHub, name: str, revision: str, said: str) -> None:
    with pytest.raises(Stop, match=said):
        base_model.check(name, revision)


@pytest.mark.parametrize("name", ["own/whole", "own/gated", "own/private"])
def test_a_token_opens_what_it_may(model_hub: ModelHub, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", model_hub.token)
    assert base_model.check(name, COMMIT) == f"{name} is given by the hub, with 3.00 GiB of weights."


@pytest.mark.parametrize(("status", "said"), [(401, "HF_TOKEN is not valid"), (503, "overloaded or down")])
def test_a_hub_that_refuses_or_is_down_is_told(model_hub: ModelHub, status: int, said: str) -> None:
    model_hub.status = status
    with pytest.raises(Stop, match=said):
        base_model.check("own/whole", COMMIT)


def test_a_copy_in_the_cache_needs_no_hub(model_hub: ModelHub) -> None:
    from huggingface_hub import constants

    model_hub.server.close()
    with pytest.raises(Stop, match="the hub does not answer for own/whole"):
        base_model.check("own/whole", COMMIT)
    folder = Path(constants.HF_HUB_CACHE) / "models--own--whole" / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    for name in WHOLE:
        (folder / name).write_bytes(b"{}")
    assert "lies in the cache" in base_model.check("own/whole", COMMIT)


# The disk


def test_the_estimate_counts_copies_checkpoints_and_optimizer() -> None:
    gib = 2**30
    half = Files("folder", {"model.safetensors": 2 * gib}, None)  # 1 Gi weights of 2 bytes
    assert disk.need(half, keep=2, is_adapter=False) == 2 * 2 * gib + 4 * gib + (2 + 2) * 12 * gib + gib // 4
    assert disk.need(half._replace(where="hub"), 2, False) == disk.need(half, 2, False) + 2 * gib
    assert disk.need(half, 2, True) < disk.need(half, 2, False) / 4


def test_a_model_too_large_for_the_disk_fails(tmp_path: Path) -> None:
    folder = model(tmp_path / "large")
    with (tmp_path / "large" / "model-00001-of-00002.safetensors").open("ab") as file:
        file.truncate(2**42)
    finding = only(disk.checks(asked(tmp_path, base_model=folder)))
    assert (finding.state, "lower train.keep" in finding.next_step) == ("failed", True)
    assert only(disk.checks(asked(tmp_path))).state == "passed"


def test_a_placement_is_held_against_the_estimate(tmp_path: Path, model_hub: ModelHub) -> None:
    def state(**changes: object) -> str:
        return only(
            disk.checks(asked(tmp_path, base_model="own/whole", revision=COMMIT, placed=packaged(**changes)))
        ).state

    assert state() == "passed"
    assert state(scratch_gib=50.0) == "failed"
    assert state(scratch_gib=0.0) == "unknown"


# Images


def reference(host: str, name: str = "team/medu1") -> str:
    return f"{host}/{name}@{DIGEST}"


@pytest.mark.parametrize(
    ("status", "state"),
    [(200, "passed"), (404, "failed"), (401, "unknown"), (403, "unknown"), (500, "unknown"), (307, "unknown")],
)
def test_a_registry_has_an_image_or_says_no(status: int, state: str) -> None:
    with answering(lambda request: Answer(status, headers={"Location": "/elsewhere"})) as server:
        finding = made("image", lambda: images.check(reference(server.host)))
        (request,) = server.asked
    assert finding.state == state
    assert (request.method, request.path) == ("HEAD", f"/v2/team/medu1/manifests/{DIGEST}")
    assert "application/vnd.oci.image.index.v1+json" in request.headers["accept"]


def test_a_registry_that_is_not_reached_from_here_is_a_warning() -> None:
    finding = made("image", lambda: images.check(reference(f"127.0.0.1:{free_port()}")))
    assert (finding.state, "when a node pulls it" in finding.next_step) == ("unknown", True)


@pytest.mark.parametrize("name", ["host/medu1:latest", "host/medu1", "host/medu1@sha256:12", "", "a b@" + DIGEST])
def test_an_image_without_a_digest_fails(name: str) -> None:
    assert made("image", lambda: images.check(name)).state == "failed"


@pytest.mark.parametrize(
    ("name", "registry", "repository"),
    [
        ("medu1", "docker.io", "library/medu1"),
        ("team/medu1", "docker.io", "team/medu1"),
        ("localhost/medu1", "localhost", "medu1"),
        ("host:5000/team/medu1:v1", "host:5000", "team/medu1"),
        ("registry.example.org/a/b/c", "registry.example.org", "a/b/c"),
    ],
)
def test_a_name_is_read_as_docker_reads_it(name: str, registry: str, repository: str) -> None:
    assert images._parts(name) == (registry, repository)


def test_every_image_of_a_package_is_looked_at(tmp_path: Path) -> None:
    with answering(lambda request: Answer(404 if "gpu" in request.path else 200)) as server:
        placed = packaged(images=(reference(server.host, "cpu"), reference(server.host, "gpu")))
        findings = found(images.checks(asked(tmp_path, placed=placed)))
    assert [finding.state for finding in findings.values()] == ["passed", "failed"]


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """A real registry with one empty image; its reference."""
    program, port = shutil.which("docker-registry"), free_port()
    if not program:
        pytest.skip("docker-registry is not installed")
    configuration = tmp_path / "registry.yml"
    lines = (
        "version: 0.1",
        f"storage: {{filesystem: {{rootdirectory: {tmp_path}}}}}",
        f"http: {{addr: 127.0.0.1:{port}}}",
    )
    configuration.write_text("\n".join(lines))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([program, "serve", str(configuration)], **quiet) as process:
        try:
            yield _pushed(f"127.0.0.1:{port}", process)
        finally:
            process.kill()


def _pushed(host: str, process: "subprocess.Popen[bytes]") -> str:
    import hashlib

    import requests

    until = time.monotonic() + 30
    while True:
        try:
            with build_opener(ProxyHandler({})).open(f"http://{host}/v2/", timeout=1):
                break
        except (URLError, OSError):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
    config = b"{}"
    digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 2, "digest": digest},
        "layers": [],
    }
    with requests.Session() as session:
        session.trust_env = False
        upload = session.post(f"http://{host}/v2/medu1/blobs/uploads/").headers["Location"]
        assert session.put(upload, params={"digest": digest}, data=config).status_code == 201
        put = session.put(f"http://{host}/v2/medu1/manifests/x", json=manifest, headers={"Content-Type": kind})
        assert put.status_code == 201, put.text
        return f"{host}/medu1@{put.headers['Docker-Content-Digest']}"


def test_a_real_registry_is_understood(registry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert "has it" in images.check(registry)
    with pytest.raises(Stop, match="has no image"):
        images.check(f"{registry.partition('@')[0]}@{DIGEST}")


# Placement and parallelism


@pytest.mark.parametrize(
    ("settings", "changes", "name", "state"),
    [
        ((), {}, "nodes", "passed"),
        ((), {"nodes": 2}, "nodes", "failed"),
        (("train.nodes=2",), {}, "nodes", "failed"),
        (("train.nodes=2",), {"nodes": 2}, "nodes", "passed"),
        ((), {}, "accelerators", "passed"),
        (("train.processes=2",), {}, "accelerators", "failed"),
        ((), {"accelerators": 8}, "accelerators", "unknown"),
        (("train.processes=8",), {"accelerators": 8}, "accelerators", "passed"),
        (("train.processes=8",), {"accelerators": 0, "accelerator": ""}, "accelerators", "passed"),
        (("train.sharding=fsdp",), {}, "sharding", "failed"),
        (("train.sharding=fsdp", "train.nodes=2"), {"nodes": 2}, "sharding", "passed"),
        (("evaluate.backend=vllm",), {}, "needs an accelerator", "passed"),
        (("evaluate.backend=vllm",), {"accelerators": 0}, "needs an accelerator", "failed"),
        (("train.grpo={use_vllm: true}",), {"accelerators": 0}, "needs an accelerator", "failed"),
        (("train.adapter.quantized=true",), {"accelerators": 0}, "needs an accelerator", "failed"),
        ((), {"accelerators": 0}, "needs an accelerator", "passed"),
    ],
)
def test_a_placement_fits_how_it_trains(
    tmp_path: Path, settings: tuple[str, ...], changes: dict[str, object], name: str, state: str
) -> None:
    finding = found(parallelism.checks(asked(tmp_path, *settings, placed=packaged(**changes))))[name]
    assert finding.state == state, finding
    assert bool(finding.next_step) == (state != "passed")


def test_on_this_machine_the_steps_see_the_devices_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallelism, "DEVICES", (str(tmp_path / "none"),))
    here = asked(tmp_path, "train.processes=4", "evaluate.backend=vllm", placed=Placed())
    findings = found(parallelism.checks(here))
    assert findings.pop("needs an accelerator").state == "unknown"
    assert {finding.state for finding in findings.values()} == {"passed"}


# The endpoint


def models(*names: str) -> bytes:
    return json.dumps({"object": "list", "data": [{"id": name} for name in names]}).encode()


def test_an_endpoint_is_asked_with_its_key_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login other password other\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("MEDU1_ENDPOINT_KEY", "k3y")
    with answering(lambda request: Answer(200, models("a", "b"))) as server:
        settings = ("evaluate.backend=endpoint", f"evaluate.endpoint.url=http://{server.host}/v1/")
        finding = only(endpoint.checks(asked(tmp_path, *settings)))
        (request,) = server.asked
    assert (finding.state, finding.seen.endswith("lists 2 models.")) == ("passed", True)
    assert (request.path, request.headers["authorization"]) == ("/v1/models", "Bearer k3y")
    assert endpoint.checks(asked(tmp_path)) == {}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(401), "MEDU1_ENDPOINT_KEY is not taken"),
        (Answer(403), "MEDU1_ENDPOINT_KEY is not taken"),
        (Answer(404), "answers 404, and not with a list of models"),
        (Answer(200, b"<html>"), "answers 200, and not with a list"),
        (Answer(200, b"[]"), "answers 200, and not with a list"),
        (Answer(200, b'{"data": {}}'), "answers 200, and not with a list"),
        (Answer(302, headers={"Location": "http://127.0.0.1:9/"}), "answers 302"),
    ],
)
def test_an_endpoint_that_is_none_fails(answer: Answer, said: str) -> None:
    with answering(lambda request: answer) as server, pytest.raises(Stop, match=said) as refused:
        endpoint.check(f"http://{server.host}/v1", "k3y")
    assert "k3y" not in str(refused.value)


def test_an_endpoint_that_is_away_fails() -> None:
    with pytest.raises(Stop, match="cannot be reached") as refused:
        endpoint.check(f"http://127.0.0.1:{free_port()}/v1", "k3y")
    assert refused.value.__cause__ is None


def test_what_cannot_be_told_says_so() -> None:
    def check() -> str:
        raise Unsure("nobody knows.", "Look there.")

    assert made("a", check) == Finding(name="a", state="unknown", seen="nobody knows.", next_step="Look there.")
