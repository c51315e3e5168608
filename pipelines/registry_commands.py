"""Commands on registered versions: who is champion and made it that, how two differ, how to make one again, a question.

The registry is the one of MLFLOW_TRACKING_URI, else the database under the home.
"""

import getpass
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medu1.errors import Stop
from pipelines import registered, terminal

if TYPE_CHECKING:
    from rich.console import Console

    from medu1.register.promotion import Promoted
    from medu1.register.trail import Told

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

    _tell(
        promotion.promote(registered.filled(home), registered.checked_name(name), version, who or _user(), why), as_json
    )


@app.command()
def rollback(why: Why, who: Who = "", name: Name = NAME, home: Home = HOME, as_json: Json = False) -> None:
    """Make the champion before the present one champion again. The same reason given twice is one rollback."""
    from medu1.register import promotion

    _tell(promotion.rollback(registered.filled(home), registered.checked_name(name), who or _user(), why), as_json)


@app.command()
def history(name: Name = NAME, home: Home = HOME, as_json: Json = False) -> None:
    """Show every promotion and rollback, oldest first: who, when, why, on what evidence, and whether it held."""
    from medu1.register import trail

    tracking = registered.tracking(home)
    told = trail.history(tracking, registered.checked_name(name)) if tracking else []
    if as_json:
        _print([{**each.entry.model_dump(mode="json"), "void": each.void} for each in told])
        return
    for each in told:
        typer.echo(_line(each))
    if not told:
        typer.echo(f"Nothing was promoted in {name}.")


@app.command()
def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A version or alias, or base: what the other began as.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The same; differences are B minus A.")],
    name: Name = NAME,
    home: Home = HOME,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The page; without it, one below the home.")] = None,
    allow_skew: Annotated[
        bool, typer.Option("--allow-skew", help="Verdicts by other sources of evaluate, under the same settings.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare two versions question by question on their stored verdicts; nothing is generated again."""
    from pipelines import comparing

    tracking = registered.filled(home)
    drawn = comparing.compare(tracking, registered.checked_name(name), first, second, out, allow_skew)
    _print(comparing.summary(drawn)) if as_json else comparing.show(drawn, _console())


@app.command()
def reproduce(
    version: Annotated[str, typer.Argument(metavar="VERSION|ALIAS", help="Such as 3, or champion.")],
    name: Name = NAME,
    home: Home = HOME,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="An empty or new folder; reproduce-VERSION.")] = None,
    params: Annotated[Path, typer.Option("--params", help="The parameters here, to compare with.")] = Path(
        "params.yaml"
    ),
    checkout: Annotated[bool, typer.Option("--checkout", help="Also check its commit out, below the folder.")] = False,
    as_json: Json = False,
) -> None:
    """Restore what a version was made from, say what differs from now, and how to make it again."""
    from pipelines import reproduction

    tracking = registered.filled(home)
    made = reproduction.reproduce(tracking, registered.checked_name(name), version, out, params, checkout)
    if as_json:
        _print(reproduction.summary(made))
        return
    for line in reproduction.lines(made):
        typer.echo(terminal.line(line) if not line.startswith("  ") else f"  {terminal.line(line)}")


@app.command()
def ask(
    text: Annotated[str, typer.Argument(metavar="QUESTION", help="Its text; - reads it from standard input.")],
    version: Annotated[
        str, typer.Option("--version", "--alias", metavar="VERSION|ALIAS", help="Whom; without it, the champion.")
    ] = "",
    option: Annotated[
        list[str], typer.Option("--option", metavar="A=TEXT", help="An option; two or more make it a choice.")
    ] = [],  # noqa: B006, typer reads it once
    context: Annotated[str, typer.Option("--context", help="What the question is about, such as a note.")] = "",
    answer: Annotated[str, typer.Option("--answer", help="Its form: text, number, date, weeks_days.")] = "",
    budget: Annotated[int | None, typer.Option("--budget", min=1, help="Tokens the reasoning shall take.")] = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", min=1, help="Tokens it may take; without it, as trained.")
    ] = None,
    name: Name = NAME,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Ask a registered model a question, after a check of its files. For research; not for use in care."""
    from pipelines import asking

    asked = asking.question(_read() if text == "-" else text, context, option, answer)
    tracking = registered.filled(home)
    answered = asking.ask(tracking, registered.checked_name(name), version, asked, asking.budget(budget), max_tokens)
    _print(asking.summary(answered)) if as_json else asking.show(answered, _console())


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


def _read() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError:
        raise Stop("What stands on standard input is not UTF-8 text.", next_step="Convert it first.") from None


def _console() -> "Console":
    """A table in a log file has no terminal to fit."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 140)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have a number only
        return f"user {os.getuid()}"


def _print(value: object) -> None:
    typer.echo(json.dumps(value, indent=1, sort_keys=True))
