"""Versions of the raw data: pulled, pushed, imported and compared through DVC itself, on real stores."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from medu1.builtin import questions
from medu1.errors import Stop
from medu1.prepare import rawdata
from medu1.prepare.versions import diff, exchange, importing, transfer
from medu1.prepare.versions.importing import import_files
from medu1.prepare.versions.pin import Pin, listing, pinned
from medu1.prepare.versions.raw_rows import RawRow, rows
from medu1.prepare.versions.refusal import refusal
from medu1.prepare.versions.remote import Remote
from medu1.prepare.versions.revision import obtain_from, pin_at
from pipelines import data_commands
from pipelines.request import read_params
from s3 import S3

ROOT = Path(__file__).parents[1]
FILES = {
    "builtin/a.jsonl": '{"id": "a1", "source": "facts", "text": "37.5 °C?"}\n{"id": "a2", "source": "scores"}\n',
    "builtin/b.jsonl": '{"id": "b1", "source": "facts"}\n',
}
MEDQUAD = [{"id": str(n), "source": "own", "question": f"What is {n}?", "answer": f"Number {n}."} for n in range(5)]
MEDCALC = 'Row Number,Patient Note,Ground Truth Answer\n1,A note.,3\n2,"Another,\nof two lines.",4\n'


@pytest.fixture(autouse=True)
def alone(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few built-in files, and nothing of this machine's DVC configuration."""
    monkeypatch.setattr(questions, "raw_files", lambda: dict(FILES))
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path_factory.getbasetemp() / "no-dvc-configuration"))
    monkeypatch.setenv("DVC_SYSTEM_CONFIG_DIR", str(tmp_path_factory.getbasetemp() / "no-dvc-configuration"))
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "site"))


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


def medquad(path: Path, wanted: Sequence[dict[str, str]]) -> str:
    """A MedQuAD file, as a source."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in wanted), encoding="utf-8")
    return f"medquad:{path}"


def medcalc(path: Path, text: str = MEDCALC) -> str:
    """A MedCalc-Bench file, as a source."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return f"medcalc:{path}"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository with a DVC remote beside it and two versions of the data, v1 and v2, pushed."""
    place = tmp_path_factory.mktemp("published")
    root = place / "repository"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(questions, "raw_files", lambda: dict(FILES))
        patch.setenv("DVC_GLOBAL_CONFIG_DIR", str(place / "none"))
        root.mkdir()
        git(root, "init", "-q", "-b", "main")
        (root / ".gitignore").write_text("data/\n.dvc/tmp\n.dvc/cache\n")
        (root / ".dvc").mkdir()
        (root / ".dvc" / "config").write_text(
            f"[core]\n    remote = origin\n['remote \"origin\"']\n    url = {place / 'remote'}\n"
        )
        (root / "README").write_text("before there was data\n")
        git(root, "add", "-A")
        git(root, "commit", "-qm", "empty")
        git(root, "tag", "v0")
        rawdata.build(root, pin=True)
        import_files(root, [medquad(place / "own.jsonl", MEDQUAD)])
        _published(root, "v1")
        edited = [MEDQUAD[0] | {"answer": "Another."}, *MEDQUAD[2:], {**MEDQUAD[1], "id": "new"}]
        sources = [medquad(place / "own.jsonl", edited), medcalc(place / "test.csv")]
        import_files(root, sources, force=True)
        _published(root, "v2")
    return root


def _published(root: Path, tag: str) -> None:
    git(root, "add", "-A")
    git(root, "commit", "-qm", tag)
    git(root, "tag", tag)
    transfer.push(root, stated(Remote.default(root)))


def stated(found: Remote | None) -> Remote:
    assert found is not None
    return found


@pytest.fixture
def clone(published: Path, tmp_path: Path) -> Path:
    """A checkout without data and without a cache."""
    git(tmp_path, "clone", "-q", str(published), "clone")
    return tmp_path / "clone"


@pytest.fixture
def copied(published: Path, tmp_path: Path) -> tuple[Path, Remote]:
    """A checkout without data, and a copy of the remote that may be harmed."""
    git(tmp_path, "clone", "-q", str(published), "clone")
    shutil.copytree(published.parent / "remote", tmp_path / "remote")
    return tmp_path / "clone", Remote.at(str(tmp_path / "remote"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# pull and push


def test_a_pull_brings_the_pinned_bytes_and_a_second_one_nothing(
    clone: Path, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = transfer.pull(clone, Remote.default(clone))
    assert (moved.changed, moved.digest, moved.files) == (True, pinned(clone / "data.dvc"), 4)
    assert contents(clone / "data") == contents(published / "data")
    assert list((clone / ".dvc" / "tmp" / "medu1").glob("*")) == []
    monkeypatch.setattr(exchange, "dvc", lambda *_: pytest.fail("everything is there"))
    assert not transfer.pull(clone, Remote.default(clone)).changed


def test_a_pull_of_a_revision_leaves_the_pin_and_the_cache_leads_back(clone: Path) -> None:
    place, latest = Remote.default(clone), pinned(clone / "data.dvc")
    transfer.pull(clone, place)
    moved = transfer.pull(clone, place, "v1")
    assert moved.digest == pin_at(clone, "v1").digest == listing(clone / "data").digest != latest
    assert not (clone / "data" / "real" / "medcalc").exists()
    assert pinned(clone / "data.dvc") == latest
    assert transfer.pull(clone, None).digest == latest


def test_a_revision_that_is_not_there_is_a_stop(clone: Path, tmp_path: Path) -> None:
    with pytest.raises(Stop, match=r"no git revision 'v9'.*git fetch"):
        transfer.pull(clone, None, "v9")
    with pytest.raises(Stop, match=r"no git revision '--help'"):
        transfer.pull(clone, None, "--help")
    with pytest.raises(Stop, match=r"no data\.dvc at the git revision 'v0'"):
        transfer.pull(clone, None, "v0")
    with pytest.raises(Stop, match="no git revision"):
        pin_at(tmp_path, "v1")


def test_a_pull_never_replaces_bytes_that_nothing_else_holds(clone: Path) -> None:
    own = clone / "data" / "real" / "medquad" / "mine.jsonl"
    medquad(own, MEDQUAD)
    own.write_text("{}\n")
    with pytest.raises(Stop, match=r"no pin and no cache know: real/medquad/mine\.jsonl"):
        transfer.pull(clone, Remote.default(clone))
    assert own.exists()
    assert transfer.pull(clone, Remote.default(clone), force=True).changed
    assert not own.exists()


def test_a_push_sends_what_is_missing_and_only_that(clone: Path, tmp_path: Path) -> None:
    transfer.pull(clone, Remote.default(clone))
    other = Remote.at(str(tmp_path / "other"))
    assert transfer.push(clone, other).sent == 5
    assert transfer.push(clone, other).sent == 0
    shutil.rmtree(clone / "data")
    shutil.rmtree(clone / ".dvc" / "cache")
    assert transfer.pull(clone, other).digest == pinned(clone / "data.dvc")


def test_only_pinned_bytes_are_pushed(clone: Path, tmp_path: Path) -> None:
    place = Remote.at(str(tmp_path / "other"))
    with pytest.raises(Stop, match=r"does not hold what data\.dvc pins"):
        transfer.push(clone, place)
    transfer.pull(clone, Remote.default(clone))
    (clone / "data" / "real" / "stray.txt").write_text("nobody's")
    assert transfer.push(clone, place).files == 4
    (clone / "data" / "real" / "medcalc" / "test.csv").write_text("edited")
    with pytest.raises(Stop, match=r"does not hold what data\.dvc pins"):
        transfer.push(clone, place)


def test_a_remote_without_the_bytes_is_a_stop(clone: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(Stop, match=r"cannot be pulled from the DVC remote.*Not all of the bytes are there.*data push"):
        transfer.pull(clone, Remote.at(str(tmp_path / "empty")))
    assert not (clone / "data").exists()
    with pytest.raises(Stop, match=r"not in the cache, and there is no DVC remote.*medu1 data build"):
        transfer.pull(clone, None)


def test_an_object_with_other_bytes_is_named_and_never_laid_out(copied: tuple[Path, Remote]) -> None:
    clone, place = copied
    held = Pin.read(clone / "data.dvc").imported.md5s["real/medcalc/test.csv"]
    whole = exchange.cached(Path(str(place)), held)
    good = whole.read_bytes()
    whole.chmod(0o644)
    whole.write_bytes(good.replace(b"3", b"8"))
    with pytest.raises(Stop, match=f"checksum of files/md5/{held[:2]}/{held[2:]} is wrong"):
        transfer.pull(clone, place)
    assert not (clone / "data").exists()
    whole.write_bytes(good)
    assert transfer.pull(clone, place).changed


def test_a_changed_listing_is_a_stop_too(copied: tuple[Path, Remote]) -> None:
    clone, place = copied
    whole = exchange.cached(Path(str(place)), pinned(clone / "data.dvc"))
    whole.chmod(0o644)
    whole.write_bytes(whole.read_bytes().replace(b"test.csv", b"best.csv"))
    with pytest.raises(Stop, match=r"have the digest .* was changed.*delete it in the remote and push again"):
        transfer.pull(clone, place)
    assert not (clone / "data").exists()
    assert transfer.pull(clone, Remote.default(clone)).changed


def test_a_changed_cache_is_noticed(clone: Path) -> None:
    transfer.pull(clone, Remote.default(clone))
    shutil.rmtree(clone / "data")
    held = Pin.read(clone / "data.dvc").imported.md5s["real/medcalc/test.csv"]
    inside = exchange.cached(clone / ".dvc" / "cache", held)
    inside.chmod(0o644)
    inside.write_bytes(b"other bytes")
    with pytest.raises(Stop, match=rf"{held[2:]} was changed.*Run again"):
        transfer.pull(clone, None)
    assert not (clone / "data").exists()
    assert transfer.pull(clone, Remote.default(clone)).changed


def test_a_killed_pull_goes_on_to_the_same_bytes(clone: Path, published: Path) -> None:
    pull = [sys.executable, "-c", "from pipelines.data_commands import app; app()", "pull"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "components"), str(ROOT)])}
    for sign in (".dvc/tmp/medu1/new/data.dvc", ".dvc/cache/files/md5"):
        running = subprocess.Popen(pull, cwd=clone, env=environment, start_new_session=True)
        while not (clone / sign).exists() and running.poll() is None:
            time.sleep(0.005)
        os.killpg(running.pid, signal.SIGKILL)
        assert running.wait() == -signal.SIGKILL
        assert not (clone / "data").exists()
    assert transfer.pull(clone, Remote.default(clone)).changed
    assert contents(clone / "data") == contents(published / "data")


def test_one_command_works_on_a_checkout_at_a_time(clone: Path) -> None:
    with transfer.scratch(clone), pytest.raises(Stop, match="Another medu1 data command"), transfer.scratch(clone):
        pass


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KB."""
    place = tmp_path / "small"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(place)], capture_output=True)
    if made.returncode:
        pytest.skip("mounting takes a privilege")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_a_stop_and_leaves_everything_as_it_was(small_disk: Path, tmp_path: Path) -> None:
    root = small_disk / "checkout"
    root.mkdir()
    rawdata.build(root, pin=True)
    before = (root / "data.dvc").read_bytes()
    big = medcalc(tmp_path / "big.csv", MEDCALC + "3,,\n" * 200_000)
    with pytest.raises(Stop, match="No space left on device"):
        import_files(root, [big])
    assert (root / "data.dvc").read_bytes() == before
    assert import_files(root, [medcalc(tmp_path / "small.csv")]).files[0].state == "new"


# an object store


def test_an_object_store_takes_and_gives_the_bytes(clone: Path, published: Path, s3: S3, tmp_path: Path) -> None:
    place = Remote.at(f"s3://{s3.bucket()}/raw")
    transfer.pull(clone, Remote.default(clone))
    assert transfer.push(clone, place).sent == 5
    shutil.rmtree(clone / "data")
    shutil.rmtree(clone / ".dvc" / "cache")
    assert transfer.pull(clone, place).changed
    assert contents(clone / "data") == contents(published / "data")
    params = read_params(ROOT / "params.yaml", [f"prepare.dvc_remote={place}"]).prepare
    assert rawdata.obtain(params, rawdata.Digests(pinned(clone / "data.dvc"), {}), tmp_path / "container").is_dir()


@pytest.mark.usefixtures("kept_nothing")
def test_a_file_of_an_object_store_is_imported(checkout: Path, s3: S3) -> None:
    url = s3.put(s3.bucket(), "bench/test.csv", MEDCALC.encode())
    assert import_files(checkout, [f"medcalc:{url}"]).files[0].path == "real/medcalc/test.csv"
    assert (checkout / "data" / "real" / "medcalc" / "test.csv").read_text() == MEDCALC


def test_absent_credentials_are_named(clone: Path, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Remote.at(f"s3://{s3.bucket()}/raw")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(Stop, match=r"No credentials are in the environment.*Set AWS_ACCESS_KEY_ID"):
        transfer.pull(clone, place)


def test_a_wrong_bucket_is_named(clone: Path, s3: S3) -> None:
    transfer.pull(clone, Remote.default(clone))
    with pytest.raises(Stop, match=r"pushed to the DVC remote s3://no-such-bucket/raw.*There is no such bucket"):
        transfer.push(clone, Remote.at("s3://no-such-bucket/raw"))


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("ERROR: failed to push - [Errno 28] No space left on device", "The disk is full"),
        ("ERROR: unexpected error - An error occurred (403) when calling: Forbidden", "do not allow it"),
        ("ERROR: failed to connect to s3 (b) - Could not connect to the endpoint URL: x", "Nobody answers"),
        ("ERROR: something else", "DVC says: something else."),
    ],
)
def test_what_a_remote_says_is_explained(said: str, reason: str) -> None:
    assert reason in str(refusal("It failed.", said))


# settings hold no key


def test_keys_of_a_configuration_are_left_behind(clone: Path) -> None:
    (clone / ".dvc" / "config.local").write_text(
        "['remote \"keyed\"']\n    url = s3://bucket/raw\n    region = eu-west-1\n    endpointurl = http://127.0.0.1:9\n"
        "    access_key_id = AKIAEXAMPLE\n    secret_access_key = example\n"
    )
    found = Remote.named(clone, "keyed")
    assert found.settings == {"url": "s3://bucket/raw", "region": "eu-west-1", "endpointurl": "http://127.0.0.1:9"}


def test_a_password_in_a_url_is_refused_and_never_shown() -> None:
    with pytest.raises(Stop, match="given with a password") as caught:
        Remote.at("https://me:hunter2@host/data")
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in str(refusal("It failed.", "ERROR: cannot reach https://me:hunter2@host/data"))


def test_a_remote_is_a_name_a_url_or_a_folder(clone: Path, tmp_path: Path) -> None:
    assert Remote.named(clone, "origin") == Remote.default(clone)
    assert str(Remote.named(clone, "s3://bucket/x")) == "s3://bucket/x"
    assert str(Remote.named(clone, str(tmp_path))) == str(tmp_path)
    with pytest.raises(Stop, match=r"no DVC remote 'orign'\. Known are origin"):
        Remote.named(clone, "orign")
    with pytest.raises(Stop, match="no URL or folder"):
        Remote.at('s3://bucket/"\n[core]')


# import


@pytest.fixture
def kept_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Imports that keep no version in the cache: what they do besides takes milliseconds."""
    monkeypatch.setattr(importing, "keep", lambda *_: None)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the built-in files and their pin, and nothing else."""
    root = tmp_path / "checkout"
    root.mkdir()
    rawdata.build(root, pin=True)
    return root


def test_an_import_is_copied_pinned_and_listed(checkout: Path, tmp_path: Path) -> None:
    before = pinned(checkout / "data.dvc")
    done = import_files(checkout, [medcalc(tmp_path / "test.csv"), medquad(tmp_path / "own.jsonl", MEDQUAD)])
    assert [(file.path, file.state) for file in done.files] == [
        ("real/medcalc/test.csv", "new"),
        ("real/medquad/own.jsonl", "new"),
    ]
    assert (checkout / "data" / "real" / "medcalc" / "test.csv").read_text() == MEDCALC
    assert done.before == before != done.digest == listing(checkout / "data").digest == pinned(checkout / "data.dvc")
    assert yaml.safe_load((checkout / "data.dvc").read_text())["meta"]["imported"].keys() == {
        "real/medcalc/test.csv",
        "real/medquad/own.jsonl",
    }


@pytest.mark.usefixtures("kept_nothing")
def test_dvc_reads_the_pin_of_an_import_as_its_own(checkout: Path, tmp_path: Path) -> None:
    import_files(checkout, [medcalc(tmp_path / "test.csv")])
    ours = yaml.safe_load((checkout / "data.dvc").read_text())
    (checkout / ".dvc" / "config").write_text("[core]\n    no_scm = True\n")
    assert exchange.dvc(["add", "-q", "data"], checkout).returncode == 0
    assert yaml.safe_load((checkout / "data.dvc").read_text()) == ours


@pytest.mark.usefixtures("kept_nothing")
def test_importing_the_same_bytes_again_changes_nothing(checkout: Path, tmp_path: Path) -> None:
    first = import_files(checkout, [medcalc(tmp_path / "test.csv")])
    text = (checkout / "data.dvc").read_bytes()
    again = import_files(checkout, [medcalc(tmp_path / "test.csv")])
    assert (again.files[0].state, again.digest) == ("there", first.digest)
    assert (checkout / "data.dvc").read_bytes() == text


@pytest.mark.usefixtures("kept_nothing")
def test_other_bytes_take_no_place_unasked(checkout: Path, tmp_path: Path) -> None:
    import_files(checkout, [medcalc(tmp_path / "test.csv")])
    other = medcalc(tmp_path / "other" / "test.csv", MEDCALC + "3,Third.,5\n")
    with pytest.raises(Stop, match=r"data/real/medcalc/test\.csv would be replaced.*--force"):
        import_files(checkout, [other, medquad(tmp_path / "own.jsonl", MEDQUAD)])
    assert (checkout / "data" / "real" / "medcalc" / "test.csv").read_text() == MEDCALC
    assert not (checkout / "data" / "real" / "medquad").exists()
    assert import_files(checkout, [other], force=True).files[0].state == "replaced"


@pytest.mark.usefixtures("kept_nothing")
def test_a_file_that_lies_unpinned_is_not_replaced_either(checkout: Path, tmp_path: Path) -> None:
    medcalc(checkout / "data" / "real" / "medcalc" / "test.csv", "mine")
    with pytest.raises(Stop, match="would be replaced"):
        import_files(checkout, [medcalc(tmp_path / "test.csv")])


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (["medcalc:{0}/test.csv", "medquad:{0}/absent.jsonl"], r"no file .*absent\.jsonl to import as medquad"),
        (["medcalc:{0}/test.csv", "medcalc:{0}/other/test.csv"], r"would both be data/real/medcalc/test\.csv"),
        (["builtin"], "builtin is no file to import"),
        (["medcal:{0}/test.csv"], "the nearest is medcalc"),
    ],
)
@pytest.mark.usefixtures("kept_nothing")
def test_an_import_is_whole_or_not_at_all(entries: list[str], message: str, checkout: Path, tmp_path: Path) -> None:
    medcalc(tmp_path / "test.csv")
    medcalc(tmp_path / "other" / "test.csv", "other")
    before = contents(checkout / "data"), (checkout / "data.dvc").read_bytes()
    with pytest.raises(Stop, match=message):
        import_files(checkout, [entry.format(tmp_path) for entry in entries])
    assert (contents(checkout / "data"), (checkout / "data.dvc").read_bytes()) == before


@pytest.mark.usefixtures("kept_nothing")
def test_a_killed_import_is_run_again(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    before = (checkout / "data.dvc").read_bytes()
    monkeypatch.setattr(importing, "write_pin", killed)
    with pytest.raises(KeyboardInterrupt):
        import_files(checkout, [medcalc(tmp_path / "test.csv")])
    monkeypatch.undo()
    monkeypatch.setattr(questions, "raw_files", lambda: dict(FILES))
    assert (checkout / "data.dvc").read_bytes() == before
    assert import_files(checkout, [medcalc(tmp_path / "test.csv")]).digest == listing(checkout / "data").digest


def test_what_others_imported_stays_pinned_without_being_here(clone: Path, tmp_path: Path) -> None:
    done = import_files(clone, [medcalc(tmp_path / "mine.csv")])
    assert Pin.read(clone / "data.dvc").imported.files.keys() == {
        "real/medcalc/mine.csv",
        "real/medcalc/test.csv",
        "real/medquad/own.jsonl",
    }
    assert not (clone / "data" / "real" / "medquad").exists()
    transfer.pull(clone, Remote.default(clone), "v2", force=True)
    import_files(clone, [medcalc(tmp_path / "mine.csv")])
    assert listing(clone / "data").digest == done.digest


@pytest.mark.usefixtures("kept_nothing")
def test_build_is_about_the_built_in_files_alone(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin = import_files(checkout, [medcalc(tmp_path / "test.csv")]).digest
    shutil.rmtree(checkout / "data" / "real")
    assert rawdata.build(checkout) == pin
    monkeypatch.setattr(questions, "raw_files", lambda: {**FILES, "builtin/a.jsonl": "[]\n"})
    with pytest.raises(Stop, match=r"with 1 imported files.*Changed by this build: builtin/a\.jsonl"):
        rawdata.build(checkout)
    rawdata.build(checkout, pin=True)
    assert "real/medcalc/test.csv" in Pin.read(checkout / "data.dvc").imported.files
    assert rawdata.build(checkout) == pinned(checkout / "data.dvc") != pin


def test_a_directory_that_was_pinned_by_hand_passes_and_is_not_imported_into(checkout: Path, tmp_path: Path) -> None:
    (checkout / "data" / "notes.txt").write_text("pinned by hand")
    (checkout / ".dvc").mkdir(exist_ok=True)
    (checkout / ".dvc" / "config").write_text("[core]\n    no_scm = True\n")
    assert exchange.dvc(["add", "-q", "data"], checkout).returncode == 0
    assert rawdata.build(checkout) == listing(checkout / "data").digest
    with pytest.raises(Stop, match="the pin is of files that were not imported"):
        import_files(checkout, [medcalc(tmp_path / "test.csv")])


@pytest.mark.usefixtures("kept_nothing")
def test_a_run_without_a_remote_generates_the_built_in_part_of_the_pin(checkout: Path, tmp_path: Path) -> None:
    import_files(checkout, [medcalc(tmp_path / "test.csv")])
    held = Pin.read(checkout / "data.dvc")
    digests = rawdata.Digests(held.digest, {}, held.imported.md5s)
    assert rawdata.Digests.parse(digests.text()) == digests
    params = read_params(ROOT / "params.yaml", []).prepare
    raw = rawdata.obtain(params, digests, tmp_path / "container")
    assert contents(raw) == {name: text.encode() for name, text in FILES.items()}
    with pytest.raises(Stop, match="have the digest"):
        rawdata.obtain(params, rawdata.Digests(digests.pin, {}), tmp_path / "other")


@pytest.mark.usefixtures("kept_nothing")
def test_a_new_version_changes_the_input_and_the_same_one_does_not(checkout: Path, tmp_path: Path) -> None:
    def text() -> str:
        held = Pin.read(checkout / "data.dvc")
        return rawdata.Digests(held.digest, {}, held.imported.md5s).text()

    first = text()
    import_files(checkout, [medcalc(tmp_path / "test.csv")])
    second = text()
    import_files(checkout, [medcalc(tmp_path / "test.csv")])
    assert first != second == text()


# diff


def changes(found: diff.Difference) -> dict[str, tuple[int, int, int]]:
    """Rows added, removed and changed, by source."""
    return {source.source: (source.added, source.removed, source.changed) for source in found.sources}


def test_two_revisions_differ_by_rows(clone: Path) -> None:
    found = diff.diff(clone, "v1", "v2", Remote.default(clone))
    assert changes(found) == {"medcalc": (2, 0, 0), "medquad": (1, 1, 1)}
    examples = {source.source: source.examples for source in found.sources}
    assert examples["medquad"] == {"added": ("own/new",), "removed": ("own/1",), "changed": ("own/0",)}
    assert found.files.model_dump() == {
        "added": ("real/medcalc/test.csv",),
        "removed": (),
        "changed": ("real/medquad/own.jsonl",),
        "renamed": (),
        "same": 2,
    }
    assert changes(diff.diff(clone, "v2", "v1", None)) == {"medcalc": (0, 2, 0), "medquad": (1, 1, 1)}
    assert not (clone / "data").exists()


def test_a_revision_is_compared_with_the_directory_as_it_lies(clone: Path, tmp_path: Path) -> None:
    transfer.pull(clone, Remote.default(clone))
    assert changes(diff.diff(clone, "HEAD", None, None)) == {}
    import_files(clone, [medcalc(tmp_path / "test.csv", MEDCALC.replace("note", "text"))], force=True)
    assert changes(diff.diff(clone, "HEAD", None, None)) == {"medcalc": (0, 0, 1)}


def test_a_revision_whose_bytes_are_nowhere_is_a_stop(clone: Path) -> None:
    with pytest.raises(Stop, match=r"not in the cache, and there is no DVC remote.*medu1 data build"):
        diff.diff(clone, "v1", "v2", None)
    with pytest.raises(Stop, match="no git revision 'v9'"):
        diff.diff(clone, "v9", None, None)


def raw(place: Path, files: dict[str, str | bytes]) -> Path:
    """A raw directory."""
    for name, content in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return place


@pytest.mark.parametrize(
    ("name", "before", "after", "expected"),
    [
        ("builtin/a.jsonl", FILES["builtin/a.jsonl"], FILES["builtin/b.jsonl"],
         {"facts": (1, 1, 0), "scores": (0, 1, 0)}),
        ("builtin/a.jsonl", '{"id": 1, "q": "s"}\n{"id": 2, "q": "s"}', '{"q":"s","id":2}\n{"q":"s","id":1}', {}),
        ("builtin/a.jsonl", '{"id": 1, "source": "s"}\n' * 3, '{"id": 1, "source": "s"}\n', {"s": (0, 2, 0)}),
        ("real/medquad/x.jsonl", "no json\n", "still none\n", {"medquad": (1, 1, 0)}),
        ("real/medcalc/x.csv", MEDCALC, MEDCALC.replace("of two", "of 2"), {"medcalc": (0, 0, 1)}),
        ("real/mirage/x.json", '{"medqa": {"1": {"a": "A"}}}', '{"medqa": {"1": {"a": "B"}}, "mmlu": {"1": {}}}',
         {"mirage/medqa": (0, 0, 1), "mirage/mmlu": (1, 0, 0)}),
        ("real/pubmedqa/x.json", '{"17": {"final": "yes"}}', '{"17": {"final": "no"}}', {"pubmedqa": (0, 0, 1)}),
        ("real/own/x.json", '[{"id": 1, "q": 1}]', '[{"id": 1, "q": 2}]', {"own": (0, 0, 1)}),
        ("real/own/x.json", "[1", "[2", {"real/own/x.json": (0, 0, 1)}),
        ("real/own/x.csv", b"\xff\xfe", b"\xff\xfd", {"real/own/x.csv": (0, 0, 1)}),
        ("notes.txt", "one", "two", {"notes.txt": (0, 0, 1)}),
    ],
)  # fmt: skip
def test_rows_of_every_container_are_matched_by_id(
    name: str, before: str | bytes, after: str | bytes, expected: dict[str, tuple[int, int, int]], tmp_path: Path
) -> None:
    old, new = raw(tmp_path / "old", {name: before}), raw(tmp_path / "new", {name: after})
    assert changes(diff.diff(tmp_path, str(old), str(new), None)) == expected


def test_a_table_in_parquet_is_read_by_row(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for version, answer in (("old", "A"), ("new", "B")):
        (tmp_path / version / "real" / "medmcqa").mkdir(parents=True)
        table = pa.table({"id": ["x", "y"], "answer": [answer, "C"]})
        pq.write_table(table, tmp_path / version / "real" / "medmcqa" / "train.parquet")
    found = diff.diff(tmp_path, str(tmp_path / "old"), str(tmp_path / "new"), None)
    assert changes(found) == {"medmcqa": (0, 0, 1)}


def test_other_names_and_other_shards_are_no_changes(tmp_path: Path) -> None:
    lines = [json.dumps(row) + "\n" for row in MEDQUAD]
    old = raw(tmp_path / "old", {"real/medquad/all.jsonl": "".join(lines), "real/x/a.txt": "same"})
    new = raw(tmp_path / "new", {"real/medquad/1.jsonl": "".join(lines[:2]), "real/medquad/2.jsonl": "".join(lines[2:]),
                                 "real/x/b.txt": "same"})  # fmt: skip
    found = diff.diff(tmp_path, str(old), str(new), None)
    assert changes(found) == {}
    assert found.files.renamed == (("real/x/a.txt", "real/x/b.txt"),)


def test_an_empty_directory_is_a_stop(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with pytest.raises(Stop, match="There is no raw data"):
        diff.diff(tmp_path, str(tmp_path / "old"), str(tmp_path / "old"), None)


ROWS = st.lists(st.builds(RawRow, st.sampled_from("st"), st.sampled_from("abc"), st.integers(0, 2)), max_size=12)


@settings(deadline=None)
@given(ROWS, ROWS)
def test_equal_rows_cancel_out_and_the_rest_is_matched_by_id(before: list[RawRow], after: list[RawRow]) -> None:
    names: list[str] = []
    changed = diff._changed(diff._read(before, names), diff._read(after, names))
    gone, come = Counter(before) - Counter(after), Counter(after) - Counter(before)
    expected: Counter[tuple[str, str, str]] = Counter()
    for source, name in {(row.source, row.id) for row in [*before, *after]}:
        lost = sum(count for row, count in gone.items() if (row.source, row.id) == (source, name))
        new = sum(count for row, count in come.items() if (row.source, row.id) == (source, name))
        both = min(lost, new)
        expected += Counter(
            {("added", source): new - both, ("removed", source): lost - both, ("changed", source): both}
        )
    found = Counter({(kind, names[place]): 0 for kind in changed.counts for place in changed.sources})
    for kind, counts in changed.counts.items():
        for place, count in zip(changed.sources, counts, strict=True):
            found[kind, names[place]] += int(count)
    assert +found == +expected


def test_the_same_row_has_the_same_key_in_every_file(tmp_path: Path) -> None:
    place = raw(
        tmp_path,
        {"real/medquad/a.jsonl": '{"id": "1", "source": "s"}', "real/medquad/b.jsonl": '{"source": "s", "id": "1"}'},
    )
    (first,), (second,) = rows(place, "real/medquad/a.jsonl"), rows(place, "real/medquad/b.jsonl")
    assert (first, first.key) == (second, second.key)


# a repository and a revision


@pytest.fixture
def upstream(published: Path, tmp_path: Path) -> str:
    """The published repository without a working tree and without a cache: only its remote has bytes."""
    git(tmp_path, "clone", "-q", "--bare", str(published), "upstream.git")
    return str(tmp_path / "upstream.git")


def test_a_container_without_git_reads_a_pinned_revision(
    upstream: str, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "container").mkdir()
    monkeypatch.chdir(tmp_path / "container")
    expected = pin_at(published, "v1").digest, pin_at(published, "v2").digest
    monkeypatch.setenv("PATH", "")
    first = listing(obtain_from(upstream, "v1", tmp_path / "container" / "raw")).digest
    second = listing(obtain_from(upstream, "v2", tmp_path / "container" / "raw")).digest
    assert (first, second) == expected
    assert {path.name for path in (tmp_path / "container" / "raw").iterdir()} == {"data", ".dvc"}
    assert not list((tmp_path / "container").rglob(".git"))


def test_a_repository_on_an_object_store_is_read_with_the_environments_credentials(
    clone: Path, s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"s3://{s3.bucket()}/raw"
    transfer.pull(clone, Remote.default(clone))
    transfer.push(clone, Remote.at(url))
    (clone / ".dvc" / "config").write_text(f"[core]\n    remote = origin\n['remote \"origin\"']\n    url = {url}\n")
    git(clone, "commit", "-qam", "a remote on an object store")
    git(tmp_path, "clone", "-q", "--bare", str(clone), "upstream.git")
    repository = f"file://{tmp_path / 'upstream.git'}"
    raw = obtain_from(repository, "main", tmp_path / "raw")
    assert listing(raw).digest == pinned(clone / "data.dvc")
    with pytest.raises(Stop, match=r"revision v9 cannot be obtained\. There is no such revision"):
        obtain_from(repository, "v9", tmp_path / "other")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(Stop, match="No credentials are in the environment"):
        obtain_from(repository, "main", tmp_path / "other")


def test_what_a_repository_lacks_is_named(upstream: str, tmp_path: Path) -> None:
    with pytest.raises(Stop, match=r"There is no data\.dvc at that revision"):
        obtain_from(upstream, "v0", tmp_path / "raw")
    with pytest.raises(Stop, match="The git repository cannot be read"):
        obtain_from(str(tmp_path / "nowhere"), "v1", tmp_path / "raw")
    assert not (tmp_path / "raw" / "data").exists()


# the commands


def called(*words: str) -> str:
    done = CliRunner().invoke(data_commands.app, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_commands_do_it_in_the_current_folder(clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(clone)
    assert "data/ is now" in called("pull")
    assert json.loads(called("pull", "--json"))["changed"] is False
    assert "to pin these: git checkout v1 -- data.dvc" in called("pull", "--rev", "v1")
    called("pull")
    assert "5 objects were sent" in called("push", "--remote", str(tmp_path / "other"))
    assert "new       data/real/medcalc/more.csv" in called("import", medcalc(tmp_path / "more.csv"))
    assert json.loads(called("import", medcalc(tmp_path / "more.csv"), "--json"))["files"][0]["state"] == "there"
    table = called("diff", "v1", "--remote", "origin")
    assert "such as" in table
    assert "added     real/medcalc/more.csv" in table
    found = json.loads(called("diff", "v1", "v2", "--json"))
    assert [source["source"] for source in found["sources"]] == ["medcalc", "medquad"]


def test_the_parameter_file_names_the_remote(clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(clone)
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    empty = tmp_path / "empty"
    (clone / "params.yaml").write_text(text.replace('dvc_remote: ""', f"dvc_remote: {empty}"), encoding="utf-8")
    with pytest.raises(Stop, match=f"cannot be pulled from the DVC remote {empty}"):
        called("pull")


def test_a_push_needs_a_remote(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)
    with pytest.raises(Stop, match="no remote to push to"):
        called("push")


def test_data_that_may_not_be_handed_on_is_not_pinned(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)
    before = (checkout / "data.dvc").read_bytes()
    with pytest.raises(Stop, match=r"The licence gate refuses .*EHRNoteQA"):
        CliRunner().invoke(data_commands.app, ["import", "medquad:ehrnoteqa.jsonl"], catch_exceptions=False)
    assert (checkout / "data.dvc").read_bytes() == before
