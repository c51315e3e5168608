"""Rows on their way through prepare: the same blocks whatever the processes, the same bytes whatever interrupts."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from disks import small_disk
from medu1 import record
from medu1.errors import Stop
from medu1.journal import read as read_journal
from medu1.prepare.formats.row import Judged, Malformed
from medu1.prepare.rows import intake
from medu1.prepare.rows.intake import Job, share, taken
from medu1.prepare.sources import parse
from medu1.question import FreeText, Question
from medu1.storage import SCRATCH
from medu1.workers import pool
from prepared import PARAMS, QUAD, write_lines

ROOT = Path(__file__).parents[1]


def job(folder: Path, *entries: str, into: str = "blocks") -> Job:
    sources = tuple(map(parse, entries))
    return Job(
        sources=sources,
        named=sources,
        params=PARAMS,
        raw=folder / "raw",
        cache=folder / "cache",
        verdicts={},
        into=folder / into,
    )


def quads(path: Path, count: int) -> Path:
    """Rows that differ, every ninth with a phone number."""
    said = [" call 212-555-0147" * (n % 9 == 0) for n in range(count)]
    rows = [{**QUAD, "id": str(n), "focus": f"f{n}", "question": f"What of {n} ?{said[n]}"} for n in range(count)]
    return write_lines(path, rows)


def blocks(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix == ".arrow"}


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "SIZE", 7)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("workers", [2, 3, 5])
def test_blocks_do_not_depend_on_the_number_of_processes(tmp_path: Path, workers: int) -> None:
    entries = [f"medquad:{quads(tmp_path / f'{name}.jsonl', 40)}" for name in "ab"]
    alone, several = job(tmp_path, *entries, into="alone"), job(tmp_path, *entries, into="several")
    for each in (alone, several):
        each.into.mkdir()
    one = share(alone, 0, 1)
    parts = [share(several, number, workers) for number in range(workers)]
    assert blocks(alone.into) == blocks(several.into)
    assert len(blocks(alone.into)) == 12
    assert sum((part.rows for part in parts[1:]), parts[0].rows) == one.rows
    assert sum((part.phi for part in parts[1:]), parts[0].phi) == one.phi
    assert sum(one.phi.flagged.values()) == 10


def test_processes_make_what_one_alone_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = f"medquad:{quads(tmp_path / 'a.jsonl', 40)}"
    taken(job(tmp_path, entry, into="alone"))
    monkeypatch.setattr(intake, "ALONE", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert len(taken(job(tmp_path, entry, into="several"))) == 2
    assert blocks(tmp_path / "alone") == blocks(tmp_path / "several")


def test_a_fault_of_a_source_ends_the_reading_in_any_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "ALONE", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    broken = tmp_path / "b.jsonl"
    broken.write_bytes(b'{"id": "1"}\n\xff\xfe')
    with pytest.raises(Stop, match=r"b\.jsonl is not UTF-8 text: line 2"):
        taken(job(tmp_path, f"medquad:{quads(tmp_path / 'a.jsonl', 3)}", f"medquad:{broken}"))


def test_a_killed_process_is_a_stop() -> None:
    with pytest.raises(Stop, match="A process that reads rows was killed"), pool(1, "reads rows") as processes:
        processes.submit(os._exit, 1).result()


def test_rows_of_other_blocks_are_not_judged() -> None:
    asked = []

    def make(row: int) -> Question:
        asked.append(row)
        return Question(id=str(row), source="own", text="What?", gold=FreeText(text="That."))

    found = Judged(Path("f"), ((f"line {n}", n) for n in range(20)), make)
    (first, _), (second, rows) = found.blocks(size=4, number=1, of=3)
    assert (first, second) == (1, 4)
    assert asked == [4, 5, 6, 7, 16, 17, 18, 19]
    assert not any(isinstance(row, Malformed) for row in rows)


# Interrupted

STEP = """
import sys
from pathlib import Path
from medu1.builtin import questions as built_in
from medu1.prepare import component, rawdata
from medu1.prepare.sources import file_digest, parse
from medu1.prepare.versions.pin import pinned
from disks import small_disk
from prepared import PARAMS, small_raw
from standin import Page
from medu1.prepare.rows import intake
intake.SIZE, intake.ALONE = 64, 0
built_in.raw_files = small_raw
root, tokenizer, source = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
params = PARAMS.model_copy(update={"sources": ("builtin", source)})
data = rawdata.Digests(pinned(root / "data.dvc"), {parse(source).path: file_digest(Path(parse(source).path))})
print(component.prepare(params.canonical(), data.text(), tokenizer, "code", Page(str(root / "page"))))
"""


def begun(root: Path, tokenizer: str, source: str, **environment: str) -> "subprocess.Popen[str]":
    """Prepare in a process of its own."""
    variables = {**os.environ, **environment, "PYTHONPATH": os.pathsep.join(map(str, (ROOT / "tests", ROOT)))}
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", STEP, str(root), tokenizer, source],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finished(process: "subprocess.Popen[str]") -> int:
    process.communicate()
    return process.returncode


def made(root: Path) -> dict[str, str]:
    """The checksum of every file of the one dataset that is there."""
    (folder,) = (root / "home" / "store" / "prepare").iterdir()
    found = record.read(folder)
    assert found is not None, "there is an output without a complete record"
    assert record.entries(folder) == found.outputs
    return {name: entry.sha256 for name, entry in found.outputs.items()}


@pytest.fixture
def source(tmp_path: Path) -> str:
    return f"medquad:{quads(tmp_path / 'q.jsonl', 3000)}"


KILLED_WHEN = ("*", "rows/*.arrow", "train-*.parquet", "left_out.parquet", "data.html")  # this is there


def test_prepare_killed_anywhere_and_run_again_gives_the_same_bytes(tmp_path: Path, chain: Any, source: str) -> None:
    assert finished(begun(tmp_path, chain.text(), source)) == 0
    whole, store = made(tmp_path), tmp_path / "home" / "store"
    for sign in KILLED_WHEN:
        shutil.rmtree(store / "prepare")
        process = begun(tmp_path, chain.text(), source)
        while process.poll() is None and not list(store.glob(f"{SCRATCH}*/{sign}")):
            time.sleep(0.001)
        os.killpg(process.pid, signal.SIGKILL)
        assert finished(process) == -signal.SIGKILL, f"{sign} was not there before the end"
        (store / "prepare").mkdir(exist_ok=True)
        assert not list((store / "prepare").iterdir()), f"killed when there was {sign}, yet there is an output"
    assert list(store.glob(f"{SCRATCH}*"))
    assert finished(begun(tmp_path, chain.text(), source)) == 0
    assert made(tmp_path) == whole
    assert not list(store.glob(f"{SCRATCH}*"))


def test_a_full_disk_is_told_and_leaves_no_output(tmp_path: Path, chain: Any, source: str) -> None:
    store = tmp_path / "home" / "store"
    with small_disk(store, megabytes=1):
        process = begun(tmp_path, chain.text(), source)
        assert finished(process) == 1
        assert not list(store.glob("prepare/*"))
    (failed,) = [event for event, _ in read_journal(tmp_path / "home/runs/r/journal.jsonl") if event.kind == "failed"]
    assert "prepare: the disk is full" in failed.message
    assert "Free space" in failed.message
