"""TRL's options: a preset in TRL's own names, `train.grpo` on top of it, and what other parameters fix.

`recommended` takes no KL term, rewards centred on their group but not divided by its standard deviation, DAPO's token
mean with a higher upper clip, temperature 1, and leaves truncated completions out of the loss (arXiv 2503.14476 and
2503.20783). `paper` is the authors' recipe (arXiv 2506.12307, their code): k3 KL with coefficient 0.001, advantages
divided by the group's standard deviation, entropy coefficient 0.001, rollouts at temperature 0.6, a constant learning
rate; TRL adds 1e-4 to that deviation, the authors 1e-6.
"""

import difflib
import json
import typing
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from medu1.errors import Stop
from medu1.params import Preset, Train

PRESETS: Mapping[Preset, Mapping[str, object]] = {
    "recommended": {
        "loss_type": "dapo",
        "scale_rewards": "none",
        "beta": 0.0,
        "epsilon": 0.2,
        "epsilon_high": 0.28,
        "temperature": 1.0,
        "mask_truncated_completions": True,
        "entropy_coef": 0.0,
        "lr_scheduler_type": "constant_with_warmup",
    },
    "paper": {
        "loss_type": "dapo",  # the token mean of the whole batch
        "scale_rewards": "group",
        "beta": 0.001,
        "use_bias_correction_kl": False,  # k3 as it is (Schulman 2020)
        "epsilon": 0.2,
        "epsilon_high": 0.2,
        "temperature": 0.6,
        "mask_truncated_completions": False,
        "entropy_coef": 0.001,
        "lr_scheduler_type": "constant",
        "warmup_steps": 0,
    },
}

FIXED: Mapping[str, str] = {
    "num_generations": "train.group_size",
    "max_steps": "train.steps",
    "num_train_epochs": "train.steps",
    "learning_rate": "train.learning_rate",
    "max_completion_length": "train.max_completion_tokens",
    "per_device_train_batch_size": "train.micro_batch",
    "gradient_accumulation_steps": "train.micro_batch",
    "generation_batch_size": "train.grpo.steps_per_generation",
    "seed": "train.seed",
    "data_seed": "train.seed",
    "save_steps": "train.save_every",
    "save_strategy": "train.save_every",
    "save_total_limit": "train.keep",
    "eval_steps": "train.validation.every",
    "eval_strategy": "train.validation.every",
    "fsdp": "train.sharding",
    "fsdp_config": "train.sharding",
    "deepspeed": "train.sharding",
    "reward_weights": "train.rewards",
    "train_sampling_strategy": "train.mixture",
    "shuffle_dataset": "train.mixture",
}
CLOSED: Mapping[str, str] = {
    **dict.fromkeys(("output_dir", "resume_from_checkpoint", "load_best_model_at_end"), "the step train sees to it"),
    **dict.fromkeys(("enable_jit_checkpoint", "save_only_model", "ignore_data_skip"), "an exact resume needs it as is"),
    **dict.fromkeys(("report_to", "logging_steps", "logging_strategy"), "every step's figures go to MLflow"),
    **dict.fromkeys(("push_to_hub", "log_completions_hub_repo"), "models go to the registry and nowhere else"),
    "trust_remote_code": "code of a model's repository is not run",
    "remove_unused_columns": "the grader reads the columns",
    "auto_find_batch_size": "it would split groups",
}
NAMED: Mapping[str, tuple[str, ...]] = {  # values of options that TRL declares as any text
    "loss_type": ("grpo", "dapo", "dr_grpo", "bnpo", "cispo", "sapo", "luspo", "vespo"),
    "scale_rewards": ("group", "batch", "none"),
    "importance_sampling_level": ("token", "sequence"),
    "multi_objective_aggregation": ("sum_then_normalize", "normalize_then_sum"),
    "vllm_mode": ("colocate", "server"),
    "vllm_importance_sampling_mode": ("token_truncate", "token_mask", "sequence_truncate", "sequence_mask"),
}
SHARDING = Path(__file__).parent / "sharding"
WARM_UP = 5  # steps at most over which the learning rate rises under `recommended`


def chosen(params: Train) -> dict[str, Any]:
    """The preset's options with `train.grpo` in place of some."""
    return {**PRESETS[params.preset], **params.grpo}


def check(params: Train) -> None:
    """Raises Stop where `train.grpo` names an option that TRL has not or that is fixed elsewhere, or a wrong value."""
    if not params.grpo:
        return
    from trl.trainer.grpo_config import GRPOConfig

    hints = typing.get_type_hints(GRPOConfig)
    names = [name for name in GRPOConfig.__dataclass_fields__ if name not in {**FIXED, **CLOSED}]
    for name, value in params.grpo.items():
        _check_name(name, names)
        _check_value(name, value, hints[name])
    if chosen(params).get("use_vllm") and find_spec("vllm") is None:
        raise Stop(
            "train.grpo.use_vllm is set and vLLM is not installed.",
            "It generates on a GPU; the GPU image has it.",
            "Install the extra trl[vllm] with the GPU constraints, or take the option out.",
        )


def config(params: Train, folder: Path) -> Any:
    """TRL's GRPOConfig; checkpoints go below `folder`. Raises Stop where TRL refuses the options together."""
    import torch
    from trl.trainer.grpo_config import GRPOConfig

    options: dict[str, Any] = {
        "use_cpu": not torch.accelerator.is_available(),  # else accelerate sees no processes beside this one
        "bf16": torch.cuda.is_available(),
        "dataloader_pin_memory": torch.cuda.is_available(),
        "activation_checkpointing": False,
        "max_grad_norm": 1.0,
        "warmup_steps": min(WARM_UP, params.steps // 10),
        **chosen(params),
        **_sharding(params),
        "output_dir": str(folder),
        "seed": params.seed,
        "max_steps": params.steps,
        "learning_rate": params.learning_rate,
        "num_generations": params.group_size,
        "max_completion_length": params.max_completion_tokens,
        "per_device_train_batch_size": params.rows_at_once,
        "gradient_accumulation_steps": params.accumulation,
        "shuffle_dataset": False,  # the plan orders the rows
        "save_strategy": "steps",
        "save_steps": params.save_every,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # a loss that is no number has to be seen
        "report_to": "none",
        "disable_tqdm": True,
    }
    try:
        made = GRPOConfig(**options)
    except (ValueError, ImportError) as error:
        raise Stop(
            f"TRL refuses the options of train.grpo together: {str(error).splitlines()[0]}",
            next_step="Correct them and run again.",
        ) from None
    made._n_gpu = min(1, made.n_gpu)  # else transformers copies the model to every GPU it sees, which TRL refuses
    return made


def _sharding(params: Train) -> dict[str, Any]:
    """The shipped configuration of FSDP or DeepSpeed."""
    match params.sharding:
        case "none":
            return {}
        case "fsdp":
            return {"fsdp": True, "fsdp_config": json.loads((SHARDING / "fsdp.json").read_text(encoding="utf-8"))}
        case "zero2" | "zero3":
            return {"deepspeed": str(SHARDING / f"{params.sharding}.json")}


def _check_name(name: str, names: list[str]) -> None:
    if name in FIXED:
        raise Stop(f"train.grpo.{name} is set by {FIXED[name]}.", next_step=f"Set {FIXED[name]} in its place.")
    if name in CLOSED:
        raise Stop(f"train.grpo.{name} cannot be set: {CLOSED[name]}.", next_step="Take it out.")
    if name not in names:
        nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.0)[0]
        raise Stop(f"train.grpo.{name} is no option of TRL's GRPOConfig; the nearest is {nearest}.")


def _check_value(name: str, value: object, hint: Any) -> None:
    """Against the type TRL declares; a type pydantic cannot read is left to TRL."""
    if name in NAMED and value not in NAMED[name]:
        raise Stop(f"train.grpo.{name} = {value!r} is none of {', '.join(NAMED[name])}.", next_step="Choose one.")
    try:
        TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(value)
    except ValidationError as error:
        raise Stop(f"train.grpo.{name} = {value!r}: {error.errors()[0]['msg']}.", next_step="Correct it.") from None
    except PydanticUserError:
        return
