"""`medu1 data pull`, `push`, `import` and `diff`: versions of the raw data, moved and compared.

Where no remote is named it is `prepare.dvc_remote` of the parameter file, else the default remote of the checkout's DVC
configuration. Credentials are read from the environment, never from a file or an option.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medu1.errors import Stop

if TYPE_CHECKING:
    from rich.table import Table

    from medu1.prepare.versions.diff import Difference
    from medu1.prepare.versions.remote import Remote

app = typer.Typer(no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout.")]
Named = Annotated[str, typer.Option("--remote", metavar="URL|NAME", help="A URL, a folder, or a DVC remote's name.")]
Params = Annotated[Path, typer.Option("--params", help="Whose prepare.dvc_remote is the remote unless one is named.")]
PARAMS = Path("params.yaml")
NO_REMOTE = "None is named in prepare.dvc_remote, and DVC's configuration has no default."


@app.command()
def pull(
    remote: Named = "",
    revision: Annotated[str, typer.Option("--rev", help="A git revision of data.dvc instead of the file here.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace files that no pin and no cache know.")] = False,
    params: Params = PARAMS,
    as_json: Json = False,
) -> None:
    """Bring data/ to the bytes that data.dvc pins."""
    from medu1.prepare.versions import transfer
    from medu1.prepare.versions.pin import pinned

    root = Path.cwd()
    moved = transfer.pull(root, _remote(root, remote, params), revision or None, force)
    if as_json:
        _print(moved.model_dump(mode="json"))
        return
    done = "is now" if moved.changed else "was already"
    typer.echo(f"data/ {done} {moved.digest}: {moved.files:,} files, {moved.size:,} bytes")
    if revision and moved.digest != pinned(root / "data.dvc"):
        typer.echo(f"data.dvc pins other bytes still; to pin these: git checkout {revision} -- data.dvc")


@app.command()
def push(remote: Named = "", params: Params = PARAMS, as_json: Json = False) -> None:
    """Send the bytes that data.dvc pins to a remote."""
    from medu1.prepare.versions import transfer

    root = Path.cwd()
    place = _remote(root, remote, params)
    if place is None:
        raise Stop("There is no remote to push to.", NO_REMOTE, "Name one with --remote.")
    moved = transfer.push(root, place)
    if as_json:
        _print(moved.model_dump(mode="json"))
    else:
        typer.echo(f"{place} holds {moved.digest}; {moved.sent:,} objects were sent, the others were there")


@app.command("import")
def import_files(
    sources: Annotated[list[str], typer.Argument(metavar="FORMAT:PLACE...", help="Files, as in prepare.sources.")],
    force: Annotated[bool, typer.Option("--force", help="Replace files of the same format and name.")] = False,
    params: Annotated[Path, typer.Option("--params", help="Whose prepare.allowed and prepare.tables hold.")] = PARAMS,
    as_json: Json = False,
) -> None:
    """Copy benchmark files to data/real/FORMAT/NAME and pin them in data.dvc."""
    from medu1.prepare.versions import importing

    _refuse_by_licence(sources, params)
    done = importing.import_files(Path.cwd(), sources, force)
    if as_json:
        _print(done.model_dump(mode="json"))
        return
    for file in done.files:
        typer.echo(f"{file.state:<8}  data/{file.path}  {file.size:,} bytes  {file.md5}")
    typer.echo(f"data.dvc pins {done.digest}" + (", as before" if done.digest == done.before else "; commit it"))


def _refuse_by_licence(entries: list[str], params: Path) -> None:
    """What may not be handed on is not pinned either, or a push would hand it on."""
    from medu1.prepare import licence_gate
    from medu1.prepare.sources import NO_TABLES, parse
    from pipelines import request

    prepare = request.read_params(params, []).prepare if params.exists() else None
    sources = [parse(entry) for entry in entries]
    allowed, tables = (prepare.allowed, prepare.tables) if prepare else ((), NO_TABLES)
    licence_gate.require(sources, allowed, tables)


@app.command()
def diff(
    before: Annotated[str, typer.Argument(metavar="REV_A", help="A git revision of data.dvc, or a directory.")],
    after: Annotated[str, typer.Argument(metavar="REV_B", help="Another one; data/ as it lies unless named.")] = "",
    remote: Named = "",
    params: Params = PARAMS,
    as_json: Json = False,
) -> None:
    """Show the rows added, removed and changed from one version of the data to another, by source."""
    from rich.console import Console

    from medu1.prepare.versions import diff as differences

    root = Path.cwd()
    found = differences.diff(root, before, after or None, _remote(root, remote, params))
    if as_json:
        _print(found.model_dump(mode="json"))
        return
    console = Console(width=None if Console().is_terminal else 120)
    console.print(_table(found))
    for line in _files(found):
        typer.echo(line)


def _remote(root: Path, name: str, params: Path) -> "Remote | None":
    from medu1.prepare.versions.remote import Remote

    return Remote.named(root, name or _default(params)) if name or _default(params) else Remote.default(root)


def _default(params: Path) -> str:
    from pipelines import request

    return request.read_params(params, []).prepare.dvc_remote if params.exists() else ""


def _table(found: "Difference") -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"Rows from {found.before.name} to {found.after.name}", title_justify="left")
    table.add_column("source")
    for kind in ("added", "removed", "changed"):
        table.add_column(kind, justify="right")
    table.add_column("such as")
    for source in found.sources:
        shown = "; ".join(f"{kind} {', '.join(ids)}" for kind, ids in source.examples.items())
        table.add_row(
            Text(source.source), f"{source.added:,}", f"{source.removed:,}", f"{source.changed:,}", Text(shown)
        )
    return table


def _files(found: "Difference") -> list[str]:
    files = found.files
    named = {"added": files.added, "removed": files.removed, "changed": files.changed}
    lines = [f"{kind:<8}  {path}" for kind, paths in named.items() for path in paths]
    lines += [f"renamed   {old} -> {new}" for old, new in files.renamed]
    return [*lines, f"{files.same:,} files are the same byte for byte"]


def _print(value: object) -> None:
    typer.echo(json.dumps(value, indent=1, sort_keys=True))
