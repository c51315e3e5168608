"""Greedy answers are the same whichever way they are decoded, and what a model states about decoding is obeyed."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from medu1.completion import Completion
from medu1.generation import greedy, sampling
from medu1.generation import local as local_model
from medu1.generation.local import LocalModel, obstacle
from models import write_tiny
from training import CHOICES, SUM, TINY

pytestmark = pytest.mark.usefixtures("one_thread")
ASKED = [*CHOICES, SUM]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    """Weights far from uniform, in float64, so that no two tokens are nearly alike."""
    torch.manual_seed(0)
    folder = write_tiny(tmp_path_factory.mktemp("model"), [each.text for each in ASKED], TINY)
    found = local_model.load(folder)
    for weights in found.model.parameters():
        torch.nn.init.normal_(weights, std=0.4)
    return LocalModel(found.model.double(), found.tokenizer)


def answers(local: LocalModel, batch: int = 4) -> list[Completion]:
    return greedy.complete(local, ASKED, max_tokens=24, batch=batch)


def by_transformers(local: LocalModel) -> list[Completion]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_model, "PLAIN", frozenset[str]())
        return answers(local)


def test_both_ways_write_the_same_answers_in_the_order_asked(local: LocalModel) -> None:
    found = answers(local)
    assert [each.question_id for each in found] == [each.id for each in ASKED]
    assert found == by_transformers(local)
    assert found == answers(local, batch=1) == answers(local, batch=64)
    assert len({each.text for each in found}) > 1


@pytest.mark.parametrize("stated", [{"repetition_penalty": 3.0}, {"no_repeat_ngram_size": 2}])
def test_what_a_model_states_about_its_decoding_is_obeyed(local: LocalModel, stated: dict[str, Any]) -> None:
    plain = answers(local)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stated.items():
            patch.setattr(local.model.generation_config, name, value)
        assert next(iter(stated)) in str(obstacle(local))
        assert answers(local) == by_transformers(local) != plain


def test_settings_of_sampling_change_no_greedy_answer(local: LocalModel) -> None:
    plain = answers(local)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"do_sample": True, "temperature": 0.7, "top_p": 0.8, "top_k": 20}.items():
            patch.setattr(local.model.generation_config, name, value)
        assert answers(local) == plain


def test_a_model_that_training_has_saved_is_decoded_by_the_plain_loop(
    local: LocalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It states what it returns beside tokens, which changes none."""
    described = local.model.generation_config.to_dict() | {"output_attentions": False, "output_hidden_states": False}
    (tmp_path / "generation_config.json").write_text(json.dumps(described))
    monkeypatch.setattr(local.model, "generation_config", GenerationConfig.from_pretrained(tmp_path))
    assert {"output_attentions", "output_hidden_states"} <= local.model.generation_config.to_diff_dict().keys()
    assert obstacle(local) is None
    decoded: list[int] = []
    loop = sampling.decode

    def watched(model: Any, prompts: Any, **options: Any) -> list[list[int]]:
        decoded.append(len(prompts))
        return loop(model, prompts, **options)

    monkeypatch.setattr(sampling, "decode", watched)
    answers(local)
    assert sum(decoded) == len(ASKED)
