"""Every raw row of the sources a run names: what the step prepare selects from, and `medu1 data check` looks at."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from medu1.errors import Stop
from medu1.params import Prepare
from medu1.prepare import rawdata
from medu1.prepare.formats.row import Malformed, Reading
from medu1.prepare.location import fetched
from medu1.prepare.rawdata import Digests
from medu1.prepare.sources import BUILTIN, Source, file_digest, read
from medu1.question import Question

SHOWN = 20  # malformed rows named in the error; the report names all

Readings = Mapping[Source, Reading]


def readings(params: Prepare, sources: Sequence[Source], data: Digests, into: Path, cache: Path) -> Readings:
    """Every row of the pinned bytes and of the files, whose digests must still be those the run was started with."""
    raw = rawdata.obtain(data.pin, params.dvc_remote, into, data.imported)
    found = read(sources, raw, params.calculators, params.tables, cache)
    shutil.rmtree(into)
    for source in sources:
        if source.path and file_digest(fetched(source.path, cache)) != data.files[source.path]:
            raise Stop(f"{source.path} changed since the run was started.", next_step="Run again.")
    return found


def generated(found: Readings) -> frozenset[str]:
    """The sources of the built-in questions, which fill templates."""
    return frozenset(row.question.source for row in found[BUILTIN].asked)


def demonstrations(found: Readings) -> list[Question]:
    """The built-in training questions with a worked answer, whatever the sources are."""
    built_in = (row.question for row in found[BUILTIN].asked)
    return [question for question in built_in if question.split == "train" and question.rationale]


def malformed(found: Readings) -> tuple[Malformed, ...]:
    """Every row that makes no question."""
    return tuple(row for reading in found.values() for row in reading.malformed)


def refusal(rows: Sequence[Malformed], read: int, where: str) -> Stop:
    """One malformed row refuses the lot: a benchmark with rows missing is another benchmark."""
    more = len(rows) - SHOWN
    named = "; ".join(map(str, rows[:SHOWN])) + (f"; and {more} more." if more > 0 else ".")
    return Stop(
        f"{len(rows)} of {read} rows cannot be read. {named}",
        where,
        "Correct the rows or fetch the file again, and run again.",
    )
