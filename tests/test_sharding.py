"""Weights in parts: by the shipped FSDP, two processes train, validate, save and resume as with all weights in each.

accelerate divides weights on accelerators only, so the processes tell it that cores are some (`as_accelerators`).
All else is what GPUs run, but for gloo in place of NCCL and float32 in place of bfloat16.

Run as a script, this file is one process of such a training: `test_sharding.py JOB KILL`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM

from killed import arm, params
from medu1 import journal, record
from medu1.errors import Stop
from medu1.manifest import ModelManifest
from medu1.params import Train
from medu1.train import checkpoints, flavor, launch, options
from medu1.train.history import History
from medu1.train.job import Job, Outcome
from training import PARAMS, THIRD_PARTY, Prepared
from training import prepared as prepared

ROOT = Path(__file__).parent.parent
PATHS = os.pathsep.join(str(ROOT / each) for each in ("components", ".", "tests"))
STEPS = 4  # with a checkpoint and a validation after every second
TIMED = ("time/", "system/", "validation/seconds", "step_time", "per_second", "sync/")  # differ between two runs
CLOSE = 1e-4  # between sums in another order; 2e-7 was seen
WHOLE = "whole"  # below the root of the training in parts: the other
pytestmark = [pytest.mark.faults, *(pytest.mark.filterwarnings(line) for line in THIRD_PARTY)]


# One process


def main() -> None:
    """Under torchrun: the training of the job; in the attempt to be killed, the same with whole weights comes first."""
    path, kill = sys.argv[1:]
    torch.set_num_threads(1)
    job = Job.model_validate_json(Path(path).read_bytes())
    if kill:
        whole(job)
    as_accelerators()
    counted(job.root)
    if kill and os.environ["RANK"] == "0":
        arm("publishing", int(kill))
    sys.exit(launch.main([path]))


def whole(job: Job) -> None:
    """All weights in each process, by TRL's own paths: weights in parts take them, so both draw the same tokens."""
    from medu1.train.grpo import train
    from medu1.train.rollouts import Rollouts

    Rollouts.plain = True
    train(job.model_copy(update={"root": job.root / WHOLE, "params": divided(sharding="none")}))
    Rollouts.plain = False


def as_accelerators() -> None:
    """Cores count as accelerators: on cores alone accelerate leaves FSDP out and says nothing (1.15, state.py)."""
    from accelerate.state import PartialState
    from accelerate.utils import DistributedType

    os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("gloo")
    found = ("gloo", DistributedType.MULTI_GPU)
    state: Any = PartialState
    state._prepare_backend = lambda *_, **__: found


def counted(root: Path) -> None:
    """Write down at a save how many of the model's numbers this process trains, and how many there are."""
    from torch.distributed.tensor import DTensor

    from medu1.train.trainer import Trainer

    trl: Any = Trainer
    save = trl._save_checkpoint

    def saved(trainer: Any, model: Any, trial: Any) -> None:
        each = [part for group in trainer.optimizer.param_groups for part in group["params"]]
        own = sum(part.to_local().numel() if isinstance(part, DTensor) else part.numel() for part in each)
        (root / f"held-{os.environ['RANK']}.json").write_text(json.dumps([own, sum(part.numel() for part in each)]))
        save(trainer, model, trial)

    trl._save_checkpoint = saved


# Two of them, by the step


class Trained(NamedTuple):
    """A training that was killed while its last checkpoint was being published, and gone on with."""

    prepared: Prepared
    model: ModelManifest

    @property
    def folder(self) -> Path:
        return self.prepared.folder(self.model)

    @property
    def root(self) -> Path:
        return self.prepared.workspace.home / "store" / "checkpoints" / Path(self.model.key).name


def divided(**changes: object) -> Train:
    return params(2).model_copy(update={"steps": STEPS, "sharding": "fsdp", **changes})


def torchrun(job: Job, kill: str) -> Outcome:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": PATHS}
    command = ["-m", "torch.distributed.run", "--standalone", "--nnodes=1", f"--nproc-per-node={job.params.processes}"]
    again = [__file__, str(job.write()), kill]
    return launch._ended(job, subprocess.run([sys.executable, *command, *again], env=environment).returncode)


@pytest.fixture(scope="module")
def trained(prepared: Prepared) -> Trained:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch, "start", lambda job: torchrun(job, kill="2"))
        with pytest.raises(Stop):
            prepared.trained(divided())
        patch.setattr(launch, "start", lambda job: torchrun(job, kill=""))
        return Trained(prepared, prepared.trained(divided()))


def figures(root: Path) -> list[tuple[int, dict[str, float]]]:
    """Steps and metrics of a history without times; the line of the data, which the step writes, is left out."""
    lines = [line for line in History(root / checkpoints.HISTORY).lines() if "mixture/choice/own" not in line.metrics]
    return [(line.step, {name: each for name, each in line.metrics.items() if not _is_time(name)}) for line in lines]


def _is_time(name: str) -> bool:
    return any(part in name for part in TIMED)


def loaded(folder: Path) -> dict[str, torch.Tensor]:
    """Weights by name, as transformers reads them, which misses none and knows them all."""
    found: Any = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, output_loading_info=True)
    model, told = found
    assert not any(told.values())
    return dict(model.state_dict())


def test_each_process_trains_half_of_the_weights(trained: Trained) -> None:
    for rank in range(2):
        own, model = json.loads((trained.root / f"held-{rank}.json").read_text())
        assert own == pytest.approx(model / 2, rel=0.02)


def test_the_killed_training_went_on_from_its_checkpoint(trained: Trained) -> None:
    events = [event for event, _ in journal.read(trained.prepared.workspace.journal) if event.kind == "note"]
    assert [each.message.split(",")[0] for each in events if "going on" in each.message] == ["going on from step 2"]


def test_rewards_losses_and_accuracies_are_those_of_whole_weights(trained: Trained) -> None:
    parts = figures(trained.root)
    assert [step for step, _ in parts] == [0, *range(1, STEPS + 1)]
    assert [step for step, metrics in parts if "validation/accuracy" in metrics] == [0, 2, 4]
    assert len({metrics["reward"] for _, metrics in parts if "reward" in metrics}) > 1
    for (step, expected), (_, found) in zip(figures(trained.root / WHOLE), parts, strict=True):
        assert found == pytest.approx(expected, abs=CLOSE), step


def test_weights_are_those_of_whole_weights(trained: Trained) -> None:
    for step in (2, 4):
        expected, found = (loaded(root / checkpoints.name(step)) for root in (trained.root / WHOLE, trained.root))
        assert expected.keys() == found.keys()
        for name, tensor in expected.items():
            torch.testing.assert_close(found[name], tensor, atol=CLOSE, rtol=0.0, msg=f"{name} at step {step}")
    base = loaded(trained.prepared.folder(trained.prepared.base))
    assert any((found[name] - tensor).abs().max() > 10 * CLOSE for name, tensor in base.items())


def test_the_candidate_is_a_plain_model_that_holds_every_weight_once(trained: Trained) -> None:
    best = json.loads((trained.folder / record.NAME).read_text())["facts"]["step"]
    expected, found = loaded(trained.root / checkpoints.name(best)), loaded(trained.folder)
    assert expected.keys() == found.keys()
    assert all(torch.equal(tensor, found[name]) for name, tensor in expected.items())
    base = trained.prepared.folder(trained.prepared.base)
    assert {path.name for path in trained.folder.iterdir()} - flavor.FILES == {path.name for path in base.iterdir()}
    assert stored(trained.folder) == stored(base)


def stored(folder: Path) -> list[str]:
    """Names of the tensors in a model's file; of two that are one only one is there."""
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        return sorted(file.keys())


# What is refused


def test_sharding_in_one_process_is_a_stop(prepared: Prepared) -> None:
    with pytest.raises(Stop, match=r"train\.sharding is fsdp and train\.processes is 1\."):
        prepared.trained(PARAMS.model_copy(update={"sharding": "fsdp"}), "alone")


@pytest.mark.parametrize("sharding", ["fsdp", "zero2", "zero3"])
def test_sharding_that_accelerate_leaves_out_is_a_stop(sharding: str) -> None:
    from medu1.train.grpo import _check_divided

    trainer: Any = SimpleNamespace(is_fsdp_enabled=False, is_deepspeed_enabled=False)
    with pytest.raises(Stop, match=f"train.sharding is {sharding}, and this machine has no accelerator"):
        _check_divided(trainer, sharding)


# DeepSpeed's configurations


@pytest.mark.parametrize("sharding", ["zero2", "zero3"])
def test_transformers_fills_in_every_auto(sharding: str, tmp_path: Path) -> None:
    """Its own code does, without DeepSpeed, which no test here has."""
    from accelerate.utils.deepspeed import HfDeepSpeedConfig
    from transformers.integrations.deepspeed import HfTrainerDeepSpeedConfig

    class Filled(HfTrainerDeepSpeedConfig, HfDeepSpeedConfig):  # type: ignore[misc]
        def __init__(self, path: Path) -> None:
            HfDeepSpeedConfig.__init__(self, str(path))
            self.mismatches: list[str] = []

    config: Any = Filled(options.SHARDING / f"{sharding}.json")
    arguments = options.config(PARAMS, tmp_path)
    config.trainer_config_process(arguments)
    config.trainer_config_finalize(arguments, SimpleNamespace(config=SimpleNamespace(hidden_size=32)), STEPS)
    assert config.get_value("zero_optimization.stage") == int(sharding[-1])
    assert config.get_value("gradient_clipping") == arguments.max_grad_norm
    assert "auto" not in json.dumps(config.config)


if __name__ == "__main__":
    main()
