"""The command `medu1`. Heavy libraries are imported inside the command that needs them, so that `--help` is instant.

A `Stop` from anywhere below ends as one paragraph on stderr and exit code 2; with `--json` stdout carries it too.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

import medu1
from medu1.errors import EXIT_CODE, Interrupted, Stop
from pipelines import cluster_commands, data_commands, registry_commands, schedule_commands

if TYPE_CHECKING:
    from medu1.workspace import Workspace
    from pipelines.admission import Asked
    from pipelines.progress import Board
    from pipelines.steps import Step

app = typer.Typer(help=medu1.__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
data = typer.Typer(help="Raw data and the pin that fixes its bytes.", no_args_is_help=True)
data.add_typer(data_commands.app)
app.add_typer(data, name="data")
app.add_typer(registry_commands.app)
app.add_typer(cluster_commands.app)
app.add_typer(schedule_commands.app, name="schedule")

Home = Annotated[Path, typer.Option("--home", envvar="MEDU1_HOME", help="Where runs, models and caches live.")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout.")]
Settings = Annotated[
    list[str], typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override a parameter; the value is YAML.")
]
ParamsFile = Annotated[Path, typer.Option("--params", help="Every knob of the chain.")]
HOME = Path(".medu1")
PARAMS = Path("params.yaml")
STOPPED = "Stopped before the chain was done. Run again: complete steps are reused."


@app.command()
def run(
    params: ParamsFile = PARAMS,
    settings: Settings = [],  # noqa: B006, typer reads it once
    runner: Annotated[str, typer.Option(help="How steps run: subprocess, docker.")] = "subprocess",
    images: Annotated[Path, typer.Option("--images", help="Images by digest, for docker.")] = Path(
        "docker/images.json"
    ),
    allow_skew: Annotated[bool, typer.Option("--allow-skew", help="Images of other code are fine.")] = False,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Run the whole chain on this machine: prepare, train, judge, register."""
    from rich.console import Console

    from pipelines import admission, summary

    if runner not in ("subprocess", "docker"):
        raise Stop(f"There is no runner {runner!r}.", next_step="Use --runner subprocess or --runner docker.")
    began = time.monotonic()
    asked = admission.Asked(images, allow_skew) if runner == "docker" else None
    workspace, board = _followed(params, settings, home, asked=asked)
    ended = summary.summary(workspace, board.reused, time.monotonic() - began)
    _print(ended.model_dump(mode="json")) if as_json else summary.show(ended, Console(width=_width()))


@app.command()
def prepare(
    params: ParamsFile = PARAMS,
    settings: Settings = [],  # noqa: B006, typer reads it once
    home: Home = HOME,
) -> None:
    """Questions split, filtered, written and audited; prints the dataset's manifest."""
    _one_step("prepare", params, settings, home)


@app.command()
def train(
    params: ParamsFile = PARAMS,
    settings: Settings = [],  # noqa: B006, typer reads it once
    home: Home = HOME,
) -> None:
    """Train a candidate, after what it needs and the home has not; prints the model's manifest.

    SIGTERM saves a checkpoint and exits with code 75; the same command goes on from it.
    """
    _one_step("train", params, settings, home)


@app.command()
def evaluate(
    params: ParamsFile = PARAMS,
    settings: Settings = [],  # noqa: B006, typer reads it once
    home: Home = HOME,
) -> None:
    """Judge the candidate, the base and the champion on the same questions; prints the evaluation's manifest."""
    _one_step("evaluate", params, settings, home)


@app.command()
def register(
    params: ParamsFile = PARAMS,
    settings: Settings = [],  # noqa: B006, typer reads it once
    home: Home = HOME,
) -> None:
    """Register the candidate if it passes the decision; prints its name and version."""
    _one_step("register", params, settings, home)


@app.command()
def compile(
    out: Annotated[Path, typer.Option("--out", "-o", help="The package to write.")] = Path("retraining.yaml"),
    images: Annotated[Path, typer.Option("--images", help="Images by digest.")] = Path("docker/images.json"),
    placement: Annotated[str, typer.Option(help="Where tasks run: a profile under placements in --params.")] = "cpu",
    params: ParamsFile = PARAMS,
    allow_skew: Annotated[bool, typer.Option("--allow-skew", help="Images of another commit are fine.")] = False,
    as_json: Json = False,
) -> None:
    """Write the pipeline package for a cluster. The default placement suits any cluster; GPUs are asked for by name."""
    from pipelines import package

    written = package.write(out, images, placement, allow_skew, params)
    _print({"package": str(written)}) if as_json else typer.echo(f"wrote {written}")


@data.command("build")
def build(
    pin: Annotated[bool, typer.Option("--pin", help="Write the new digest into data.dvc.")] = False,
    as_json: Json = False,
) -> None:
    """Generate the built-in questions and check their bytes against data.dvc."""
    from medu1.prepare import rawdata

    digest = rawdata.build(Path.cwd(), pin=pin)
    _print({"digest": str(digest), "pinned": pin}) if as_json else typer.echo(f"data/ is {digest}")


@data.command("check")
def check(
    params: ParamsFile = PARAMS,
    settings: Settings = [],  # noqa: B006, typer reads it once
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Check the training questions before a run: every row readable, every gold right, no degenerate answer paid."""
    from rich.console import Console

    from medu1.prepare import audit, audit_page, data_page
    from medu1.prepare.check import FOLDER, check
    from pipelines import checking, request

    read = request.read_params(params, settings)
    asked = request.raw_data(read.prepare, home)
    checked = check(read.model_copy(update={"prepare": asked.params}), asked.digests, home.resolve())
    if as_json:
        _print(checking.summary(checked))
    else:
        checking.show(checked, Console(width=_width()))
        typer.echo(f"Data      {home.resolve() / FOLDER / data_page.NAME}")
        typer.echo(f"Audit     {home.resolve() / FOLDER / audit_page.NAME}")
    if checked.refusals:
        typer.echo(str(audit.refusal(checked.refusals)), err=True)
        raise typer.Exit(EXIT_CODE)


@app.command()
def score(
    questions: Annotated[Path, typer.Option("--questions", help="Questions, one JSON object a line.")],
    completions: Annotated[Path, typer.Option("--completions", help="Completions, one JSON object a line.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The verdicts, one line a completion, in order.")],
    preset: Annotated[str, typer.Option(help="Whose rules: recommended, paper.")] = "",
    params: Annotated[
        Path | None, typer.Option("--params", help="Settings and weights; without it, those medu1 ships.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", min=1, help="Tokens a response may have: a long one earns less.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first row that is not as it should be.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Grade completions of any number, in order, and say what each earns."""
    from medu1.scoring.stream import Task, score_files
    from pipelines import grading

    signal.signal(signal.SIGTERM, _stopped("Stopped; no verdicts are written."))
    scoring, weights = grading.rules(params, preset)
    task = Task(
        questions=questions,
        completions=completions,
        out=out,
        settings=scoring,
        weights=weights,
        limit=max_tokens,
        strict=strict,
    )
    tally = score_files(task)
    for line in grading.lines(tally):
        typer.echo(line, err=True)
    if as_json:
        _print(grading.summary(tally))


@app.command()
def versions(home: Home = HOME, as_json: Json = False) -> None:
    """List what the registry holds, newest first."""
    workspace = _workspace(home)
    found = _versions(workspace)
    if as_json:
        _print([version.model_dump(mode="json") for version in found])
        return
    for version in found:
        aliases = ", ".join(version.aliases) or "-"
        typer.echo(
            f"{version.name} {version.version}  {aliases}  weights {version.lineage.get('medu1.weights', '?')[:12]}"
        )
    if not found:
        typer.echo("The registry is empty.")


@app.command()
def ui(home: Home = HOME, port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 5000) -> None:
    """Open the MLflow interface on this home's database, for this machine only."""
    workspace = _workspace(home)
    words = ["-m", "mlflow", "ui", "--backend-store-uri", workspace.tracking_uri, "--host", "127.0.0.1"]
    os.execv(sys.executable, [sys.executable, *words, "--port", str(port)])


@app.command()
def doctor(home: Home = HOME, as_json: Json = False) -> None:
    """Check what a run needs on this machine."""
    from pipelines import environment

    findings = environment.findings(home)
    if as_json:
        _print([finding.model_dump(mode="json") for finding in findings])
    else:
        for finding in findings:
            typer.echo(f"{'ok ' if finding.ok else 'NO '} {finding.name:<14} {finding.value}")
    missing = ", ".join(finding.name for finding in findings if not finding.ok)
    if missing:
        raise Stop(f"Not ready: {missing}.", next_step="`make install` sets up everything but python, git and make.")


def main() -> None:
    """The console script."""
    try:
        app()
    except Stop as stop:
        typer.echo(str(stop), err=True)
        if "--json" in sys.argv:
            _print({"error": str(stop)})
        sys.exit(EXIT_CODE)


def _one_step(step: "Step", params: Path, settings: list[str], home: Path) -> None:
    from pipelines import local

    workspace, _ = _followed(params, settings, home, step)
    typer.echo(local.output(workspace))


def _followed(
    params: Path, settings: list[str], home: Path, step: "Step | None" = None, asked: "Asked | None" = None
) -> "tuple[Workspace, Board]":
    """Run the chain, or a step of it, and show how it goes. Exits with 75 where a signal ended it and it saved."""
    from rich.console import Console

    from pipelines import guard, local, request
    from pipelines.progress import Board

    checked = request.read_params(params, settings)
    request.check_options(checked.train)
    arguments = request.arguments(checked, home)
    workspace, containers = _workspace(home, request.new_run()), None
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stopped(STOPPED))
    if asked:
        from pipelines.admission import admitted

        arguments, workspace, containers = admitted(asked, arguments, workspace, _said)
    board = Board(Console(stderr=True))
    try:
        with board.live():
            ended = local.run(arguments, workspace, board.show, step, containers)
    except SystemExit as stopped:
        guard.close_tree(workspace, arguments["notify"], "CANCELLED")
        if board.interrupted:
            typer.echo("\n".join(board.failures), err=True)
        raise SystemExit(Interrupted.CODE if board.interrupted else stopped.code) from None
    if not ended.closed:
        guard.close_tree(workspace, arguments["notify"], "FAILED")
    if board.interrupted:
        typer.echo("\n".join(board.failures), err=True)
        raise SystemExit(Interrupted.CODE)
    if not ended.succeeded:
        raise Stop(
            "\n".join(board.explained()), f"The log is {local.log(workspace)}.", "Run again to go on from there."
        )
    return workspace, board


def _said(line: str) -> None:
    typer.echo(line, err=True)


def _workspace(home: Path, run: str = "manual") -> "Workspace":
    from medu1.tracking import launcher
    from medu1.workspace import Workspace
    from pipelines import request

    surroundings = Workspace.from_environment()
    commit = request.identity(os.environ)
    found = surroundings.model_copy(
        update={
            "home": home.resolve(),
            "run": run,
            "launcher": launcher(),
            "commit": commit.removesuffix("-dirty"),
            "dirty": commit.endswith("-dirty"),
        }
    )
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return found
    return found.model_copy(update={"tracking_uri": f"sqlite:///{found.home / 'mlflow.db'}"})


def _versions(workspace: "Workspace") -> list[Any]:
    from medu1.register.versions import versions
    from medu1.tracking import Tracking

    if workspace.tracking_uri.startswith("sqlite:") and not Path(workspace.tracking_uri[10:]).exists():
        return []
    return list(versions(Tracking(workspace)))


def _width() -> int | None:
    """A table in a log file has no terminal to fit."""
    return None if sys.stdout.isatty() else 120


def _stopped(message: str) -> Callable[[int, FrameType | None], None]:
    """A signal handler that ends the process the way an exception would, so that everything is cleaned up."""

    def stop(signum: int, frame: FrameType | None) -> None:
        typer.echo(message, err=True)
        sys.exit(128 + signum)

    return stop


def _print(value: object) -> None:
    typer.echo(json.dumps(value, indent=1, sort_keys=True))


if __name__ == "__main__":
    main()
