"""Log-probabilities with shared prompts are those of plain TRL, and so are their gradients."""

from typing import Any, NamedTuple

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from trl.trainer.utils import add_fused_lm_head

from medu1.generation.sampling import FITTING
from medu1.train import likelihood as module
from medu1.train.likelihood import IGNORED, Likelihood, Packed, likelihood, pack
from models import random_config

VOCABULARY = 40
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # PEFT
ROUNDING = {"rtol": 1e-4, "atol": 1e-6}  # float32: TRL's head works in it


class Batch(NamedTuple):
    """Rows as TRL holds them: prompts padded on the left, completions on the right."""

    ids: torch.Tensor
    mask: torch.Tensor
    length: int  # of the completions' columns


def batch(prompts: list[list[int]], completions: list[list[int]], cut: tuple[int, ...] = ()) -> Batch:
    """`cut` are completions that are masked as a whole."""
    width, length = max(map(len, prompts)), max(map(len, completions))
    rows, masks = [], []
    for number, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        before, after = width - len(prompt), length - len(completion)
        rows.append([0] * before + prompt + completion + [0] * after)
        shown = 0 if number in cut else 1
        masks.append([0] * before + [1] * len(prompt) + [shown] * len(completion) + [0] * after)
    return Batch(torch.tensor(rows), torch.tensor(masks), length)


def drawn(lengths: list[int]) -> list[list[int]]:
    return [torch.randint(2, VOCABULARY, (length,)).tolist() for length in lengths]


@pytest.fixture(scope="module")
def rows() -> Batch:
    """Three groups, shuffled; one completion cut off, one prompt of a single token."""
    torch.manual_seed(1)
    prompts = [drawn([length])[0] for length in (7, 1, 12)]
    return batch([prompts[each] for each in (0, 2, 1, 0, 2, 0, 1, 2)], drawn([5, 3, 9, 1, 4, 6, 2, 9]), cut=(4,))


def tiny(kind: str = "qwen2", temperature: float = 1.0, lora: bool = False) -> Any:
    config = random_config(kind, VOCABULARY, 0.15, max_position_embeddings=128)
    model = transformers.AutoModelForCausalLM.from_config(config)
    add_fused_lm_head(model, temperature=temperature, outputs=("log_probs", "entropy"))
    if lora:
        model = get_peft_model(
            model, LoraConfig(r=4, lora_dropout=0.0, target_modules="all-linear", init_lora_weights=False)
        )
    return model.train()


def shared(model: Any, rows: Batch, temperature: float = 1.0) -> Likelihood:
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return likelihood(model, inner.base_model, *rows, temperature)


def plain(model: Any, rows: Batch) -> Likelihood:
    """As GRPOTrainer has it."""
    labels = rows.ids.masked_fill(rows.mask == 0, IGNORED)
    labels[:, : -rows.length] = IGNORED
    output = model(input_ids=rows.ids, attention_mask=rows.mask, labels=labels, fused_lm_head=True)
    return Likelihood(output.log_probs[:, -rows.length :], output.entropy[:, -rows.length :])


def gradients(model: Any, found: Likelihood) -> dict[str, torch.Tensor]:
    """Of a sum in which every token counts otherwise."""
    torch.manual_seed(2)
    model.zero_grad()
    assert found.entropies is not None
    loss = (found.log_probs * torch.randn(found.log_probs.shape)).sum() + 0.1 * found.entropies.sum()
    loss.backward()  # type: ignore[no-untyped-call]
    return {name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None}


def assert_equal(model: Any, rows: Batch, temperature: float = 1.0) -> None:
    ours, trls = shared(model, rows, temperature), plain(model, rows)
    assert ours.entropies is not None
    torch.testing.assert_close(ours.log_probs, trls.log_probs, **ROUNDING)
    torch.testing.assert_close(ours.entropies, trls.entropies, **ROUNDING)
    found, expected = gradients(model, ours), gradients(model, trls)
    assert found.keys() == expected.keys()
    for name, each in expected.items():
        torch.testing.assert_close(found[name], each, rtol=1e-4, atol=1e-5 * float(each.abs().max()), msg=name)


@pytest.fixture(params=["logits at once", "TRL's tiles"])
def head(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Either way to the log-probabilities."""
    if request.param == "TRL's tiles":
        monkeypatch.setattr(module, "WHOLE", 0)


@pytest.mark.usefixtures("head")
@pytest.mark.parametrize("kind", sorted(FITTING))
def test_log_probabilities_entropies_and_gradients_are_trls(kind: str, rows: Batch) -> None:
    assert_equal(tiny(kind), rows)


@pytest.mark.usefixtures("head")
def test_at_another_temperature(rows: Batch) -> None:
    assert_equal(tiny(temperature=0.6), rows, 0.6)


@pytest.mark.usefixtures("head")
def test_with_an_adapter_only_its_weights_have_gradients(rows: Batch) -> None:
    model = tiny(lora=True)
    assert_equal(model, rows)
    assert all("lora" in name for name in gradients(model, shared(model, rows)))


@pytest.mark.parametrize("limit", [1, 12, 25])
def test_large_groups_read_their_prompt_again(monkeypatch: pytest.MonkeyPatch, rows: Batch, limit: int) -> None:
    monkeypatch.setattr(module, "LIMIT", limit)
    assert_equal(tiny(), rows)


def test_a_masked_token_counts_nothing(rows: Batch) -> None:
    found = shared(tiny(), rows)
    assert found.entropies is not None
    is_masked = rows.mask[:, -rows.length :] == 0
    for values in found:
        assert torch.equal(values == 0, is_masked)


def test_a_prompt_is_read_once(rows: Batch) -> None:
    found = packed(rows)
    assert int((found.labels != IGNORED).sum()) == int(rows.mask[:, -rows.length :].sum())
    once = {tuple(ids[mask.bool()].tolist()) for ids, mask in zip(*prompts_of(rows), strict=True)}
    assert int((found.segments == module.PROMPT).sum()) == sum(len(prompt) - 1 for prompt in once)
    assert found.tokens.shape == (3, 23)  # 11 + 12, 6 + 12, 0 + 11


def test_small_groups_lie_side_by_side() -> None:
    found = pack([(2,), (3,), (4,)], drawn([6, 10, 4]), torch.device("cpu"))
    assert found.tokens.shape == (2, 10)
    assert int((found.pieces < 0).sum()) == 0


def prompts_of(rows: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    return rows.ids[:, : -rows.length], rows.mask[:, : -rows.length]


def packed(rows: Batch) -> Packed:
    ids, mask = prompts_of(rows)
    prompts = [tuple(row[kept.bool()].tolist()) for row, kept in zip(ids, mask, strict=True)]
    parts = zip(rows.ids[:, -rows.length :], rows.mask[:, -rows.length :], strict=True)
    return pack(prompts, [row[kept.bool()].tolist() for row, kept in parts], torch.device("cpu"))


TOKENS = st.integers(2, 5)


@given(
    st.lists(
        st.tuples(st.lists(TOKENS, min_size=1, max_size=3).map(tuple), st.lists(TOKENS, max_size=4)),
        min_size=1,
        max_size=8,
    ).filter(lambda rows: any(completion for _, completion in rows))
)
def test_every_token_of_a_completion_is_predicted_from_exactly_what_stands_before_it(
    rows: list[tuple[tuple[int, ...], list[int]]],
) -> None:
    prompts, completions = [prompt for prompt, _ in rows], [completion for _, completion in rows]
    found = pack(prompts, completions, torch.device("cpu"))
    mask = found.mask()[:, 0]
    seen = set()
    for row, column in (found.labels != IGNORED).nonzero().tolist():
        number, step = int(found.completions[row, column]), int(found.steps[row, column])
        visible = mask[row, column].nonzero()[:, 0]
        assert found.tokens[row, visible].tolist() == [*prompts[number], *completions[number][:step]]
        assert found.positions[row, visible].tolist() == list(range(len(visible)))
        assert int(found.labels[row, column]) == completions[number][step]
        seen.add((number, step))
    assert len(seen) == int((found.labels != IGNORED).sum()) == sum(map(len, completions))
    assert mask.any(-1).all()  # no token without one to look at, padding included
