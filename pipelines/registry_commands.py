"""`medu1 promote`, `rollback` and `history`: which version is champion, and who made it that.

The registry is the one of MLFLOW_TRACKING_URI, else the database under the home.
"""

import getpass
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medu1.errors import Stop

if TYPE_CHECKING:
    from medu1.register.promotion import Promoted
    from medu1.register.trail import Told
    from medu1.tracking import Tracking

app = typer.Typer()

Home = Annotated[Path, typer.Option("--home", envvar="MEDU1_HOME", help="Where runs, models and caches live.")]
Name = Annotated[str, typer.Option("--name", help="The registered model, registry.name of the parameters.")]
Why = Annotated[str, typer.Option("--why", help="The reason, kept for good.")]
Who = Annotated[str, typer.Option("--who", help="Who asks; without it, the user of this process.")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout.")]
HOME = Path(".medu1")
NAME = "medu1"


@app.command()
def promote(
    version: Annotated[str, typer.Argument(metavar="VERSION|ALIAS", help="Such as 3, or challenger.")],
    why: Why,
    who: Who = "",
    name: Name = NAME,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Make a version the champion, if it was judged against the present one and its files are whole."""
    from medu1.register import promotion

    _tell(promotion.promote(_filled(home), _name(name), version, who or _user(), why), as_json)


@app.command()
def rollback(why: Why, who: Who = "", name: Name = NAME, home: Home = HOME, as_json: Json = False) -> None:
    """Make the champion before the present one champion again. The same reason given twice is one rollback."""
    from medu1.register import promotion

    _tell(promotion.rollback(_filled(home), _name(name), who or _user(), why), as_json)


@app.command()
def history(name: Name = NAME, home: Home = HOME, as_json: Json = False) -> None:
    """Show every promotion and rollback, oldest first: who, when, why, on what evidence, and whether it held."""
    from medu1.register import trail

    tracking = _tracking(home)
    told = trail.history(tracking, _name(name)) if tracking else []
    if as_json:
        _print([{**each.entry.model_dump(mode="json"), "void": each.void} for each in told])
        return
    for each in told:
        typer.echo(_line(each))
    if not told:
        typer.echo(f"Nothing was promoted in {name}.")


def _tell(done: "Promoted", as_json: bool) -> None:
    if as_json:
        _print(done.model_dump(mode="json"))
        return
    entry = f" (entry {done.entry} of the log)" if done.entry else ""
    before = f"; before it was version {done.replaced}" if done.replaced else ""
    typer.echo(f"{done.name} {done.version} is {'already ' if done.already else ''}the champion{entry}{before}")


def _line(told: "Told") -> str:
    entry = told.entry
    moved = f"{entry.kind:<8}  {entry.replaces or '-'} -> {entry.target}"
    evidence = f"  evaluation {entry.evidence[:12]}" if entry.evidence else ""
    void = f"  VOID: {told.void}" if told.void else ""
    return f"{entry.number:>3}  {entry.when}  {moved}  {entry.who}: {entry.why}{evidence}{void}"


def _tracking(home: Path) -> "Tracking | None":
    """None where there is no database yet, which a look or a refusal shall not make."""
    from medu1.tracking import Tracking
    from medu1.workspace import Workspace

    found = Workspace.from_environment().model_copy(update={"home": home.resolve()})
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return Tracking(found)
    database = found.home / "mlflow.db"
    return Tracking(found.model_copy(update={"tracking_uri": f"sqlite:///{database}"})) if database.exists() else None


def _filled(home: Path) -> "Tracking":
    if (tracking := _tracking(home)) is None:
        raise Stop(f"The registry of {home} is empty.", "Nothing ran there yet.", "Run the chain, or correct --home.")
    return tracking


def _name(name: str) -> str:
    from medu1.params import Registry

    return Registry.parse(json.dumps({"name": name})).name


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have a number only
        return f"user {os.getuid()}"


def _print(value: object) -> None:
    typer.echo(json.dumps(value, indent=1, sort_keys=True))
