"""`medu1 data check`: the gates of a run's data without the run, so that a bad row is found before a cluster is asked.

What is checked are the questions the chain would train on, but for prompts a tokenizer finds too long: leaving those in
needs no model and can only find more.
"""

from pathlib import Path
from typing import NamedTuple

from medu1.params import Params, Prepare
from medu1.prepare import audit as gate
from medu1.prepare import data_page, licence_gate
from medu1.prepare.location import CACHE
from medu1.prepare.rawdata import Digests
from medu1.prepare.report import begun
from medu1.prepare.rows import sifting
from medu1.prepare.selection import select
from medu1.prepare.sources import parse
from medu1.question import Question
from medu1.scoring.audit import AuditReport, audit

FOLDER = "check"  # below a home


class Checked(NamedTuple):
    """What the gates say."""

    report: AuditReport
    refusals: list[str]  # nothing: training may start


def check(params: Params, data: Digests, home: Path) -> Checked:
    """Put the sources through the gates, audit the training questions, and write both reports below a home.

    Raises Stop where a row cannot be read; the data report then names every such row.
    """
    folder = home / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    report = audit(questions(params.prepare, data, folder, home / CACHE), params.scoring)
    gate.write(report, params.audit, folder)
    return Checked(report, gate.refusals(report, params.audit))


def questions(params: Prepare, data: Digests, folder: Path, cache: Path) -> list[Question]:
    """The training split, the cap included, and the data report below a folder. Raises Stop naming malformed rows."""
    sources = [parse(entry) for entry in params.sources]
    licence_gate.require(sources, params.allowed, params.tables)
    with sifting.read(params, sources, data, folder / "rows", cache) as found:
        report = begun(params, found, data)
        if found.malformed:
            _, page = data_page.write(report, folder)
            raise sifting.refusal(found.malformed, report.read, f"{page} names every one.")
        selection = select(found.ledger, found.spool, params, None, found.generated, lambda done, total: None)
        data_page.write(report.after(selection, found), folder)
        return list(found.training())
