"""`medu1 data check`: the gates of a run's data without the run, so that a bad row is found before a cluster is asked.

What is checked are the questions the chain would train on, but for prompts a tokenizer finds too long: leaving those in
needs no model and can only find more.
"""

from pathlib import Path
from typing import NamedTuple

from medu1.params import Params
from medu1.prepare import audit as gate
from medu1.prepare import licence_gate
from medu1.prepare.gates import gated
from medu1.prepare.location import CACHE
from medu1.prepare.rawdata import Digests
from medu1.prepare.readings import demonstrations, generated, malformed, readings, refusal
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
    """Audit the training questions and write the report below a home. Raises Stop where a row cannot be read."""
    folder = home / FOLDER
    report = audit(questions(params, data, folder / "raw", home / CACHE), params.scoring)
    gate.write(report, params.audit, folder)
    return Checked(report, gate.refusals(report, params.audit))


def questions(params: Params, data: Digests, into: Path, cache: Path) -> list[Question]:
    """The training split, the cap included. Raises Stop naming malformed rows."""
    sources = [parse(entry) for entry in params.prepare.sources]
    licence_gate.require(sources, params.prepare.allowed, params.prepare.tables)
    found = readings(params.prepare, sources, data, into, cache)
    if rows := malformed(found):
        read = sum(len(reading.asked) + len(reading.malformed) for reading in found.values())
        raise refusal(rows, read, "A row that is left out would make another benchmark.")
    passed = gated(found, sources, params.prepare, cache)
    unmeasured = select(
        passed.questions, demonstrations(found), params.prepare, lambda each: [0] * len(each), generated(found)
    )
    return [question for question in unmeasured.kept if question.split == "train"]
