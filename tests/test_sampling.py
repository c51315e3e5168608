"""The decode loop: greedily it is transformers' `generate`, sampled it is the distribution, and rows stay apart."""

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers
from scipy.stats import chisquare

from medu1.generation import sampling
from medu1.generation.sampling import FITTING, Sampled, decode, greedy, obstacle
from models import random_config

END = 1
VOCABULARY = 48
PROMPTS = [[5, 6, 7], [9, 8, 7, 6, 5, 4, 11], [5, 6, 7], [12], [9, 8, 7, 6, 5, 4, 11], [5, 6, 7]]


def tiny(kind: str = "qwen2", **changes: Any) -> Any:
    """Random weights, far from uniform, in float64."""
    config = random_config(kind, VOCABULARY, 0.4, eos_token_id=END, **changes)
    return transformers.AutoModelForCausalLM.from_config(config).double()


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny()


def generated(model: Any, prompts: list[list[int]], ends: set[int], max_tokens: int) -> list[list[int]]:
    """What transformers writes greedily, cut after the end."""
    longest = max(map(len, prompts))
    tokens = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    output = model.generate(
        input_ids=tokens,
        attention_mask=mask,
        max_new_tokens=max_tokens,
        do_sample=False,
        eos_token_id=sorted(ends),
        pad_token_id=0,
    )
    rows = output[:, longest:].tolist()
    lengths = [next((place + 1 for place, token in enumerate(row) if token in ends), len(row)) for row in rows]
    return [row[:length] for row, length in zip(rows, lengths, strict=True)]


@pytest.mark.parametrize("kind", sorted(FITTING))
def test_greedily_every_fitting_model_writes_what_generate_writes(kind: str) -> None:
    model = tiny(kind)
    assert obstacle(model) is None
    free = generated(model, PROMPTS, {END}, 24)
    ends = {END, *(row[len(row) // 3] for row in free[:2])}  # so that rows end at different places
    expected = generated(model, PROMPTS, ends, 24)
    assert len({len(row) for row in expected}) > 1
    assert decode(model, PROMPTS, max_tokens=24, ends=ends, choose=greedy) == expected


def test_each_prompt_is_answered_in_its_place_as_if_alone(model: Any) -> None:
    together = decode(model, PROMPTS, max_tokens=12, ends={END}, choose=greedy)
    assert together == [decode(model, [each], max_tokens=12, ends={END}, choose=greedy)[0] for each in PROMPTS]
    assert together[0] == together[2] == together[5]


@pytest.mark.parametrize("crowd", [0.0, 0.5, 1.0])
def test_a_row_writes_the_same_whenever_ended_rows_leave(
    model: Any, monkeypatch: pytest.MonkeyPatch, crowd: float
) -> None:
    def drawn() -> list[list[int]]:
        torch.manual_seed(3)
        prompts = PROMPTS * 6
        return decode(model, prompts, max_tokens=30, ends=set(range(1, 6)), choose=Sampled(len(prompts), 1.0))

    expected = drawn()
    assert len({len(row) for row in expected}) > 3
    monkeypatch.setattr(sampling, "CROWD", crowd)
    assert drawn() == expected


@pytest.mark.parametrize(
    ("rows", "stragglers"), [(1, 1.0), (2, 0.6), (4, 0.25), (8, 0.25), (8, 0.0), (8, 1.0), (17, 0.6), (100, 0.25)]
)
def test_a_prompt_is_answered_the_same_whatever_it_shares_a_batch_with(
    model: Any, monkeypatch: pytest.MonkeyPatch, rows: int, stragglers: float
) -> None:
    """Short and long ones, some put aside and finished with those of other batches."""
    monkeypatch.setattr(sampling, "STRAGGLERS", stragglers)
    prompts = [[5 + (place * 7 + step) % 40 for step in range(1 + place % 9)] for place in range(29)]
    ends = set(range(1, 5))
    alone = [decode(model, [each], max_tokens=30, ends=ends, choose=greedy)[0] for each in prompts]
    told: list[int] = []
    found = decode(model, prompts, max_tokens=30, ends=ends, choose=greedy, rows=rows, tell=told.append)
    assert found == alone
    assert len({len(each) for each in alone}) > 5
    assert told == sorted(told)
    assert told[-1] == len(prompts)


def test_no_more_rows_than_stated_are_held_at_once(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those put aside among them, and in buffers of their own size."""
    held: list[int] = []
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    make, read = sampling._Batch.__init__, sampling._Batch.read

    def made(batch: Any, *given: Any) -> None:
        make(batch, *given)
        alive.add(batch)

    def counted(batch: Any, tokens: torch.Tensor) -> None:
        keys = [each.memory.layers[0].keys for each in alive]
        held.append(sum(each.untyped_storage().nbytes() // each[0].nbytes for each in keys))
        read(batch, tokens)

    monkeypatch.setattr(sampling._Batch, "__init__", made)
    monkeypatch.setattr(sampling._Batch, "read", counted)
    decode(model, [[place % 40] for place in range(50)], max_tokens=20, ends=set(range(5)), choose=greedy, rows=8)
    assert max(held) == 8
    assert len(set(held)) > 2


def test_sampled_tokens_follow_the_distribution_in_batches_too(model: Any) -> None:
    torch.manual_seed(0)
    copies, prompt = 4000, PROMPTS[1]
    chosen = Sampled(copies, 2.0)
    found = decode(model, [prompt] * copies, max_tokens=2, ends={3}, choose=chosen, rows=64)
    assert fits([row[0] for row in found], following(model, prompt, 2.0))
    common = max({row[0] for row in found} - {3}, key=[row[0] for row in found].count)
    assert fits([row[1] for row in found if row[0] == common], following(model, [*prompt, common], 2.0))


def test_a_completion_ends_with_its_end_or_at_the_limit(model: Any) -> None:
    torch.manual_seed(0)
    ends = {1, 2, 3}
    found = decode(model, PROMPTS * 5, max_tokens=9, ends=ends, choose=Sampled(len(PROMPTS) * 5, 1.5))
    assert {len(row) == 9 or row[-1] in ends for row in found} == {True}
    assert not any(set(row[:-1]) & ends for row in found)
    assert {len(row) for row in found} >= {1, 9}
    assert [len(row) for row in decode(model, PROMPTS, max_tokens=1, ends=ends, choose=greedy)] == [1] * len(PROMPTS)


def test_the_same_seed_draws_the_same_tokens(model: Any) -> None:
    def drawn(seed: int) -> list[list[int]]:
        torch.manual_seed(seed)
        return decode(model, PROMPTS, max_tokens=10, ends={END}, choose=Sampled(len(PROMPTS), 1.0))

    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)


# The distribution


@pytest.mark.parametrize("temperature", [0.6, 1.0, 1.7])
def test_each_token_owns_its_probability_of_the_unit_interval(
    monkeypatch: pytest.MonkeyPatch, temperature: float
) -> None:
    """Evenly spaced numbers in place of random ones: counts are exact to one."""
    count = 100_000
    logits = torch.tensor([2.0, -1.0, 0.5, -torch.inf, 1.0, -12.0])
    evenly: Callable[..., torch.Tensor] = lambda *_, **__: (torch.arange(count, dtype=torch.float64) + 0.5) / count  # noqa: E731
    monkeypatch.setattr(torch, "rand", evenly)
    found = Sampled(count, temperature)(logits.expand(count, -1), torch.arange(count)).bincount(minlength=6)
    expected = (logits / temperature).softmax(-1).double() * count
    assert (found - expected).abs().max() <= 1
    assert found[3] == 0


@pytest.mark.parametrize("drawn", [0.0, 1.0 - 2**-53])
def test_the_ends_of_the_interval_draw_a_possible_token(monkeypatch: pytest.MonkeyPatch, drawn: float) -> None:
    monkeypatch.setattr(torch, "rand", lambda count, **_: torch.full((count,), drawn, dtype=torch.float64))
    logits = torch.tensor([[-torch.inf, 0.0, 1.0]])
    assert int(Sampled(1, 1.0)(logits, torch.tensor([0]))) == (1 if drawn == 0 else 2)


def test_sampled_tokens_follow_the_models_distribution(model: Any) -> None:
    """Of the second token as well, which is read from a copied cache."""
    torch.manual_seed(0)
    copies, prompt = 4000, PROMPTS[1]
    found = decode(model, [prompt] * copies, max_tokens=2, ends=set(), choose=Sampled(copies, 2.0))
    assert fits([row[0] for row in found], following(model, prompt, 2.0))
    common = max({row[0] for row in found}, key=[row[0] for row in found].count)
    seconds = [row[1] for row in found if row[0] == common]
    assert fits(seconds, following(model, [*prompt, common], 2.0))
    assert not fits(seconds, following(model, prompt, 2.0))


def following(model: Any, tokens: list[int], temperature: float) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = model(input_ids=torch.tensor([tokens])).logits[0, -1]
    return (logits / temperature).softmax(-1)


def fits(tokens: list[int], probabilities: torch.Tensor) -> bool:
    """By chi-squared, rare tokens as one."""
    counts, expected = torch.tensor(tokens).bincount(minlength=VOCABULARY).double(), probabilities * len(tokens)
    order = expected.argsort(descending=True)
    bins = int((expected >= 5).sum())
    observed = [*counts[order[: bins - 1]].tolist(), float(counts[order[bins - 1 :]].sum())]
    likely = [*expected[order[: bins - 1]].tolist(), float(expected[order[bins - 1 :]].sum())]
    return float(chisquare(observed, likely).pvalue) > 1e-3


# What does not fit


@pytest.mark.parametrize(
    ("kind", "changes", "reason"),
    [
        ("mistral", {"sliding_window": 16}, "a window"),
        ("qwen2", {"use_sliding_window": True, "sliding_window": 16, "max_window_layers": 1}, "a window"),
        ("qwen2", {"attn_implementation": "eager"}, "attention eager"),
        ("llama", {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}}, "rotary"),
        ("gpt_neox", {}, "model type gpt_neox"),
    ],
)
def test_a_model_that_does_not_fit_is_told(kind: str, changes: dict[str, Any], reason: str) -> None:
    assert reason in str(obstacle(tiny(kind, **changes)))


def test_quantized_weights_do_not_fit() -> None:
    model = tiny()
    model.is_quantized = True
    assert obstacle(model) == "quantized weights"
