"""TRL's options: two presets in its own names, anything else on top, each held against TRL's own fields."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from medu1.errors import Stop
from medu1.params import Train
from medu1.train.options import CLOSED, FIXED, NAMED, PRESETS, check, config
from training import PARAMS, THIRD_PARTY

pytestmark = [pytest.mark.filterwarnings(line) for line in THIRD_PARTY]


def changed(**changes: object) -> Train:
    """Parameters checked anew."""
    return Train.model_validate({**PARAMS.model_dump(), **changes})


def made(tmp_path: Path, **changes: object) -> Any:
    params = changed(**changes)
    check(params)
    return config(params, tmp_path)


def test_recommended_is_daposs_loss_without_scaling_and_with_truncation_masked(tmp_path: Path) -> None:
    found = made(tmp_path)
    assert (found.loss_type, found.scale_rewards, found.beta) == ("dapo", "none", 0.0)
    assert (found.epsilon, found.epsilon_high, found.temperature) == (0.2, 0.28, 1.0)
    assert found.mask_truncated_completions is True


def test_paper_is_the_authors_recipe(tmp_path: Path) -> None:
    found = made(tmp_path, preset="paper")
    assert (found.scale_rewards, found.beta, found.use_bias_correction_kl) == ("group", 0.001, False)
    assert (found.temperature, found.entropy_coef, found.epsilon_high, found.max_grad_norm) == (0.6, 0.001, 0.2, 1.0)
    assert (found.lr_scheduler_type, found.warmup_steps) == ("constant", 0)
    assert found.mask_truncated_completions is False


def test_an_option_of_trl_stands_in_place_of_the_presets(tmp_path: Path) -> None:
    found = made(tmp_path, grpo={"loss_type": "dr_grpo", "beta": 0.04, "top_p": 0.9, "num_iterations": 2}, save_every=2)
    assert (found.loss_type, found.beta, found.top_p, found.num_iterations) == ("dr_grpo", 0.04, 0.9, 2)
    assert found.epsilon_high == 0.28


def test_the_sections_own_parameters_become_trls(tmp_path: Path) -> None:
    found = made(tmp_path, seed=11, steps=100, save_every=5, micro_batch=8)
    assert (found.seed, found.max_steps, found.save_steps, found.warmup_steps) == (11, 100, 5, 5)
    assert (found.learning_rate, found.max_completion_length, found.num_generations) == (0.001, 16, 4)
    assert (found.per_device_train_batch_size, found.gradient_accumulation_steps) == (8, 2)
    assert found.report_to == []


def test_every_update_is_on_policy_and_of_whole_groups(tmp_path: Path) -> None:
    found = made(tmp_path)
    assert found.generation_batch_size == PARAMS.prompts_per_step * PARAMS.group_size
    assert (found.num_iterations, found.steps_per_generation, found.gradient_accumulation_steps) == (1, 1, 1)


@pytest.mark.parametrize(
    ("grpo", "said"),
    [
        ({"bta": 0.1}, r"train\.grpo\.bta is no option of TRL's GRPOConfig; the nearest is beta\."),
        ({"beta": "much"}, r"train\.grpo\.beta = 'much': Input should be a valid number"),
        ({"max_steps": 3}, r"train\.grpo\.max_steps is set by train\.steps\."),
        ({"loss_type": "ppo"}, r"train\.grpo\.loss_type = 'ppo' is none of grpo, dapo, dr_grpo"),
        ({"push_to_hub": True}, r"train\.grpo\.push_to_hub cannot be set: models go to the registry"),
        ({"trust_remote_code": True}, r"trust_remote_code cannot be set: code of a model's repository is not run"),
        ({"use_vllm": True}, r"train\.grpo\.use_vllm is set and vLLM is not installed\."),
        ({"bf16": "often"}, r"train\.grpo\.bf16 = 'often'"),
    ],
)
def test_a_wrong_option_is_named_with_what_to_do(grpo: dict[str, object], said: str) -> None:
    with pytest.raises(Stop, match=said):
        check(changed(grpo=grpo))


def test_options_that_trl_refuses_together_are_a_stop(tmp_path: Path) -> None:
    together = {"vllm_importance_sampling_mode": "token_truncate", "vllm_importance_sampling_clip_max": None}
    with pytest.raises(Stop, match=r"TRL refuses the options of train\.grpo together: At least one of"):
        made(tmp_path, grpo=together)


def test_every_option_named_here_is_one_of_trls() -> None:
    from trl.trainer.grpo_config import GRPOConfig

    named = {*FIXED, *CLOSED, *NAMED, *(name for preset in PRESETS.values() for name in preset)}
    assert named <= set(GRPOConfig.__dataclass_fields__)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"prompts_per_step": 5, "processes": 2}, "prompts_per_step 5 does not divide among 2 processes, .* is 4"),
        ({"micro_batch": 5}, "micro_batch 5 does not divide the 16 completions .* the nearest that does is 4"),
        ({"save_every": 3, "grpo": {"num_iterations": 2}}, "save_every 3 would save in the middle .* not is 4"),
        ({"micro_batch": 8, "grpo": {"steps_per_generation": 8}}, "middle of completions that 4 steps share"),
        ({"validation": {"every": 3, "questions": 8, "patience": 0}, "save_every": 2}, "nearest that is is 4"),
    ],
)
def test_what_does_not_divide_is_refused_with_the_nearest_value(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        changed(**changes)


@pytest.mark.parametrize(
    ("changes", "window"),
    [
        ({}, 1),
        ({"micro_batch": 4}, 1),  # four micro-batches share one generation, and one step
        ({"micro_batch": 4, "grpo": {"steps_per_generation": 8}, "save_every": 2}, 2),
        ({"grpo": {"steps_per_generation": 2, "num_iterations": 3}, "save_every": 6}, 6),
    ],
)
def test_a_generation_serves_so_many_steps(changes: dict[str, object], window: int) -> None:
    assert changed(**changes).window == window
