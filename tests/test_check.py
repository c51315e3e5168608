"""`medu1 data check`: what the chain would train on, looked at without it and refused for the same reasons."""

import json
import shutil
from pathlib import Path

import pytest

from test_cli import medu1, refused

ROOT = Path(__file__).parents[1]
FEW = ["--set", "prepare.max_rows_per_source=40"]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the parameter file and the data pin."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copy(ROOT / "data.dvc", tmp_path)
    return tmp_path


def medquad(folder: Path, rows: list[tuple[str, str]]) -> str:
    """A MedQuAD file, as a source."""
    lines = [
        json.dumps({"id": f"{n}", "source": "own", "focus": f"f{n}", "qtype": f"t{n % 3}", "question": question,
                    "answer": answer})
        for n, (question, answer) in enumerate(rows)
    ]  # fmt: skip
    (folder / "own.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"prepare.sources=[medquad:{folder / 'own.jsonl'}]"


HONEST = [
    (f"What causes pain number {n}?", f"Pressure of a disc on nerve number {n} is the usual cause.") for n in range(40)
]


def test_the_built_in_questions_pass_and_the_report_is_written(place: Path) -> None:
    done = medu1("data", "check", *FEW, cwd=place)
    assert done.returncode == 0, done.stderr
    assert "facts-anatomy" in done.stdout
    assert "Free text at the threshold 0.6" in done.stdout
    assert {path.name for path in (place / ".medu1" / "check").iterdir()} == {
        "audit.json",
        "audit.html",
        "report.json",
        "data.html",
    }


def test_the_audit_is_json_on_request(place: Path) -> None:
    found = json.loads(medu1("data", "check", *FEW, "--json", cwd=place).stdout)
    assert found["refusals"] == []
    assert {rate["probe"] for rate in found["audit"]["rates"]} >= {"empty", "stop_words", "other_gold"}


def test_a_hackable_reward_is_refused_by_name(place: Path) -> None:
    """The authors' free-text measure is right on any one word of the reference."""
    source = medquad(place, HONEST)
    done = medu1("data", "check", "--set", source, "--set", "scoring.preset=paper", "--json", cwd=place)
    assert done.returncode == 2
    assert "The reward audit refuses to train" in done.stderr
    assert "answers of the kind stop_words are accepted on medquad" in done.stderr
    assert json.loads(done.stdout)["refusals"]


def test_a_malformed_row_is_named(place: Path) -> None:
    source = medquad(place, [*HONEST, ("What is this?", "")])
    told = refused(medu1("data", "check", "--set", source, cwd=place))
    assert "own.jsonl, line 41, field answer: is empty" in told
    assert "own.jsonl" in (place / ".medu1" / "check" / "data.html").read_text(encoding="utf-8")


def test_an_answer_without_a_word_is_a_false_reject(place: Path) -> None:
    source = medquad(place, [(question, "--") for question, _ in HONEST])
    done = medu1("data", "check", "--set", source, cwd=place)
    assert done.returncode == 2
    assert " golds of medquad fail their own grader (100.00%, at most 0.00%)" in done.stderr
