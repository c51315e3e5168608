"""Parameters: one complete list, read strictly, and errors that name the key that was meant."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from medu1.errors import Stop
from medu1.params import Params, Train, overridden
from medu1.placements import PLACEMENTS
from medu1.prepare.contamination.contamination import DEFAULT_CONTAMINATION
from medu1.prepare.health.phi import DEFAULT_PHI
from medu1.prepare.repeats.duplicates import DEFAULT_DUPLICATES
from medu1.section import Section

FILE = Path(__file__).parents[1] / "params.yaml"


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    """The repository's own parameters."""
    return dict(yaml.safe_load(FILE.read_text(encoding="utf-8")))


def without(data: dict[str, Any], section: str, key: str) -> dict[str, Any]:
    return {**data, section: {name: value for name, value in data[section].items() if name != key}}


def test_the_repositorys_own_file_is_complete(data: dict[str, Any]) -> None:
    params = Params.read(data)
    assert params.train.families == ("choice", "open", "calculation")
    assert params.model_dump(mode="json") | {PLACEMENTS: data[PLACEMENTS]} == data


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("train.sed", "train.seed"),
        ("train.rewards.formt", "train.rewards.format"),
        ("train.mixture.balanced", "train.mixture.balance"),
        ("prepare.max_prompt_length", "prepare.max_prompt_tokens"),
        ("prepare.contamination.ngrams", "prepare.contamination.ngram"),
        ("trian", "train"),
    ],
)
def test_an_unknown_key_names_the_nearest(data: dict[str, Any], wrong: str, meant: str) -> None:
    with pytest.raises(Stop) as stop:
        Params.read(overridden(data, {wrong: 1}))
    assert stop.value.fact == f"params.yaml: {wrong} is not a parameter; the nearest is {meant}."


def test_an_unknown_key_of_a_table_names_the_nearest(data: dict[str, Any]) -> None:
    columns = {"source": "own", "licence": "MIT", "access": "open", "citation": "none", "text": "q", "gold": "a"}
    tables = {"own.csv": {**columns, "kind": "number", "lowr": "low"}}
    with pytest.raises(Stop, match=r"prepare\.tables\.own\.csv\.lowr is not a parameter; the nearest is .*\.lower"):
        Params.read(overridden(data, {"prepare.tables": tables}))


@pytest.mark.parametrize(
    ("settings", "fact"),
    [
        (
            {"evaluate.suites.lengths.tokns": [1]},
            "evaluate.suites.lengths.tokns is not a parameter; the nearest is evaluate.suites.lengths.tokens",
        ),
        (
            {"evaluate.suites.samples.temprature": 1},
            "evaluate.suites.samples.temprature is not a parameter; the nearest is evaluate.suites.samples.temperature",
        ),
        (
            {"evaluate.suites.lengths.kind": "lenth"},
            "evaluate.suites.lengths.kind = 'lenth': the kinds are length, permuted, sampled, strategies",
        ),
        (
            {"evaluate.suites.lenghts.tokens": [1]},
            "evaluate.suites.lenghts.kind is missing: the kinds are length, permuted, sampled, strategies",
        ),
        (
            {"evaluate.suites.lengths.tokens": [20, "x"]},
            "evaluate.suites.lengths.tokens.1 = 'x': Input should be a valid",
        ),
        (
            {"evaluate.suites.lengths.tokens": []},
            "evaluate.suites.lengths.tokens = []: Tuple should have at least 1 item",
        ),
        (
            {"evaluate.suites.lengths.split": "train"},
            "evaluate.suites.lengths.split = 'train': Input should be 'test' or",
        ),
        (
            {"evaluate.suites.orders.orders": 1},
            "evaluate.suites.orders.orders = 1: Input should be greater than or equal",
        ),
        ({"evaluate.suites.lengths": 5}, "evaluate.suites.lengths = 5: Input should be a valid dictionary"),
        (
            {"evaluate.suites.length.kind": "length"},
            "evaluate.suites.length.split is missing; evaluate.suites.length.que",
        ),
        (
            {"evaluate.suites.Mine": {"kind": "permuted", "split": "ood", "questions": 1, "orders": 2}},
            "evaluate.suites.Mine cannot be named so: String should match pattern",
        ),
        (
            {"evaluate.suites.ways": {"kind": "strategies", "split": "ood", "questions": 1, "names": ["cot"]}},
            "evaluate.suites.ways.names.0 = 'cot': Input should be 'method', 'direct', 'step_by_step', 'structured'",
        ),
    ],
)
def test_a_suites_wrong_key_or_value_is_named_without_its_kind(
    data: dict[str, Any], settings: dict[str, object], fact: str
) -> None:
    with pytest.raises(Stop) as stop:
        Params.read(overridden(data, settings))
    assert stop.value.fact.startswith(f"params.yaml: {fact}")


def test_a_list_of_wrong_items_is_not_called_too_short_as_well(data: dict[str, Any]) -> None:
    with pytest.raises(Stop) as stop:
        Params.read(overridden(data, {"evaluate.suites.lengths.tokens": [0]}))
    assert stop.value.fact == "params.yaml: evaluate.suites.lengths.tokens.0 = 0: Input should be greater than 0."


def test_a_suite_may_be_called_what_a_kind_is_called(data: dict[str, Any]) -> None:
    suite = data["evaluate"]["suites"]["lengths"]
    assert Params.read(overridden(data, {"evaluate.suites.length": suite})).evaluate.suites["length"].kind == "length"
    with pytest.raises(
        Stop, match=r"evaluate\.suites\.length\.mod is not .* the nearest is evaluate\.suites\.length\.mode"
    ):
        Params.read(overridden(data, {"evaluate.suites.length": {**suite, "mod": 1}}))


def test_a_missing_key_is_named(data: dict[str, Any]) -> None:
    with pytest.raises(Stop, match=r"^params\.yaml: evaluate\.batch is missing\."):
        Params.read(without(data, "evaluate", "batch"))


def test_a_missing_section_is_named(data: dict[str, Any]) -> None:
    with pytest.raises(Stop, match=r"^params\.yaml: audit is missing\."):
        Params.read({name: section for name, section in data.items() if name != "audit"})


def test_every_wrong_key_is_named_at_once(data: dict[str, Any]) -> None:
    with pytest.raises(Stop, match=r"decide\.alfa is not a parameter") as stop:
        Params.read(overridden(without(data, "decide", "alpha"), {"decide.alfa": 0.05, "train.steps": 0}))
    assert "decide.alpha is missing" in stop.value.fact
    assert "train.steps = 0" in stop.value.fact


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("base.vocabulary", 299, "greater than or equal to 300"),
        ("base.hidden", 6, "multiple of 2 x heads"),
        ("prepare.sources", [], "at least 1 item"),
        ("prepare.max_rows_per_source", 0, "greater than 0"),
        ("prepare.test", 0.95, "must stay below 1"),
        ("scoring.free_text_threshold", 1.1, "less than or equal to 1"),
        ("audit.max_false_accept", -0.1, "greater than or equal to 0"),
        ("train.group_size", 1, "greater than or equal to 2"),
        ("train.learning_rate", 0, "greater than 0"),
        ("train.learning_rate", 1, "less than 1"),
        ("train.sharding", "zero1", "'none', 'fsdp', 'zero2' or 'zero3'"),
        ("train.families", ["poetry"], "'choice', 'open' or 'calculation'"),
        ("train.rewards.correct", 0, "nothing else makes an answer right"),
        ("train.rewards.overlong", -1, "greater than or equal to 0"),
        ("train.mixture.weights.medqa", -0.5, "greater than or equal to 0"),
        ("train.mixture.curriculum", "hard_first", "'none' or 'easy_first'"),
        ("train.steps", 1.5, "valid integer"),
        ("decide.alpha", 0, "greater than 0"),
        ("registry.name", "a/b", "match pattern"),
    ],
)
def test_a_value_out_of_range_is_refused_with_its_key_and_why(
    data: dict[str, Any], key: str, value: object, why: str
) -> None:
    with pytest.raises(Stop) as stop:
        Params.read(overridden(data, {key: value}))
    section = key.partition(".")[0]
    assert stop.value.fact.startswith(f"params.yaml: {section}")
    assert why in stop.value.fact


def test_a_file_without_sections_is_a_stop() -> None:
    with pytest.raises(Stop, match="is not a mapping of sections"):
        Params.read(["train"])


def test_every_section_reads_back_its_canonical_text(data: dict[str, Any]) -> None:
    for name, section in Params.read(data):
        assert isinstance(section, Section), name
        assert type(section).parse(section.canonical()) == section


def test_canonical_text_does_not_depend_on_the_order_of_keys(data: dict[str, Any]) -> None:
    turned = {name: dict(reversed(list(section.items()))) for name, section in data.items()}
    assert list(turned["train"]) != list(data["train"])
    assert Params.read(turned).train.canonical() == Params.read(data).train.canonical()


def test_canonical_text_tells_different_parameters_apart(data: dict[str, Any]) -> None:
    other = Params.read(overridden(data, {"train.rewards.format": 0.25}))
    assert other.train.canonical() != Params.read(data).train.canonical()


def test_a_section_that_travels_wrongly_names_its_key(data: dict[str, Any]) -> None:
    text = Params.read(data).train.canonical().replace('"seed":', '"sead":')
    with pytest.raises(Stop, match="sead is not a parameter; the nearest is seed"):
        Train.parse(text)


def test_an_override_leaves_the_original_alone(data: dict[str, Any]) -> None:
    before = yaml.safe_dump(data)
    changed = overridden(data, {"train.rewards.format": 0.3, "train.seed": 5})
    assert (changed["train"]["rewards"]["format"], changed["train"]["seed"]) == (0.3, 5)
    assert yaml.safe_dump(data) == before


def test_an_override_below_a_value_is_a_stop(data: dict[str, Any]) -> None:
    with pytest.raises(Stop, match=r"--set train\.seed\.x: seed is a value"):
        overridden(data, {"train.seed.x": 1})


def test_the_gates_own_defaults_are_the_parameters_that_ship(data: dict[str, Any]) -> None:
    shipped = Params.read(data).prepare
    assert shipped.contamination == DEFAULT_CONTAMINATION
    assert shipped.phi == DEFAULT_PHI
    assert shipped.duplicates == DEFAULT_DUPLICATES
