"""`medu1 data check` on the command line: the audit as a table."""

from typing import Any

from rich.console import Console
from rich.table import Table

from medu1.prepare.check import Checked
from medu1.scoring.audit import AuditReport


def show(checked: Checked, console: Console) -> None:
    """A row a source: its golds, and the degenerate answer that is accepted most often."""
    table = Table(title="Reward audit of the training questions", title_justify="left")
    table.add_column("source")
    for heading in ("golds", "rejected by their own grader", "accepted most often of degenerate answers"):
        table.add_column(heading, justify="right")
    for gold in checked.report.golds:
        table.add_row(gold.source, f"{gold.golds:,}", f"{len(gold.rejected):,} ({gold.rate:.1%})",
                      _worst(checked.report, gold.source))  # fmt: skip
    console.print(table)
    for line in _calibration(checked.report):
        console.print(line)


def _worst(report: AuditReport, source: str) -> str:
    rates = [rate for rate in report.rates if rate.source == source and rate.probe.blocks]
    worst = max(rates, key=lambda rate: rate.rate, default=None)
    if worst is None or not worst.accepted:
        return "none"
    return f"{worst.probe} {worst.accepted:,} of {worst.tried:,} ({worst.rate:.1%})"


def _calibration(report: AuditReport) -> list[str]:
    if not (found := report.calibration):
        return []
    head = f"Free text at the threshold {found.chosen:g}, over {found.questions:,} open questions:"
    return [head, *(f"  {curve.answer}: {found.at_chosen(curve):.1%} accepted" for curve in found.curves)]


def summary(checked: Checked) -> dict[str, Any]:
    """The same for a machine."""
    return {"refusals": checked.refusals, "audit": checked.report.model_dump(mode="json")}
