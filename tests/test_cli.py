"""The command `medu1` as a process: what a person can get wrong ends as one paragraph and exit code 2."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "transformers", "mlflow", "kfp", "trl", "dvc", "pyarrow")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the parameter file and the data pin."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copy(ROOT / "data.dvc", tmp_path)
    return tmp_path


def environment() -> dict[str, str]:
    foreign = ("MLFLOW_", "MEDU1_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    return {**kept, "PYTHONPATH": os.pathsep.join([str(ROOT / "components"), str(ROOT)])}


def medu1(*words: str, cwd: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pipelines.cli", *words]
    return subprocess.run(command, cwd=cwd, env=environment() | variables, capture_output=True, text=True, timeout=60)


def refused(done: "subprocess.CompletedProcess[str]") -> str:
    """The one paragraph of a refusal."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    return done.stderr


def test_help_imports_nothing_heavy() -> None:
    code = f"import sys; import pipelines.cli; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "command",
    ["run", "compile", "versions", "ui", "doctor", "data", "compare", "reproduce", "ask", "promote", "history"],
)
def test_every_command_has_help(command: str, tmp_path: Path) -> None:
    assert medu1(command, "--help", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("train.sed=1", "train.sed is not a parameter; the nearest is train.seed"),
        ("trian.seed=1", "trian is not a parameter; the nearest is train"),
        ("train.steps=0", "train.steps = 0"),
        ("train.group_size=one", "train.group_size"),
        ("decide.alpha=1.5", "decide.alpha = 1.5"),
        ("seed=1", "is not a setting"),
        ("train.seed", "is not a setting"),
        ("train.seed=[1", "is not YAML"),
        ("prepare.sources=[medquad:absent.jsonl]", "absent.jsonl"),
        ("prepare.sources=[medcal:x.csv]", "the nearest is medcalc"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_starts(setting: str, message: str, place: Path) -> None:
    assert message in refused(medu1("run", "--set", setting, cwd=place))
    assert not (place / ".medu1").exists()


def test_a_missing_parameter_is_named(place: Path) -> None:
    params = (place / "params.yaml").read_text(encoding="utf-8")
    (place / "params.yaml").write_text(params.replace("  keep: 2 ", "  # "), encoding="utf-8")
    assert "train.keep is missing" in refused(medu1("run", cwd=place))


def test_a_yaml_error_names_its_line(place: Path) -> None:
    (place / "params.yaml").write_text("base:\n  seed: [1\ntrain: 2\n", encoding="utf-8")
    assert "line 3" in refused(medu1("run", cwd=place))


def test_an_absent_parameter_file_is_refused(tmp_path: Path) -> None:
    assert "nowhere.yaml" in refused(medu1("run", "--params", "nowhere.yaml", cwd=tmp_path))


def test_an_absent_pin_is_refused(place: Path) -> None:
    (place / "data.dvc").unlink()
    assert "data.dvc" in refused(medu1("run", cwd=place))


def test_an_absent_image_list_is_refused(place: Path) -> None:
    assert "docker/images.json" in refused(medu1("compile", cwd=place))


def test_an_unreachable_tracking_server_is_refused(place: Path) -> None:
    message = refused(medu1("versions", cwd=place, MLFLOW_TRACKING_URI="http://127.0.0.1:9"))
    assert "does not answer" in message


def test_a_base_model_that_cannot_be_found_is_refused(place: Path) -> None:
    done = medu1("run", "--set", "train.base_model=some/model", cwd=place, HF_ENDPOINT="http://127.0.0.1:9")
    assert "'some/model' is no folder" in refused(done)


def test_an_error_is_json_too(place: Path) -> None:
    done = medu1("run", "--json", "--set", "train.sed=1", cwd=place)
    assert "train.seed" in json.loads(done.stdout)["error"]
    assert "train.seed" in refused(done)


def test_an_unknown_option_exits_with_2(tmp_path: Path) -> None:
    done = medu1("run", "--unknown", cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_an_empty_registry_has_no_versions(tmp_path: Path) -> None:
    done = medu1("versions", "--json", cwd=tmp_path)
    assert (done.returncode, json.loads(done.stdout)) == (0, [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [("compare", "1", "2"), ("reproduce", "1"), ("ask", "Which drug?")])
def test_a_command_on_a_version_of_an_empty_registry_is_refused(words: tuple[str, ...], tmp_path: Path) -> None:
    done = medu1(*words, "--json", cwd=tmp_path)
    assert "is empty" in refused(done)
    assert "is empty" in json.loads(done.stdout)["error"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_run_leaves_no_process_behind(number: signal.Signals, code: int, place: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli", "run"],
        cwd=place,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        wait_for(place, "started")
        running.send_signal(number)
        _, error = running.communicate(timeout=40)
    assert running.returncode == code
    assert "Traceback" not in error
    assert processes_of(place) == []


def wait_for(place: Path, word: str) -> None:
    """Until the run's journal holds a word."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if any(word in path.read_text(encoding="utf-8") for path in place.glob(".medu1/runs/*/journal.jsonl")):
            return
        time.sleep(0.1)
    raise AssertionError(f"no {word} in the journal")


def processes_of(place: Path) -> list[str]:
    """Command lines of processes whose working directory is `place`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve() == place.resolve():
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found
