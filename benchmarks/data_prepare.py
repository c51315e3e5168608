"""A million rows of 40 words through readers, gates, split and writing: rows a second, and the memory of all processes.

The rows are made first and are no part of the time: MedMCQA's JSON Lines (choice), MedQuAD's (open) and a Parquet table
(numbers) to train on and to draw test questions from, and a MedQA file that is declared test. Among them are rows that
ask again, that give a test question away and that name a person, so that every gate has something to do. Counting
prompt tokens is a run of its own, on the same rows, since its time is the tokenizer's.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from multiprocessing import get_context
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Any, Final

import psutil

from benchmarks.data_contamination import shortened, spelt

ROWS: Final = 1_000_000
TESTED: Final = 100  # one row in so many is a MedQA question that is declared test
WORDS: Final = 40  # of a row, options counted
VOCABULARY: Final = 30_000
EVERY: Final = 100  # one row in so many asks again, another gives a test question away, another names a person
BLOCK: Final = 20_000  # rows of a Parquet row group
SECONDS_BETWEEN: Final = 0.1  # looks at memory

Row = dict[str, Any]


def prepare(rows: int = ROWS) -> dict[str, Any]:
    """Rows a second and peak memory without tokens, and with them."""
    with tempfile.TemporaryDirectory(prefix="medu1-bench-") as folder:
        sources = written(Path(folder), rows)
        figures = {name: apart(Path(folder), sources, name == "tokens") for name in ("gates", "tokens")}
    gates, tokens = figures["gates"], figures["tokens"]
    return {
        "rows": rows,
        "words": WORDS,
        "bytes": sum(size for _, size in sources),
        "seconds": gates["seconds"],
        "rows_per_second": shortened(rows / gates["seconds"]),
        "peak_mib": gates["peak_mib"],
        "phases": gates["phases"],
        "fates": gates["fates"],
        "tokens": {
            "seconds": tokens["phases"]["tokens"],
            "rows_per_second": shortened(rows / tokens["phases"]["tokens"]),
            "peak_mib": tokens["peak_mib"],
        },
    }


def apart(folder: Path, sources: Sequence[tuple[str, int]], with_tokens: bool) -> dict[str, Any]:
    """One run in a process of its own, whose memory and that of its children is looked at."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    entries = [entry for entry, _ in sources]
    process = context.Process(target=run, args=(str(folder), entries, with_tokens, theirs))
    process.start()
    done, peak = Event(), [0]
    Thread(target=watch, args=(process.pid, done, peak), daemon=True).start()
    figures: dict[str, Any] = ours.recv()
    done.set()
    process.join()
    return {**figures, "peak_mib": shortened(peak[0] / 2**20)}


def watch(pid: int, done: Event, peak: list[int]) -> None:
    """The most that a process and its children have in memory together; pages that they share count in each."""
    root = psutil.Process(pid)
    while not done.wait(SECONDS_BETWEEN):
        peak[0] = max(peak[0], sum(map(resident, [root, *root.children(recursive=True)])))


def resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def run(folder: str, entries: list[str], with_tokens: bool, told: Any) -> None:
    """What the step prepare does, but for MLflow and the report."""
    import yaml

    from medu1.params import Params, overridden
    from medu1.prepare import selection
    from medu1.prepare.prompt_length import prompt_lengths
    from medu1.prepare.rawdata import digests
    from medu1.prepare.rows import sifting, writing
    from medu1.prepare.sources import parse
    from medu1.prepare.versions.pin import Pin

    changed = {"prepare.sources": entries, "prepare.tables": tables(entries), "prepare.max_prompt_tokens": 4096}
    params = Params.read(overridden(yaml.safe_load(Path("params.yaml").read_text()), changed)).prepare
    data, here = digests(params, Pin.read(Path("data.dvc")), Path(folder)), Path(folder) / "out"
    here.mkdir(exist_ok=True)
    lengths = Timed(prompt_lengths(tokenizer(Path(folder)))) if with_tokens else None
    clock, phases = time.perf_counter(), {}

    def phase(name: str) -> None:
        phases[name] = shortened(time.perf_counter() - clock - sum(phases.values()))

    with sifting.read(params, list(map(parse, entries)), data, here / "rows", Path(folder)) as found:
        phase("read and screen")
        ledger, spool = found.ledger, found.spool
        made = selection.select(ledger, spool, params, lengths, found.generated, lambda done, of: None)
        phase("compare and split")
        writing.write(here, ledger, spool)
        writing.write_left_out(here, ledger, spool, made)
        phase("write")
        fates = {}
        for counted in ledger.counts():
            fates[counted.fate.value] = fates.get(counted.fate.value, 0) + counted.rows
    phases |= {"tokens": shortened(lengths.seconds)} if lengths else {}
    told.send({"seconds": shortened(time.perf_counter() - clock), "phases": phases, "fates": fates})


class Timed:
    """Prompt lengths, and the seconds they took."""

    def __init__(self, lengths: Any) -> None:
        self._lengths, self.seconds = lengths, 0.0

    def __call__(self, questions: Any) -> list[int]:
        began = time.perf_counter()
        found: list[int] = self._lengths(questions)
        self.seconds += time.perf_counter() - began
        return found


def tokenizer(folder: Path) -> Path:
    """The tiny model's tokenizer, as the step of that name makes it."""
    from medu1.base.builtin import write_tokenizer

    into = folder / "tokenizer"
    into.mkdir(exist_ok=True)
    write_tokenizer(into, 2560)
    return into


# Rows


def written(folder: Path, rows: int) -> list[tuple[str, int]]:
    """The source files: each one's entry in the parameters and its bytes."""
    draw = Random(3)
    vocabulary = [spelt(draw) for _ in range(VOCABULARY)]
    tested = [said(vocabulary, draw, WORDS - 12) for _ in range(rows // TESTED)]
    rest = rows - len(tested)
    choices, answers = int(rest * 0.4), int(rest * 0.3)
    files = {
        f"medqa:{folder / 'test.jsonl'}": lines(folder / "test.jsonl", medqa(tested, vocabulary, draw)),
        f"medmcqa:{folder / 'choice.jsonl'}": lines(
            folder / "choice.jsonl", (medmcqa(n, tested, vocabulary, draw) for n in range(choices))
        ),
        f"medquad:{folder / 'open.jsonl'}": lines(
            folder / "open.jsonl", (medquad(n, tested, vocabulary, draw) for n in range(answers))
        ),
        f"table:{folder / 'numbers.parquet'}": parquet(
            folder / "numbers.parquet", [choices + answers, rest], vocabulary, draw
        ),
    }
    return [(entry, path.stat().st_size) for entry, path in files.items()]


def tables(entries: Sequence[str]) -> dict[str, Any]:
    """The mapping of the Parquet table."""
    place = next(entry.removeprefix("table:") for entry in entries if entry.startswith("table:"))
    stated = {"source": "numbers", "licence": "CC0-1.0", "access": "open", "citation": "made for this benchmark"}
    return {place: {**stated, "id": "id", "text": "text", "gold": "value", "kind": "number", "topic": "topic"}}


def lines(path: Path, rows: Iterator[Row]) -> Path:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return path


def parquet(path: Path, span: list[int], vocabulary: Sequence[str], draw: Random) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    first, end = span
    schema = pa.schema([(name, pa.string()) for name in ("id", "text", "topic")] + [("value", pa.float64())])
    with pq.ParquetWriter(path, schema) as file:
        for start in range(first, end, BLOCK):
            rows = [number(n, vocabulary, draw) for n in range(start, min(end, start + BLOCK))]
            file.write_table(pa.Table.from_pylist(rows, schema))
    return path


def medqa(tested: Sequence[str], vocabulary: Sequence[str], draw: Random) -> Iterator[Row]:
    for text in tested:
        options = {letter: said(vocabulary, draw, 3) for letter in "ABCD"}
        yield {"question": text, "options": options, "answer_idx": "B", "answer": options["B"], "meta_info": "step1"}


def medmcqa(place: int, tested: Sequence[str], vocabulary: Sequence[str], draw: Random) -> Row:
    options = {name: said(vocabulary, draw, 3) for name in ("opa", "opb", "opc", "opd")}
    subject = {"cop": place % 4 + 1, "subject_name": f"subject {place % 20}"}
    return {"id": str(place), "question": asked(place, tested, vocabulary, draw, WORDS - 12), **options, **subject}


def medquad(place: int, tested: Sequence[str], vocabulary: Sequence[str], draw: Random) -> Row:
    answer = said(vocabulary, draw, 12)
    text = asked(place, tested, vocabulary, draw, WORDS - 12)
    named = {"id": str(place), "source": "made", "focus": f"focus {place // 3}", "qtype": f"type {place % 15}"}
    return {**named, "question": text, "answer": answer}


def number(place: int, vocabulary: Sequence[str], draw: Random) -> Row:
    text = asked(place, [], vocabulary, draw, WORDS)
    return {"id": str(place), "text": text, "topic": f"calculator {place % 55}", "value": round(draw.random() * 100, 2)}


def asked(place: int, tested: Sequence[str], vocabulary: Sequence[str], draw: Random, words: int) -> str:
    """A question's text; now and then one for a gate."""
    text = said(vocabulary, draw, words)
    match place % EVERY:
        case 1 if tested:
            return tested[int(draw.random() * len(tested))]
        case 2:
            return f"Mr. John Smith, born 03/04/1961, calls from 212-555-0{place % 1000:03d}. {text}"
        case 3:
            return f"What follows is asked over and over, case {place // EVERY % 7}: {' '.join(vocabulary[:words])}"
    return text


def said(vocabulary: Sequence[str], draw: Random, words: int) -> str:
    """Words as prose has them: few words make most of it, a capital, a comma and a full stop every so often."""
    text = [vocabulary[int(len(vocabulary) * draw.random() ** 3)] for _ in range(words)]
    for place in range(0, words, 12):
        text[place] = text[place].capitalize()
        text[place - 1] += "."
        text[(place + 5) % words] += ","
    return " ".join(text)


if __name__ == "__main__":  # a quick look at fewer rows, whose figures are not kept
    print(json.dumps(prepare(int(sys.argv[1])), indent=1))
