"""The filter before training: what the base answers always or never is left out, by completions of its own."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydantic import ValidationError

from medu1 import dataset, journal, record
from medu1.errors import Stop
from medu1.journal import Event
from medu1.manifest import DatasetManifest, ModelManifest
from medu1.params import Prefilter, Train
from medu1.question import Choice
from medu1.scoring.grading import DEFAULT_SCORING
from medu1.stage import produce
from medu1.tracking import Tracking
from medu1.train import prefilter
from medu1.train.mixture import planned
from medu1.train.rewards import Judged
from medu1.train.telemetry import Telemetry
from training import CHOICES, PARAMS, THIRD_PARTY, Prepared
from training import prepared as prepared

pytestmark = [*(pytest.mark.filterwarnings(line) for line in THIRD_PARTY), pytest.mark.usefixtures("one_thread")]
TWO = Prefilter(samples=2, low=0.0, high=1.0)  # the base guesses: half of the questions are answered right once
FILTERED = PARAMS.model_copy(update={"prefilter": TWO})


class Trained(NamedTuple):
    """A training, and the groups whose completions it learnt from."""

    model: ModelManifest
    groups: list[list[Judged]]

    def asked(self) -> list[str]:
        """The question of each group."""
        return [group[0].question.id for group in self.groups]


@contextmanager
def graded() -> Iterator[list[list[Judged]]]:
    """While it lasts, every group that the training's grader sees is written down."""
    before, found = Telemetry.record, list[list[Judged]]()

    def recorded(telemetry: Telemetry, batch: list[Judged], group_size: int) -> None:
        found.extend(batch[start : start + group_size] for start in range(0, len(batch), group_size))
        before(telemetry, batch, group_size)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Telemetry, "record", recorded)
        yield found


def trained(prepared: Prepared, params: Train) -> Trained:
    with graded() as groups:
        model = prepared.trained(params)
    return Trained(model, groups)


@pytest.fixture(scope="module")
def first(prepared: Prepared) -> Trained:
    return trained(prepared, FILTERED)


def measured(prepared: Prepared, params: Train = FILTERED, code: str = "code") -> Path | None:
    return prefilter.shares(params, DEFAULT_SCORING, prepared.base, prepared.data, code)


def shares(prepared: Prepared, params: Train = FILTERED, code: str = "code") -> dict[str, float]:
    """As the phase wrote them, by question."""
    found = measured(prepared, params, code)
    assert found is not None
    return prefilter.read(found)


def events(prepared: Prepared) -> list[Event]:
    """Those of the filter."""
    return [event for event, _ in journal.read(prepared.workspace.journal) if event.step == "prefilter"]


def runs(prepared: Prepared) -> list[Any]:
    """Those of the filter in MLflow, newest first."""
    return [run for run in Tracking(prepared.workspace).tree() if run.data.tags.get("medu1.step") == "prefilter"]


# The bounds


@pytest.mark.parametrize(
    ("low", "high", "left"),
    [
        (0.0, 1.0, ["d", "b", "c"]),
        (0.25, 0.75, ["c"]),
        (0.0, 0.5, ["b"]),
        (0.5, 1.0, ["d"]),
    ],
)
def test_a_share_at_a_bound_is_left_out_and_the_order_stays(low: float, high: float, left: list[str]) -> None:
    found = {"e": 1.0, "d": 0.75, "b": 0.25, "c": 0.5, "a": 0.0}
    assert prefilter.between(found, Prefilter(samples=4, low=low, high=high)) == left


def test_bounds_that_leave_no_share_between_them_are_refused() -> None:
    for low, high in ((0.5, 0.5), (0.8, 0.2)):
        with pytest.raises(ValidationError, match="low must be below high"):
            Prefilter(samples=4, low=low, high=high)


# The phase


def test_without_samples_there_is_no_filter_and_no_phase(prepared: Prepared) -> None:
    before = len(events(prepared))
    assert measured(prepared, PARAMS) is None
    assert len(events(prepared)) == before


def test_questions_answered_always_or_never_are_left_out(prepared: Prepared, first: Trained) -> None:
    """Those of other families are not asked about at all."""
    found = shares(prepared)
    assert set(found) == {each.id for each in CHOICES}
    assert set(found.values()) <= {0.0, 0.5, 1.0}
    mixed = [each.id for each in CHOICES if found[each.id] == 0.5]
    assert 0 < len(mixed) < len(CHOICES)
    assert set(prefilter.between(found, TWO)) == set(mixed)


def test_only_kept_questions_are_trained_on_as_a_plan_of_them_alone_draws(prepared: Prepared, first: Trained) -> None:
    found = shares(prepared)
    left = [each for each in CHOICES if 0 < found[each.id] < 1]
    assert first.asked() == [left[place].id for place in planned(left, FILTERED).places]
    assert set(first.asked()) == {each.id for each in left}
    assert len(first.groups) == FILTERED.steps * FILTERED.prompts_per_step


def test_a_group_still_holds_its_completions_of_one_prompt(first: Trained) -> None:
    for group in first.groups:
        assert len(group) == FILTERED.group_size
        assert len({each.question.id for each in group}) == 1


def test_the_phase_has_a_run_an_output_and_events_of_its_own(prepared: Prepared, first: Trained) -> None:
    place = measured(prepared)
    assert place is not None
    made_once = record.read(place.parent)
    assert made_once is not None
    assert (made_once.step, set(made_once.outputs)) == ("prefilter", {prefilter.NAME})
    ids = prefilter.between(shares(prepared), TWO)
    assert made_once.facts == {"questions": len(CHOICES)}
    run = Tracking(prepared.workspace).client.get_run(made_once.mlflow_run)
    assert (run.info.run_name, run.info.status) == ("prefilter", "FINISHED")
    assert run.data.params["samples"] == "2"
    candidate = record.read(prepared.folder(first.model))
    assert candidate is not None
    assert made_once.mlflow_run != candidate.mlflow_run
    kinds = [event.kind for event in events(prepared)]
    assert kinds[0] == "started"
    assert kinds.index("progress") < kinds.index("note") < kinds.index("finished")
    told = [event.message for event in events(prepared) if event.kind == "note"]
    assert told[0].startswith(f"kept {len(ids)} of {len(CHOICES)} questions; ")


def test_another_training_on_the_same_base_and_questions_asks_the_base_no_more(
    prepared: Prepared, first: Trained
) -> None:
    phases, place = len(runs(prepared)), measured(prepared)
    assert place is not None
    other = trained(prepared, FILTERED.model_copy(update={"learning_rate": 0.002}))
    assert other.model.digest != first.model.digest
    assert other.asked() == first.asked()
    assert len(runs(prepared)) == phases
    assert (events(prepared)[-1].kind, events(prepared)[-1].message) == ("reused", f"prefilter/{place.parent.name}")


def test_other_bounds_choose_anew_from_the_same_shares(prepared: Prepared, first: Trained) -> None:
    phases = len(runs(prepared))
    wrong = FILTERED.model_copy(update={"prefilter": TWO.model_copy(update={"low": 0.4, "high": 0.6})})
    assert measured(prepared, wrong) == measured(prepared)
    assert len(runs(prepared)) == phases


def test_how_many_prompts_a_step_has_changes_no_share(prepared: Prepared, first: Trained) -> None:
    assert shares(prepared, FILTERED.model_copy(update={"prompts_per_step": 2}), code="edited") == shares(prepared)


def test_the_filter_makes_another_training_than_none(prepared: Prepared, first: Trained) -> None:
    every = trained(prepared, PARAMS)
    assert every.model.key != first.model.key
    assert set(every.asked()) == {each.id for each in CHOICES}


def test_with_nothing_left_the_stop_names_the_filter_each_time(prepared: Prepared) -> None:
    """One completion is right or wrong: no share lies between."""
    params = PARAMS.model_copy(update={"prefilter": TWO.model_copy(update={"samples": 1}), "seed": 5})
    outputs = set(prepared.workspace.home.glob("store/train/*"))
    for kind in ("finished", "reused"):
        with (
            graded() as groups,
            pytest.raises(Stop, match=r"train\.prefilter leaves no question to train on\..*set train\.prefilter\."),
        ):
            prepared.trained(params)
        assert events(prepared)[-1].kind == kind
        assert groups == []
    assert set(prepared.workspace.home.glob("store/train/*")) == outputs


# The shares


def test_the_same_seed_measures_the_same_shares_and_another_seed_others(prepared: Prepared) -> None:
    assert shares(prepared, code="edited") == shares(prepared)
    assert shares(prepared, FILTERED.model_copy(update={"seed": 1})) != shares(prepared)


def test_a_share_is_of_right_completions(prepared: Prepared) -> None:
    """The same completions under the other letter: who is right of one is wrong of the other."""
    other = {"A": "B", "B": "A"}
    swapped = [each.model_copy(update={"gold": Choice(letter=other[letter])}) for each, letter in lettered()]

    def write(stage: object, folder: Path) -> Mapping[str, Any]:
        dataset.write(folder, "train", swapped)
        return {}

    output = produce("prepare", {"golds": "swapped"}, {}, "code", write)
    data = DatasetManifest(
        key=output.key, digest="swapped", frozen="frozen", sets={}, rows={"train": len(swapped)}, data="raw"
    )
    right, wrong = shares(prepared), shares(prepared._replace(data=data))
    sums = [right[each.id] + wrong[each.id] for each in CHOICES]
    assert max(sums) <= 1.0
    assert sum(sums) > len(CHOICES) / 2  # most completions answer one of the two letters
    assert right != wrong


def lettered() -> Iterator[tuple[Any, str]]:
    for each in CHOICES:
        assert isinstance(each.gold, Choice)
        yield each, each.gold.letter


def test_a_base_the_plain_loop_cannot_decode_is_a_stop(prepared: Prepared) -> None:
    def windowed(stage: object, folder: Path) -> Mapping[str, Any]:
        for path in prepared.folder(prepared.base).iterdir():
            if path.name != record.NAME:
                (folder / path.name).write_bytes(path.read_bytes())
        written = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        window = {"use_sliding_window": True, "sliding_window": 8, "layer_types": ["sliding_attention"]}
        (folder / "config.json").write_text(json.dumps(written | window), encoding="utf-8")
        return {}

    output = produce("base", {"attention": "windowed"}, {}, "code", windowed)
    base = prepared.base.model_copy(update={"key": output.key, "digest": "windowed"})
    with pytest.raises(Stop, match=r"train\.prefilter cannot sample from this base: attention in a window\."):
        measured(prepared._replace(base=base))
