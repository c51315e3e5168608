"""The chain under kfp's local subprocess runner: its graph with stand-in steps, then the real one, tiny.

kfp has reported success while it skipped a condition, so every test asserts which steps ran, never the status alone.
"""

import inspect
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import standin
from medu1 import journal, record
from medu1.base import component as base_room
from medu1.evaluate import component as evaluate_room
from medu1.prepare import component as prepare_room
from medu1.register import component as register_room
from medu1.run import component as run_room
from medu1.train import component as train_room
from pipelines import local as local_runner
from pipelines.images import LOCAL
from pipelines.placement import placement
from pipelines.progress import ORDER
from pipelines.retraining import chain
from tiny import medu1

ROOT = Path(__file__).parents[1]

ROOMS = (
    (run_room, ("preflight", "finalize")),
    (base_room, ("tokenizer", "base")),
    (prepare_room, ("prepare", "audit")),
    (train_room, ("train",)),
    (evaluate_room, ("evaluate", "decide")),
    (register_room, ("register",)),
)
SECTIONS = ("base", "prepare", "scoring", "audit", "train", "evaluate", "decide", "registry", "notify")
ARGUMENTS = dict.fromkeys((*SECTIONS, "base_model", "revision", "data"), "x")

PAGES = ("prepare", "audit", "evaluate", "decide")  # steps with a report for people

Ran = Callable[..., list[str]]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Runs the graph with stand-in steps in one home; gives the steps that ran, in order."""
    from kfp import local

    home = tmp_path_factory.mktemp("home")
    paths = os.pathsep.join([str(ROOT / "components"), str(ROOT), str(Path(__file__).parent)])

    def run(name: str, **arguments: str) -> list[str]:
        os.environ["MEDU1_RUN"] = name
        local.init(
            runner=local.SubprocessRunner(use_venv=False),
            pipeline_root=str(home / "outputs"),
            raise_on_error=False,
            enable_caching=True,
            cache_root=str(home / "cache"),
        )
        chain(LOCAL, placement("none"))(**{**ARGUMENTS, **arguments})
        return [event.step for event, _ in journal.read(home / "runs" / name / "journal.jsonl")]

    with pytest.MonkeyPatch.context() as patch:
        for room, names in ROOMS:
            for name in names:
                patch.setattr(room, name, getattr(standin, name))
        patch.setenv("MEDU1_HOME", str(home))
        patch.setenv("MEDU1_RUN", "")
        patch.setenv("PYTHONPATH", paths)
        yield run


def pages(outputs: Path) -> list[Path]:
    """The HTML artifacts of the newest run whose tasks kfp did not answer from its cache."""
    newest = max(outputs.iterdir(), key=lambda run: run.name)
    return sorted(newest.glob("*/report"))


def test_stand_ins_have_the_signatures_of_the_real_steps() -> None:
    for room, names in ROOMS:
        for name in names:
            real, stand_in = inspect.signature(getattr(room, name)), inspect.signature(getattr(standin, name))
            assert list(real.parameters) == list(stand_in.parameters), name


def test_every_step_runs_once_in_order_and_registers_what_passed(ran: Ran) -> None:
    assert ran("passes", decide="yes") == [*ORDER, "finalize SUCCEEDED"]


def test_only_what_is_never_cached_runs_again(ran: Ran) -> None:
    ran("first", decide="yes")
    assert ran("again", decide="yes") == ["preflight", "decide", "register", "finalize SUCCEEDED"]


def test_every_page_lies_where_kfp_looks_for_it(ran: Ran) -> None:
    ran("shown", decide="no", data="shown", scoring="shown")
    assert {page.parent.name: page.read_text() for page in pages(Path(os.environ["MEDU1_HOME"]) / "outputs")} == {
        step: f"<title>{step}</title>" for step in PAGES
    }


def test_a_page_that_is_gone_is_made_again(ran: Ran) -> None:
    ran("kept", decide="no", scoring="kept")
    (page,) = (page for page in pages(Path(os.environ["MEDU1_HOME"]) / "outputs") if page.parent.name == "audit")
    page.unlink()
    assert ran("gone", decide="no", scoring="kept") == ["preflight", "audit", "decide", "finalize SUCCEEDED"]


def test_what_did_not_pass_is_not_registered(ran: Ran) -> None:
    assert ran("refused", decide="no")[-2:] == ["decide", "finalize SUCCEEDED"]


def test_a_changed_code_digest_runs_that_step_again(ran: Ran) -> None:
    ran("before", decide="no")
    assert ran("edited", decide="no", code_train="edited") == ["preflight", "train", "decide", "finalize SUCCEEDED"]


def test_after_a_failure_nothing_runs_but_the_exit_handler(ran: Ran) -> None:
    steps = ran("broken", train="break")
    assert not {"train", "evaluate", "decide", "register"} & set(steps)
    assert steps[-1] == "finalize FAILED"


def test_an_output_that_is_not_whole_is_forgotten(tmp_path: Path) -> None:
    cache, store = tmp_path / "cache", tmp_path / "store"
    cache.mkdir()
    (cache / "torn.json").write_text(json.dumps({"Output": json.dumps({"key": "train/1", "digest": "2"})}))
    (cache / "other.json").write_text(json.dumps({"Output": "text", "passed": True}))
    assert local_runner.forget_incomplete(cache, store) == 1
    assert [path.name for path in cache.iterdir()] == ["other.json"]


def run_tiny(home: Path) -> dict[str, Any]:
    done = medu1("run", home, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the real chain ran once, tiny."""
    home = tmp_path_factory.mktemp("real")
    run_tiny(home)
    return home


def test_the_real_chain_comes_to_a_decision(home: Path) -> None:
    steps = {path.name for path in (home / "store").iterdir() if path.is_dir()}
    assert {"tokenizer", "prepare", "audit", "base", "train", "evaluate"} <= steps
    (result,) = home.glob("runs/*/result.json")
    decided = json.loads(result.read_bytes())
    assert decided["decision"]["reasons"]
    assert decided["registered"] == decided["decision"]["passed"]


def test_every_run_of_the_tree_is_closed(home: Path) -> None:
    with sqlite3.connect(home / "mlflow.db") as database:
        rows = database.execute("select name, status from runs").fetchall()
    database.close()
    steps = [name for name, _ in rows if not name.startswith("run ")]
    assert set(ORDER) - {"register"} <= set(steps)
    assert {status for _, status in rows} == {"FINISHED"}


def test_a_second_run_makes_nothing_anew(home: Path) -> None:
    made = {path: record.checksum(path) for path in (home / "store").rglob("*.safetensors")}
    again = run_tiny(home)
    assert {"tokenizer", "prepare", "audit", "base", "train", "evaluate"} <= set(again["reused"])
    assert made == {path: record.checksum(path) for path in (home / "store").rglob("*.safetensors")}


def test_a_deleted_output_is_made_again_and_nothing_else(home: Path) -> None:
    shutil.rmtree(home / "store" / "audit")
    shutil.rmtree(home / "kfp" / "outputs")  # kfp asks for the pages again, and the store answers
    again = run_tiny(home)
    assert {"tokenizer", "prepare", "base", "train"} <= set(again["reused"])
    assert "audit" not in again["reused"]
    made = {page.parent.name: page.read_bytes() for page in pages(home / "kfp" / "outputs")}
    assert made.pop("decide") == Path(again["report"]).read_bytes()
    assert set(made.values()) == {page.read_bytes() for page in (home / "store").glob("*/*/*.html")}
