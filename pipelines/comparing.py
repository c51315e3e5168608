"""`medu1 compare`: two versions, or a version and its base, question by question from the verdicts that are stored."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from medu1 import record
from medu1.errors import Stop
from medu1.evaluate import comparison, comparison_page, evidence
from medu1.evaluate.comparison import Asked, Changed, Compared, Line
from medu1.evaluate.evidence import Evidence
from medu1.evaluate.figures import p_value, points
from medu1.frozen import JUDGED
from medu1.registered_models import WEIGHTS
from medu1.report import Comparison, Row
from pipelines import registered
from pipelines.registered import Registered
from pipelines.terminal import line as plain

if TYPE_CHECKING:
    from medu1.tracking import Tracking

BASE = "base"  # in a version's place: what the other one was trained from
FOLDER = "comparisons"  # of the pages, below the home
SHOWN = ("all", "family", "source")
ROLES = {"role", "against", "set", "slice", "name"}  # the line says where it stands
PLACES = {"before": ROLES - {"against"}, "after": ROLES - {"against"}, "paired": ROLES - {"role"}}


class Drawn(NamedTuple):
    """The figures, and the page that shows them."""

    compared: Compared
    page: Path


def compare(tracking: "Tracking", name: str, first: str, second: str, out: Path | None, allow_skew: bool) -> Drawn:
    """Compare the second with the first and write the page. Raises Stop where stored verdicts do not allow it."""
    if first == second == BASE:
        raise Stop("base and base are no two models.", next_step="Name a version, such as: medu1 compare base 2")
    versions = {asked: registered.find(tracking, name, asked) for asked in (first, second) if asked != BASE}
    held = {asked: _evidence(tracking, version) for asked, version in versions.items()}
    before, after = (_asked(each, versions, held) for each in (first, second))
    compared = comparison.compared(before, after, allow_skew)
    numbers = "-".join(versions[each].version if each in versions else each for each in (first, second))
    page = out or tracking.workspace.home / FOLDER / f"{name}-{numbers}.html"
    _write(page, comparison_page.render(compared, _prompts(tracking, compared, versions.values())))
    return Drawn(compared, page)


def _evidence(tracking: "Tracking", version: Registered) -> Evidence:
    named = f"version {version.version}"
    with registered.evaluation(tracking, version) as folder:
        if folder is None:
            raise Stop(
                f"Version {version.version} of {version.name} has no stored verdicts.",
                f"Neither the store nor the MLflow run {version.tags.get('medu1.evaluate_run', '')!r} has them.",
                "Run the chain with its parameters, which `medu1 reproduce` restores: evaluate judges it anew.",
            )
        return evidence.read(folder, named, version.tags.get("medu1.evaluation", ""))


def _asked(asked: str, versions: Mapping[str, Registered], held: Mapping[str, Evidence]) -> Asked:
    if asked == BASE:
        (other,) = held.values()
        return Asked(BASE, "", other)
    version = versions[asked]
    return Asked(f"version {version.version}", version.tags.get(WEIGHTS, ""), held[asked])


def _prompts(tracking: "Tracking", compared: Compared, versions: Iterable[Registered]) -> dict[str, str]:
    """The texts of the questions that changed, where a dataset that has them is in the store."""
    from medu1 import dataset
    from medu1.prompt import user_text
    from medu1.storage import open_store

    wanted = {each.after.question_id for each in compared.changed}
    for version in versions if wanted else ():
        made = registered.step_record(tracking, version.tags.get("medu1.prepare_run", ""))
        folder = open_store(tracking.workspace).fetch(f"prepare/{made.fingerprint}") if made else None
        if folder:
            asked = (question for split in JUDGED for question in dataset.read(folder, split))
            return {question.id: user_text(question) for question in asked if question.id in wanted}
    return {}


def _write(page: Path, text: str) -> None:
    try:
        record.write_text(page, text)
    except OSError as error:
        raise Stop(
            f"The page {page} cannot be written: {error.strerror}.", next_step="Name another with --out."
        ) from None


def show(drawn: Drawn, console: Console) -> None:
    """Print it for a person."""
    compared = drawn.compared
    console.print(_table(compared))
    for line in (comparison_page.headline(compared), *compared.notes):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(f"Page  {drawn.page}", markup=False, highlight=False, soft_wrap=True)


def _table(compared: Compared) -> Table:
    title = f"{compared.after.name} against {compared.before.name}, with {compared.confidence:.0%} intervals"
    table = Table(title=title, title_justify="left")
    table.add_column("questions")
    for heading in (compared.before.name, compared.after.name, "points", "gained, lost", "p", "Holm", "pairs"):
        table.add_column(heading, justify="right")
    for line in compared.lines:
        if line.slice in SHOWN:
            table.add_row(*(Text(cell) for cell in _cells(line)))
    return table


def _cells(line: Line) -> list[str]:
    name = f"{line.set}: {plain(line.name)}"
    return [name, _share(line.before), _share(line.after), *_difference(line.paired)]


def _share(row: Row | None) -> str:
    if row is None or row.accuracy is None:
        return "-"
    return f"{row.accuracy:.1%} [{100 * row.low:.1f}, {100 * row.high:.1f}]"


def _difference(paired: Comparison | None) -> list[str]:
    if paired is None:
        return ["-"] * 5
    interval = f"{points(paired.difference)} [{points(paired.low)}, {points(paired.high)}]"
    counts = f"+{paired.gained:,} -{paired.lost:,}"
    return [interval, counts, p_value(paired.p), p_value(paired.p_holm), f"{paired.n:,}"]


def summary(drawn: Drawn) -> dict[str, Any]:
    """The same for a machine, and every question that changed."""
    compared = drawn.compared
    return {
        "before": compared.before.model_dump(mode="json"),
        "after": compared.after.model_dump(mode="json"),
        "confidence": compared.confidence,
        "sets": compared.sets,
        "lines": [line.model_dump(mode="json", exclude=PLACES) for line in compared.lines],
        "changed": [_changed(each) for each in compared.changed],
        "notes": list(compared.notes),
        "page": str(drawn.page),
    }


def _changed(each: Changed) -> dict[str, Any]:
    shown = {"answer", "correct", "reason"}
    return {
        "change": each.change,
        **each.after.model_dump(mode="json", include={"question_id", "split", "source", "family", "topic", "gold"}),
        "before": each.before.model_dump(mode="json", include=shown),
        "after": each.after.model_dump(mode="json", include=shown),
    }
