"""The store: a folder under a key is whole or does not exist."""

import json
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from medu1 import record, storage
from medu1.errors import Stop
from medu1.record import StepRecord
from medu1.storage import LocalStore, ObjectStore, open_store
from medu1.workspace import Workspace
from s3 import S3

KEY = "train/0123456789abcdef"

Tear = Callable[[Path], None]


def written(folder: Path, text: str = "weights", more: Mapping[str, bytes] | None = None) -> Path:
    """A complete output: a file, one in a folder, perhaps more, and the record of all."""
    (folder / "plots").mkdir(parents=True)
    (folder / "model.safetensors").write_text(text, encoding="utf-8")
    (folder / "plots" / "loss.svg").write_text("<svg/>", encoding="utf-8")
    for name, content in (more or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
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


# The object store

MORE = {"deep/er/naïve name.txt": b"\r\n\0\xff", "deep/nothing.txt": b"", "deep/model.safetensors": b"another"}


@pytest.fixture
def url(s3: S3) -> str:
    return f"s3://{s3.bucket()}/medu1"


def contents(folder: Path | None) -> dict[str, bytes]:
    """Every file below a folder."""
    assert folder is not None
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def objects(s3: S3, url: str) -> dict[str, bytes]:
    """What lies under KEY in the bucket, by relative name."""
    client, bucket, start = s3.client, url.split("/")[2], f"medu1/{KEY}/"
    keys = [each["Key"] for each in client.list_objects_v2(Bucket=bucket, Prefix=start).get("Contents", ())]
    return {key.removeprefix(start): client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def removed(s3: S3, url: str, *names: str) -> None:
    """Take objects under KEY out of the bucket."""
    client = s3.client
    for name in names:
        client.delete_object(Bucket=url.split("/")[2], Key=f"medu1/{KEY}/{name}")


def test_what_one_machine_publishes_another_fetches_byte_for_byte(s3: S3, url: str, tmp_path: Path) -> None:
    work = written(tmp_path / "work", more=MORE)
    sent = contents(work)
    here = ObjectStore(url, tmp_path / "here").publish(work, KEY)
    there = ObjectStore(url, tmp_path / "there").fetch(KEY)
    assert (here, there) == (tmp_path / "here" / KEY, tmp_path / "there" / KEY)
    assert contents(here) == contents(there) == objects(s3, url) == sent
    assert len(sent) == 6
    assert not work.exists()
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["train"]


def test_the_record_is_uploaded_after_all_it_names(url: str, tmp_path: Path) -> None:
    store, sent = ObjectStore(url, tmp_path / "cache"), list[str]()

    def note(params: Mapping[str, Any], **_: object) -> None:
        sent.append(params["Key"].removeprefix(f"medu1/{KEY}/"))

    store.bucket._client.meta.events.register("before-parameter-build.s3.PutObject", note)
    store.publish(written(tmp_path / "work", more={"zebra.txt": b"z"}), KEY)
    assert sent[-1] == record.NAME
    assert sorted(sent[:-1]) == ["model.safetensors", "plots/loss.svg", "zebra.txt"]


def test_what_no_one_published_is_not_in_the_object_store(url: str, tmp_path: Path) -> None:
    store = ObjectStore(url, tmp_path / "cache")
    assert store.fetch(KEY) is None
    store.publish(written(tmp_path / "work"), KEY)
    assert store.fetch(f"{KEY}0") is None
    assert store.fetch(KEY[:-1]) is None


@pytest.mark.parametrize(
    "lost", [[record.NAME], ["model.safetensors"], ["plots/loss.svg"], ["plots/loss.svg", record.NAME]]
)
def test_an_output_that_is_half_there_is_not_there_until_it_is_published_again(
    s3: S3, url: str, tmp_path: Path, lost: list[str]
) -> None:
    ObjectStore(url, tmp_path / "one").publish(written(tmp_path / "work"), KEY)
    removed(s3, url, *lost)
    other = ObjectStore(url, tmp_path / "other")
    assert other.fetch(KEY) is None
    assert list((tmp_path / "other").rglob("*")) == []
    ObjectStore(url, tmp_path / "two").publish(written(tmp_path / "again", "anew"), KEY)
    assert weights(other.fetch(KEY)) == "anew"


def test_an_upload_that_breaks_off_leaves_nothing_that_counts_and_can_be_done_again(
    s3: S3, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, work = ObjectStore(url, tmp_path / "cache"), written(tmp_path / "work")
    upload, cuts = store.bucket.upload, [Stop("The line is cut.")]

    def cut_once(file: Any, name: str) -> None:
        if name.endswith("loss.svg") and cuts:
            raise cuts.pop()
        upload(file, name)

    monkeypatch.setattr(store.bucket, "upload", cut_once)
    with pytest.raises(Stop, match="The line is cut"):
        store.publish(work, KEY)
    assert set(objects(s3, url)) == {"model.safetensors"}
    assert store.fetch(KEY) is None
    store.publish(work, KEY)
    assert weights(ObjectStore(url, tmp_path / "other").fetch(KEY)) == "weights"


@pytest.mark.parametrize("content", [b"Weights", b"wei", b""], ids=["as long", "shorter", "empty"])
def test_an_object_of_other_bytes_is_found_out_and_kept_nowhere(
    s3: S3, url: str, tmp_path: Path, content: bytes
) -> None:
    ObjectStore(url, tmp_path / "one").publish(written(tmp_path / "work"), KEY)
    s3.put(url.split("/")[2], f"medu1/{KEY}/model.safetensors", content)
    other = ObjectStore(url, tmp_path / "other")
    with pytest.raises(Stop, match=rf"{url}/{KEY}/model\.safetensors does not have the checksum.*Delete the folder"):
        other.fetch(KEY)
    assert list((tmp_path / "other").rglob("*")) == []
    removed(s3, url, *objects(s3, url))
    assert other.fetch(KEY) is None


def test_publishing_a_key_twice_leaves_one_whole_output(s3: S3, url: str, tmp_path: Path) -> None:
    store = ObjectStore(url, tmp_path / "cache")
    first = store.publish(written(tmp_path / "one"), KEY)
    held = contents(first)
    again = written(tmp_path / "two")
    assert store.publish(again, KEY) == first
    assert contents(first) == held == contents(ObjectStore(url, tmp_path / "other").fetch(KEY))
    assert not again.exists()


def test_of_two_makers_on_two_machines_the_first_wins_for_everyone(url: str, tmp_path: Path) -> None:
    works = [written(tmp_path / each, f"weights of {each}", {f"{each}.txt": b"only here"}) for each in ("one", "two")]
    first = contents(works[0])
    for name, work in zip(("one", "two"), works, strict=True):
        published = ObjectStore(url, tmp_path / f"cache of {name}").publish(work, KEY)
        assert contents(published) == first
    assert contents(ObjectStore(url, tmp_path / "third").fetch(KEY)) == first


def test_what_is_in_the_cache_is_not_downloaded_again(s3: S3, url: str, tmp_path: Path) -> None:
    ObjectStore(url, tmp_path / "maker").publish(written(tmp_path / "work"), KEY)
    fetched = ObjectStore(url, tmp_path / "reader").fetch(KEY)
    removed(s3, url, *objects(s3, url))
    for cache in ("maker", "reader"):
        assert weights(ObjectStore(url, tmp_path / cache).fetch(KEY)) == "weights"
    assert ObjectStore(url, tmp_path / "reader").fetch(KEY) == fetched
    assert ObjectStore(url, tmp_path / "late").fetch(KEY) is None


@pytest.mark.parametrize("tear", [tear_off_a_file, cut_a_file, lose_the_record, cut_the_record])
def test_a_torn_folder_of_the_cache_is_fetched_anew(url: str, tmp_path: Path, tear: Tear) -> None:
    store = ObjectStore(url, tmp_path / "cache")
    place = store.publish(written(tmp_path / "work"), KEY)
    whole = contents(place)
    tear(place)
    assert contents(store.fetch(KEY)) == whole
    assert [path.name for path in (tmp_path / "cache" / "train").iterdir()] == [Path(KEY).name]


def test_a_record_that_is_torn_is_none(s3: S3, url: str, tmp_path: Path) -> None:
    ObjectStore(url, tmp_path / "maker").publish(written(tmp_path / "work"), KEY)
    s3.put(url.split("/")[2], f"medu1/{KEY}/{record.NAME}", b'{"step": "tr')
    assert ObjectStore(url, tmp_path / "reader").fetch(KEY) is None


@pytest.mark.parametrize("name", ["../../../escaped", "/escaped", "a/../../escaped", "."])
def test_a_record_that_names_a_file_elsewhere_is_none_and_nothing_is_written_there(
    s3: S3, url: str, tmp_path: Path, name: str
) -> None:
    place = ObjectStore(url, tmp_path / "maker").publish(written(tmp_path / "work"), KEY)
    hostile = (place / record.NAME).read_text(encoding="utf-8").replace('"model.safetensors"', f'"{name}"')
    s3.put(url.split("/")[2], f"medu1/{KEY}/{record.NAME}", hostile.encode())
    s3.put(url.split("/")[2], f"medu1/{KEY}/{name}", b"escaped")
    assert ObjectStore(url, tmp_path / "a" / "b" / "c").fetch(KEY) is None
    assert not list(tmp_path.rglob("escaped*"))


def test_the_password_of_an_endpoint_is_not_told(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://user:pa55word@127.0.0.1:{free.getsockname()[1]}")
    with pytest.raises(Stop, match="cannot be reached") as stop:
        ObjectStore("s3://somewhere/medu1", tmp_path / "cache").fetch(KEY)
    assert "pa55word" not in str(stop.value)


def test_a_store_nobody_answers_for_is_a_stop_that_names_no_key(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "AKIAHIDDEN", "AWS_SECRET_ACCESS_KEY": "hush-hush", "AWS_SESSION_TOKEN": "whisper"}
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    with socket.create_server(("127.0.0.1", 0)) as free:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
    store, work = ObjectStore("s3://somewhere/medu1", tmp_path / "cache"), written(tmp_path / "work")
    acts: list[Callable[[], object]] = [lambda: store.fetch(KEY), lambda: store.publish(work, KEY)]
    for act in acts:
        with pytest.raises(Stop, match=r"s3://somewhere/medu1/.* cannot be reached.*Check AWS_ENDPOINT_URL") as stop:
            act()
        assert not [value for value in keys.values() if value in str(stop.value)]
    assert record.read(work) is not None  # what was made is still here
    assert not (tmp_path / "cache").exists()


def test_a_bucket_that_is_not_made_is_a_stop_and_no_absent_output(s3: S3, tmp_path: Path) -> None:
    with pytest.raises(Stop, match=r"There is no bucket for s3://no-such-bucket/.*Correct MEDU1_STORE"):
        ObjectStore("s3://no-such-bucket/medu1", tmp_path / "cache").fetch(KEY)


def test_an_s3_url_opens_an_object_store_with_its_cache_below_the_home(url: str, tmp_path: Path) -> None:
    found = open_store(workspace(tmp_path, url))
    assert isinstance(found, ObjectStore)
    found.publish(written(tmp_path / "work"), KEY)
    assert record.read(tmp_path / "store" / KEY) is not None
    assert weights(open_store(workspace(tmp_path / "elsewhere", url)).fetch(KEY)) == "weights"
