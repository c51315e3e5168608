"""The command that starts a run on a cluster.

Exit codes: 0 where the run is started, is there already, or with --wait ended well; 1 where with --wait it did not; 2
where nothing could be told or done; 130 where Ctrl-C ended the waiting and left the run.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines import terminal

if TYPE_CHECKING:
    from pipelines.answers import Run
    from pipelines.endpoint import Endpoint
    from pipelines.submission import Checked, Submitted

app = typer.Typer()

FAILED, INTERRUPTED = 1, 130  # exit codes
ATTEMPT = "The same command looks for what it may have started before it starts a run."


@app.command()
def submit(
    params: Annotated[Path, typer.Option("--params", help="Every knob of the chain.")] = Path("params.yaml"),
    settings: Annotated[
        list[str], typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override a parameter; the value is YAML.")
    ] = [],  # noqa: B006, typer reads it once
    placement: Annotated[
        str, typer.Option("--placement", help="Where tasks run: a profile under placements in --params.")
    ] = "cpu",
    images: Annotated[Path, typer.Option("--images", help="Images by digest.")] = Path("docker/images.json"),
    endpoint: Annotated[str, typer.Option("--endpoint", help="The API; without it, MEDU1_KFP_ENDPOINT.")] = "",
    namespace: Annotated[str, typer.Option("--namespace", help="Without it, MEDU1_KFP_NAMESPACE.")] = "",
    experiment: Annotated[str, typer.Option("--experiment", help="Made where there is none of this name.")] = "medu1",
    service_account: Annotated[
        str, typer.Option("--service-account", help="The pods'; without it, the endpoint's default.")
    ] = "",
    request: Annotated[
        str, typer.Option("--request", help="A name for this request, which then has one run for good.")
    ] = "",
    if_data_changed: Annotated[
        bool, typer.Option("--if-data-changed", help="Only if the newest run has other data than this.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the run to its end.")] = False,
    poll: Annotated[float, typer.Option("--poll", min=0.01, help="Seconds between two looks, at most.")] = 30.0,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds for one answer.")] = 30.0,
    iap_client: Annotated[str, typer.Option("--iap-client", help="OAuth client of an Identity-Aware Proxy.")] = "",
    ca: Annotated[Path | None, typer.Option("--ca", help="Certificates to trust, PEM.")] = None,
    plain_http: Annotated[
        bool, typer.Option("--plain-http", help="Credentials may cross this network unencrypted.")
    ] = False,
    allow_skew: Annotated[bool, typer.Option("--allow-skew", help="Images of another commit are fine.")] = False,
    home: Annotated[Path, typer.Option("--home", envvar="MEDU1_HOME", help="Where caches live.")] = Path(".medu1"),
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout.")] = False,
) -> None:
    """Start a run on a Kubeflow Pipelines endpoint; the same command finds the run that it started.

    Credentials are in the environment: MEDU1_KFP_TOKEN, MEDU1_KFP_TOKEN_FILE, MEDU1_KFP_COOKIE.
    """
    from pipelines import submission
    from pipelines.access import Access
    from pipelines.endpoint import Endpoint
    from pipelines.wire import Patience

    order = submission.Order(
        params=params,
        settings=tuple(settings),
        images=images,
        placement=placement,
        experiment=experiment,
        service_account=service_account,
        request=request,
        if_data_changed=if_data_changed,
        allow_skew=allow_skew,
        home=home,
    )
    access = Access.read(endpoint, namespace, iap_client, ca, plain_http)
    there = Endpoint(access, Patience(seconds=timeout))
    tell = _silent if as_json else typer.echo
    with submission.checked(order) as asked:
        done = _submitted(there, asked, tell)
    run = _followed(there, done, poll) if wait and not done.unchanged else done.run
    if as_json:
        typer.echo(json.dumps(_summary(done, run, asked), indent=1, sort_keys=True))
    if wait and not (run.succeeded or run.under_way):
        raise typer.Exit(FAILED)


def _submitted(there: "Endpoint", asked: "Checked", tell: Callable[[str], object]) -> "Submitted":
    from pipelines import submission
    from pipelines.wire import Unanswered

    for doubt in asked.doubts:
        typer.echo(terminal.line(doubt), err=True)
    try:
        done = submission.submit(there, asked)
    except Unanswered as lost:
        raise type(lost)(lost.fact, lost.reason, f"{lost.next_step} {ATTEMPT}") from None
    tell(f"{done.why} Nothing is submitted." if done.why else f"Submitted {done.run.name}")
    tell(done.link)
    return done


def _followed(there: "Endpoint", done: "Submitted", poll: float) -> "Run":
    from rich.console import Console

    from pipelines import following

    pace = following.Pace(first=min(2.0, poll), longest=poll)
    try:
        run = following.followed(there, done.run, following.Board(Console(stderr=True)), pace)
    except KeyboardInterrupt:
        typer.echo(following.leaving(done.run, done.link), err=True)
        raise typer.Exit(INTERRUPTED) from None
    typer.echo(f"Run {run.name}: {run.state.lower()}" if run.succeeded else following.failure(run), err=True)
    return run


def _summary(done: "Submitted", run: "Run", asked: "Checked") -> dict[str, Any]:
    return {
        "run": run.id,
        "name": run.name,
        "state": run.state,
        "link": done.link,
        "submitted": done.new,
        "why": done.why,
        "data": asked.arguments["data"],
        "experiment": asked.order.experiment,
        "tasks": {name: task.state for name, task in run.tasks().items()},
        "doubts": list(asked.doubts),
    }


def _silent(line: str) -> None:
    """stdout carries the JSON alone."""
