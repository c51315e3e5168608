"""Where a training goes on from: its newest complete checkpoint, on this machine or in the object store, or the start.

Asked by the step that conducts a training, and by each node of one that several machines share: a node has its own disk
and brings back what it lacks. The history becomes the checkpoint's, so that what is measured again stands there once.
"""

import shutil
from collections.abc import Callable, Sequence

from pydantic import ValidationError

from medu1 import record
from medu1.bucket import Absent, Bucket
from medu1.question import Question
from medu1.train import checkpoints, restoration
from medu1.train.checkpoints import Checkpoint, Found
from medu1.train.history import History
from medu1.train.job import Job
from medu1.train.mixture import Plan, planned
from medu1.train.recorder import TABLES

Note = Callable[[str], object]  # takes a line for people


def found(job: Job, note: Note) -> Found | None:
    """The newest complete checkpoint, here or in the object store, and the history up to it."""
    shutil.rmtree(job.root / checkpoints.SAVING, ignore_errors=True)  # of a process that was killed
    job.root.mkdir(parents=True, exist_ok=True)
    here = checkpoints.newest(job.root)
    if job.store and (restoration.newest(Bucket(job.store), job.key) or 0) > (here.marker.step if here else 0):
        restored = restoration.restore(Bucket(job.store), job.key, job.root)
        for line in restored.notes:
            note(line)
        here = checkpoints.newest(job.root)
    if here:
        checkpoints.check_same(here, job.configuration)
        record.write_text(job.root / checkpoints.HISTORY, (here.folder / checkpoints.HISTORY).read_text("utf-8"))
    return here


def told(job: Job) -> Found | None:
    """As `found`, by the store alone and without a checkpoint's weights: what a step needs whose nodes train for it."""
    job.root.mkdir(parents=True, exist_ok=True)
    bucket = Bucket(job.store)
    step = restoration.newest(bucket, job.key)
    if step is None:
        return None
    folder = f"{job.key}/{checkpoints.name(step)}"
    try:
        marker = Checkpoint.model_validate_json(bucket.read(f"{folder}/{checkpoints.MARKER}"))
        history = bucket.read(f"{folder}/{checkpoints.HISTORY}").decode()
    except (Absent, ValidationError, UnicodeDecodeError):
        return None  # the nodes look for themselves, and pass it over
    here = Found(job.root / checkpoints.name(step), marker)
    checkpoints.check_same(here, job.configuration)
    record.write_text(job.root / checkpoints.HISTORY, history)
    return here


def begin(job: Job, questions: Sequence[Question]) -> Plan:
    """A history that starts with what is trained on, in place of what an earlier attempt left."""
    history = History(job.root / checkpoints.HISTORY)
    history.path.unlink(missing_ok=True)
    shutil.rmtree(job.root / TABLES, ignore_errors=True)
    plan = planned(questions, job.params)
    history.append(0, plan.metrics())
    return plan
