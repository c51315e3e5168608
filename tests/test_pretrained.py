"""A base model from elsewhere: what training would trip over is refused before it starts, the rest is copied whole."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    CLIPVisionConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    Qwen2Config,
)
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from medu1 import record
from medu1.base.pretrained import copy_model, copy_tokenizer
from medu1.base.tokenizer import ASSISTANT, END, TAGS, fit
from medu1.errors import Stop
from medu1.generation import greedy
from medu1.generation.local import load
from medu1.generation.model import policy, processor, sees, tokenizer_of
from medu1.generation.tokenizer import load_tokenizer
from medu1.params import Base, WarmStart
from medu1.prompt import messages, user_text
from medu1.question import Integer, Question
from medu1.train.demonstrated import warm_start
from models import write_tiny

TINY = Base(vocabulary=360, hidden=16, layers=1, heads=2, steps=1, batch=1, learning_rate=0.01, guesses=0.5, seed=0)
SUM = Question(id="sum/1", source="own", text="What is 1 + 7?", gold=Integer(value=8), rationale="1 + 7 = 8")
pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings(r"ignore:'pin_memory' argument is set as true:UserWarning"),
    pytest.mark.filterwarnings(r"ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),  # TRL reads it
]
WEIGHTS, SETTINGS = "model.safetensors", "tokenizer_config.json"
PLAIN_TEXT = "{{ message.content }}"

Change = Callable[[Path], object]


def fitted() -> PreTrainedTokenizerFast:
    return fit([user_text(SUM)] * 5, TINY.vocabulary)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("sound"), [user_text(SUM)] * 5, TINY)


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Path:
    """One of its own to damage."""
    return Path(shutil.copytree(sound, tmp_path / "copy"))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def edited(file: str, **fields: object) -> Change:
    """A JSON file with other fields."""

    def change(folder: Path) -> None:
        path = folder / file
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return change


def templated(template: str) -> Change:
    return lambda folder: (folder / "chat_template.jinja").write_text(template)


def weighed(change: Callable[[dict[str, torch.Tensor]], object]) -> Change:
    """Other weights."""

    def rewrite(folder: Path) -> None:
        weights = load_file(folder / WEIGHTS)
        change(weights)
        save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})

    return rewrite


def marked(folder: Path, special: bool) -> None:
    """The tags as special tokens, or as ordinary ones again."""
    path = folder / "tokenizer.json"
    described = json.loads(path.read_text())
    for token in described["added_tokens"]:
        if token["content"] in TAGS:
            token["special"] = special
    path.write_text(json.dumps(described))


# What only the tokenizer tells


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda folder: (folder / "chat_template.jinja").unlink(), "has no chat template.*instruction-tuned"),
        (templated("{{ raise_exception('System role not supported') }}"), "cannot render.*System role not supported"),
        (templated("{% for message in messages %}{{ message.role }}{% endfor %}"), "leaves the user's text out"),
        (
            templated("{% for message in messages %}" + PLAIN_TEXT + "{% endfor %}" + ASSISTANT + "<think>\n"),
            "opens <think> itself.*Take <think> out of the generation prompt",
        ),
        (edited(SETTINGS, eos_token=None), "has no end token.*Set eos_token"),
        (edited(SETTINGS, eos_token=None, pad_token=None), "has no end token.*none could be padded"),
        (lambda folder: marked(folder, True), '<think>, .*as special tokens.*set "special" to false'),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "cannot be loaded"),
        (edited("config.json", model_type="odd"), r"cannot be loaded .*does not recognize this architecture"),
        (
            edited("config.json", model_type="odd", auto_map={"AutoConfig": "configuration_odd.Odd"}),
            "code of its own, and no code from a repository is run.*part of transformers",
        ),
    ],
    ids=[
        "no template",
        "no system turn",
        "no text",
        "opens the thought",
        "no end",
        "neither end nor padding",
        "special tags",
        "no JSON",
        "unknown",
        "own code",
    ],
)
def test_a_tokenizer_that_training_would_trip_over_is_refused(change: Change, told: str, copy: Path, out: Path) -> None:
    change(copy)
    with pytest.raises(Stop, match=told):
        copy_tokenizer(str(copy), "", out)
    assert not out.exists()


def test_a_tokenizer_whose_vocabulary_is_absent_is_refused(copy: Path, out: Path) -> None:
    """transformers makes an empty one of Qwen2's class and says nothing."""
    (copy / "tokenizer.json").unlink()
    edited(SETTINGS, tokenizer_class="Qwen2Tokenizer")(copy)
    with pytest.raises(Stop, match=r"cannot write <think>, .*files are not whole"):
        copy_tokenizer(str(copy), "", out)


def test_tags_made_ordinary_as_the_error_says_are_accepted(copy: Path, out: Path) -> None:
    marked(copy, True)
    with pytest.raises(Stop, match="special"):
        copy_tokenizer(str(copy), "", out)
    marked(copy, False)
    assert copy_tokenizer(str(copy), "", out) == len(fitted())


def test_a_name_that_the_hub_does_not_have_is_refused(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(Stop, match=r"train\.base_model medu1/nowhere cannot be loaded"):
        copy_tokenizer("medu1/nowhere", "0" * 40, out)


def test_a_plain_tokenizer_is_copied_as_it_is(sound: Path, out: Path) -> None:
    """Beside Qwen2's configuration AutoTokenizer makes another one of it, with a token more than the embedding has."""
    assert copy_tokenizer(str(sound), "", out) == len(fitted())
    copy_model(str(sound), "", out)
    found = load_tokenizer(out)
    text = user_text(SUM)
    assert found.encode(text) == fitted().encode(text)
    assert (out / "tokenizer.json").read_bytes() == (sound / "tokenizer.json").read_bytes()
    assert record.checksum(out / WEIGHTS) == record.checksum(sound / WEIGHTS)


# Weights


class Trap:
    """A pickle that leaves a mark where it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def trapped(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(folder / "read")))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda folder: (folder / WEIGHTS).unlink(), "no file named model.safetensors"),
        (trapped, "weights are pickles, pytorch_model.bin.*convert the weights to safetensors"),
        (lambda folder: (folder / WEIGHTS).write_bytes(b"x" * 2000), "weights are damaged.*download it again"),
        (lambda folder: (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-9]), "weights are damaged"),
        (
            weighed(lambda weights: weights.pop("model.norm.weight")),
            "lacks 1 weights .*such as model.norm",
        ),
        (
            weighed(lambda weights: weights.update({"model.norm.weight": torch.ones(3)})),
            "another shape, and would be random",
        ),
        (lambda folder: (folder / "adapter_config.json").write_text("{}"), "is an adapter"),
        (
            edited("config.json", quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True}),
            "requires bitsandbytes.*Install",
        ),
        (edited("config.json", model_type="t5", architectures=["T5ForConditionalGeneration"]), "Unrecognized config"),
    ],
    ids=["none", "pickle", "no safetensors", "cut off", "one absent", "shape", "adapter", "quantized", "encoder"],
)
def test_weights_that_are_not_whole_are_refused(change: Change, told: str, copy: Path, out: Path) -> None:
    change(copy)
    with pytest.raises(Stop, match=told):
        copy_model(str(copy), "", out)
    assert not out.exists()
    assert not (copy / "read").exists()


def test_a_vocabulary_larger_than_the_embedding_is_refused(copy: Path, out: Path) -> None:
    tokenizer = load_tokenizer(copy)
    tokenizer.add_tokens(["<more>"])
    tokenizer.save_pretrained(copy)
    size = len(fitted())
    with pytest.raises(Stop, match=f"tokens up to {size} and the model has {size}.*no row"):
        copy_model(str(copy), "", out)


# A tokenizer without a padding token


@pytest.fixture
def unpadded(copy: Path, out: Path) -> Path:
    """The copy in the store of a model whose padding is its end token."""
    edited(SETTINGS, pad_token=None)(copy)
    copy_tokenizer(str(copy), "", out)
    copy_model(str(copy), "", out)
    return out


def test_padding_falls_back_to_the_end_token(unpadded: Path) -> None:
    tokenizer = load_tokenizer(unpadded)
    assert tokenizer.pad_token == tokenizer.eos_token == END


def test_an_end_that_is_padding_too_still_ends_an_answer(unpadded: Path) -> None:
    """Greedy: the model says `a` until it may say nothing but the end."""
    local = load(unpadded)
    assert local.tokenizer.pad_token_id == local.tokenizer.eos_token_id
    local.model.generation_config.suppress_tokens = _all_but(local.tokenizer, END)
    (found,) = greedy.complete(local, [SUM], max_tokens=5, batch=1)
    assert (found.tokens, found.finish, found.text) == (1, "stop", "")
    local.model.generation_config.suppress_tokens = _all_but(local.tokenizer, "a")
    (found,) = greedy.complete(local, [SUM], max_tokens=5, batch=1)
    assert (found.tokens, found.finish, found.text) == (5, "length", "aaaaa")


def test_an_end_that_is_padding_too_counts_in_grpos_loss(unpadded: Path, tmp_path: Path) -> None:
    """Completions of `a` and the end at random: each token up to the end, itself included, carries loss."""
    model, tokenizer = policy(unpadded), load_tokenizer(unpadded)
    seen: list[list[int]] = []
    masked: list[torch.Tensor] = []

    class Watched(GRPOTrainer):
        def compute_loss(self, model: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
            masked.append(inputs["completion_mask"])
            return super().compute_loss(model, inputs, *rest, **options)

    suppressed = {"suppress_tokens": _all_but(tokenizer, "a", END)}
    trainer = Watched(
        model=model,
        processing_class=tokenizer,
        args=_options(tmp_path, max_completion_length=8, generation_kwargs=suppressed),
        train_dataset=_dataset(),
        reward_funcs=_lengths(seen),
    )
    trainer.train()
    ended = [ids for ids in seen if len(ids) < 8]
    assert ended
    assert all(ids[-1] == tokenizer.eos_token_id and tokenizer.eos_token_id not in ids[:-1] for ids in ended)
    assert sorted(len(ids) for ids in seen) == sorted(int(row.sum()) for row in torch.cat(masked))


def _all_but(tokenizer: Any, *kept: str) -> list[int]:
    ids = {tokenizer.convert_tokens_to_ids(text) for text in kept}
    return [token for token in range(len(tokenizer)) if token not in ids]


def _options(folder: Path, **options: Any) -> GRPOConfig:
    return GRPOConfig(
        output_dir=str(folder / "trl"),
        seed=0,
        max_steps=1,
        per_device_train_batch_size=8,
        num_generations=4,
        learning_rate=0.01,
        bf16=False,
        activation_checkpointing=False,
        dataloader_pin_memory=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        **options,
    )


def _dataset() -> Dataset:
    return Dataset.from_list([{"prompt": messages(SUM)}] * 4)


def _lengths(seen: list[list[int]]) -> Callable[..., list[float | None]]:
    """A reward that tells completions apart."""

    def reward(completion_ids: list[list[int]], **_: object) -> list[float | None]:
        seen.extend(completion_ids)
        return [float(place) for place, _ in enumerate(completion_ids)]

    return reward


# Vision-language models: LLaVA's processor needs Pillow only; those that read video as well need torchvision

SEEING = (
    "{% macro text(content) %}{% if content is string %}{{ content }}{% else %}{% for part in content %}"
    "{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}{% endfor %}{% endif %}{% endmacro %}"
    "{% for message in messages %}<|{{ message.role }}|>{{ text(message.content) }}"
    "{% if message.role == 'assistant' %}" + END + "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}" + ASSISTANT + "{% endif %}"
)
PARTS_ONLY = (
    "{% for message in messages %}{% for part in message.content %}{{ part.text }}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}" + ASSISTANT + "{% endif %}"
)
PARTS_MARKED = SEEING.replace("{{ part.text }}", "[{{ part.text }}]")


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny LLaVA with random weights, as a person has it on disk."""
    pytest.importorskip("PIL", reason="image processors need Pillow")
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    folder = tmp_path_factory.mktemp("llava")
    tokenizer = fitted()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    image: Any = tokenizer.convert_tokens_to_ids("<image>")
    sizes: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=CLIPVisionConfig(**sizes, num_hidden_layers=2, image_size=28, patch_size=14),
            text_config=Qwen2Config(
                **sizes,
                num_hidden_layers=1,
                num_key_value_heads=2,
                vocab_size=len(tokenizer),
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
                bos_token_id=None,
            ),
            image_token_index=image,
            image_seq_length=4,
        )
    )
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    images = CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    model.save_pretrained(folder)
    LlavaProcessor(
        images, tokenizer, patch_size=14, vision_feature_select_strategy="default", chat_template=SEEING
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def stored(seeing: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored")
    copy_model(str(seeing), "", folder)
    return folder


def test_a_vision_language_model_is_copied_with_its_processor(seeing: Path, stored: Path, out: Path) -> None:
    names = {path.name for path in stored.iterdir()}
    assert {"config.json", WEIGHTS, "processor_config.json", "tokenizer.json", "chat_template.jinja"} <= names
    assert {path.suffix for path in stored.iterdir()} <= {".json", ".jinja", ".safetensors"}
    assert record.checksum(stored / WEIGHTS) == record.checksum(seeing / WEIGHTS)
    assert copy_tokenizer(str(seeing), "", out) == len(load_tokenizer(stored))
    assert (out / "chat_template.jinja").read_text() == SEEING


def test_a_vision_language_model_is_loaded_by_its_own_class(stored: Path, sound: Path) -> None:
    assert isinstance(policy(stored), LlavaForConditionalGeneration)
    found = processor(stored)
    assert isinstance(found, LlavaProcessor)
    assert tokenizer_of(found).padding_side == "left"
    assert sees(stored)
    assert not sees(sound)
    assert isinstance(policy(sound), type(AutoModelForCausalLM.from_pretrained(sound)))
    assert isinstance(processor(sound), PreTrainedTokenizerFast)
    assert tokenizer_of(processor(sound)).pad_token_id is not None


def test_a_vision_language_model_answers_a_text_question(stored: Path) -> None:
    local = load(stored)
    (found,) = greedy.complete(local, [SUM], max_tokens=5, batch=1)
    assert found.tokens is not None
    assert 1 <= found.tokens <= 5


def test_a_vision_language_model_takes_a_step_of_grpo_on_text(stored: Path, tmp_path: Path) -> None:
    """TRL's prompt, made by the processor, is the one that evaluation makes with the tokenizer."""
    model, reader = policy(stored), processor(stored)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    prompted: list[str] = []

    def reward(prompts: Any, completion_ids: list[list[int]], **_: object) -> list[float | None]:
        prompted.extend(reader.apply_chat_template(prompts, tokenize=False, add_generation_prompt=True))
        return [float(place) for place, _ in enumerate(completion_ids)]

    trainer = GRPOTrainer(
        model=model,
        processing_class=reader,
        args=_options(tmp_path, max_completion_length=4),
        train_dataset=_dataset(),
        reward_funcs=reward,
    )
    trainer.train()
    moved = {name for name, weight in model.named_parameters() if not torch.equal(weight, before[name])}
    assert any("language_model" in name for name in moved)
    assert not any("vision" in name for name in moved)
    local = load(stored)
    assert set(prompted) == {
        local.tokenizer.apply_chat_template(messages(SUM), tokenize=False, add_generation_prompt=True)
    }
    trainer.save_model(str(tmp_path / "saved"))
    assert sees(tmp_path / "saved")


def test_a_vision_language_model_takes_a_warm_start_on_text(stored: Path, tmp_path: Path) -> None:
    losses: list[float] = []
    steps = WarmStart(steps=6, batch=2, learning_rate=0.01)
    warm_start(stored, [SUM], steps, 0, tmp_path / "warm", lambda step, loss: losses.append(loss))
    assert losses[-1] < losses[0]
    assert {path.name for path in (tmp_path / "warm").iterdir()} == {path.name for path in stored.iterdir()}
    assert isinstance(policy(tmp_path / "warm"), LlavaForConditionalGeneration)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (templated(PARTS_ONLY), "leaves the user's text out"),
        (templated(PARTS_MARKED), "renders text and text in parts differently"),
        (lambda folder: (folder / "processor_config.json").unlink(), "cannot be loaded"),
    ],
    ids=["parts only", "parts otherwise", "no processor"],
)
def test_a_vision_language_model_that_text_does_not_suit_is_refused(
    change: Change, told: str, seeing: Path, out: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(seeing, tmp_path / "copy"))
    change(folder)
    with pytest.raises(Stop, match=told):
        copy_tokenizer(str(folder), "", out)


def test_a_processor_that_needs_an_absent_library_is_refused_with_its_name(
    seeing: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(*_: object, **__: object) -> None:
        raise ImportError("Qwen2VLVideoProcessor requires the Torchvision library but it was not found. Check out")

    monkeypatch.setattr("transformers.AutoProcessor.from_pretrained", absent)
    with pytest.raises(Stop, match=r"requires the Torchvision library but it was not found\)\. Install what it needs"):
        copy_tokenizer(str(seeing), "", out)
