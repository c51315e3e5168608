"""What one training is asked to do and how it ended, as files: several processes share them, on one machine or more."""

from pathlib import Path
from typing import ClassVar, Literal

from medu1 import dataset as prepared
from medu1 import record
from medu1.params import Scoring, Train
from medu1.question import Frozen, Question
from medu1.train import prefilter

End = Literal["finished", "stopped", "interrupted", "failed"]


class Job(Frozen):
    """A training; `root` holds its checkpoints and its history."""

    params: Train
    scoring: Scoring
    base: Path  # model folder
    dataset: Path  # prepared questions
    shares: Path | None  # of right completions, by question, where a filter was asked for
    root: Path
    store: str  # s3://bucket/prefix where checkpoints are copied; "": nowhere
    key: str  # their folder in the store
    configuration: dict[str, str]  # what an exact resume must share
    resume: Path | None  # the checkpoint to go on from
    lasting: bool = True  # whether `root` outlives the processes; where it does not, the store has the only copy

    @property
    def path(self) -> Path:
        """Where the job is written."""
        return self.root / "job.json"

    def questions(self) -> list[Question]:
        """The training questions: those of the families, and of them the ones a filter kept."""
        held = [each for each in prepared.read(self.dataset, "train") if each.family in self.params.families]
        if self.shares is None:
            return held
        kept = frozenset(prefilter.between(prefilter.read(self.shares), self.params.prefilter))
        return [each for each in held if each.id in kept]

    def write(self) -> Path:
        """Write the job whole, and remove how an earlier attempt ended."""
        (self.root / Outcome.NAME).unlink(missing_ok=True)
        record.write_text(self.path, self.model_dump_json(indent=1))
        return self.path


class Outcome(Frozen):
    """How a training's processes ended, written by the first of them."""

    NAME: ClassVar[str] = "outcome.json"

    end: End
    step: int  # optimizer steps done
    message: str = ""  # why it stopped early, or the error's paragraph
    notes: tuple[str, ...] = ()  # for people, such as a copy that did not reach the store

    def write(self, root: Path) -> None:
        """Write it whole."""
        record.write_text(root / self.NAME, self.model_dump_json(indent=1))

    @classmethod
    def read(cls, root: Path) -> "Outcome | None":
        """None where the processes were killed before they could say."""
        try:
            return cls.model_validate_json((root / cls.NAME).read_bytes())
        except OSError:
            return None
