"""How fast the grader is beside its peers on one core, and `medu1 score` end to end.

    .venv/bin/python -m benchmarks.scoring --out benchmarks/results/scoring.json

Both sides read the whole completion of 300 tokens, of which the rows are equal thirds choice, number and free text, and
both are timed in CPU seconds, ours and the peer in turn over the same rows, so that a busy machine slows both alike.
The targets are held against the peers as their documentation has them: math-verify parses gold and completion and
verifies the pair, within its shipped time limits, with its default configuration (LaTeX and expressions, which reads no
letter: see its agreement on choice) and, for choice and number mixed, with one that serves both (LaTeX, expressions and
letters); rouge-score has no stemmer. Comparisons without a target: `choice_letters` has that second configuration on
choice alone, and those named `tuned` favour math-verify in all: it is told which kind is asked, golds are parsed
beforehand, limits are off.
Each figure stands beside its target, and the exit code is 1 where one is missed.
"""

import argparse
import json
import logging
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal, get_args

from benchmarks.machine import machine
from benchmarks.scoring_rows import TOKENS, Row, gold_of, is_right, of_kind, questions, rows_from
from medu1 import record
from medu1.completion import Completion
from medu1.scoring.score import score

Comparison = Literal[
    "choice", "number", "choice_and_number", "free_text", "choice_letters", "choice_tuned", "number_tuned"
]
COMPARISONS: Final[tuple[Comparison, ...]] = get_args(Comparison)
TARGETS: Final = {
    "choice": 100.0,
    "number": 100.0,
    "choice_and_number": 100.0,
    "free_text": 10.0,
    "end_to_end": 20_000.0,
}
PEERS: Final = ("math-verify", "latex2sympy2_extended", "sympy", "rouge-score")

Grade = Callable[[Row], bool | float | None]  # a verdict, or a similarity


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="of ours and the peer in turn")
    parser.add_argument("--rows", type=int, default=500, help="of one kind in a round; other rows in every round")
    parser.add_argument("--completions", type=int, default=400_000, help="of the end-to-end run; 0: none")
    parser.add_argument("--repeats", type=int, default=3, help="of the end-to-end run")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/scoring.json"))
    options = parser.parse_args()
    figures: dict[str, Any] = {"tokens": TOKENS}
    if options.completions:  # first: a process started from one that holds the peers counts their memory as its own
        figures["end_to_end"] = end_to_end(options.completions, options.repeats)
    for name in COMPARISONS:
        figures[name] = against_peer(name, options.rounds, options.rows)
    figures = {"machine": machine("medu1", "pydantic", *PEERS), **figures}
    record.write_text(options.out, json.dumps(figures, indent=1) + "\n")
    sys.exit(0 if reached(figures) else 1)


def reached(figures: dict[str, Any]) -> bool:
    """Print every figure beside its target; True where none is missed."""
    missed = 0
    for name, target in TARGETS.items():
        if name in figures:
            figure = figures[name]["rate" if name == "end_to_end" else "ratio"]["median"]
            missed += figure < target
            print(f"{name}: {figure:,.4g}, target {target:,.0f}{'  MISSED' if figure < target else ''}")
    print(json.dumps(figures, indent=1))
    return not missed


# The grader and a peer over the same rows


def against_peer(name: Comparison, rounds: int, count: int) -> dict[str, Any]:
    """Completions a CPU second of ours and of the peer, their ratio by round, and how often each is right."""
    rows = asked_of(name, rounds * count)
    peer = rouge_score() if name == "free_text" else math_verify(name, rows)
    for grade in (ours, peer):  # imports and compiled patterns are no part of a rate
        grade(rows[0])
    parts = [rows[start : start + count] for start in range(0, len(rows), count)]
    rates = [(rate(ours, part), rate(peer, part)) for part in parts]
    return {
        "rows": len(rows),
        "ours": spread([mine for mine, _ in rates]),
        "peer": spread([other for _, other in rates]),
        "ratio": spread([mine / other for mine, other in rates]),
        "agreement": {"ours": agreement(ours, rows), "peer": peer_agreement(name, peer, rows)},
    }


def rate(grade: Grade, rows: Sequence[Row]) -> float:
    """Completions a CPU second."""
    began = time.process_time()
    for row in rows:
        grade(row)
    return len(rows) / (time.process_time() - began)


def ours(row: Row) -> bool | None:
    """The whole grader, from a text to a verdict."""
    return score(row.question, Completion(question_id=row.question.id, text=row.text, tokens=TOKENS)).correct


def asked_of(name: Comparison, count: int) -> list[Row]:
    """The rows of a comparison."""
    match name:
        case "choice" | "choice_letters" | "choice_tuned":
            return of_kind("choice", count)
        case "number" | "number_tuned":
            return of_kind("number", count)
        case "free_text":
            return of_kind("free_text", count)
        case "choice_and_number":
            pairs = zip(of_kind("choice", count // 2), of_kind("number", count // 2), strict=True)
            return [row for pair in pairs for row in pair]


def math_verify(name: Comparison, rows: Sequence[Row]) -> Grade:
    """Parse and verify, as documented or tuned."""
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, StringExtractionConfig, parse, verify

    letters, numbers = [StringExtractionConfig()], [LatexExtractionConfig(), ExprExtractionConfig()]
    if not name.endswith("_tuned"):
        shipped = numbers if name in ("choice", "number") else [*numbers, *letters]
        return lambda row: bool(verify(parse(gold_of(row.question), shipped), parse(row.text, shipped)))
    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that its time limits are off
    config = letters if name == "choice_tuned" else numbers
    golds = {row.question.id: parse(gold_of(row.question), config, parsing_timeout=None) for row in rows}

    def grade(row: Row) -> bool:
        said = parse(row.text, config, parsing_timeout=None)
        return bool(verify(golds[row.question.id], said, timeout_seconds=None))

    return grade


def rouge_score() -> Grade:
    """ROUGE-L of the gold and the completion, without stemming: its recall, for the completion is mostly reasoning."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    return lambda row: float(scorer.score(gold_of(row.question), row.text)["rougeL"].recall)


def agreement(grade: Grade, rows: Sequence[Row]) -> float:
    """Share of the rows judged as they were made."""
    return sum(grade(row) is row.right for row in rows) / len(rows)


def peer_agreement(name: Comparison, peer: Grade, rows: Sequence[Row]) -> float:
    """As `agreement`; a similarity is cut at the threshold that serves it best on these rows."""
    if name != "free_text":
        return agreement(peer, rows)
    told = [(peer(row) or 0.0, row.right) for row in rows]
    cuts = {value for value, _ in told}
    return max(sum((value >= cut) is right for value, right in told) for cut in cuts) / len(rows)


def spread(values: Sequence[float]) -> dict[str, float]:
    """The middle and the extremes, to four digits."""
    named = {"median": statistics.median(values), "low": min(values), "high": max(values)}
    return {name: float(f"{value:.4g}") for name, value in named.items()}


# The command, end to end


def end_to_end(count: int, repeats: int) -> dict[str, Any]:
    """Completions a second of wall time, and the largest process at a quarter of the size and at the whole."""
    with tempfile.TemporaryDirectory(prefix="medu1-scoring-") as home:
        folder = Path(home)
        write_rows(folder, count // 4)
        quarter, memory_of_quarter = run_command(folder), peak_mib()
        write_rows(folder, count)
        rates = [count / run_command(folder) for _ in range(repeats)]
        return {
            "completions": count,
            "questions": len(questions()),
            "rate": spread(rates),
            "rate_of_a_quarter": float(f"{count // 4 / quarter:.4g}"),
            "agreement": verdict_agreement(folder / "verdicts.jsonl", count),
            "peak_process_mib": {str(count // 4): memory_of_quarter, str(count): peak_mib()},
        }


def write_rows(folder: Path, count: int) -> None:
    """The command's two input files."""
    asked = "".join(question.canonical() + "\n" for question in questions())
    (folder / "questions.jsonl").write_text(asked, encoding="utf-8")
    with (folder / "completions.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(line(row) for row in rows_from(0, count))


def run_command(folder: Path) -> float:
    """Wall seconds of one `medu1 score`, its start included."""
    files = (f"--{name}={folder / name}.jsonl" for name in ("questions", "completions"))
    command = [sys.executable, "-m", "pipelines.cli", "score", *files, f"--out={folder / 'verdicts.jsonl'}"]
    began = time.monotonic()
    subprocess.run(command, check=True)
    return time.monotonic() - began


def line(row: Row) -> str:
    """One row of the command's completions file."""
    return json.dumps({"question_id": row.question.id, "text": row.text, "tokens": TOKENS}) + "\n"


def verdict_agreement(path: Path, count: int) -> float:
    """Share of the completions, in order, whose verdict is what they were made for."""
    with path.open(encoding="utf-8") as file:
        verdicts = (json.loads(text) for text in file)
        known = ((questions()[index % len(questions())].id, is_right(index)) for index in range(count))
        pairs = zip(verdicts, known, strict=True)
        return sum((told["question_id"], told["correct"]) == truth for told, truth in pairs) / count


def peak_mib() -> int:
    """The largest process that has ended below this one, in MiB."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024


if __name__ == "__main__":
    main()
