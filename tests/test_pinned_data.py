"""Data pinned in a repository: prepare reads (repository, revision) where no checkout is, and only new data is new.

A git repository, its DVC remote on an object store and the step prepare itself; the tests run in a folder without .git.
"""

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from medu1 import dataset, journal, record
from medu1.builtin import questions
from medu1.errors import Stop
from medu1.manifest import DatasetManifest, TokenizerManifest
from medu1.prepare import component, rawdata
from medu1.prepare.location import fetched, located
from medu1.prepare.rawdata import Digests
from medu1.prepare.versions import transfer
from medu1.prepare.versions.exchange import cached
from medu1.prepare.versions.importing import import_files
from medu1.prepare.versions.pin import Pin, pinned
from medu1.prepare.versions.remote import Remote
from medu1.prepare.versions.revision import obtain_from, pin_from
from medu1.question import FreeText, Question, Split
from medu1.stage import produce
from medu1.workspace import Workspace
from pipelines import cli
from pipelines.request import RawData, arguments, raw_data, read_params
from s3 import KEYS
from standin import Page

ROOT = Path(__file__).parents[1]
SECRET = "hunter2-is-no-secret"  # every request is signed with it; no message may hold it
OWN = "data/real/medquad/own.jsonl"
TABLE = "data/real/table/mine.csv"
COLUMNS = {
    "source": "mine",
    "licence": "CC0-1.0",
    "access": "open",
    "citation": "none",
    "text": "q",
    "gold": "a",
    "kind": "free_text",
}
ROWS = [
    {"id": str(n), "source": "own", "focus": f"f{n}", "qtype": "t", "question": f"What is item {n}?",
     "answer": f"Thing {n}."}
    for n in range(12)
]  # fmt: skip


def built_in() -> dict[str, str]:
    """A stand-in for the built-in questions."""
    counts: dict[Split, int] = {"train": 9, "validation": 3, "test": 3, "ood": 3}
    rows = [
        Question(
            id=f"b/{split}/{n}",
            source="built",
            text=f"What is {split} {n}?",
            gold=FreeText(text=f"answer {n}"),
            split=split,
            rationale="it is so" if split == "train" else "",
            topic="t",
        )
        for split, count in counts.items()
        for n in range(count)
    ]
    return {"builtin/facts.jsonl": dataset.lines(rows)}


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"]
    done = subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


class Published(NamedTuple):
    """A git repository, and where its bytes are."""

    root: Path  # a checkout with the bytes
    url: str  # of a bare clone, far from any cache
    bucket: str

    def commit(self, revision: str) -> str:
        """The commit of a tag or branch."""
        return git(self.root, "rev-parse", f"{revision}^{{commit}}")


@pytest.fixture(scope="module", autouse=True)
def environment(tmp_path_factory: pytest.TempPathFactory, s3_endpoint: str) -> Iterator[pytest.MonkeyPatch]:
    """Few built-in questions, keys in the environment alone, and nothing of this machine's configuration."""
    nowhere = tmp_path_factory.mktemp("nothing")
    names = {
        **KEYS,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_CONFIG_FILE": str(nowhere / "aws"),
        "AWS_SHARED_CREDENTIALS_FILE": str(nowhere / "aws"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
        "DVC_GLOBAL_CONFIG_DIR": str(nowhere),
        "DVC_SYSTEM_CONFIG_DIR": str(nowhere),
        "DVC_SITE_CACHE_DIR": str(nowhere / "site"),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
            patch.delenv(name, raising=False)
        for name, value in names.items():
            patch.setenv(name, value)
        patch.setattr(questions, "raw_files", built_in)
        yield patch


@pytest.fixture(scope="module")
def client(s3_endpoint: str, environment: pytest.MonkeyPatch) -> Any:
    import boto3

    environment.setattr("boto3.DEFAULT_SESSION", None)
    return boto3.client("s3", endpoint_url=s3_endpoint)


@pytest.fixture(scope="module")
def published(client: Any, s3_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Published:
    """Tags v1 (data), text (v1 and another text), v2 (other data), moved (v2 in another bucket), harmed (that bucket
    with a changed object), lost (a bucket that is not there); v0 has no data."""
    place, bucket = tmp_path_factory.mktemp("published"), f"bucket-{uuid4().hex[:8]}"
    root = place / "repository"
    root.mkdir()
    client.create_bucket(Bucket=bucket)
    git(root, "init", "-q", "-b", "main")
    (root / ".gitignore").write_text("data/\n.dvc/tmp\n.dvc/cache\n")
    committed(root, "v0")
    located_at(root, bucket, s3_endpoint)
    rawdata.build(root, pin=True)
    with_rows(root, "v1", ROWS)
    (root / "README").write_text("about other things\n")
    committed(root, "text")
    with_rows(root, "v2", [*ROWS[:6], *({**row, "id": f"new-{row['id']}"} for row in ROWS[6:])])
    for tag, other in (("moved", f"{bucket}-moved"), ("harmed", f"{bucket}-harmed"), ("lost", f"{bucket}-lost")):
        located_at(root, other, s3_endpoint)
        committed(root, tag)
    copied(client, bucket, f"{bucket}-moved")
    copied(client, bucket, f"{bucket}-harmed")
    harmed(client, f"{bucket}-harmed", Pin.read(root / "data.dvc").imported.md5s["real/medquad/own.jsonl"])
    git(place, "clone", "-q", "--bare", str(root), "upstream.git")
    return Published(root, f"file://{place / 'upstream.git'}", bucket)


def with_rows(root: Path, tag: str, rows: list[dict[str, str]]) -> None:
    """Import, pin, push and tag rows, and a table of them."""
    lines = root.parent / "own.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    table = root.parent / "mine.csv"
    table.write_text("q,a\n" + "".join(f"Which is {row['id']}?,Number {row['id']}.\n" for row in rows))
    import_files(root, [f"medquad:{lines}", f"table:{table}"], force=True)
    committed(root, tag)
    remote = Remote.default(root)
    assert remote
    transfer.push(root, remote)


def committed(root: Path, tag: str) -> None:
    git(root, "add", "-A")
    git(root, "commit", "-qm", tag)
    git(root, "tag", "-a", "-m", tag, tag)


def located_at(root: Path, bucket: str, endpoint: str) -> None:
    """DVC's settings name the place, never a key."""
    (root / ".dvc").mkdir(exist_ok=True)
    place = f"    url = s3://{bucket}/raw\n    endpointurl = {endpoint}\n"
    (root / ".dvc" / "config").write_text(f"[core]\n    remote = origin\n['remote \"origin\"']\n{place}")


def copied(client: Any, bucket: str, other: str) -> None:
    client.create_bucket(Bucket=other)
    for each in client.list_objects_v2(Bucket=bucket)["Contents"]:
        client.copy_object(Bucket=other, Key=each["Key"], CopySource={"Bucket": bucket, "Key": each["Key"]})


def harmed(client: Any, bucket: str, md5: str) -> None:
    key = cached(Path("raw"), md5).as_posix()
    body = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    client.put_object(Bucket=bucket, Key=key, Body=body.replace(b"Thing", b"Thong"))


@pytest.fixture
def container(tmp_path: Path, tracked_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a step runs: an empty folder."""
    for name, value in Workspace(home=tracked_home, run="r", tracking_uri="").environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    (tmp_path / "container").mkdir()
    monkeypatch.chdir(tmp_path / "container")
    return tmp_path / "container"


@pytest.fixture
def tokenizer(container: Path) -> TokenizerManifest:
    output = produce("tokenizer", {}, {}, "", lambda stage, folder: write_tokenizer(folder))
    return TokenizerManifest(key=output.key, digest="t", base="builtin", revision="")


def write_tokenizer(folder: Path) -> dict[str, Any]:
    """One token a word."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    made = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content }}{% endfor %}", encoding="utf-8")
    return {}


def asked(repository: str, revision: str, *sources: str, **more: str) -> RawData:
    """What a run with these parameters asks prepare for."""
    named = {"repository": repository, "revision": revision, **more}
    settings = [f"prepare.{key}={json.dumps(value)}" for key, value in named.items()]
    settings.append(f"prepare.sources={json.dumps(sources or ['builtin', f'medquad:{OWN}'])}")
    settings.append(f"prepare.tables={json.dumps({TABLE: COLUMNS})}")
    return raw_data(read_params(ROOT / "params.yaml", settings).prepare, Path("home"))


def prepared(data: RawData, tokenizer: TokenizerManifest) -> DatasetManifest:
    """The step as the chain calls it."""
    text = component.prepare(data.params.canonical(), data.digests.text(), tokenizer.text(), "code", Page("page.html"))
    return DatasetManifest.model_validate_json(text)


def ids(manifest: DatasetManifest) -> set[str]:
    """The questions of a dataset that are not built-in."""
    folder = Workspace.from_environment().home / "store" / manifest.key
    found = {question.id for split in dataset.SPLITS for question in dataset.read(folder, split)}
    return {name for name in found if not name.startswith("b/")}


# What is read


def test_a_container_reads_the_bytes_that_a_revision_pins(
    published: Published,
    tokenizer: TokenizerManifest,
    container: Path,
    tracked_home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")  # there is no git
    made = prepared(asked(published.url, "v1"), tokenizer)
    assert {name.rpartition("/")[2] for name in ids(made)} == {row["id"] for row in ROWS}
    assert made.data.startswith(pin_from(published.url, "v1").pin.digest)
    described = record.read(tracked_home / "store" / made.key)
    assert described
    assert not [name for name in described.outputs if name.startswith(("raw", "data/"))]
    assert not described.params.keys() & {"repository", "revision", "dvc_remote"}
    assert {path.name for path in container.iterdir()} == {"page.html"}


def test_a_new_version_is_prepared_anew_and_the_same_data_is_not(
    published: Published, tokenizer: TokenizerManifest, tracked_home: Path
) -> None:
    first, second = asked(published.url, "v1"), asked(published.url, "v2")
    assert first.digests.text() != second.digests.text()
    assert prepared(first, tokenizer).key != (made := prepared(second, tokenizer)).key
    assert "new-6" in {name.rpartition("/")[2] for name in ids(made)}
    assert prepared(asked(published.url, "moved"), tokenizer) == made
    assert len(list((tracked_home / "store" / "prepare").iterdir())) == 2


def test_a_commit_about_other_things_gives_equal_arguments(published: Published) -> None:
    """kfp's cache compares the arguments: the later commit must not be among them."""
    assert published.commit("v1") != published.commit("text")
    assert asked(published.url, "text") == asked(published.url, "v1")


def test_a_tag_or_branch_becomes_the_commit_that_pinned_the_data(published: Published) -> None:
    commits = {revision: pin_from(published.url, revision).sha for revision in ("v1", "text", "v2", "main", "moved")}
    assert commits == {
        "v1": published.commit("v1"),
        "text": published.commit("v1"),
        "v2": published.commit("v2"),
        "main": published.commit("lost"),  # DVC's settings are of the data too
        "moved": published.commit("moved"),
    }
    assert asked(str(published.root), "v2").params.revision == published.commit("v2")
    assert asked(published.url, published.commit("text")).params.revision == published.commit("v1")


def test_a_merge_is_followed_to_where_the_data_comes_from(published: Published, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", str(published.root), "clone")
    root = tmp_path / "clone"
    git(root, "checkout", "-q", "-b", "side", "v1")
    (root / "notes").write_text("a side branch")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "side")
    git(root, "merge", "-q", "-m", "merge", "v2")
    assert pin_from(str(root), "side").sha == published.commit("v2")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{root}", "shallow")
    assert pin_from(str(tmp_path / "shallow"), "side").sha == git(root, "rev-parse", "side")


def test_a_remote_is_where_the_bytes_come_from_whatever_the_repository_says(
    published: Published, tokenizer: TokenizerManifest, monkeypatch: pytest.MonkeyPatch, s3_endpoint: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    data = asked(published.url, "lost", dvc_remote=f"s3://{published.bucket}/raw")
    assert len(ids(prepared(data, tokenizer))) == len(ROWS)


def test_data_check_reads_a_revision(published: Published, container: Path) -> None:
    words = ["data", "check", "--params", str(ROOT / "params.yaml"), "--home", str(container / "home"), "--json"]
    named = [f"prepare.repository={published.url}", "prepare.revision=v1", f"prepare.sources=[medquad:{OWN}]"]
    done = CliRunner().invoke(cli.app, [*words, *(word for each in named for word in ("--set", each))])
    assert '"source": "medquad"' in done.stdout, done.output
    assert {"audit.json", "data.html"} <= {path.name for path in (container / "home" / "check").iterdir()}


def test_the_arguments_of_the_chain_name_the_commit(published: Published, container: Path) -> None:
    settings = [f"prepare.repository={published.url}", "prepare.revision=text"]
    found = arguments(read_params(ROOT / "params.yaml", settings), container)
    assert json.loads(found["prepare"])["revision"] == published.commit("v1")
    assert Digests.parse(found["data"]).pin == pin_from(published.url, "v1").pin.digest


# What stops it


def stopped(data: RawData, tokenizer: TokenizerManifest) -> str:
    """The one paragraph of a prepare that stops; it leaves nothing in the store."""
    with pytest.raises(Stop) as caught:
        prepared(data, tokenizer)
    workspace = Workspace.from_environment()
    assert not (workspace.home / "store" / "prepare").exists()
    assert [event.message for event, _ in journal.read(workspace.journal)][-1] == f"prepare: {caught.value}"
    return paragraph(caught.value)


def paragraph(stop: Stop) -> str:
    """A fact, a reason and a next step, in one line without a secret."""
    assert stop.fact
    assert stop.reason
    assert stop.next_step
    assert "\n" not in str(stop)
    assert SECRET not in str(stop)
    return str(stop)


@pytest.mark.parametrize(
    ("revision", "message"),
    [
        ("lost", r"revision [0-9a-f]{40} cannot be obtained\. There is no such bucket\..*create the bucket"),
        ("harmed", r"were changed: real/medquad/own\.jsonl\. Delete the objects there and push them again"),
    ],
)
def test_bytes_that_cannot_be_had_are_a_stop(
    revision: str, message: str, published: Published, tokenizer: TokenizerManifest
) -> None:
    assert re.search(message, stopped(asked(published.url, revision), tokenizer))


def test_absent_credentials_are_a_stop(
    published: Published, tokenizer: TokenizerManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = asked(published.url, "v1")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    told = stopped(data, tokenizer)
    assert re.search(r"No credentials are in the environment\..*Set AWS_ACCESS_KEY_ID", told)


def test_another_digest_than_the_revision_pins_is_a_stop(published: Published, tokenizer: TokenizerManifest) -> None:
    """Such as of a branch that moved between the start of a run and its step."""
    data = asked(published.url, "v1")
    moved = data.params.model_copy(update={"revision": "v2"})
    told = stopped(RawData(moved, data.digests), tokenizer)
    assert re.search(r"at the revision v2 pins .*, and the run was started with .*a branch or tag that moved", told)


@pytest.mark.parametrize(
    ("repository", "revision", "message"),
    [
        ("{url}", "v9", r"data\.dvc of .*upstream\.git at the revision v9 .* There is no such revision"),
        ("{url}", "--help", "There is no such revision"),
        ("{url}", "v0", r"There is no data\.dvc at that revision\..*Name a revision that has one"),
        ("/nowhere", "v1", "The git repository cannot be read"),
        ("file:///nowhere", "v1", "The git repository cannot be read"),
        ("http://127.0.0.1:9/data.git", "v1", "Nobody answers there"),
        ("https://me:hunter2-is-no-secret@host/data.git", "v1", "https://host/data.git is given with a password or a"),
        ("https://hunter2-is-no-secret@host/data.git", "v1", "given with a password or a token"),
    ],
)
def test_a_pin_that_cannot_be_read_stops_before_anything_runs(
    repository: str, revision: str, message: str, published: Published
) -> None:
    with pytest.raises(Stop, match=message) as caught:
        asked(repository.format(url=published.url), revision)
    assert paragraph(caught.value)


def test_a_secret_in_a_repository_stops_a_step_too(tmp_path: Path) -> None:
    with pytest.raises(Stop, match="given with a password"):
        obtain_from(f"https://me:{SECRET}@host/data.git", "v1", tmp_path / "raw")


class _AsksWhoIsThere(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Not in a test's output."""


def test_a_git_host_that_asks_who_is_there_is_a_stop_and_nobody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # no credential helper of this machine
    with HTTPServer(("127.0.0.1", 0), _AsksWhoIsThere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(Stop, match=r"The git host asks who is there\..*GIT_ASKPASS for https") as caught:
            pin_from(f"http://127.0.0.1:{server.server_port}/data.git", "v1")
        server.shutdown()
    assert paragraph(caught.value)


@pytest.mark.parametrize(("repository", "revision"), [("/somewhere", ""), ("", "v1")])
def test_a_repository_and_a_revision_are_set_together(repository: str, revision: str) -> None:
    with pytest.raises(Stop, match=r"prepare: repository and revision are set together or not at all"):
        asked(repository, revision)


# Sources below data/


def test_a_source_below_data_travels_by_its_path_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert located("data/real/../own.csv") == located(str(tmp_path / "data" / "own.csv")) == "data/own.csv"
    assert located("own.csv") == str(tmp_path / "own.csv")
    assert located("data.csv") == str(tmp_path / "data.csv")
    assert located("s3://bucket/data/own.csv") == "s3://bucket/data/own.csv"
    assert fetched("data/own.csv", Path("cache"), Path("raw")) == Path("raw/own.csv")
    assert fetched("data/own.csv", Path("cache")) == Path("data/own.csv")


def test_a_table_below_data_keeps_its_mapping(published: Published, tokenizer: TokenizerManifest) -> None:
    made = prepared(asked(published.url, "v1", f"table:{TABLE}"), tokenizer)
    assert len(ids(made)) == len(ROWS)


def test_a_source_that_the_revision_does_not_pin_is_a_stop(published: Published) -> None:
    with pytest.raises(Stop, match=r"real/medquad/owm\.jsonl is not among .*nearest is data/real/medquad/own\.jsonl"):
        asked(published.url, "v1", "medquad:data/real/medquad/owm.jsonl")


@pytest.fixture
def checkout(published: Published, container: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The published data in a checkout, in which a run starts; no remote is named."""
    root = container / "checkout"
    shutil.copytree(published.root / "data", root / "data")
    shutil.copy(published.root / "data.dvc", root)
    monkeypatch.chdir(root)
    return root


def test_a_step_in_the_checkout_reads_its_files(
    checkout: Path, published: Published, tokenizer: TokenizerManifest
) -> None:
    made = prepared(asked("", "", f"medquad:{checkout / OWN}"), tokenizer)
    assert len(ids(made)) == len(ROWS)
    assert made == prepared(asked(published.url, "v2", f"medquad:{OWN}"), tokenizer)
    assert (checkout / OWN).stat().st_nlink == 1


def test_a_step_elsewhere_says_how_to_bring_the_file_there(
    checkout: Path, tokenizer: TokenizerManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = asked("", "")
    monkeypatch.chdir(checkout.parent)
    told = stopped(data, tokenizer)
    assert re.search(
        rf"{OWN} is not where the step prepare runs\..*set prepare\.dvc_remote, or prepare\.repository", told
    )


def test_a_file_that_changes_while_a_run_starts_is_a_stop(checkout: Path, tokenizer: TokenizerManifest) -> None:
    data = asked("", "")
    (checkout / OWN).write_text("{}\n")
    with pytest.raises(Stop, match=f"{OWN} changed since the run was started|cannot be read"):
        prepared(data, tokenizer)


def test_a_file_that_is_not_as_pinned_stops_before_anything_runs(checkout: Path) -> None:
    (checkout / OWN).write_text("{}\n")
    with pytest.raises(Stop, match=rf"{OWN} has the MD5 .*, data\.dvc pins .*medu1 data import --force"):
        asked("", "")
    (checkout / OWN).unlink()
    with pytest.raises(Stop, match=f"{OWN} is pinned and not on this machine.*medu1 data pull"):
        asked("", "")


def test_a_remote_gives_what_the_checkout_lacks(
    checkout: Path,
    published: Published,
    tokenizer: TokenizerManifest,
    monkeypatch: pytest.MonkeyPatch,
    s3_endpoint: str,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    shutil.rmtree(checkout / "data")
    data = asked("", "", dvc_remote=f"s3://{published.bucket}/raw")
    assert data.digests.pin == pinned(checkout / "data.dvc")
    assert len(ids(prepared(data, tokenizer))) == len(ROWS)
