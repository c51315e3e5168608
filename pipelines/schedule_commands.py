"""Commands on schedules: what an endpoint has otherwise than the file, making it agree, and looking after single ones.

Exit codes of `diff`: 0 without a difference, 1 with one, 2 where it could not be told; as of `kubectl diff`.
"""

import functools
import inspect
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medu1.errors import Stop
from pipelines import terminal

if TYPE_CHECKING:
    from pipelines.recurring import Prepared, RecurringRuns
    from pipelines.terms import Held, Scope

app = typer.Typer(help="Recurring runs on an endpoint, as pipelines/schedules.yaml has them.", no_args_is_help=True)

CHANGED = 1  # exit code of a diff that found something

File = Annotated[Path, typer.Option("--file", help="The schedules.")]
EnvironmentName = Annotated[str, typer.Option("--environment", "-e", help="Of the file, where it has several.")]
Server = Annotated[str, typer.Option("--endpoint", help="The API; without it, the file's, then MEDU1_KFP_ENDPOINT.")]
Namespace = Annotated[str, typer.Option("--namespace", help="Without it, the file's, then MEDU1_KFP_NAMESPACE.")]
IapClient = Annotated[str, typer.Option("--iap-client", help="OAuth client of an Identity-Aware Proxy.")]
Certificates = Annotated[Path | None, typer.Option("--ca", help="Certificates to trust, PEM.")]
PlainHttp = Annotated[bool, typer.Option("--plain-http", help="Credentials may cross this network unencrypted.")]
Timeout = Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds for one answer.")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout.")]
Home = Annotated[Path, typer.Option("--home", envvar="MEDU1_HOME", help="Where caches live.")]
Skew = Annotated[bool, typer.Option("--allow-skew", help="Images of another commit are fine.")]
Prune = Annotated[
    bool, typer.Option("--prune/--no-prune", help="Delete the file's own schedules that are no longer in it.")
]
One = Annotated[str, typer.Argument(metavar="NAME", help="A schedule, by its name in the file.")]
HOME = Path(".medu1")


class Target:
    """An environment of the file, and the endpoint it names."""

    def __init__(
        self,
        file: File = Path("pipelines/schedules.yaml"),
        environment: EnvironmentName = "",
        endpoint: Server = "",
        namespace: Namespace = "",
        iap_client: IapClient = "",
        ca: Certificates = None,
        plain_http: PlainHttp = False,
        timeout: Timeout = 30.0,
        as_json: Json = False,
    ) -> None:
        from pipelines.access import Access
        from pipelines.schedules import Schedules

        self.file, self.as_json, self.timeout = Schedules.read(file), as_json, timeout
        self.name = environment or _only(list(self.file.environments))
        found = self.file.environment(self.name)
        address = (endpoint or found.endpoint, namespace or found.namespace, iap_client, ca, plain_http)
        self.zone, self.access = found.time_zone, Access.read(*address)

    @property
    def scope(self) -> "Scope":
        """Whose schedules are meant."""
        from pipelines.terms import Scope

        return Scope(self.file.owner, self.name)

    @contextmanager
    def prepared(self, home: Path, allow_skew: bool) -> Iterator["Prepared"]:
        """The file's schedules, compiled."""
        from pipelines.recurring import prepared

        with prepared(self.file, self.name, home, allow_skew) as found:
            for doubt in found.doubts:
                typer.echo(terminal.line(doubt), err=True)
            yield found

    def runs(self, prepared: "Prepared | None" = None) -> "RecurringRuns":
        """The endpoint's recurring runs."""
        from pipelines.endpoint import Endpoint
        from pipelines.recurring import RecurringRuns
        from pipelines.wire import Patience

        return RecurringRuns(Endpoint(self.access, Patience(seconds=self.timeout)), prepared)

    def tell(self, lines: Sequence[str], value: object) -> None:
        """For a person, or for a machine."""
        typer.echo(json.dumps(value, indent=1, sort_keys=True) if self.as_json else "\n".join(lines))


def _only(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    raise Stop(f"The file has the environments {', '.join(names) or 'none'}.", next_step="Name one with --environment.")


def on_endpoint(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose first argument is a Target, with the options that make one after its own."""
    where = list(inspect.signature(Target).parameters.values())
    own = list(inspect.signature(command).parameters.values())[1:]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        command(Target(**{each.name: given.pop(each.name) for each in where}), **given)

    run.__signature__ = inspect.Signature([*own, *where])  # type: ignore[attr-defined]
    return run


@app.command()
@on_endpoint
def diff(target: Target, prune: Prune = True, home: Home = HOME, allow_skew: Skew = False) -> None:
    """Show what the endpoint has otherwise than the file; changes nothing. Exit code 1 where there is something."""
    from pipelines import schedule_lines
    from pipelines.reconciliation import check_names, differences, ours

    with target.prepared(home, allow_skew) as prepared:
        held = target.runs(prepared).held()
        check_names(held, target.scope, prepared.wanted)
        found = differences(prepared.wanted, ours(held, target.scope), prune)
    target.tell(schedule_lines.differences(found, target.name, target.access.url), schedule_lines.as_data(found))
    raise typer.Exit(CHANGED if found else 0)


@app.command()
@on_endpoint
def apply(target: Target, prune: Prune = True, home: Home = HOME, allow_skew: Skew = False) -> None:
    """Make the endpoint agree with the file. Schedules paused or edited by hand become the file's again."""
    from pipelines import reconciliation, schedule_lines

    with target.prepared(home, allow_skew) as prepared:
        done = reconciliation.apply(target.runs(prepared), target.scope, prepared.wanted, prune)
    target.tell(
        schedule_lines.applied(done, target.name, target.access.url),
        {"differences": schedule_lines.as_data(done.before), "done": [act._asdict() for act in done.done]},
    )


@app.command("list")
@on_endpoint
def list_(
    target: Target,
    everything: Annotated[bool, typer.Option("--all", help="Also those of others in the namespace.")] = False,
) -> None:
    """Show the file's schedules as the endpoint has them, and when each fires next."""
    from pipelines import schedule_lines

    held = target.runs().held()
    rows = [
        schedule_lines.row(each, target.scope, target.zone, datetime.now(UTC))
        for each in sorted(held, key=lambda each: each.display)
        if everything or each.name(target.scope)
    ]
    target.tell(schedule_lines.table(rows), rows)


@app.command()
@on_endpoint
def pause(target: Target, name: One) -> None:
    """Keep a schedule from firing, until it is resumed or the file is applied."""
    runs = target.runs()
    for each in _found(runs, target.scope, name):
        runs.disable(each.id)
    lasting = f"To keep it so, set schedules.{name}.enabled: false in the file."
    target.tell([f"{name} is paused until it is resumed, or the next apply. {lasting}"], {"paused": name})


@app.command()
@on_endpoint
def resume(target: Target, name: One) -> None:
    """Let a paused schedule fire again. The endpoint makes up at once for the latest time that it missed."""
    runs = target.runs()
    found = _found(runs, target.scope, name)
    if len(found) > 1:
        raise Stop(
            f"There are {len(found)} schedules {name}.", "All of them would fire.", "Apply the file: it leaves one."
        )
    runs.enable(found[0].id)
    target.tell([f"{name} fires again; a time it missed meanwhile is made up for now, once."], {"resumed": name})


@app.command()
@on_endpoint
def delete(
    target: Target,
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="A schedule, by its name in the file.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Every schedule of this file and environment.")] = False,
) -> None:
    """Delete the file's schedules from the endpoint; runs stay. What is still in the file comes back with an apply."""
    if bool(name) == everything:
        raise Stop("What shall be deleted is not clear.", next_step="Name one schedule, or pass --all.")
    runs = target.runs()
    found = _all(runs, target.scope) if everything else _found(runs, target.scope, name)
    for each in found:
        runs.delete(each.id)
    names = sorted({each.name(target.scope) or "" for each in found})
    target.tell([f"deleted {each}" for each in names] or ["nothing to delete"], {"deleted": names})


def _found(runs: "RecurringRuns", scope: "Scope", name: str) -> "list[Held]":
    from pipelines.schedules import unknown

    held = _all(runs, scope)
    if found := [each for each in held if each.name(scope) == name]:
        return found
    known = {each.name(scope) or "": each for each in held}
    raise Stop(
        f"On {runs.endpoint.access.url}, in {scope.environment}, {unknown('schedule', name, known)}.",
        "Only schedules that bear this file's mark count.",
        "See `medu1 schedule list --all`.",
    )


def _all(runs: "RecurringRuns", scope: "Scope") -> "list[Held]":
    return [each for each in runs.held() if each.name(scope)]
