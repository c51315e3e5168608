"""Checkpoints: whole or not there, the damaged passed over, the configuration named field by field."""

from pathlib import Path

import pytest

from medu1.errors import Stop
from medu1.train import checkpoints
from medu1.train.checkpoints import MARKER, name
from medu1.train.publisher import Publisher

SAME = {"train.seed": "0", "processes": "1"}


def saved(root: Path, step: int) -> Path:
    """What a trainer writes before it is published."""
    part = root / ".saving" / f"checkpoint-{step}"
    part.mkdir(parents=True)
    (part / "model.safetensors").write_bytes(bytes([step]) * 100)
    (part / "config.json").write_text("{}")
    (part / "optimizer.pt").write_bytes(b"state")
    (part / "trainer_state.json").write_text("{}")
    return part


def published(root: Path, *steps: int) -> None:
    for step in steps:
        checkpoints.publish(saved(root, step), root, step, SAME)


def steps(root: Path) -> list[int]:
    return [found.marker.step for found in checkpoints.held(root)]


def test_a_published_checkpoint_names_every_file(tmp_path: Path) -> None:
    published(tmp_path, 3)
    (found,) = checkpoints.held(tmp_path)
    assert found.folder == tmp_path / "step-00000003"
    assert set(found.marker.files) == {"model.safetensors", "config.json", "optimizer.pt", "trainer_state.json"}
    assert found.marker.configuration == SAME
    assert checkpoints.is_sound(found)


def test_the_newest_is_by_number_not_by_name(tmp_path: Path) -> None:
    published(tmp_path, 9, 100, 20)
    found = checkpoints.newest(tmp_path)
    assert found is not None
    assert found.marker.step == 100


@pytest.mark.parametrize("fault", ["no marker", "torn marker", "file gone", "file short", "file changed"])
def test_what_is_torn_or_damaged_is_passed_over(tmp_path: Path, fault: str) -> None:
    published(tmp_path, 1, 2)
    folder = tmp_path / name(2)
    match fault:
        case "no marker":
            (folder / MARKER).unlink()
        case "torn marker":
            (folder / MARKER).write_text((folder / MARKER).read_text()[:40])
        case "file gone":
            (folder / "optimizer.pt").unlink()
        case "file short":
            (folder / "model.safetensors").write_bytes(b"short")
        case "file changed":
            (folder / "model.safetensors").write_bytes(b"x" * 100)
    found = checkpoints.newest(tmp_path)
    assert found is not None
    assert found.marker.step == 1


def test_a_checkpoint_without_any_is_none(tmp_path: Path) -> None:
    assert checkpoints.newest(tmp_path / "absent") is None


def test_an_unfinished_save_is_no_checkpoint(tmp_path: Path) -> None:
    saved(tmp_path, 4)
    (tmp_path / "step-5").mkdir()
    assert steps(tmp_path) == []


def test_pruning_keeps_the_named_steps(tmp_path: Path) -> None:
    published(tmp_path, 1, 2, 3, 4)
    checkpoints.prune(tmp_path, {2, 4})
    assert steps(tmp_path) == [4, 2]
    assert sorted(path.name for path in tmp_path.glob("step-*")) == [name(2), name(4)]


def test_a_checkpoint_of_another_configuration_is_named_field_by_field(tmp_path: Path) -> None:
    published(tmp_path, 1)
    (found,) = checkpoints.held(tmp_path)
    checkpoints.check_same(found, SAME)
    with pytest.raises(Stop) as stop:
        checkpoints.check_same(found, {"train.seed": "1", "train.new": "2"})
    said = str(stop.value)
    assert "processes is 1 there and not set here" in said
    assert "train.seed is 0 there and 1 here" in said
    assert "train.new is not set there and 2 here" in said


def test_a_model_is_copied_without_the_state_of_training(tmp_path: Path) -> None:
    published(tmp_path, 1)
    (found,) = checkpoints.held(tmp_path)
    out = tmp_path / "model"
    out.mkdir()
    checkpoints.copy_model(found, out)
    assert sorted(path.name for path in out.iterdir()) == ["config.json", "model.safetensors"]


# In the background


def test_a_publisher_publishes_and_prunes(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path, SAME, lambda: {1}, None)
    for step in (1, 2, 3):
        publisher.publish(saved(tmp_path, step), step)
    publisher.wait()
    assert steps(tmp_path) == [3, 1]
    assert list((tmp_path / ".saving").iterdir()) == []


def test_what_publishing_raises_reaches_the_training(tmp_path: Path) -> None:
    def kept() -> set[int]:
        raise OSError("the disk is gone")

    publisher = Publisher(tmp_path, SAME, kept, None)
    publisher.publish(saved(tmp_path, 1), 1)
    with pytest.raises(OSError, match="the disk is gone"):
        publisher.publish(saved(tmp_path, 2), 2)
    assert steps(tmp_path) == [1]
