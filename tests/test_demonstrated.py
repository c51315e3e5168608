"""The warm start: worked answers the grader takes, loss on what the model writes and its end, a model made once."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from medu1 import dataset, journal, record
from medu1.base.tokenizer import END, TAGS
from medu1.base.warmstart import untrained
from medu1.completion import Completion
from medu1.errors import Stop
from medu1.generation.model import policy, processor
from medu1.generation.tokenizer import load_tokenizer
from medu1.manifest import DatasetManifest, ModelManifest
from medu1.params import Adapter, Base, Train, WarmStart
from medu1.prompt import messages, user_text
from medu1.question import Choice, FreeText, Integer, Question
from medu1.scoring.score import score
from medu1.stage import Stage, produce
from medu1.tracking import Tracking
from medu1.train import demonstrated as room
from medu1.train.demonstrated import (
    IGNORED,
    config,
    demonstrated,
    rows,
    started,
    warm_start,
    worked_answer,
)
from medu1.workspace import Workspace
from models import write_tiny

TINY = Base(vocabulary=360, hidden=32, layers=1, heads=2, steps=1, batch=1, learning_rate=0.01, guesses=0.5, seed=0)
PARAMS = WarmStart(steps=3, batch=4, learning_rate=0.01)
pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings(r"ignore:'pin_memory' argument is set as true:UserWarning"),
    pytest.mark.filterwarnings(r"ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),  # TRL reads it
]

SUMS = [
    Question(
        id=f"sum/{n}",
        source="own",
        text=f"What is {n} + 7?",
        gold=Integer(value=n + 7),
        rationale=f"{n} + 7 = {n + 7}",
    )
    for n in range(10)
]
LETTER = Question(
    id="letter/1",
    source="letters",
    text="Which nutrient is low in scurvy?",
    options={"A": "iron", "B": "vitamin C"},
    gold=Choice(letter="B"),
    rationale="scurvy: vitamin C\nA: no\nB: yes",
)
OPEN = Question(
    id="open/1", source="texts", text="What is low in rickets?", gold=FreeText(text="vitamin D"), rationale=" bones. "
)
BARE = [each.model_copy(update={"rationale": "", "source": "bare"}) for each in SUMS]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = [user_text(each) + worked_answer(each) for each in (*SUMS, LETTER, OPEN)]
    return write_tiny(tmp_path_factory.mktemp("base"), texts, TINY)


@pytest.fixture
def copy(base: Path, tmp_path: Path) -> Path:
    """One of its own to change."""
    return Path(shutil.copytree(base, tmp_path / "copy"))


# Worked answers


@pytest.mark.parametrize(
    ("question", "text"),
    [
        (SUMS[1], "<think>1 + 7 = 8</think><answer>8</answer>"),
        (LETTER, "<think>scurvy: vitamin C\nA: no\nB: yes</think><answer>B</answer>"),
        (OPEN, "<think>bones.</think><answer>vitamin D</answer>"),
    ],
    ids=lambda value: value.id if isinstance(value, Question) else "",
)
def test_a_worked_answer_has_the_methods_form_and_is_right(question: Question, text: str) -> None:
    assert worked_answer(question) == text
    verdict = score(question, Completion(question_id=question.id, text=text))
    assert (verdict.format_ok, verdict.correct) == (True, True)


def test_only_questions_with_a_worked_answer_are_demonstrated() -> None:
    assert demonstrated([*BARE, *SUMS, OPEN]) == ([*SUMS, OPEN], 0)


def test_a_worked_answer_that_the_grader_refuses_is_left_out() -> None:
    """A thought with a tag of its own would teach another form."""
    tagged = SUMS[0].model_copy(update={"rationale": "so <answer>7</answer>"})
    assert demonstrated([tagged, SUMS[1]]) == ([SUMS[1]], 1)


def test_without_a_worked_answer_the_sources_are_named() -> None:
    with pytest.raises(Stop, match=r"sources: bare, other\)\. None of them states a rationale"):
        demonstrated([*BARE, BARE[0].model_copy(update={"source": "other"})])
    with pytest.raises(Stop, match="1 of 1 state a rationale, and the grader takes none"):
        demonstrated([SUMS[0].model_copy(update={"rationale": "</think>"})])
    with pytest.raises(Stop, match="sources: none"):
        demonstrated([])


# What carries loss

QWEN = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QWEN3 = (  # it rewrites the last assistant turn's thought
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{% if message.role == 'assistant' %}<think>\n"
    "{{ message.content.split('</think>')[0].split('<think>')[-1].strip() }}\n</think>\n\n"
    "{{ message.content.split('</think>')[-1].lstrip() }}{% else %}{{ message.content }}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
R1 = QWEN.replace("{{ message.content }}", "{{ message.content.split('</think>')[-1] }}")
OPENED = QWEN.replace("assistant\n{% endif %}", "assistant\n<think>\n\n</think>\n{% endif %}")
ENDLESS = QWEN.replace("<|im_end|>", "<|im_start|>")


def dressed(folder: Path, template: str) -> Path:
    """The base with Qwen's turn marks and a template; its end token ends a turn."""
    tokenizer = load_tokenizer(folder)
    tokenizer.add_special_tokens({"eos_token": "<|im_end|>", "additional_special_tokens": ["<|im_start|>"]})
    tokenizer.chat_template = template
    model = untrained(TINY, tokenizer)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def built(base: Path, folder: Path, questions: list[Question]) -> Any:
    return room._trainer(
        policy(base), processor(base), questions, config(PARAMS, 0, folder), None, lambda step, loss: None
    )


def batch(trainer: Any, count: int) -> Mapping[str, torch.Tensor]:
    """The first rows as they reach the model, padded; Trainer leaves the other columns out."""
    held = trainer.train_dataset.select_columns(["input_ids", "labels"])
    found: Mapping[str, torch.Tensor] = trainer.data_collator([held[place] for place in range(count)])
    return found


def taught(tokenizer: Any, row: torch.Tensor) -> list[str]:
    return [tokenizer.decode([token]) for token in row.tolist() if token != IGNORED]


def test_the_completion_and_its_end_carry_loss_and_nothing_else(base: Path, tmp_path: Path) -> None:
    """Token by token: what GRPO's prompt holds carries none, then all does up to the end, then padding none."""
    questions = [SUMS[1], LETTER]
    found = batch(built(base, tmp_path, questions), 2)
    tokenizer = load_tokenizer(base)
    for question, tokens, labels in zip(questions, found["input_ids"], found["labels"], strict=True):
        prompt = tokenizer.apply_chat_template(messages(question), add_generation_prompt=True, return_dict=True)
        prompted = prompt["input_ids"]
        completion = tokenizer.encode(worked_answer(question) + END, add_special_tokens=False)
        size = len(prompted) + len(completion)
        assert tokens[:size].tolist() == [*prompted, *completion]
        assert labels[:size].tolist() == [*[IGNORED] * len(prompted), *completion]
        assert set(labels[size:].tolist()) <= {IGNORED}
    assert [taught(tokenizer, row)[0] for row in found["labels"]] == [TAGS[0]] * 2
    assert [taught(tokenizer, row)[-1] for row in found["labels"]] == [END] * 2
    assert found["input_ids"].shape[1] > len(found["input_ids"][0][found["attention_mask"][0] == 1])


def test_a_line_break_after_the_end_carries_no_loss(copy: Path, tmp_path: Path) -> None:
    """Qwen's template writes it, and no model does."""
    trainer = built(dressed(copy, QWEN), tmp_path, [SUMS[1]])
    tokenizer = load_tokenizer(copy)
    row = trainer.train_dataset[0]
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    written = tokenizer.encode(worked_answer(SUMS[1]), add_special_tokens=False)
    assert [label for label in row["labels"] if label != IGNORED] == [*written, end]
    assert tokenizer.decode(row["input_ids"]).endswith("<|im_end|>\n")
    assert row["labels"][-1] == IGNORED
    assert row["input_ids"].count(end) == 3


def test_an_end_that_is_padding_too_carries_loss(copy: Path, tmp_path: Path) -> None:
    path = copy / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pad_token": None}))
    found = batch(built(copy, tmp_path, [SUMS[1], LETTER]), 2)
    tokenizer = load_tokenizer(copy)
    assert tokenizer.pad_token == END
    assert [taught(tokenizer, row).count(END) for row in found["labels"]] == [1, 1]
    assert [taught(tokenizer, row)[-1] for row in found["labels"]] == [END, END]


def test_a_template_that_lays_the_thought_out_its_own_way_is_fine(copy: Path, tmp_path: Path) -> None:
    """As Qwen3's: the grader takes what it makes of a worked answer."""
    found = built(dressed(copy, QWEN3), tmp_path, [SUMS[1]]).train_dataset[0]
    text = "".join(taught(load_tokenizer(copy), torch.tensor(found["labels"])))
    assert text == "<think>\n1 + 7 = 8\n</think>\n\n<answer>8</answer><|im_end|>"


@pytest.mark.parametrize(
    ("template", "told"),
    [
        (R1, "one that the grader does not take: '<answer>8</answer>'"),
        (OPENED, "renders a prompt with its answer differently from the prompt alone"),
        (ENDLESS, "does not end an assistant's turn with the model's end token"),
    ],
    ids=["drops the thought", "opens a thought", "no end"],
)
def test_a_template_that_would_teach_another_form_is_refused(
    template: str, told: str, copy: Path, tmp_path: Path
) -> None:
    with pytest.raises(Stop, match=told):
        built(dressed(copy, template), tmp_path, [SUMS[1]])


def test_rows_are_conversations_that_are_rendered_once() -> None:
    (row,) = rows([LETTER])
    assert row["prompt"] == messages(LETTER)
    assert row["completion"] == [{"role": "assistant", "content": worked_answer(LETTER)}]


# Training


class Warmed(NamedTuple):
    """A warm start: where it lies, what it weighs, how its loss went."""

    folder: Path
    digest: str
    losses: list[tuple[int, float]]


def warmed(base: Path, folder: Path, seed: int = 0, params: WarmStart = PARAMS, **options: Any) -> Warmed:
    losses: list[tuple[int, float]] = []
    warm_start(base, SUMS, params, seed, folder, lambda step, loss: losses.append((step, loss)), **options)
    return Warmed(folder, record.content_digest(folder), losses)


@pytest.fixture(scope="module")
def first(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Warmed:
    return warmed(base, tmp_path_factory.mktemp("first"))


def test_the_loss_is_told_at_every_step_and_falls(base: Path, tmp_path: Path) -> None:
    losses = warmed(base, tmp_path, params=PARAMS.model_copy(update={"steps": 20})).losses
    assert [step for step, _ in losses] == list(range(1, 21))
    assert losses[-1][1] < losses[0][1] / 2


def test_the_first_loss_is_the_cross_entropy_of_the_completions(base: Path, tmp_path: Path) -> None:
    """In nats a token, from the full logits of one row; the learning rate has not moved the weights yet."""
    losses: list[float] = []
    one = WarmStart(steps=1, batch=1, learning_rate=0.01)
    warm_start(base, [SUMS[1]], one, 0, tmp_path, lambda step, loss: losses.append(loss))
    tokenizer, model = load_tokenizer(base), policy(base)
    prompt = tokenizer.apply_chat_template(messages(SUMS[1]), add_generation_prompt=True, return_dict=True)["input_ids"]
    completion = tokenizer.encode(worked_answer(SUMS[1]) + END, add_special_tokens=False)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([prompt + completion])).logits[0].log_softmax(-1)
    nats = [-float(logits[len(prompt) + place - 1, token]) for place, token in enumerate(completion)]
    assert losses == [pytest.approx(sum(nats) / len(nats), rel=1e-4)]


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    base: Path, first: Warmed, tmp_path: Path
) -> None:
    torch.manual_seed(99)
    again = warmed(base, tmp_path / "again")
    assert (again.digest, again.losses) == (first.digest, first.losses)
    assert warmed(base, tmp_path / "other", seed=1).digest != first.digest


def test_a_plain_model_is_written(base: Path, first: Warmed) -> None:
    assert {path.name for path in first.folder.iterdir()} == {path.name for path in base.iterdir()}
    assert (first.folder / "tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()
    moved = [
        not torch.equal(after, before)
        for after, before in zip(policy(first.folder).parameters(), policy(base).parameters(), strict=True)
    ]
    assert all(moved)


def test_a_base_in_half_precision_is_trained_in_full_and_stays_in_half(copy: Path, tmp_path: Path) -> None:
    """A learning rate whose steps bfloat16 would round away still moves the loss."""
    policy(copy).to(torch.bfloat16).save_pretrained(copy)
    small = WarmStart(steps=8, batch=10, learning_rate=0.00002)
    found = warmed(copy, tmp_path / "out", params=small)
    assert policy(found.folder).dtype == torch.bfloat16
    losses = [loss for _, loss in found.losses]
    assert losses == sorted(losses, reverse=True)
    assert len(set(losses)) == len(losses)


def test_an_adapter_is_merged(base: Path, first: Warmed, tmp_path: Path) -> None:
    lora = Adapter(rank=4, alpha=8, dropout=0.0, targets=("q_proj",), quantized=False)
    found = warmed(base, tmp_path / "out", adapter=lora)
    assert {path.name for path in found.folder.iterdir()} == {path.name for path in base.iterdir()}
    before = dict(policy(base).named_parameters())
    moved = {
        name.split(".")[-2]
        for name, weight in policy(found.folder).named_parameters()
        if not torch.equal(weight, before[name])
    }
    assert moved == {"q_proj"}


def test_an_adapter_on_unknown_modules_is_refused_before_training(base: Path, tmp_path: Path) -> None:
    lora = Adapter(rank=4, alpha=8, dropout=0.0, targets=("query",), quantized=False)
    with pytest.raises(Stop, match=r"train\.adapter\.targets names query"):
        warmed(base, tmp_path / "out", adapter=lora)
    assert not (tmp_path / "out").exists()


def test_a_loss_that_is_no_number_is_a_stop(base: Path, tmp_path: Path) -> None:
    broken = policy(base)
    with torch.no_grad():
        broken.model.norm.weight.fill_(float("nan"))
    broken.save_pretrained(tmp_path / "broken")
    processor(base).save_pretrained(tmp_path / "broken")
    with pytest.raises(Stop, match=r"The loss of the warm start is nan at step 1.*Lower train\.warm_start"):
        warmed(tmp_path / "broken", tmp_path / "out")
    assert not (tmp_path / "out").exists()


# The step


class Prepared(NamedTuple):
    """What the warm start reads, in the store of a home."""

    workspace: Workspace
    base: ModelManifest
    data: DatasetManifest

    def started(self, params: Train, code: str = "code") -> ModelManifest:
        return started(params, self.base, self.data, code)

    def folder(self, model: ModelManifest) -> Path:
        return self.workspace.home / "store" / model.key


@pytest.fixture
def prepared(base: Path, tracked_home: Path, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    workspace = Workspace(home=tracked_home, run="r", tracking_uri=f"sqlite:///{tracked_home / 'mlflow.db'}")
    for name, value in workspace.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)

    def write_base(stage: Stage, folder: Path) -> Mapping[str, Any]:
        shutil.copytree(base, folder, dirs_exist_ok=True)
        return {}

    def write_data(stage: Stage, folder: Path) -> Mapping[str, Any]:
        dataset.write(folder, "train", [*SUMS, *BARE, LETTER])
        return {}

    made, data = produce("base", {}, {}, "", write_base), produce("prepare", {}, {}, "", write_data)
    return Prepared(
        workspace,
        ModelManifest(key=made.key, digest=record.content_digest(made.folder), base="mine", revision="v1"),
        DatasetManifest(key=data.key, digest="d", frozen="f", sets={}, rows={"train": 21}, data=""),
    )


def params(**fields: Any) -> Train:
    """Train's parameters, as far as the warm start reads them."""
    known: dict[str, Any] = {
        "seed": 0,
        "families": ("calculation",),
        "warm_start": PARAMS,
        "adapter": Adapter(rank=0, alpha=8, dropout=0.0, targets=("all-linear",), quantized=False),
    }
    return Train.model_construct(**(known | fields))


def test_the_warm_start_is_a_step_of_its_own_with_its_run(prepared: Prepared) -> None:
    model = prepared.started(params())
    assert model.key.startswith("warm_start/")
    assert (model.base, model.revision) == ("mine", "v1")
    assert model.digest == record.content_digest(prepared.folder(model)) != prepared.base.digest
    made = record.read(prepared.folder(model))
    assert made is not None
    assert made.inputs == {"base": prepared.base.digest, "dataset": "d"}
    assert (made.facts["seed"], made.facts["demonstrations"]) == (0, len(SUMS))
    client = Tracking(prepared.workspace).client
    run = client.get_run(made.mlflow_run)
    assert run.info.status == "FINISHED"
    assert [point.step for point in client.get_metric_history(made.mlflow_run, "loss")] == [1, 2, 3]
    notes = [event.message for event, _ in journal.read(prepared.workspace.journal) if event.kind == "note"]
    assert "warm start on 10 worked answers" in notes


def test_the_warm_start_is_made_once_for_equal_parameters(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    def copied(
        start: Path, questions: object, params: object, seed: int, folder: Path, *_: object, **__: object
    ) -> None:
        shutil.copytree(start, folder, dirs_exist_ok=True)

    monkeypatch.setattr(room, "warm_start", copied)
    model = prepared.started(params())
    assert prepared.started(params(rewards=None, steps=99)) == model
    others = [
        params(seed=1),
        params(warm_start=PARAMS.model_copy(update={"steps": 2})),
        params(families=("calculation", "choice")),
        params(adapter=Adapter(rank=2, alpha=8, dropout=0.0, targets=("all-linear",), quantized=False)),
    ]
    keys = {prepared.started(each).key for each in others} | {prepared.started(params(), code="edited").key}
    assert len(keys - {model.key}) == 5


def test_families_without_a_worked_answer_are_a_stop_and_leave_nothing(prepared: Prepared) -> None:
    with pytest.raises(Stop, match="No training question has a worked answer"):
        prepared.started(params(families=("open",)))
    assert not (prepared.workspace.home / "store" / "warm_start").exists()
