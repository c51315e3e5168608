"""The sources through every gate: what `medu1 run` prepares from, and `medu1 data check` looks at.

Rows are read once and wait on disk below a scratch folder; what is known of them is in the ledger.
"""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from operator import add
from pathlib import Path
from typing import NamedTuple

from medu1.errors import Stop
from medu1.params import Prepare
from medu1.prepare.formats.row import Malformed
from medu1.prepare.health.phi import PhiReport
from medu1.prepare.labels.labels import LabelReport, Verdict, audit_labels, label_rows
from medu1.prepare.location import fetched
from medu1.prepare.rawdata import Digests, obtain
from medu1.prepare.rows.intake import Job, Taken, taken
from medu1.prepare.rows.ledger import Ledger
from medu1.prepare.rows.repeated_ids import repeated_ids
from medu1.prepare.rows.spool import Spool
from medu1.prepare.sources import BUILTIN, Source, file_digest
from medu1.question import Question
from medu1.workers import uncollected

SHOWN = 20  # malformed rows named in an error; the report names all


class SourceCount(NamedTuple):
    """One entry of the parameters."""

    source: Source
    read: int  # rows, malformed ones included
    malformed: int


class Read(NamedTuple):
    """Every row of the sources, past the gates that look at one row at a time."""

    ledger: Ledger
    spool: Spool
    counts: tuple[SourceCount, ...]
    malformed: tuple[Malformed, ...]
    labels: dict[str, LabelReport]  # by entry, of the MedCalc sources
    phi: PhiReport
    licences: dict[str, str]  # by question source
    generated: frozenset[str]  # question sources that are built-in

    def training(self) -> Iterator[Question]:
        """The questions to train on, where they are selected."""
        ledger = self.ledger
        for _, questions in self.spool.questions(ledger.kept & ledger.training):
            yield from questions


@contextmanager
def read(params: Prepare, sources: Sequence[Source], data: Digests, folder: Path, cache: Path) -> Iterator[Read]:
    """Read the pinned bytes and the files, whose digests must still be those the run was started with.

    What is written for it below `folder` is removed at the end. Raises Stop where a file cannot be read.
    """
    with uncollected(), scratch(folder) as here:
        raw = obtain(params, data, here / "raw")
        labels = {str(source): report for source in sources if (report := _labels(source, raw, cache))}
        job = Job(
            sources=tuple(dict.fromkeys([BUILTIN, *sources])),
            named=tuple(dict.fromkeys(sources)),
            params=params,
            raw=raw,
            cache=cache,
            verdicts={} if params.labels == "keep" else _verdicts(labels.values()),
            into=here / "rows",
        )
        found = taken(job)
        _require_unchanged(sources, data, raw, cache)
        ledger = Ledger.of(job.into)
        with Spool(job.into, ledger.sizes) as spool:
            yield _read(job, found, ledger, spool, labels)


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """An empty folder that is gone afterwards; what a killed run left of it is removed first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _labels(source: Source, raw: Path, cache: Path) -> LabelReport | None:
    """The label audit of a MedCalc file; None of any other."""
    match source.format:
        case "medcalc" | "medcalc-v1.2" | "medcalc-verified" as version:
            return audit_labels(label_rows(fetched(source.path, cache, raw), source.split, version))
        case _:
            return None


def _verdicts(reports: Iterable[LabelReport]) -> dict[str, Verdict]:
    return {name: verdict for report in reports for name, verdict in report.verdicts().items()}


def _require_unchanged(sources: Sequence[Source], data: Digests, raw: Path, cache: Path) -> None:
    for source in sources:
        if source.path and file_digest(fetched(source.path, cache, raw)) != data.files[source.path]:
            raise Stop(f"{source.path} changed since the run was started.", next_step="Run again.")


def _read(job: Job, found: Sequence[Taken], ledger: Ledger, spool: Spool, labels: dict[str, LabelReport]) -> Read:
    unread = sorted((fault for each in found for fault in each.faults), key=lambda fault: (fault.source, fault.block))
    faults = sorted([*unread, *repeated_ids(ledger, spool)], key=lambda fault: fault.source)
    rows = reduce(add, (each.rows for each in found), Counter(fault.source for fault in unread))
    wrong = Counter(fault.source for fault in faults)
    phi = [each.phi for each in found]
    return Read(
        ledger=ledger,
        spool=spool,
        counts=tuple(
            SourceCount(source, rows[place], wrong[place])
            for place, source in enumerate(job.sources)
            if source in job.named
        ),
        malformed=tuple(fault.row for fault in faults),
        labels=labels,
        phi=reduce(add, phi[1:], phi[0]),
        licences={name: licence for each in found for name, licence in each.licences.items()},
        generated=frozenset(ledger.names[number] for number in set(ledger.marks.source[ledger.builtin].tolist())),
    )


def refusal(rows: Sequence[Malformed], read: int, where: str) -> Stop:
    """One malformed row refuses the lot: a benchmark with rows missing is another benchmark."""
    more = len(rows) - SHOWN
    named = "; ".join(map(str, rows[:SHOWN])) + (f"; and {more} more." if more > 0 else ".")
    return Stop(
        f"{len(rows)} of {read} rows cannot be read. {named}",
        where,
        "Correct the rows or fetch the file again, and run again.",
    )
