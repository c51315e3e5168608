"""The trainer that shares prompts trains as plain TRL does: same losses, same gradients, on one process or two."""

import os
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, PromptTuningConfig
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM
from trl.trainer.grpo_config import GRPOConfig

from medu1.base.tokenizer import fit
from medu1.generation import sampling
from medu1.train.rollouts import Rollouts
from models import random_config

pytestmark = [
    pytest.mark.filterwarnings(r"ignore:'pin_memory' argument is set as true:UserWarning"),  # torch, no accelerator
    pytest.mark.filterwarnings(r"ignore:`(is_)?gradient_checkpointing.*` is deprecated:FutureWarning"),  # TRL, PEFT
]
TEXTS = ("What is 1 + 7?", "Name a vitamin.", "Which letter is A, which is B, and which of the two comes first?", "Go!")
GROUP, VOCABULARY = 4, 300
ENDS = list(range(1, VOCABULARY, 7))  # many tokens end a completion: lengths differ, and a few are cut off


def tokenizer() -> PreTrainedTokenizerFast:
    return fit(TEXTS, VOCABULARY)


def model(folder: Path) -> Qwen2ForCausalLM:
    """Far from uniform; saved, since TRL reads the reference model from there."""
    config = random_config("qwen2", VOCABULARY, 0.15, intermediate_size=64)
    made = Qwen2ForCausalLM(config)
    made.generation_config.eos_token_id = ENDS
    made.save_pretrained(folder / "base")
    return Qwen2ForCausalLM.from_pretrained(folder / "base")


def reward(completion_ids: Sequence[Sequence[int]], **_: object) -> list[float | None]:
    """Tells completions apart."""
    return [float(sum(ids) % 11) for ids in completion_ids]


def trainer(
    folder: Path, kind: type[Rollouts] = Rollouts, changed: Mapping[str, Any] | None = None, **options: Any
) -> Any:
    policy = model(folder)
    for name, value in (changed or {}).items():
        setattr(policy.generation_config if name in policy.generation_config.to_dict() else policy.config, name, value)
    peft_config = options.pop("peft_config", None)
    arguments: dict[str, Any] = {
        "output_dir": str(folder / "trl"),
        "use_cpu": True,
        "seed": 0,
        "max_steps": 1,
        "per_device_train_batch_size": 4 * GROUP,
        "num_generations": GROUP,
        "max_completion_length": 12,
        "learning_rate": 0.01,
        "lr_scheduler_type": "constant",
        "mask_truncated_completions": True,
        "shuffle_dataset": False,
        "activation_checkpointing": False,
        "bf16": False,
        "dataloader_pin_memory": False,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "logging_steps": 1,
        **options,
    }
    return kind(
        model=policy,
        processing_class=tokenizer(),
        args=GRPOConfig(**arguments),
        train_dataset=Dataset.from_list([{"prompt": [{"role": "user", "content": text}]} for text in TEXTS] * 2),
        reward_funcs=reward,
        peft_config=peft_config,
    )


def gradients(rollouts: Any) -> dict[str, torch.Tensor]:
    named = rollouts.model.named_parameters()
    return {name: each.grad.clone() for name, each in named if each.grad is not None}


def assert_close(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, each in expected.items():
        scale = float(each.abs().max())
        torch.testing.assert_close(found[name], each, rtol=1e-4, atol=1e-5 * scale, msg=lambda text, n=name: n + text)


# The update


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 0.6, "entropy_coef": 0.01, "loss_type": "grpo", "scale_rewards": "group"},
        {"beta": 0.1},
        {"mask_truncated_completions": False},
        {"per_device_train_batch_size": 3, "steps_per_generation": 4, "num_iterations": 2},
        {"peft_config": LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False), "beta": 0.1},
        {"importance_sampling_level": "sequence", "loss_type": "grpo"},
        {"activation_checkpointing": True},
    ],
    ids=["recommended", "paper", "reference", "truncated", "micro-batches", "lora", "gspo", "checkpointing"],
)
def test_the_loss_and_its_gradients_are_trls(tmp_path: Path, options: dict[str, Any]) -> None:
    """Of a batch that TRL has shuffled, log-probabilities before the update and of the reference included."""
    rollouts = trainer(tmp_path, **options)
    rollouts.model.train()
    if rollouts.args.activation_checkpointing:
        rollouts.model.activation_checkpointing_enable()
    assert rollouts.obstacles() == {}
    rollouts.current_gradient_accumulation_steps = rollouts.args.gradient_accumulation_steps
    made = next(iter(rollouts.get_train_dataloader()))
    results = []
    for plain in (False, True):
        rollouts.plain = plain
        torch.manual_seed(0)
        if not plain:
            scored = rollouts._generate_and_score_completions(made)
        else:
            again = regenerated(rollouts, made, scored)
            for name in ("old_per_token_logps", "ref_per_token_logps"):
                assert (name in scored) == (name in again)
                if name in scored:
                    is_counted = scored["completion_mask"].bool()
                    torch.testing.assert_close(scored[name][is_counted], again[name][is_counted], rtol=1e-4, atol=1e-6)
        rows = torch.randperm(len(scored["prompt_ids"]), generator=torch.Generator().manual_seed(1))
        batch = {name: each[rows] if each.dim() else each for name, each in scored.items()}
        rollouts.model.zero_grad()
        loss = rollouts.compute_loss(rollouts.model, batch)
        loss.backward()
        results.append((loss.detach(), gradients(rollouts)))
    (loss, found), (expected_loss, expected) = results
    torch.testing.assert_close(loss, expected_loss, rtol=1e-4, atol=1e-6)
    assert any(float(each.abs().max()) > 1e-4 for each in expected.values())
    assert_close(found, expected)


def regenerated(rollouts: Any, made: Any, scored: Mapping[str, torch.Tensor]) -> Any:
    """TRL's own preparation of the same completions."""
    ids = [
        row[kept.bool()].tolist()
        for row, kept in zip(scored["completion_ids"], unmasked(rollouts, scored), strict=True)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rollouts, "_generate_single_turn", lambda *_, **__: (ids, None))
        return rollouts._generate_and_score_completions(made)


def unmasked(rollouts: Any, scored: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """A truncated completion fills its row."""
    mask = scored["completion_mask"].clone()
    mask[mask.sum(1) == 0] = 1
    return mask


def test_a_batch_without_a_token_to_score_has_a_loss_of_zero(tmp_path: Path) -> None:
    rollouts = trainer(tmp_path, max_completion_length=1, changed={"eos_token_id": 1})
    rollouts.train()
    (logged,) = [line for line in rollouts.state.log_history if "loss" in line]
    assert logged["completions/clipped_ratio"] == 1
    assert logged["loss"] == logged["grad_norm"] == 0


# A training


def weights(rollouts: Any) -> dict[str, torch.Tensor]:
    return {name: each.clone() for name, each in rollouts.model.state_dict().items()}


def test_the_same_seed_trains_to_the_same_bits_and_weights_move(tmp_path: Path) -> None:
    before = weights(trainer(tmp_path))
    found = []
    for seed in (0, 0, 1):
        rollouts = trainer(tmp_path, seed=seed, max_steps=2)
        assert rollouts.obstacles() == {}
        rollouts.train()
        found.append(weights(rollouts))
    same = [all(torch.equal(found[0][name], other[name]) for name in other) for other in (before, *found)]
    assert same == [False, True, True, False]


def test_activation_checkpointing_changes_no_completion_and_no_step(tmp_path: Path) -> None:
    found = []
    for is_on in (False, True):
        rollouts = trainer(tmp_path, activation_checkpointing=is_on, optim="sgd")
        rollouts.train()
        assert rollouts.model.is_activation_checkpointing == is_on
        found.append(weights(rollouts))
    assert_close(*found)


def test_sharing_prompts_and_plain_trl_log_the_same_figures(tmp_path: Path) -> None:
    keys = []
    for plain in (False, True):
        rollouts = trainer(tmp_path)
        rollouts.plain = plain
        rollouts.train()
        keys.append({key for line in rollouts.state.log_history for key in line})
    assert keys[0] == keys[1]


def test_a_steps_seconds_are_those_of_its_parts(tmp_path: Path) -> None:
    rollouts = trainer(
        tmp_path, per_device_train_batch_size=8, steps_per_generation=2, gradient_accumulation_steps=2, num_iterations=2
    )
    found = []

    class Watch(type(rollouts.callback_handler.callbacks[0])):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            found.append(dict(rollouts.seconds()))

    rollouts.add_callback(Watch())
    rollouts.args.max_steps = 2
    rollouts.train()
    fresh, reused = found
    assert fresh.keys() == {"generate", "score", "update"}
    assert min(fresh.values()) > 0
    assert reused["generate"] == reused["score"] == 0 < reused["update"]


# Where TRL's own paths run


@pytest.mark.parametrize(
    ("options", "parts", "reason"),
    [
        ({"top_p": 0.9}, {"generate"}, "cut or bent"),
        ({"top_k": 5}, {"generate"}, "cut or bent"),
        ({"min_p": 0.1}, {"generate"}, "cut or bent"),
        ({"repetition_penalty": 1.2}, {"generate"}, "cut or bent"),
        ({"generation_kwargs": {"no_repeat_ngram_size": 2}}, {"generate"}, "generation options"),
        ({"cache_implementation": "static"}, {"generate"}, "generation options"),
        ({"changed": {"no_repeat_ngram_size": 2}}, {"generate"}, "settings no_repeat_ngram_size"),
        ({"changed": {"attention_dropout": 0.1}}, {"generate", "update"}, "dropout"),
        ({"peft_config": LoraConfig(r=2, lora_dropout=0.1)}, {"generate", "update"}, "dropout"),
        ({"changed": {"_attn_implementation": "eager"}}, {"generate", "update"}, "attention eager"),
    ],
)
def test_what_does_not_fit_is_told_and_trained_by_trl(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], parts: set[str], reason: str
) -> None:
    rollouts = trainer(tmp_path, **options)
    found = rollouts.obstacles()
    assert found.keys() == parts
    assert all(reason in each for each in found.values())

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("not here")

    monkeypatch.setattr(sampling, "decode", refuse)
    if "update" in parts:
        monkeypatch.setattr("medu1.train.rollouts.likelihood", refuse)
    rollouts.train()
    assert rollouts.state.global_step == 1


@pytest.mark.parametrize(
    ("attribute", "parts"),
    [
        ("use_vllm", {"generate"}),
        ("use_transformers_continuous_batching", {"generate"}),
        ("is_fsdp_enabled", {"generate", "update"}),
        ("is_deepspeed_enabled", {"generate", "update"}),
        ("is_model_parallel", {"generate", "update"}),
        ("args.torch_compile", {"generate", "update"}),
    ],
)
def test_other_engines_and_weights_in_parts_are_trls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attribute: str, parts: set[str]
) -> None:
    rollouts = trainer(tmp_path)
    holder, _, name = attribute.rpartition(".")
    monkeypatch.setattr(rollouts.args if holder else rollouts, name, True)
    assert rollouts.obstacles().keys() == parts


def test_an_adapter_that_puts_tokens_before_the_prompt_is_trls(tmp_path: Path) -> None:
    soft = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)
    assert set(trainer(tmp_path, peft_config=soft).obstacles().values()) == {"an adapter other than LoRA"}


def test_plain_trl_is_asked_for_by_an_attribute(tmp_path: Path) -> None:
    class Plain(Rollouts):
        plain = True

    assert trainer(tmp_path, Plain).obstacles() == {"generate": "asked for", "update": "asked for"}


# Two processes


class Told(Rollouts):
    """Its completions follow from the prompts."""

    def _generate_single_turn(self, prompt_ids: Any, *_: Any, **__: Any) -> Any:
        found: list[list[int]] = []
        for place, prompt in enumerate(map(tuple, prompt_ids)):
            draw = random.Random(f"{prompt} {list(map(tuple, prompt_ids))[:place].count(prompt)}")
            found.append([draw.randrange(2, VOCABULARY) for _ in range(draw.randrange(9))] + [ENDS[0]])
        return found, None


def stepped(folder: Path, processes: int) -> dict[str, torch.Tensor]:
    """Weights after a step of SGD on 4 groups, shared by the processes; this is what each of them runs."""
    rollouts = trainer(
        folder, Told, per_device_train_batch_size=4 * GROUP // processes, optim="sgd", ddp_find_unused_parameters=False
    )
    assert rollouts.accelerator.num_processes == processes
    assert rollouts.obstacles() == {}
    rollouts.train()
    found = weights(rollouts)
    Rollouts._generate_single_turn(rollouts, [[5, 6], [5, 6]], None, {}, GROUP)  # below the wrapper
    return found


def test_two_processes_take_the_step_of_one(tmp_path: Path) -> None:
    expected = stepped(tmp_path, 1)
    before = model(tmp_path).state_dict()
    assert not any(torch.equal(before[name], each) for name, each in expected.items() if "layers.0.mlp" in name)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        [*command, __file__, str(tmp_path)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 0, ended.stderr
    found = [load_file(tmp_path / f"{rank}.safetensors") for rank in (0, 1)]
    for name, each in expected.items():
        assert torch.equal(found[0][name], found[1][name])
        torch.testing.assert_close(found[0][name], each, rtol=1e-5, atol=1e-7)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    own = place / os.environ["RANK"]
    own.mkdir()
    save_file(stepped(own, 2), place / f"{os.environ['RANK']}.safetensors")
