"""What must hold before anything is spent: the tracking server answers, and the champion is named once for the run."""

from medu1.params import Registry
from medu1.registered_models import Champion
from medu1.stage import Stage, tracked


def preflight(
    registry: str, prepare: str, train: str, evaluate: str, base_model: str, revision: str, data: str, placed: str
) -> Champion:
    """The champion at this moment, by the promotion log; the runs of dead processes are closed on the way."""
    section = Registry.parse(registry)
    with tracked("preflight", section.model_dump(mode="json")) as stage:
        swept = _sweep(stage)
        champion = stage.tracking.models.champion(section.name)
        holder = f"version {champion.version}" if champion.version else "none yet"
        stage.note(f"champion of {section.name}: {holder}" + (f"; closed {swept} abandoned runs" if swept else ""))
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
