"""The file of a training's telemetry: whole lines, read while it grows, cut back on a resume."""

import json
import math
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from medu1.train.history import NAME, History, metric_name


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "checkpoints" / NAME)


def steps(history: History) -> list[tuple[int, Mapping[str, float]]]:
    return [(line.step, line.metrics) for line in history.lines()]


def test_what_is_appended_reads_back_with_its_step_and_time(history: History) -> None:
    before = time.time_ns() // 1_000_000
    history.append(1, {"loss": 0.1, "tokens": 7})
    history.append(1, {"validation/accuracy": 1 / 3})
    assert steps(history) == [(1, {"loss": 0.1, "tokens": 7.0}), (1, {"validation/accuracy": 1 / 3})]
    assert all(before <= line.time <= time.time_ns() // 1_000_000 for line in history.lines())


def test_a_line_is_canonical_json(history: History) -> None:
    history.append(3, {"b": 1.5, "a": 2})
    (line,) = history.lines()
    assert (
        history.path.read_text(encoding="utf-8") == f'{{"metrics":{{"a":2.0,"b":1.5}},"step":3,"time":{line.time}}}\n'
    )


def test_nan_and_infinities_are_left_out_and_an_empty_line_is_not_written(history: History) -> None:
    history.append(1, {"kl": math.nan, "loss": 0.5, "ratio": math.inf})
    history.append(2, {"kl": -math.inf})
    history.append(3, {})
    assert steps(history) == [(1, {"loss": 0.5})]


def test_a_history_that_does_not_exist_is_empty(history: History) -> None:
    history.truncate(5)
    assert steps(history) == []
    assert history.identity() is None
    assert not history.path.exists()


def test_reading_goes_on_from_an_offset_and_leaves_a_line_still_being_written(history: History) -> None:
    history.append(1, {"loss": 0.5})
    ((first, offset),) = history.read()
    assert (first.step, offset) == (1, history.path.stat().st_size)
    with history.path.open("a", encoding="utf-8") as file:
        file.write('{"metrics":{"loss":0.4},"st')
        file.flush()
        assert list(history.read(offset)) == []
        file.write('ep":2,"time":1}\n')
    ((second, end),) = history.read(offset)
    assert (second.step, end) == (2, history.path.stat().st_size)


@pytest.mark.parametrize("line", ["{}", "nonsense", "\0\0\0", '{"metrics":{"a":NaN},"step":1,"time":1}', ""])
def test_what_is_not_a_line_is_passed_over(history: History, line: str) -> None:
    history.append(1, {"loss": 0.5})
    with history.path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    history.append(2, {"loss": 0.4})
    assert [step for step, _ in steps(history)] == [1, 2]


def torn(history: History) -> History:
    """As a process leaves it that is killed while it writes step 4, seen by the next process."""
    for step in (1, 2, 3):
        history.append(step, {"loss": 1 / step})
    with history.path.open("a", encoding="utf-8") as file:
        file.write('{"metrics":{"loss":0.2')
    return History(history.path)


def test_the_next_process_does_not_write_on_behind_a_torn_line(history: History) -> None:
    history = torn(history)
    history.append(4, {"loss": 0.25})
    assert steps(history) == [(step, {"loss": 1 / step}) for step in (1, 2, 3, 4)]


@pytest.mark.parametrize("step", [0, 2, 3, 9])
def test_truncating_drops_the_lines_beyond_a_step_and_a_torn_one(history: History, step: int) -> None:
    history = torn(history)
    history.truncate(step)
    assert [found for found, _ in steps(history)] == [each for each in (1, 2, 3) if each <= step]
    assert history.path.read_bytes().endswith(b"\n") or step == 0
    history.append(step + 1, {"loss": 0.0})
    assert [found for found, _ in steps(history)][-1] == step + 1
    assert [path.name for path in history.path.parent.iterdir()] == [NAME]


def test_truncating_keeps_the_lines_it_keeps_to_the_byte(history: History) -> None:
    for step in (1, 2, 3):
        history.append(step, {"loss": step / 7})
    history.append(2, {"validation/accuracy": 0.5})  # written late
    lines = history.path.read_bytes().splitlines(keepends=True)
    history.truncate(2)
    assert history.path.read_bytes() == lines[0] + lines[1] + lines[3]


def test_a_history_with_nothing_to_drop_is_left_alone(history: History) -> None:
    history.append(1, {"loss": 0.5})
    before = history.identity()
    history.truncate(1)
    assert history.identity() == before
    history.truncate(0)
    assert history.identity() != before


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("train/correct/choice", "train/correct/choice"),
        ("rewards/total/mean", "rewards/total/mean"),
        ("train/correct/ICD-10 (2019)", "train/correct/ICD-10 _2019_"),
        ("發燒/loss", "發燒/loss"),
        ("/loss//of/./../it/", "loss/of/it"),
        ("a\nb", "a_b"),
        ("", "_"),
        ("..", "_"),
        ("n" * 300, "n" * 250),
    ],
)
def test_a_name_that_mlflow_would_refuse_is_made_one_it_takes(history: History, name: str, kept: str) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.utils.validation import _validate_metric

    history.append(1, {name: 1.0})
    assert [list(line.metrics) for line in history.lines()] == [[kept]]
    _validate_metric(kept, 1.0, 1, 1)
    if name != kept:
        with pytest.raises(MlflowException):
            _validate_metric(name, 1.0, 1, 1)


def test_metric_names_are_stable() -> None:
    for name in ("a (b)", "x/../y", "loss"):
        assert metric_name(metric_name(name)) == metric_name(name)


def test_a_killed_process_leaves_whole_lines_and_at_most_one_torn(history: History) -> None:
    script = (
        "import sys; from pathlib import Path; from medu1.train.history import History\n"
        "history, step = History(Path(sys.argv[1])), 0\n"
        "while step := step + 1: history.append(step, {f'metric/{n}': step / 3 for n in range(70)})"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(history.path)]) as process:
        while not history.path.exists() or history.path.stat().st_size < 1_000_000:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    lines = [json.loads(text) for text in history.path.read_text("utf-8").splitlines(keepends=True) if text[-1] == "\n"]
    assert [line["step"] for line in lines] == list(range(1, len(lines) + 1))
    assert [step for step, _ in steps(history)] == [line["step"] for line in lines]
