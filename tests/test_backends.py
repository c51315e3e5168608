"""Backends: the one that params name answers; a local model samples as seeded, and says what it cannot hold."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
import torch

from medu1.errors import Stop
from medu1.generation import endpoint, local, rendering
from medu1.generation.backend import Conversation, Decoding, Message, Reply
from medu1.generation.backends import opened
from medu1.generation.local import LocalModel
from medu1.generation.seeds import seeds
from medu1.judging import Evaluate
from medu1.suite import Reasoning
from models import write_tiny
from training import TINY

pytestmark = pytest.mark.usefixtures("one_thread")

PARAMS = Evaluate(
    backend="transformers",
    endpoint={"url": "", "model": "{weights}", "concurrency": 2, "timeout": 5},
    strategy="method",
    reasoning=Reasoning(similar_cases=1, experts=1, specialists=1, rounds=1),
    suites={},
    max_completion_tokens=12,
    batch=4,
    confidence=0.95,
    completions_shown=5,
)
SAMPLED = Decoding(max_tokens=12, batch=4, temperature=1.0, seed=5)


def ask(text: str, system: str = "") -> Conversation:
    turns = [Message(role="system", content=system)] if system else []
    return [*turns, Message(role="user", content=text)]


ASKED = [ask(f"Which letter is {'AB' * length}?") for length in (1, 5, 2, 1, 9, 3)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    found = write_tiny(tmp_path_factory.mktemp("model"), [str(each) for each in ASKED], TINY)
    model = local.load(found).model
    for weights in model.parameters():
        torch.nn.init.normal_(weights, std=0.3)
    model.save_pretrained(found)
    return found


@pytest.fixture
def model(folder: Path) -> LocalModel:
    found = local.load(folder)
    return LocalModel(found.model.double(), found.tokenizer)


def by_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "PLAIN", frozenset[str]())


# Which one


def test_the_local_backend_fetches_the_model(folder: Path) -> None:
    backend = opened(PARAMS, "base", "digest", lambda: folder)
    (reply,) = backend.replies(ASKED[:1], Decoding(5, 1))
    assert reply == local.load(folder).replies(ASKED[:1], Decoding(5, 1))[0]


def test_an_endpoint_is_asked_without_fetching_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(endpoint, "connected", lambda params, **named: seen.append((params, named)))
    monkeypatch.setenv(endpoint.KEY, "sk-1")
    served = PARAMS.endpoint.model_copy(update={"url": "http://127.0.0.1/v1"})
    opened(PARAMS.model_copy(update={"backend": "endpoint", "endpoint": served}), "base", "digest", unfetched)
    assert seen == [(served, {"role": "base", "weights": "digest", "key": "sk-1"})]


def unfetched() -> NoReturn:
    raise AssertionError("fetched")


def test_without_vllm_its_backend_says_where_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(Stop, match="vLLM is not installed here"):
        opened(PARAMS.model_copy(update={"backend": "vllm"}), "base", "digest", lambda: folder)


def test_vllm_is_asked_by_the_tokens_transformers_reads(
    folder: Path, model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against a stand-in with the signatures of its documentation: vLLM itself needs a GPU."""
    engine = StandIn()
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(LLM=engine.opened, SamplingParams=SimpleNamespace))
    backend = opened(PARAMS.model_copy(update={"backend": "vllm"}), "base", "digest", lambda: folder)
    assert engine.options == {
        "model": str(folder),
        "load_format": "safetensors",
        "trust_remote_code": False,
        "max_num_seqs": 4,
    }
    done: list[tuple[int, int]] = []
    replies = backend.replies(ASKED, SAMPLED, lambda *step: done.append(step))
    assert replies == [Reply("x", 2, "length"), *[Reply("x", 2, "stop")] * 5]
    assert done == [(6, 6)]
    texts = rendering.rendered(model.tokenizer, ASKED)
    assert [each["prompt_token_ids"] for each in engine.prompts] == [
        model.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts
    ]
    assert [each.seed for each in engine.sampling] == seeds(ASKED, 5)
    assert {(each.temperature, each.max_tokens, each.repetition_penalty) for each in engine.sampling} == {
        (1.0, 12, 1.5)
    }
    with pytest.raises(Stop, match="context of 64 tokens"):
        backend.replies(ASKED, Decoding(60, 4))
    assert backend.replies([], SAMPLED) == []


class StandIn:
    """Of vllm.LLM."""

    model_config = SimpleNamespace(max_model_len=64)

    def opened(self, **options: Any) -> "StandIn":
        self.options = options
        return self

    def get_default_sampling_params(self) -> Any:
        return SimpleNamespace(repetition_penalty=1.5)

    def generate(self, prompts: list[Any], sampling_params: list[Any], *, use_tqdm: bool) -> list[Any]:
        self.prompts, self.sampling = prompts, sampling_params
        reasons = ["length", *["stop"] * (len(prompts) - 1)]
        written = [SimpleNamespace(text="x", token_ids=(5, 1), finish_reason=reason) for reason in reasons]
        return [SimpleNamespace(outputs=[each]) for each in written]


# Sampling here


@pytest.mark.parametrize("by_loop", [True, False])
def test_the_same_seed_samples_the_same_replies(
    model: LocalModel, monkeypatch: pytest.MonkeyPatch, by_loop: bool
) -> None:
    if not by_loop:
        by_transformers(monkeypatch)
    first = model.replies(ASKED, SAMPLED)
    torch.rand(3)
    assert first == model.replies(ASKED, SAMPLED)
    assert first != model.replies(ASKED, SAMPLED._replace(seed=6))
    assert first != model.replies(ASKED, SAMPLED._replace(temperature=0.0))


@pytest.mark.parametrize("by_loop", [True, False])
def test_equal_conversations_are_sampled_apart(
    model: LocalModel, monkeypatch: pytest.MonkeyPatch, by_loop: bool
) -> None:
    if not by_loop:
        by_transformers(monkeypatch)
    replies = model.replies(ASKED[:1] * 12, SAMPLED)
    assert len({each.text for each in replies}) > 6


def test_equal_conversations_share_the_reading_of_their_prompt(model: LocalModel) -> None:
    """Wherever they stand among others."""
    read: list[int] = []
    hook = model.model.model.embed_tokens.register_forward_hook(lambda _, args, out: read.append(args[0].shape[0]))
    try:
        model.replies([ASKED[0], ASKED[1]] * 4, Decoding(2, batch=4, temperature=1.0))
    finally:
        hook.remove()
    assert read == [1, 4, 1, 4]


@pytest.mark.parametrize("by_loop", [True, False])
def test_sampling_leaves_the_random_state_as_it_was(
    model: LocalModel, monkeypatch: pytest.MonkeyPatch, by_loop: bool
) -> None:
    if not by_loop:
        by_transformers(monkeypatch)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    model.replies(ASKED, SAMPLED)
    assert torch.equal(before, torch.get_rng_state())


def test_transformers_draws_from_the_whole_distribution_whatever_a_model_states(
    model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stated top-k of one would write the greedy reply twelve times."""
    by_transformers(monkeypatch)
    model.model.generation_config.top_k, model.model.generation_config.top_p = 1, 0.01
    assert len({each.text for each in model.replies(ASKED[:1] * 12, SAMPLED)}) > 6


def test_progress_counts_to_the_end_and_nothing_is_asked_of_nobody(model: LocalModel) -> None:
    done: list[tuple[int, int]] = []
    model.replies(ASKED, SAMPLED, lambda *step: done.append(step))
    assert done[-1] == (6, 6)
    assert done == sorted(done)
    assert len(done) > 1
    assert model.replies([], SAMPLED) == []


# What it reads


@pytest.mark.parametrize("by_loop", [True, False])
def test_what_does_not_fit_the_context_stops_with_both_numbers(
    model: LocalModel, monkeypatch: pytest.MonkeyPatch, by_loop: bool
) -> None:
    if not by_loop:
        by_transformers(monkeypatch)
    long = ask("A" * 40)
    held = len(model.tokenizer(rendering.rendered(model.tokenizer, [long])[0])["input_ids"])
    monkeypatch.setattr(model.model.config, "max_position_embeddings", held + 10)
    assert len(model.replies([ASKED[0], long], Decoding(10, 2))) == 2
    with pytest.raises(Stop, match=f"{held} tokens and a reply of up to 11 .* context of {held + 10} tokens"):
        model.replies([ASKED[0], long], Decoding(11, 2))


@pytest.mark.parametrize(
    ("rope", "expected"),
    [
        ({"rope_type": "default"}, 100),
        ({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 100}, 400),
        ({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 25}, 100),
        ({"rope_type": "linear", "factor": 2.0}, 200),
        ({"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 100}, 100),
        (None, 100),
    ],
)
def test_a_stretched_rotation_reaches_further(rope: dict[str, Any] | None, expected: int) -> None:
    text = SimpleNamespace(max_position_embeddings=100, rope_parameters=rope)
    assert rendering.context(SimpleNamespace(get_text_config=lambda: text)) == expected
    assert rendering.context(SimpleNamespace(get_text_config=SimpleNamespace)) is None


REFUSING = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{{ m.role }}:{{ m.content }};{% endfor %}"
)


def test_a_template_that_refuses_a_system_turn_reads_it_in_the_first_user_turn(model: LocalModel) -> None:
    model.tokenizer.chat_template = REFUSING
    talk = [*ask("Why?", "Be brief."), Message(role="assistant", content="So."), Message(role="user", content="And?")]
    assert rendering.rendered(model.tokenizer, [talk]) == ["user:Be brief.\n\nWhy?;assistant:So.;user:And?;"]
    with pytest.raises(Stop, match="refuses a conversation: no system role"):
        rendering.rendered(model.tokenizer, [[Message(role="system", content="Be brief.")]])
    model.tokenizer.chat_template = "{{ raise_exception('nothing at all') }}"
    with pytest.raises(Stop, match="nothing at all"):
        rendering.rendered(model.tokenizer, [talk])


def test_a_template_that_takes_a_system_turn_is_given_it(model: LocalModel) -> None:
    model.tokenizer.chat_template = "{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}"
    assert rendering.rendered(model.tokenizer, [ask("Why?", "Be brief.")]) == ["system:Be brief.;user:Why?;"]


def test_a_tokenizer_without_a_template_stops(model: LocalModel) -> None:
    model.tokenizer.chat_template = None
    with pytest.raises(Stop, match="no chat template"):
        model.replies(ASKED, SAMPLED)


# Seeds


def test_a_conversations_seed_does_not_hang_on_its_neighbours() -> None:
    alone, among = seeds(ASKED[:1], 5), seeds([ASKED[4], *ASKED[:1], ASKED[1]], 5)
    assert among[1] == alone[0]
    equal = seeds(ASKED[:1] * 50, 5)
    assert equal[0] == alone[0]
    assert len(set(equal)) == 50
    assert seeds(ASKED, 6) != seeds(ASKED, 5)
    assert all(0 <= each < 2**31 for each in equal)
