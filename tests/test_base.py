"""The base model: a tokenizer that keeps what graders read, a warm start that repeats, and models copied safely."""

import random
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from medu1 import dataset, journal, record
from medu1.base import builtin, component
from medu1.base.demonstrations import GUESS, LEAD, Demonstrations, Example, completion_text
from medu1.base.tokenizer import ASSISTANT, END, PAD, TAGS, USER, fit
from medu1.base.warmstart import IGNORED, _loss, untrained, warm_start
from medu1.errors import Stop
from medu1.generation.tokenizer import load_tokenizer
from medu1.manifest import DatasetManifest, ModelManifest, TokenizerManifest
from medu1.params import Base
from medu1.prompt import messages, user_text
from medu1.question import Choice, FreeText, Integer, Question, gold_text
from medu1.stage import produce
from medu1.workspace import Workspace

PARAMS = Base(vocabulary=400, hidden=16, layers=1, heads=2, steps=3, batch=4, learning_rate=0.002, guesses=0.5, seed=0)
PICKLES = {".bin", ".pt", ".pth", ".pkl", ".ckpt"}


def sums(count: int) -> list[Question]:
    return [
        Question(
            id=f"sum/{n}",
            source="own",
            text=f"Patient: score {n}, score 7. What is the sum?",
            gold=Integer(value=n + 7),
            topic="sum",
            rationale=f"{n} + 7 = {n + 7}",
        )
        for n in range(count)
    ]


pytestmark = pytest.mark.usefixtures("one_thread")
QUESTIONS = [
    *sums(12),
    Question(
        id="choice/1",
        source="own",
        text="Which nutrient is low in scurvy?",
        options={"A": "iron", "B": "vitamin C"},
        gold=Choice(letter="B"),
        topic="deficiency",
        rationale="scurvy: vitamin C\nA: iron no\nB: vitamin C yes",
    ),
    Question(
        id="open/1",
        source="own",
        text="Which nutrient is low in rickets?",
        gold=FreeText(text="vitamin D"),
        topic="deficiency",
        rationale="rickets: vitamin D",
    ),
]


@pytest.fixture(scope="module")
def fitted() -> PreTrainedTokenizerFast:
    return fit((user_text(row) + "\n" + completion_text(row.rationale, "7") for row in QUESTIONS), PARAMS.vocabulary)


@pytest.fixture(scope="module")
def tokenizer(fitted: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    """As training and evaluation read it: saved, then found by transformers itself."""
    folder = tmp_path_factory.mktemp("tokenizer")
    fitted.save_pretrained(folder)
    found = AutoTokenizer.from_pretrained(folder, padding_side="left", trust_remote_code=False)
    assert isinstance(found, PreTrainedTokenizerFast)
    return found


def tokens(tokenizer: PreTrainedTokenizerFast, text: str) -> list[str]:
    return [str(tokenizer.decode([token])) for token in tokenizer.encode(text, add_special_tokens=False)]


# Tokenizer


def test_tags_survive_decoding_without_special_tokens(tokenizer: PreTrainedTokenizerFast) -> None:
    text = completion_text("1 + 7 = 8", "8")
    ids = tokenizer.encode(text + tokenizer.eos_token, add_special_tokens=False)
    assert ids[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(ids, skip_special_tokens=True) == text == "<think> 1 + 7 = 8</think><answer> 8</answer>"


def test_each_tag_is_one_token_and_no_special_one(tokenizer: PreTrainedTokenizerFast) -> None:
    assert tokens(tokenizer, "".join(TAGS)) == list(TAGS)
    assert set(tokenizer.all_special_tokens) == {END, PAD}


def test_digits_stand_apart(tokenizer: PreTrainedTokenizerFast) -> None:
    assert [part.strip() for part in tokens(tokenizer, "777 7.77") if part.strip()] == [*"777", "7", ".", "7", "7"]


@pytest.mark.parametrize(
    "text",
    [
        user_text(QUESTIONS[0]),
        user_text(QUESTIONS[-2]),
        "Fièvre à 39 °C, 發燒, β-блокатор, 🩺 \u200bend",
        "What , then ?  Don 't  know .\n\n\tTabs",
    ],
)
def test_a_text_reads_back_as_it_was(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    ids = tokenizer.encode(text, add_special_tokens=False)
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_the_vocabulary_is_as_large_as_asked_and_no_larger(fitted: PreTrainedTokenizerFast) -> None:
    ids = set(fitted.get_vocab().values())
    assert 300 < len(fitted) <= PARAMS.vocabulary
    assert ids == set(range(len(fitted)))


def test_the_template_renders_the_user_once_and_ends_with_the_assistant(tokenizer: PreTrainedTokenizerFast) -> None:
    question = QUESTIONS[0]
    prompt = tokenizer.apply_chat_template(messages(question), tokenize=False, add_generation_prompt=True)
    assert prompt == USER + user_text(question) + ASSISTANT
    turns = [*messages(question), {"role": "assistant", "content": "Eight."}]
    assert tokenizer.apply_chat_template(turns, tokenize=False) == prompt + "Eight." + END


# Demonstrations and the warm start


def drawn(tokenizer: PreTrainedTokenizerFast, seed: int, guesses: float = 0.5, count: int = 16) -> list[list[Example]]:
    params = PARAMS.model_copy(update={"seed": seed})
    stream = Demonstrations(tokenizer, QUESTIONS, params).batches(guesses)
    return [next(stream) for _ in range(count)]


def test_demonstrations_are_deterministic_in_the_seed(tokenizer: PreTrainedTokenizerFast) -> None:
    random.seed(5)
    first = drawn(tokenizer, 1)
    random.seed(6)
    assert drawn(tokenizer, 1) == first
    assert drawn(tokenizer, 2) != first
    assert {len(batch) for batch in first} == {PARAMS.batch}


def test_a_demonstration_is_worked_out_or_guessed_as_often_as_asked(tokenizer: PreTrainedTokenizerFast) -> None:
    def completions(guesses: float) -> set[str]:
        return {
            str(tokenizer.decode(example.completion))
            for batch in drawn(tokenizer, 3, guesses, 120)
            for example in batch
        }

    worked = {completion_text(row.rationale, str(n + 7)) + END for n, row in enumerate(QUESTIONS[:12])}
    worked |= {completion_text(row.rationale, gold_text(row)) + END for row in QUESTIONS[12:]}
    assert completions(0.0) == worked
    blind = {completion_text(GUESS, str(n + 7)) + END for n in range(12)}
    assert completions(1.0) <= blind | {completion_text(GUESS, answer) + END for answer in ("B", "vitamin D")}


def test_noise_is_words_and_neither_turn_marks_nor_tags(tokenizer: PreTrainedTokenizerFast) -> None:
    marks = {tokenizer.convert_tokens_to_ids(mark) for mark in (PAD, END, USER, ASSISTANT, *TAGS)}
    bodies = [example.prompt[1:-1] for batch in drawn(tokenizer, 4, 0.0, 200) for example in batch]
    assert [body for body in bodies if marks & set(body)] == []


def test_noise_leaves_what_the_answer_repeats_and_the_turn_marks(tokenizer: PreTrainedTokenizerFast) -> None:
    user, assistant = (tokenizer.convert_tokens_to_ids(mark) for mark in (USER, ASSISTANT))
    whole = tokenizer.encode(user_text(QUESTIONS[0]), add_special_tokens=False)
    for batch in drawn(tokenizer, 4, 0.0):
        for example in batch:
            assert (example.prompt[0], example.prompt[-1]) == (user, assistant)
            text = str(tokenizer.decode(example.completion))
            if text.startswith("<think> 0 + 7"):
                assert 0 <= len(example.prompt) - 2 - len(whole) <= LEAD
                tail = example.prompt[-1 - len(whole) : -1]
                kept = [(a, b) for a, b in zip(whole, tail, strict=True) if a in set(example.completion)]
                assert kept
                assert all(a == b for a, b in kept)


def test_the_loss_is_on_the_completion_alone(tokenizer: PreTrainedTokenizerFast) -> None:
    """Cross-entropy of the completion's tokens from the full logits, one example at a time, without padding."""
    model = untrained(PARAMS, tokenizer).eval()
    batch = [Example([5, 6, 7], [8, 9]), Example([5], [10, 11, 12, 13])]
    nats: list[float] = []
    for prompt, completion in batch:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([prompt + completion])).logits[0].log_softmax(-1)
        nats += [-float(logits[len(prompt) + n - 1, token]) for n, token in enumerate(completion)]
    assert IGNORED == -100
    assert _loss(model, batch, tokenizer.pad_token_id).item() == pytest.approx(sum(nats) / len(nats), rel=1e-4)


def warm(tokenizer: PreTrainedTokenizerFast, seed: int, folder: Path) -> tuple[str, list[float]]:
    params = PARAMS.model_copy(update={"seed": seed})
    model = untrained(params, tokenizer)
    losses: list[float] = []
    warm_start(model, tokenizer, QUESTIONS, params, lambda step, loss: losses.append(loss))
    model.save_pretrained(folder)
    return record.content_digest(folder), losses


def test_a_warm_start_has_the_same_weights_for_the_same_seed_only(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    torch.manual_seed(99)
    first = warm(tokenizer, 0, tmp_path / "first")
    torch.manual_seed(100)
    assert warm(tokenizer, 0, tmp_path / "second") == first
    assert warm(tokenizer, 1, tmp_path / "other")[0] != first[0]
    assert len(first[1]) == PARAMS.steps


def test_a_warm_start_changes_every_weight(tokenizer: PreTrainedTokenizerFast) -> None:
    model = untrained(PARAMS, tokenizer)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    warm_start(model, tokenizer, QUESTIONS, PARAMS)
    same = {name for name, weight in model.named_parameters() if torch.equal(weight, before[name])}
    assert same == set()


# The steps on a local folder


@pytest.fixture
def home(tracked_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of a run in a home of its own."""
    workspace = Workspace(home=tracked_home, run="r", tracking_uri=f"sqlite:///{tracked_home / 'mlflow.db'}")
    for name, value in workspace.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    return tracked_home


@pytest.fixture
def model_folder(tmp_path_factory: pytest.TempPathFactory, fitted: PreTrainedTokenizerFast) -> Path:
    """A tiny Qwen2 as a person has it on disk, a pickle beside it."""
    folder = tmp_path_factory.mktemp("qwen")
    untrained(PARAMS, fitted).save_pretrained(folder)
    fitted.save_pretrained(folder)
    (folder / "training_args.bin").write_bytes(b"a pickle")
    (folder / "optimizer.pt").write_bytes(b"a pickle")
    return folder


def tokenizer_of(folder: Path | str) -> TokenizerManifest:
    return TokenizerManifest.model_validate_json(component.tokenizer(str(folder), "v1", PARAMS.canonical(), "code"))


def base_of(vocabulary: TokenizerManifest) -> ModelManifest:
    data = DatasetManifest(key="prepare/none", digest="d", frozen="f", sets={}, rows={}, data="")
    return ModelManifest.model_validate_json(component.base(vocabulary.text(), data.text(), PARAMS.canonical(), "code"))


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_models_folder_is_copied_as_safetensors_without_pickles(home: Path, model_folder: Path) -> None:
    vocabulary = tokenizer_of(model_folder)
    made = base_of(vocabulary)
    assert (made.base, made.revision) == (str(model_folder), "v1")
    copied = names(home / "store" / made.key)
    assert {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"} <= copied
    assert {path.suffix for path in (home / "store").rglob("*")} & PICKLES == set()
    weights = record.checksum(home / "store" / made.key / "model.safetensors")
    assert weights == record.checksum(model_folder / "model.safetensors")


def test_a_model_is_read_with_the_tokenizer_it_was_trained_with(
    model_folder: Path, fitted: PreTrainedTokenizerFast
) -> None:
    """transformers may pick a tokenizer class by the model's type, with another alphabet and more tokens."""
    found = load_tokenizer(model_folder)
    assert found.get_vocab() == fitted.get_vocab()
    assert found.backend_tokenizer.pre_tokenizer.__getstate__() == fitted.backend_tokenizer.pre_tokenizer.__getstate__()
    assert found.backend_tokenizer.normalizer is None


def test_a_copied_tokenizer_says_how_large_it_is_and_reads_back(home: Path, model_folder: Path) -> None:
    vocabulary = tokenizer_of(model_folder)
    folder = home / "store" / vocabulary.key
    found = record.read(folder)
    assert found is not None
    assert found.facts["size"] == len(load_tokenizer(folder)) == len(load_tokenizer(model_folder))
    assert "model.safetensors" not in names(folder)


def test_the_same_model_is_copied_once_wherever_it_lies(home: Path, model_folder: Path, tmp_path: Path) -> None:
    first = base_of(tokenizer_of(model_folder))
    moved = model_folder.rename(tmp_path / "moved")
    assert base_of(tokenizer_of(moved)).key == first.key
    events = [event for event, _ in journal.read(home / "runs" / "r" / "journal.jsonl")]
    assert [event.step for event in events if event.kind == "reused"] == ["tokenizer", "base"]


def test_a_folder_without_safetensors_is_a_stop_and_leaves_nothing(home: Path, model_folder: Path) -> None:
    vocabulary = tokenizer_of(model_folder)
    (model_folder / "model.safetensors").rename(model_folder / "pytorch_model.bin")
    with pytest.raises(Stop, match=r"cannot be loaded .* convert the weights to safetensors"):
        base_of(vocabulary)
    assert not (home / "store" / "base").exists()


def test_a_folder_without_a_tokenizer_is_a_stop(home: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(Stop, match="cannot be loaded"):
        tokenizer_of(tmp_path / "empty")
    assert not (home / "store" / "tokenizer").exists()


def test_the_built_in_steps_make_a_model_with_its_own_tokenizer(
    home: Path, fitted: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a dataset folder with demonstrations, on a corpus of a few questions."""

    def demonstrations(stage: object, folder: Path) -> dict[str, str]:
        dataset.write(folder, dataset.DEMONSTRATIONS, QUESTIONS)
        return {}

    monkeypatch.setattr(builtin, "_corpus", lambda: map(user_text, QUESTIONS))
    prepared = produce("prepare", {}, {}, "code", demonstrations)
    data = DatasetManifest(key=prepared.key, digest="d", frozen="f", sets={}, rows={}, data="")
    vocabulary = component.tokenizer("builtin", "", PARAMS.canonical(), "code")
    made = ModelManifest.model_validate_json(component.base(vocabulary, data.text(), PARAMS.canonical(), "code"))
    folder = home / "store" / made.key
    assert made.digest == record.content_digest(folder)
    assert {path.suffix for path in folder.iterdir()} & PICKLES == set()
    own = home / "store" / TokenizerManifest.model_validate_json(vocabulary).key
    assert (folder / "tokenizer.json").read_bytes() == (own / "tokenizer.json").read_bytes()
