"""What a run ends with: who is how good at what, the decision with its reasons, the version, and where to look."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from medu1 import result
from medu1.errors import Stop
from medu1.question import Frozen
from medu1.report import Probes, Report, Role, Row, Slice
from medu1.workspace import Workspace
from pipelines.suite_lines import suite_lines

SHOWN: tuple[Slice, ...] = ("family", "all")


class Summary(Frozen):
    """The end of one run, as `--json` prints it."""

    run: str
    home: Path
    passed: bool
    reasons: tuple[str, ...]
    incumbent: str  # what the candidate had to beat
    version: str | None  # of the registered model that holds the candidate
    registered: bool  # whether this run made it
    accuracy: tuple[Row, ...]  # by model, on the test split and the out-of-distribution source
    confidence: float
    suites: Probes  # what was asked beside these
    report: str
    reused: tuple[str, ...]  # steps that did not run again
    seconds: float


def summary(workspace: Workspace, reused: list[str], seconds: float) -> Summary:
    """Gather a finished run's end. Raises Stop where it did not come to a decision."""
    ended = result.read(workspace)
    if ended is None:
        raise Stop(f"Run {workspace.run} ended without a decision.", f"Its files are in {workspace.journal.parent}.")
    report = Report.read(workspace.home / "store" / ended.evaluation)
    return Summary(
        run=workspace.run,
        home=workspace.home,
        passed=ended.decision.passed,
        reasons=ended.decision.reasons,
        incumbent=ended.decision.incumbent,
        version=ended.version,
        registered=ended.registered,
        accuracy=tuple(row for row in report.rows if row.slice in SHOWN),
        confidence=report.confidence,
        suites=report.probes,
        report=ended.report,
        reused=tuple(reused),
        seconds=round(seconds, 1),
    )


def show(ended: Summary, console: Console) -> None:
    """Print it for a person."""
    console.print(_table(ended))
    for line in suite_lines(ended.suites):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(f"Decision: {'register' if ended.passed else 'do not register'}", highlight=False)
    for reason in ended.reasons:
        console.print(f"  {reason}", markup=False, highlight=False, soft_wrap=True)
    for label, value in _places(ended).items():
        console.print(f"{label:<9} {value}", markup=False, highlight=False, soft_wrap=True)


def _table(ended: Summary) -> Table:
    """Rows are sets and families, columns are models."""
    roles = list(dict.fromkeys(row.role for row in ended.accuracy))
    table = Table(title=f"Accuracy, greedy, with {ended.confidence:.0%} Wilson intervals", title_justify="left")
    for column in ("questions", *roles, "n"):
        table.add_column(column, justify="left" if column == "questions" else "right")
    cells = {(row.set, row.slice, row.name, row.role): row for row in ended.accuracy}
    for set_, slice_, name in dict.fromkeys((row.set, row.slice, row.name) for row in ended.accuracy):
        found: dict[Role, Row | None] = {role: cells.get((set_, slice_, name, role)) for role in roles}
        counts = [row.n for row in found.values() if row]
        table.add_row(f"{set_}: {name}", *(_cell(row) for row in found.values()), str(max(counts)))
    return table


def _cell(row: Row | None) -> str:
    if row is None or row.accuracy is None:
        return "-"
    return f"{row.accuracy:.1%} [{100 * row.low:.1f}, {100 * row.high:.1f}]"


def _places(ended: Summary) -> dict[str, str]:
    held = "not in the registry" if ended.version is None else f"already version {ended.version}"
    return {
        "Model": f"version {ended.version}, new" if ended.registered else held,
        "Reused": ", ".join(ended.reused) or "nothing",
        "Report": ended.report,
        "Runs": f"medu1 ui --home {ended.home}",
        "Time": f"{ended.seconds:.0f} s",
    }
