"""The store: a folder under a key is whole or does not exist."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from medu1 import record, storage
from medu1.errors import Stop
from medu1.record import StepRecord
from medu1.storage import LocalStore, open_store
from medu1.workspace import Workspace

KEY = "train/0123456789abcdef"

Tear = Callable[[Path], None]


def written(folder: Path, text: str = "weights") -> Path:
    """A complete output: a file, one in a folder, and the record of both."""
    (folder / "plots").mkdir(parents=True)
    (folder / "model.safetensors").write_text(text, encoding="utf-8")
    (folder / "plots" / "loss.svg").write_text("<svg/>", encoding="utf-8")
    described = StepRecord(
        step="train",
        fingerprint=KEY.partition("/")[2],
        params={},
        inputs={},
        code="c",
        outputs=record.entries(folder),
        facts={},
        commit="",
        dirty=False,
        image="",
        versions={},
        run="r",
        mlflow_run="m",
        started="2026-01-01T00:00:00+00:00",
        seconds=1.0,
    )
    record.write(described, folder)
    return folder


def workspace(home: Path, store: str = "") -> Workspace:
    return Workspace(home=home, run="r", tracking_uri="", store=store)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def weights(folder: Path | None) -> str:
    assert folder is not None
    return (folder / "model.safetensors").read_text(encoding="utf-8")


def test_what_was_never_published_is_not_there(store: LocalStore) -> None:
    assert store.fetch(KEY) is None


def test_a_published_folder_is_moved_and_fetched_where_it_lies(store: LocalStore, tmp_path: Path) -> None:
    work = written(tmp_path / "work")
    place = store.publish(work, KEY)
    assert store.fetch(KEY) == place == tmp_path / "store" / KEY
    assert (place / "plots" / "loss.svg").exists()
    assert not work.exists()


def tear_off_a_file(folder: Path) -> None:
    (folder / "plots" / "loss.svg").unlink()


def cut_a_file(folder: Path) -> None:
    (folder / "model.safetensors").write_text("wei", encoding="utf-8")


def lose_the_record(folder: Path) -> None:
    (folder / record.NAME).unlink()


def cut_the_record(folder: Path) -> None:
    text = (folder / record.NAME).read_text(encoding="utf-8")
    (folder / record.NAME).write_text(text[: len(text) // 2], encoding="utf-8")


def forget_a_field(folder: Path) -> None:
    row = json.loads((folder / record.NAME).read_text(encoding="utf-8"))
    del row["outputs"]
    (folder / record.NAME).write_text(json.dumps(row), encoding="utf-8")


@pytest.mark.parametrize("tear", [tear_off_a_file, cut_a_file, lose_the_record, cut_the_record, forget_a_field])
def test_a_torn_folder_is_not_there_and_is_replaced(store: LocalStore, tmp_path: Path, tear: Tear) -> None:
    tear(store.publish(written(tmp_path / "work"), KEY))
    assert store.fetch(KEY) is None
    store.publish(written(tmp_path / "again", "anew"), KEY)
    assert weights(store.fetch(KEY)) == "anew"
    assert [path.name for path in (tmp_path / "store" / "train").iterdir()] == [Path(KEY).name]


def test_the_first_of_two_makers_wins_and_the_second_leaves_nothing(store: LocalStore, tmp_path: Path) -> None:
    first = store.publish(written(tmp_path / "one", "first"), KEY)
    second = store.publish(written(tmp_path / "two", "second"), KEY)
    assert second == first
    assert weights(store.fetch(KEY)) == "first"
    assert not (tmp_path / "two").exists()


def test_a_rename_that_fails_leaves_nothing_under_the_key(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = written(tmp_path / "work")

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OSError, match="No space left"):
        store.publish(work, KEY)
    assert store.fetch(KEY) is None
    assert not (tmp_path / "store" / KEY).exists()


def test_a_record_names_every_file_and_its_checksum(tmp_path: Path) -> None:
    found = record.read(written(tmp_path / "work"))
    assert found is not None
    assert set(found.outputs) == {"model.safetensors", "plots/loss.svg"}
    entry = found.outputs["plots/loss.svg"]
    assert (entry.size, entry.sha256) == (6, record.checksum(tmp_path / "work" / "plots" / "loss.svg"))


def test_a_content_digest_is_of_names_and_bytes_alone(tmp_path: Path) -> None:
    one, two = written(tmp_path / "one"), written(tmp_path / "two")
    lose_the_record(two)
    assert record.content_digest(one) == record.content_digest(two)
    (two / "plots" / "loss.svg").rename(two / "loss.svg")
    assert record.content_digest(one) != record.content_digest(two)
    assert record.content_digest(one) != record.content_digest(written(tmp_path / "three", "others"))


def test_a_fingerprint_is_of_step_parameters_inputs_and_code() -> None:
    def mark(step: str = "train", seed: int = 1, base: str = "b", code: str = "c") -> str:
        return record.fingerprint(step, {"seed": seed, "steps": 2}, {"base": base}, code)

    assert mark() == record.fingerprint("train", {"steps": 2, "seed": 1}, {"base": "b"}, "c")
    others = {mark(step="base"), mark(seed=2), mark(base="x"), mark(code="x")}
    assert len(others | {mark()}) == 5
    assert len(mark()) == 16


def test_scratch_folders_are_empty_different_and_on_the_stores_file_system(tmp_path: Path) -> None:
    one, two = storage.scratch(workspace(tmp_path)), storage.scratch(workspace(tmp_path))
    assert one != two
    assert list(one.iterdir()) == []
    assert one.parent == tmp_path / "store"


def test_the_store_is_below_the_home_unless_another_is_named(tmp_path: Path) -> None:
    found = open_store(workspace(tmp_path))
    assert isinstance(found, LocalStore)
    assert found.root == tmp_path / "store"


@pytest.mark.parametrize("named", ["gs://bucket/prefix", "folder/of/mine"])
def test_a_store_that_is_no_s3_url_is_a_stop(tmp_path: Path, named: str) -> None:
    with pytest.raises(Stop, match=r"Only s3:// is known"):
        open_store(workspace(tmp_path, named))
