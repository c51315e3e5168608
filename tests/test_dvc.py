"""The pin: its digest is DVC's own, and the bytes behind it are pulled or generated, never assumed."""

import shutil
from pathlib import Path

import pytest
import yaml

from medu1.builtin import questions
from medu1.errors import Stop
from medu1.params import Prepare
from medu1.prepare import rawdata
from medu1.prepare.rawdata import Digests
from medu1.prepare.versions import exchange
from medu1.prepare.versions.pin import listing, pinned
from pipelines.request import read_params

ROOT = Path(__file__).parents[1]
FILES = {"builtin/b.jsonl": '{"text": "37.5 °C"}\n', "builtin/a.jsonl": "{}\n"}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two raw files and their pin; DVC keeps its machine-wide state inside."""
    monkeypatch.setattr(questions, "raw_files", lambda: dict(FILES))
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "global"))
    root = tmp_path / "checkout"
    root.mkdir()
    rawdata.build(root, pin=True)
    return root


def dvc(folder: Path, *arguments: str) -> str:
    done = exchange.dvc(arguments, folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def pushed(checkout: Path, remote: Path) -> str:
    """The pin, after `dvc add` and `dvc push` of the checkout's data."""
    dvc(checkout, "init", "--no-scm", "-q")
    dvc(checkout, "remote", "add", "-q", "-d", "origin", str(remote))
    dvc(checkout, "add", "-q", "data")
    dvc(checkout, "push", "-q")
    return pinned(checkout / "data.dvc")


def pulled_from(remote: str) -> Prepare:
    """Parameters that name a DVC remote."""
    return read_params(ROOT / "params.yaml", [f'prepare.dvc_remote="{remote}"']).prepare


def test_the_pin_is_what_dvc_add_writes(checkout: Path) -> None:
    ours = yaml.safe_load((checkout / "data.dvc").read_text())
    dvc(checkout, "init", "--no-scm", "-q")
    dvc(checkout, "add", "-q", "data")
    assert yaml.safe_load((checkout / "data.dvc").read_text()) == ours
    assert "up to date" in dvc(checkout, "status")


def test_building_again_gives_the_pinned_bytes(checkout: Path) -> None:
    shutil.rmtree(checkout / "data")
    assert rawdata.build(checkout) == pinned(checkout / "data.dvc")


def test_a_stray_file_among_the_built_in_ones_is_removed(checkout: Path) -> None:
    (checkout / "data" / "builtin" / "old.jsonl").write_text("{}")
    rawdata.build(checkout)
    assert not (checkout / "data" / "builtin" / "old.jsonl").exists()


def test_other_bytes_than_the_pinned_ones_name_the_file(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "raw_files", lambda: {**FILES, "builtin/a.jsonl": "[]\n"})
    with pytest.raises(Stop, match=r"Changed by this build: builtin/a\.jsonl\..*medu1 data build --pin"):
        rawdata.build(checkout)
    assert rawdata.build(checkout, pin=True) == pinned(checkout / "data.dvc")


def test_an_absent_or_broken_pin_is_a_stop(tmp_path: Path) -> None:
    with pytest.raises(Stop, match="There is no"):
        pinned(tmp_path / "data.dvc")
    (tmp_path / "data.dvc").write_text("outs: 3\n")
    with pytest.raises(Stop, match="no DVC file"):
        pinned(tmp_path / "data.dvc")


def test_raw_data_is_pulled_without_a_repository(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin = pushed(checkout, tmp_path / "remote")
    monkeypatch.setattr(questions, "raw_files", lambda: pytest.fail("the remote has the bytes"))
    raw = rawdata.obtain(pulled_from(str(tmp_path / "remote")), Digests(pin, {}), tmp_path / "container")
    assert {name: (raw / name).read_text() for name in FILES} == FILES
    assert not (tmp_path / "container" / ".git").exists()


def test_raw_data_is_generated_where_there_is_no_remote(checkout: Path, tmp_path: Path) -> None:
    raw = rawdata.obtain(pulled_from(""), Digests(pinned(checkout / "data.dvc"), {}), tmp_path / "container")
    assert listing(raw) == listing(checkout / "data")


def test_generated_bytes_must_have_the_pinned_digest(tmp_path: Path, checkout: Path) -> None:
    with pytest.raises(Stop, match=r"The built-in questions of this version have the digest .* pins 00\.dir"):
        rawdata.obtain(pulled_from(""), Digests("00.dir", {}), tmp_path / "container")


def test_a_remote_without_the_bytes_is_a_stop_with_dvcs_reason(checkout: Path, tmp_path: Path) -> None:
    pushed(checkout, tmp_path / "remote")
    absent = "0" * 32 + ".dir"
    with pytest.raises(Stop, match=r"cannot be pulled from the DVC remote.*DVC says: .*0000\.dir"):
        rawdata.obtain(pulled_from(str(tmp_path / "remote")), Digests(absent, {}), tmp_path / "container")


def test_the_digests_travel_as_canonical_text() -> None:
    digests = Digests("aa.dir", {"b.csv": "bb"})
    assert digests.text() == '{"b.csv":"bb","data.dvc":"aa.dir"}'
    assert Digests.parse(digests.text()) == digests
    assert digests.identity() == "aa.dir bb"
    with pytest.raises(Stop, match="demonstrations are built-in"):
        Digests.parse('{"b.csv": "bb"}')
