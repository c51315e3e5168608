"""TRL's GRPO trainer with what a run needs around each step: figures, validation, checkpoints, an orderly end.

Every decision to end is taken by the first process and agreed on at the end of a step, so that all of them leave the
same step together; a checkpoint is saved there first. Saves lie between generations (`params.Train.window`), where TRL
resumes exactly.

Beside TRL's own scalars (reward, loss, entropy, kl, grad_norm, clip_ratio/*, completions/*, ...) and what the newest
generation looks like (`telemetry.py`), every step has:

| metric | is |
|---|---|
| time/step, time/generate, time/score, time/update | seconds of the step, and of its parts |
| train/completions_per_second, train/tokens_per_second | completions, and their tokens, of all processes |
| validation/* | where it validates: greedy accuracy, by family too, and what it costs (`validation.py`) |
| alarm/* | 1 where an alarm is raised (`alarms.py`) |
| sync/pending, failures, mib, seconds | checkpoints the object store lacks, failed attempts, what was sent |
| system/cpu_percent, memory_gib, disk_free_gib, gpu_memory_gib | of the machine, this process, the training's disk |
"""

import json
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import torch
from accelerate.utils import gather_object
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl.models.utils import unwrap_model_for_generation

from medu1 import record
from medu1.generation.model import tokenizer_of
from medu1.params import Scoring, Train
from medu1.question import Question
from medu1.train import alarms, checkpoints, completions, validation
from medu1.train.history import History
from medu1.train.publisher import Publisher
from medu1.train.recorder import TABLES
from medu1.train.rollouts import Rollouts
from medu1.train.telemetry import Share, Telemetry, means, merged

STATE = "rng_state_{}.pth"  # as Trainer names the random state of a process among several
PICKLED = "training_args.bin"  # Trainer writes it, nothing reads it
GIB = 2**30
SHOWN = 64  # completions of a table


class Word(NamedTuple):
    """What a process tells the others at the end of a step."""

    shares: Mapping[str, Share]
    asked_to_end: bool  # SIGTERM
    reason: str  # why the first process wants to stop; "" to go on
    samples: Sequence[completions.Sample]  # completions for people, where a checkpoint is due


class Trainer(Rollouts):
    """Saves through a publisher; checkpoints hold the history up to their step."""

    def __init__(self, *, history: History, **options: Any) -> None:
        super().__init__(**options)
        self.history = history
        self.publisher: Publisher | None = None  # of the first process

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """As Trainer writes it, without its pickled arguments; the first process hands it on."""
        trl: Any = super()
        trl._save_checkpoint(model, trial)
        part = Path(str(self.args.output_dir)) / f"checkpoint-{self.state.global_step}"
        collect_states(part, self.accelerator, self.is_local_process_zero())
        if self.publisher:
            (part / PICKLED).unlink(missing_ok=True)
            shutil.copyfile(self.history.path, part / checkpoints.HISTORY)
            self.publisher.publish(part, self.state.global_step)

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """The card is written when a version is registered."""


def collect_states(part: Path, accelerator: Any, leads_node: bool) -> None:
    """Bring every process's random state to the first node, whose folder becomes the checkpoint.

    A node without it would go on from another state, and transformers says nothing where a file is missing.
    """
    rank, name = accelerator.process_index, STATE.format(accelerator.process_index)
    own = [(name, (part / name).read_bytes())] if accelerator.num_processes > 1 else []
    for name, content in gather_object(own):
        if rank == 0 and not (part / name).exists():
            (part / name).write_bytes(content)
    if leads_node and rank != 0:
        shutil.rmtree(part)


class Conduct(TrainerCallback):
    """Watches a training: what each step looked like, when to validate, when to end."""

    def __init__(
        self, params: Train, scoring: Scoring, telemetry: Telemetry, history: History, asked: list[Question]
    ) -> None:
        self.params, self.scoring, self.telemetry, self.history, self.asked = params, scoring, telemetry, history, asked
        self.trainer: Trainer  # set once it is made
        self.ending = threading.Event()  # set by a signal
        self.interrupted = False
        self.reason = ""
        self._lines: list[tuple[int, Mapping[str, float]]] = [(line.step, line.metrics) for line in history.lines()]
        self._figures: dict[str, float] = {}
        self._clock = 0.0

    def points(self) -> list[validation.Point]:
        """Validation accuracies so far."""
        return validation.points(self._lines)

    @property
    def leads(self) -> bool:
        """Whether this process writes for all."""
        return self.trainer.is_world_process_zero()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """The base's accuracy, which the first steps are held against."""
        if state.global_step == 0 and self.params.validation.every:
            self._note(0, self._validated())
        self._clock = time.perf_counter()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Agree on the step's figures and on whether to go on."""
        figures = {"time/step": time.perf_counter() - self._clock} | {
            f"time/{name}": seconds for name, seconds in self.trainer.seconds().items()
        }
        self._clock = time.perf_counter()
        if self.params.validation.every and state.global_step % self.params.validation.every == 0:
            figures |= self._validated()
            self._settle(state.global_step, figures)
        words: list[Word] = gather_object([self._word(state)])
        self.telemetry.clear()
        shares = merged([word.shares for word in words])
        self._tabulate(state.global_step, words)
        if self.trainer.publisher:
            figures |= self.trainer.publisher.figures()
        self._figures = figures | means(shares) | self._throughput(shares, figures["time/step"]) | self._system()
        self._end(words, state, control)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **_: object,
    ) -> None:
        """Write the step down with TRL's scalars, and look for alarms; the closing summary of Trainer is none."""
        if not logs or "loss" not in logs or not self.leads:
            return
        scalars = {key: float(value) for key, value in logs.items() if isinstance(value, int | float)}
        figures = {**scalars, **self._figures}
        raised = alarms.raised([*self._lines, (state.global_step, figures)], self.params.alarms)
        self._note(state.global_step, figures | alarms.metrics(raised))
        self.reason = self.reason or alarms.stopping(raised, self.params.alarms)

    def _note(self, step: int, figures: Mapping[str, float]) -> None:
        if self.leads:
            self.history.append(step, figures)
            self._lines.append((step, figures))

    def _word(self, state: TrainerState) -> Word:
        step = state.global_step
        is_shown = step % self.params.save_every == 0 or step == self.params.steps
        samples = completions.sampled(step, self.telemetry.groups, rows=SHOWN) if is_shown else []
        return Word(self.telemetry.shares(), self.ending.is_set(), self.reason, samples)

    def _tabulate(self, step: int, words: Sequence[Word]) -> None:
        """Write completions for the recorder to send."""
        samples = completions.merged([word.samples for word in words], rows=SHOWN)
        if samples and self.leads:
            path = self.history.path.parent / TABLES / f"{checkpoints.name(step)}.json"
            record.write_text(path, json.dumps(completions.table(samples)))

    def _end(self, words: list[Word], state: TrainerState, control: TrainerControl) -> None:
        """End where a process was told to or the first one wants to, at a step from which a resume is exact."""
        self.interrupted = any(word.asked_to_end for word in words)
        self.reason = words[0].reason
        if self.reason:
            self._figures[validation.STOPPED] = 1.0
        if (self.interrupted or self.reason) and state.global_step % self.params.window == 0:
            control.should_save = control.should_training_stop = True

    def _validated(self) -> dict[str, float]:
        """Greedy accuracy; processes share the questions, unless they hold one model together."""
        clock = time.perf_counter()
        trainer, rank, processes = self.trainer, self.trainer.accelerator.process_index, self.params.world
        own = self.asked if self.params.sharding in ("fsdp", "zero3") else self.asked[rank::processes]
        with (
            unwrap_model_for_generation(trainer.model_wrapped, trainer.accelerator) as model,
            trainer._dist.summon_full_params(trainer.model_wrapped, recurse=False),
        ):
            model.eval()
            found = validation.shares(model, tokenizer_of(trainer.processing_class), own, self.params, self.scoring)
            model.train()
        gathered = merged(gather_object([found]))
        return means(gathered) | {
            validation.QUESTIONS: float(len(self.asked)),
            validation.SECONDS: time.perf_counter() - clock,
        }

    def _settle(self, step: int, figures: Mapping[str, float]) -> None:
        """Stop once `patience` accuracies brought nothing better."""
        if not self.leads:
            return
        known = validation.points([*self._lines, (step, figures)])
        if validation.is_exhausted(known, self.params.validation.patience):
            leader = validation.best(known)
            assert leader is not None
            self.reason = (
                f"no better validation accuracy in {self.params.validation.patience} evaluations since "
                f"{leader.accuracy:.1%} at step {leader.step}"
            )

    def _throughput(self, shares: Mapping[str, Share], seconds: float) -> dict[str, float]:
        """Completions and their tokens a second, of all processes."""
        tokens = shares.get("train/tokens")
        if tokens is None or not seconds:
            return {}
        return {
            "train/completions_per_second": tokens.count / seconds,
            "train/tokens_per_second": tokens.total / seconds,
        }

    def _system(self) -> dict[str, float]:
        """Load and memory of this process and machine; of the GPU where there is one."""
        figures = {
            "system/cpu_percent": psutil.cpu_percent(),  # of all cores since the step before
            "system/memory_gib": psutil.Process().memory_info().rss / GIB,
            "system/disk_free_gib": psutil.disk_usage(str(self.history.path.parent)).free / GIB,
        }
        if torch.cuda.is_available():
            figures["system/gpu_memory_gib"] = torch.cuda.max_memory_allocated() / GIB
        return figures
