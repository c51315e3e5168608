"""LoRA: its options become PEFT's, its targets are checked, and the merged model is the one that was trained."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from medu1.errors import Stop
from medu1.generation.model import policy, processor
from medu1.params import Adapter, Base
from medu1.prompt import messages, user_text
from medu1.question import Integer, Question
from medu1.train import adapter
from medu1.train.adapter import check_targets, merged, peft_config, quantization
from models import write_tiny

TINY = Base(vocabulary=360, hidden=16, layers=2, heads=2, steps=1, batch=1, learning_rate=0.01, guesses=0.5, seed=0)
LORA = Adapter(rank=4, alpha=8, dropout=0.0, targets=("all-linear",), quantized=False)
SUM = Question(id="sum/1", source="own", text="What is 1 + 7?", gold=Integer(value=8))
PROJECTIONS = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings(r"ignore:'pin_memory' argument is set as true:UserWarning"),
    pytest.mark.filterwarnings(r"ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),  # TRL reads it
]


def lora(**fields: object) -> Adapter:
    return Adapter.model_validate(LORA.model_dump() | fields)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("base"), [user_text(SUM)] * 5, TINY)


def trainer(base: Path, params: Adapter, folder: Path, steps: int = 3) -> Any:
    """GRPO on one question, with a reward that tells completions apart."""

    def reward(completions: list[Any], **_: object) -> list[float | None]:
        return [float(place) for place, _ in enumerate(completions)]

    return GRPOTrainer(
        model=policy(base),
        processing_class=processor(base),
        args=GRPOConfig(
            output_dir=str(folder / "trl"),
            seed=0,
            max_steps=steps,
            per_device_train_batch_size=8,
            num_generations=4,
            max_completion_length=6,
            learning_rate=0.05,
            bf16=False,
            activation_checkpointing=False,
            dataloader_pin_memory=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list([{"prompt": messages(SUM)}] * 4),
        reward_funcs=reward,
        peft_config=peft_config(params),
    )


# Options


def test_parameters_become_pefts_options() -> None:
    found = peft_config(lora(rank=6, alpha=12, dropout=0.25, targets=("q_proj", "v_proj")))
    assert (found.task_type, found.r, found.lora_alpha, found.lora_dropout) == ("CAUSAL_LM", 6, 12, 0.25)
    assert (found.target_modules, found.bias) == ({"q_proj", "v_proj"}, "none")
    assert peft_config(LORA).target_modules == "all-linear"


def test_without_a_rank_there_is_no_adapter() -> None:
    assert peft_config(lora(rank=0, targets=("lm_head",))) is None


@pytest.mark.parametrize(
    ("targets", "told"),
    [(("lm_head", "q_proj"), "the model's head.*never be trained"), (("all-linear", "q_proj"), "beside others")],
)
def test_targets_that_no_model_has_use_for_are_refused(targets: tuple[str, ...], told: str) -> None:
    with pytest.raises(Stop, match=told):
        peft_config(lora(targets=targets))


def test_peft_is_asked_for_where_it_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "find_spec", lambda name: None)
    with pytest.raises(Stop, match=r"rank is above 0 and peft is not installed\. Install peft"):
        peft_config(LORA)
    assert peft_config(lora(rank=0)) is None


# Targets


@pytest.mark.parametrize("targets", [("all-linear",), ("q_proj", "down_proj"), ("self_attn.q_proj",)])
def test_targets_that_a_model_has_are_taken(targets: tuple[str, ...], base: Path) -> None:
    check_targets(lora(targets=targets), policy(base))


@pytest.mark.parametrize(("target", "nearest"), [("query_proj", "q_proj"), ("c_attn", "q_proj|o_proj|k_proj|v_proj")])
def test_a_target_that_a_model_lacks_is_refused_with_the_nearest(target: str, nearest: str, base: Path) -> None:
    with pytest.raises(Stop, match=f"names {target}, and no linear module .*The nearest are .*({nearest})") as stop:
        check_targets(lora(targets=("v_proj", target)), policy(base))
    named = stop.value.reason.removeprefix("The nearest are ").rstrip(".").split(", ")
    assert set(named) <= PROJECTIONS


@pytest.mark.parametrize("target", ["self_attn", "embed_tokens", "norm", "proj"])
def test_what_is_no_linear_module_is_no_target(target: str, base: Path) -> None:
    with pytest.raises(Stop, match=f"names {target}, and no linear module"):
        check_targets(lora(targets=(target,)), policy(base))


def test_the_head_is_no_target_whatever_it_is_called(base: Path) -> None:
    model = policy(base)
    model.embed_out = model.lm_head
    del model.lm_head
    model.get_output_embeddings = lambda: model.embed_out
    with pytest.raises(Stop, match="names embed_out, the model's head"):
        check_targets(lora(targets=("embed_out",)), model)


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`:UserWarning")
def test_trl_refuses_the_head_as_well(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it does not, the target can be allowed."""
    monkeypatch.setattr(adapter, "HEAD", "")
    with pytest.raises(ValueError, match="lm_head"):
        trainer(base, lora(targets=("q_proj", "lm_head")), tmp_path)


# Merging


class Trained:
    """An adapter after a few steps of GRPO, and the logits of the model that wears it."""

    def __init__(self, base: Path, folder: Path, params: Adapter) -> None:
        self.folder, self.merged = folder / "adapter", folder / "merged"
        self.inputs = torch.arange(40).reshape(4, 10) + 4
        found = trainer(base, params, folder)
        found.train()
        self.targets = {
            name.rpartition(".")[2] for name, module in found.model.named_modules() if hasattr(module, "lora_A")
        }
        self.logits = self.of(found.model)
        found.model.save_pretrained(self.folder)
        merged(base, self.folder, self.merged)

    def of(self, model: Any) -> torch.Tensor:
        with torch.no_grad():
            logits: torch.Tensor = model.eval()(input_ids=self.inputs).logits.float()
        return logits


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(base, tmp_path_factory.mktemp("trained"), LORA)


def test_every_linear_module_but_the_head_is_trained(trained: Trained) -> None:
    assert trained.targets == PROJECTIONS


def test_only_the_named_modules_are_trained(base: Path, tmp_path: Path) -> None:
    assert Trained(base, tmp_path, lora(targets=("q_proj", "v_proj"))).targets == {"q_proj", "v_proj"}


def test_the_merged_model_is_the_one_that_was_trained(trained: Trained, base: Path) -> None:
    found = trained.of(policy(trained.merged))
    assert (found - trained.logits).abs().max() < 1e-5
    assert (found - trained.of(policy(base))).abs().max() > 1e-2


def test_the_merged_folder_is_a_plain_model(trained: Trained, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a pickle nor an adapter's file, and transformers reads it without PEFT."""
    names = {path.name for path in trained.merged.iterdir()}
    assert names == {path.name for path in base.iterdir()}
    assert {"model.safetensors", "tokenizer.json", "chat_template.jinja"} <= names
    assert (trained.merged / "tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()
    monkeypatch.setattr("transformers.utils.import_utils.is_peft_available", lambda: False)
    loaded: Any = AutoModelForCausalLM.from_pretrained(trained.merged, output_loading_info=True)
    model, loading = loaded
    assert not loading["missing_keys"]
    assert not loading["unexpected_keys"]
    assert {name for name, _ in model.named_parameters()} == {name for name, _ in policy(base).named_parameters()}


def test_a_model_in_half_precision_stays_in_it(trained: Trained, base: Path, tmp_path: Path) -> None:
    """Rounded once: each weight is the float32 sum to the nearest bfloat16."""
    half = tmp_path / "half"
    policy(base).to(torch.bfloat16).save_pretrained(half)
    processor(base).save_pretrained(half)
    merged(half, trained.folder, tmp_path / "merged")
    found, start = policy(tmp_path / "merged"), policy(half).float()
    assert {weight.dtype for weight in found.parameters()} == {torch.bfloat16}
    name = "model.layers.0.self_attn.q_proj.weight"
    added = policy(trained.merged).get_parameter(name) - policy(base).get_parameter(name)
    wanted = (start.get_parameter(name) + added).to(torch.bfloat16)
    assert (found.get_parameter(name) == wanted).float().mean() > 0.99


def test_a_folder_without_a_safe_adapter_is_refused(trained: Trained, base: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_bytes((trained.folder / "adapter_config.json").read_bytes())
    (tmp_path / "adapter" / "adapter_model.bin").write_bytes(b"a pickle")
    with pytest.raises(Stop, match=r"has no adapter_model\.safetensors.*a pickle, which is not read"):
        merged(base, tmp_path / "adapter", tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


# QLoRA


def test_weights_stay_as_they_are_unless_asked() -> None:
    assert quantization(LORA) is None


def test_quantized_weights_alone_are_refused() -> None:
    with pytest.raises(Stop, match=r"rank is 0.*nothing would be trained"):
        quantization(lora(rank=0, quantized=True))


def test_quantized_weights_without_a_gpu_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(Stop, match=r"there is no GPU.*set train.adapter.quantized to false"):
        quantization(lora(quantized=True))


@pytest.fixture
def _gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


@pytest.mark.usefixtures("_gpu")
def test_quantized_weights_without_bitsandbytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "find_spec", lambda name: None)
    with pytest.raises(Stop, match=r"bitsandbytes is not installed\. Install bitsandbytes"):
        quantization(lora(quantized=True))


@pytest.mark.usefixtures("_gpu")
def test_quantized_weights_are_nf4_computed_with_in_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "find_spec", ModuleType)
    found = quantization(lora(quantized=True))
    assert found is not None
    assert (found.load_in_4bit, found.bnb_4bit_quant_type) == (True, "nf4")
    assert found.bnb_4bit_compute_dtype == torch.bfloat16


@pytest.mark.gpu
def test_a_quantized_policy_holds_4_bits(base: Path) -> None:
    pytest.importorskip("bitsandbytes")
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    assert policy(base, quantization=quantization(lora(quantized=True))).is_loaded_in_4bit
