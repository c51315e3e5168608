"""`medu1 score`: one verdict line a completion, in order, whatever the rows hold; the output is whole or not there."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from medu1.scoring import stream
from medu1.scoring.grading import DEFAULT_SCORING
from medu1.scoring.reward import DEFAULT_REWARDS
from medu1.scoring.stream import Task, score_files
from test_cli import environment, medu1, refused

QUESTIONS: list[dict[str, Any]] = [
    {"id": "c", "source": "s", "text": "Which?", "options": {"A": "iron", "B": "zinc"},
     "gold": {"kind": "choice", "letter": "B"}},
    {"id": "n", "source": "s", "text": "Gap?", "gold": {"kind": "number", "value": 10, "lower": 9.5, "upper": 10.5}},
    {"id": "i", "source": "s", "text": "Score?", "gold": {"kind": "integer", "value": 4}},
    {"id": "d", "source": "s", "text": "When?", "gold": {"kind": "date", "value": "04/23/2021"}},
    {"id": "w", "source": "s", "text": "How old?", "gold": {"kind": "weeks_days", "weeks": 17, "days": 6}},
    {"id": "f", "source": "s", "text": "What prevents scurvy?", "gold": {"kind": "free_text", "text": "vitamin C",
     "aliases": ["ascorbic acid"]}},
]  # fmt: skip
RIGHT = {"c": "B", "n": "10.2", "i": "4", "d": "4/23/2021", "w": "17w6d", "f": "Ascorbic acid"}


def completion(question: str, answer: str, **more: object) -> dict[str, Any]:
    return {"question_id": question, "text": f"<think>t</think><answer>{answer}</answer>", **more}


def written(path: Path, rows: list[Any]) -> Path:
    """A JSON Lines file; a row that is text stands as it is."""
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def task(folder: Path, questions: list[Any], completions: list[Any], **changes: Any) -> Task:
    return Task(
        questions=written(folder / "q.jsonl", questions),
        completions=written(folder / "c.jsonl", completions),
        out=folder / "v.jsonl",
        settings=DEFAULT_SCORING,
        weights=DEFAULT_REWARDS,
    ).model_copy(update=changes)


def verdicts(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "v.jsonl").read_text(encoding="utf-8").splitlines()]


def test_every_gold_kind_is_graded_in_order(tmp_path: Path) -> None:
    asked = [*RIGHT, *reversed(RIGHT)]
    done = score_files(task(tmp_path, QUESTIONS, [completion(name, RIGHT[name]) for name in asked]))
    found = verdicts(tmp_path)
    assert [row["question_id"] for row in found] == asked
    assert [row["correct"] for row in found] == [True] * 12
    assert [row["reward"] for row in found] == pytest.approx([1.1] * 12)
    assert (done.correct[True], done.faults) == (12, 0)


def test_a_verdict_line_is_the_contract(tmp_path: Path) -> None:
    budget = {"tokens": 100, "mode": "exact"}
    rows = [completion("c", "A"), completion("f", "vitamin c", tokens=150, budget=budget)]
    score_files(task(tmp_path, QUESTIONS, rows))
    assert verdicts(tmp_path) == [
        {"question_id": "c", "format_ok": True, "answer": "A", "correct": False, "reason": "wrong_letter",
         "reward": 0.1},
        {"question_id": "f", "format_ok": True, "answer": "vitamin c", "correct": True, "similarity": 1.0,
         "length": 0.5, "reason": "right", "reward": pytest.approx(1.2)},
    ]  # fmt: skip


NUMBER = QUESTIONS[1]
BAD_QUESTIONS = [
    ("{", "Invalid JSON"),
    ({**NUMBER, "gold": {"kind": "number"}}, "gold.number.value: Field required"),
    ({**NUMBER, "gold": {"kind": "numbr", "value": 1}}, "gold: Input tag 'numbr'"),
    ('{"id": "n", "source": "s", "text": "t", "gold": {"kind": "number", "value": 1, "lower": NaN, "upper": NaN}}',
     "gold.number.lower: Input should be a finite number"),
    ({**NUMBER, "gold": {"kind": "date", "value": "2021-04-23"}}, "is not a date written MM/DD/YYYY"),
    ({**NUMBER, "gold": {"kind": "choice", "letter": "B"}}, "at least two options"),
    ({**NUMBER, "gold": {"kind": "weeks_days", "weeks": 3, "days": 9}}, "gold.weeks_days.days"),
    ({**NUMBER, "gold": {"kind": "number", "value": 5, "lower": 1, "upper": 2}}, "lies outside its own limits"),
    ({**NUMBER, "gold": {"kind": "free_text", "text": "--"}}, "its gold has no word"),
    ({**NUMBER, "budjet": 3}, "budjet: Extra inputs are not permitted"),
    ([], "Input should be an object"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "why"), BAD_QUESTIONS)
def test_a_bad_question_is_told_with_its_line_and_the_rest_is_graded(row: Any, why: str, tmp_path: Path) -> None:
    rows = [completion("n", "10"), completion("i", "4")]
    done = score_files(task(tmp_path, [QUESTIONS[2], row], rows))
    assert [(each["question_id"], each["correct"]) for each in verdicts(tmp_path)] == [("n", None), ("i", True)]
    assert verdicts(tmp_path)[0]["reward"] is None
    assert [(fault.file, fault.line) for fault in done.shown if fault.file == "questions"] == [("questions", 2)]
    assert why in str(done.shown[0])


def test_swapped_limits_are_told_and_read_in_order(tmp_path: Path) -> None:
    gold = {"kind": "number", "value": -0.8, "lower": -0.7, "upper": -0.9}
    done = score_files(task(tmp_path, [{**NUMBER, "gold": gold}], [completion("n", "-0.8")]))
    assert verdicts(tmp_path)[0]["correct"] is True
    assert [str(fault) for fault in done.shown] == [
        "questions, line 1: the limits of 'n' are swapped; the smaller one is taken as the lower"
    ]


def test_two_questions_with_one_id_grade_nothing(tmp_path: Path) -> None:
    other = {**NUMBER, "gold": {"kind": "number", "value": 11}}
    done = score_files(task(tmp_path, [NUMBER, NUMBER, other], [completion("n", "10")]))
    assert verdicts(tmp_path)[0]["reason"] == "malformed_question"
    assert str(done.shown[0]) == "questions, line 3: another row says something else of the id 'n'"


BAD_COMPLETIONS = [
    ("{", None, "unreadable_row", "Invalid JSON"),
    ("[1]", None, "unreadable_row", "Input should be an object"),
    ({"question_id": "c"}, None, "unreadable_row", "text: Field required"),
    ({**completion("c", "B"), "tokens": -1}, None, "unreadable_row", "tokens: "),
    ({**completion("c", "B"), "budget": {"tokens": 0}}, None, "unreadable_row", "budget.tokens: "),
    ({**completion("c", "B"), "budget": {"tokens": 5, "mode": "some"}}, None, "unreadable_row", "budget.mode: "),
    (completion("nobody", "B"), "nobody", "unknown_question", "no question has the id 'nobody'"),
    ('{"question_id": "c", "text": "\\ud800"}', None, "unreadable_row", "Invalid JSON"),
]


@pytest.mark.parametrize(("row", "name", "reason", "why"), BAD_COMPLETIONS)
def test_a_bad_completion_has_its_own_verdict_line(
    row: Any, name: str | None, reason: str, why: str, tmp_path: Path
) -> None:
    done = score_files(task(tmp_path, QUESTIONS, [completion("i", "4"), "", row, completion("i", "5")]))
    found = verdicts(tmp_path)
    assert [each["correct"] for each in found] == [True, None, False]
    assert (found[1]["question_id"], found[1]["reason"], found[1]["reward"]) == (name, reason, None)
    assert why in str(done.shown[0])
    assert str(done.shown[0]).startswith("completions, line 3: ")
    assert done.reasons == {"right": 1, reason: 1, "wrong_value": 1}


def test_bytes_that_are_no_text_are_an_unreadable_row(tmp_path: Path) -> None:
    asked = task(tmp_path, QUESTIONS, [])
    asked.completions.write_bytes(b'{"question_id": "c", "text": "\xff"}\n\x00\x01\n')
    assert score_files(asked).reasons == {"unreadable_row": 2}


def test_only_the_first_hundred_faults_are_kept_and_all_are_counted(tmp_path: Path) -> None:
    done = score_files(task(tmp_path, QUESTIONS, ["{"] * 250))
    assert (len(done.shown), done.faults) == (stream.SHOWN, 250)


def test_many_processes_write_what_one_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[Any] = [completion(name, RIGHT[name] + " x" * (n % 3), tokens=n) for n in range(900) for name in RIGHT]
    rows[1234] = "{"
    monkeypatch.setattr(stream, "CHUNK", 1 << 15)
    one = score_files(task(tmp_path, QUESTIONS, rows))
    alone = (tmp_path / "v.jsonl").read_bytes()
    monkeypatch.setattr(stream, "ALONE", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    many = score_files(task(tmp_path, QUESTIONS, rows))
    assert (tmp_path / "v.jsonl").read_bytes() == alone
    assert one == many
    assert [fault.line for fault in many.shown] == [1235]


# The command


def files(folder: Path, rows: list[Any]) -> list[str]:
    written(folder / "q.jsonl", QUESTIONS)
    written(folder / "c.jsonl", rows)
    return ["score", "--questions", "q.jsonl", "--completions", "c.jsonl", "--out", "v.jsonl"]


def test_bad_rows_are_told_on_stderr_and_do_not_fail_the_command(tmp_path: Path) -> None:
    done = medu1(*files(tmp_path, [completion("c", "B"), "{", completion("x", "B")]), cwd=tmp_path)
    assert done.returncode == 0
    assert "completions, line 2: Invalid JSON" in done.stderr
    assert "completions, line 3: no question has the id 'x'" in done.stderr
    assert "3 completions: 1 right, 0 wrong, 2 not scored" in done.stderr
    assert len(verdicts(tmp_path)) == 3


def test_strict_stops_at_the_first_bad_row_and_writes_nothing(tmp_path: Path) -> None:
    words = files(tmp_path, [completion("c", "B"), completion("x", "B"), "{"])
    assert "completions, line 2: no question has the id 'x'" in refused(medu1(*words, "--strict", cwd=tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.jsonl", "q.jsonl"]


def test_preset_paper_is_one_option(tmp_path: Path) -> None:
    words = files(tmp_path, [completion("c", "(B)"), completion("n", "10 mL"), completion("f", "c")])
    assert medu1(*words, "--preset", "paper", "--json", cwd=tmp_path).returncode == 0
    assert [(row["correct"], row["reward"]) for row in verdicts(tmp_path)] == [(False, 0), (False, 0), (True, 2)]


def test_weights_come_from_a_parameter_file(tmp_path: Path) -> None:
    params = (Path(__file__).parents[1] / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "p.yaml").write_text(params.replace("    format: 0.1\n", "    format: 0.5\n"), encoding="utf-8")
    medu1(*files(tmp_path, [completion("c", "B")]), "--params", "p.yaml", cwd=tmp_path)
    assert verdicts(tmp_path)[0]["reward"] == 1.5


def test_max_tokens_punishes_a_long_response(tmp_path: Path) -> None:
    medu1(*files(tmp_path, [completion("c", "B", tokens=90)]), "--max-tokens", "100", cwd=tmp_path)
    assert verdicts(tmp_path)[0]["reward"] == pytest.approx(1.1 - 0.25)


def test_the_summary_is_json_on_stdout(tmp_path: Path) -> None:
    done = medu1(*files(tmp_path, [completion("c", "B"), "{"]), "--json", cwd=tmp_path)
    found = json.loads(done.stdout)
    assert (found["completions"], found["right"], found["not_scored"], found["faults"]) == (2, 1, 1, 1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--preset", "papr"], "the nearest is paper"),
        (["--questions", "absent.jsonl"], "absent.jsonl cannot be read"),
        (["--completions", "absent.jsonl"], "absent.jsonl cannot be read"),
        (["--out", "nowhere/v.jsonl"], "nowhere/v.jsonl cannot be written"),
        (["--out", "c.jsonl"], "cannot be the output too"),
        (["--params", "absent.yaml"], "absent.yaml cannot be read"),
    ],
)
def test_a_wrong_option_is_one_paragraph(words: list[str], message: str, tmp_path: Path) -> None:
    given = files(tmp_path, [completion("c", "B")])
    assert message in refused(medu1(*given, *words, cwd=tmp_path))
    assert not (tmp_path / "v.jsonl").exists()


def test_a_killed_run_leaves_the_earlier_output_and_no_scraps(tmp_path: Path) -> None:
    words = files(tmp_path, [completion("f", "x " * 900)] * 20_000)
    (tmp_path / "v.jsonl").write_text("earlier\n", encoding="utf-8")
    command = [sys.executable, "-m", "pipelines.cli", *words]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not list(tmp_path.glob(".v.jsonl.*")):
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, told
    assert (tmp_path / "v.jsonl").read_text(encoding="utf-8") == "earlier\n"
    assert not list(tmp_path.glob(".v.jsonl.*"))


@pytest.mark.skipif(os.cpu_count() == 1, reason="one core grades without workers")
def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    words = files(tmp_path, [completion("f", "x " * 900)] * 20_000)
    process = subprocess.Popen([sys.executable, "-m", "pipelines.cli", *words], cwd=tmp_path, env=environment())
    parent, workers = psutil.Process(process.pid), list[psutil.Process]()
    while process.poll() is None and len(workers) < 2:
        time.sleep(0.02)
        workers = parent.children()
    process.kill()
    process.wait()
    assert psutil.wait_procs(workers, timeout=30)[1] == []
    assert not (tmp_path / "v.jsonl").exists()
