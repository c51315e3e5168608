"""What must hold before anything is spent, all of it in one report; and the champion, named once for the run.

Everything is looked at before anything is refused, so a person mends all of it at once. The tracking server comes
first: where it is away or the experiment cannot be written, preflight has no run of its own, and its report lies beside
the journal alone. A warning ends nothing: it is what cannot be told from here.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from medu1 import journal, record
from medu1.errors import Stop
from medu1.journal import Event
from medu1.registered_models import Champion
from medu1.run.asked import Asked
from medu1.run.checks import base_model, data, disk, endpoint, images, parallelism, registry, server, store
from medu1.run.finding import Checks, Finding, look, refused
from medu1.run.report import NAME, PAGE, Report
from medu1.stage import Stage, tracked
from medu1.words import line
from medu1.workspace import Workspace

STEP = "preflight"


def preflight(*arguments: str) -> Champion:
    """The champion at this moment, by the promotion log; the runs of dead processes are closed on the way.

    `arguments` are those of `component.preflight`, in its order. Raises Stop with every failure and its next step.
    """
    workspace = Workspace.from_environment()
    found = server.findings(workspace)
    if any(finding.state == "failed" for finding in found):
        _refuse(workspace, arguments, found)
    with tracked(STEP, workspace=workspace) as stage:
        asked = Asked.parse(workspace, *arguments)
        stage.tracking.params(stage.run, asked.registry.model_dump(mode="json"))
        report = Report(run=workspace.run, findings=(*found, *look({**_checks(asked), **registry.checks(asked)})))
        report = _logged(stage, report)
        for told in report.lines():
            stage.note(told)
        if refusal := report.refusal():
            raise refusal
        return _champion(stage, asked.registry.name)


def _checks(asked: Asked) -> Checks:
    """What is looked at whether runs can be tracked or not."""
    rooms = (store, data, base_model, disk, images, parallelism, endpoint)
    return {name: check for room in rooms for name, check in room.checks(asked).items()}


def _refuse(workspace: Workspace, arguments: tuple[str, ...], found: tuple[Finding, ...]) -> None:
    """As `tracked` journals a step, without a run. Raises Stop with every failure."""
    journal.append(workspace.journal, Event(step=STEP, kind="started"))
    report = Report(run=workspace.run, findings=(*found, *_further(workspace, arguments)))
    _write(report, workspace.journal.parent)
    for told in report.lines():
        journal.append(workspace.journal, Event(step=STEP, kind="note", message=told))
    refusal = report.refusal()
    assert refusal, found
    journal.append(workspace.journal, Event(step=STEP, kind="failed", message=f"{STEP}: {refusal}"))
    raise refusal


def _further(workspace: Workspace, arguments: tuple[str, ...]) -> tuple[Finding, ...]:
    try:
        return look(_checks(Asked.parse(workspace, *arguments)))
    except Stop as stop:
        return (refused("parameters", stop),)


def _logged(stage: Stage, report: Report) -> Report:
    """The report beside the journal and on the run; a place for artifacts that takes none is one more finding."""
    _write(report, stage.workspace.journal.parent)
    try:
        with TemporaryDirectory() as folder:
            _write(report, Path(folder))
            for name in (NAME, PAGE):
                stage.tracking.artifact(stage.run, Path(folder) / name)
    except Exception as error:  # of whichever store the server names
        stop = Stop(
            f"The run's artifacts cannot be written ({type(error).__name__}: {line(error, 300)}).",
            "Every step writes its record and its pages there.",
            "Give the steps rights on the artifact store of the tracking server, or look into its log.",
        )
        more = (*report.findings, refused("artifacts", stop))
        report = report.model_copy(update={"findings": more})
        _write(report, stage.workspace.journal.parent)
    return report


def _write(report: Report, folder: Path) -> None:
    record.write_text(folder / NAME, report.model_dump_json(indent=1) + "\n")
    record.write_text(folder / PAGE, report.markdown())


def _champion(stage: Stage, name: str) -> Champion:
    swept = _sweep(stage)
    champion = stage.tracking.models.champion(name)
    holder = f"version {champion.version}" if champion.version else "none yet"
    stage.note(f"champion of {name}: {holder}" + (f"; closed {swept} abandoned runs" if swept else ""))
    return champion


def _sweep(stage: Stage) -> int:
    """`finalize` does not run where the caller was killed, so the next run closes what that one left open."""
    orphans = stage.tracking.orphans()
    for run in orphans:
        stage.tracking.tags(
            run.info.run_id, {"medu1.swept": f"its process was gone when run {stage.workspace.run} began"}
        )
        stage.tracking.close(run.info.run_id, "KILLED")
    return len(orphans)
