"""Training: the reward is the grader's verdict weighed, groups are one prompt, and GRPO writes safetensors only."""

from itertools import product
from pathlib import Path

import pytest
from pydantic import ValidationError

from medu1 import journal, record
from medu1.budget import LengthBudget
from medu1.completion import Completion
from medu1.errors import Stop
from medu1.manifest import ModelManifest
from medu1.params import Budgets, Mixture, Train
from medu1.prompt import user_text
from medu1.question import Number, Question
from medu1.scoring.grading import DEFAULT_SCORING
from medu1.scoring.reward import DEFAULT_REWARDS
from medu1.tracking import Tracking
from medu1.train import checkpoints, component
from medu1.train.budgets import assigned
from medu1.train.grpo import grader, rows
from medu1.train.mixture import Plan, planned
from medu1.train.rewards import Judged, judged
from medu1.train.telemetry import Telemetry, means
from training import CHOICES, PARAMS, SUM, THIRD_PARTY, Prepared, model_digest
from training import prepared as prepared

WEIGHTS = DEFAULT_REWARDS
pytestmark = [pytest.mark.filterwarnings(line) for line in THIRD_PARTY]
UNSAFE = {".bin", ".pkl", ".ckpt"}

UNSCORABLE = Question(id="odd/1", source="own", text="Which?", gold=Number(value=1, lower=2, upper=3))


# Rewards


def earned(text: str, question: Question = SUM, tokens: int = 10, budget: LengthBudget | None = None) -> Judged:
    """What a completion earns where a response has 100 tokens at most."""
    completion = Completion(question_id=question.id, text=text, tokens=tokens)
    return judged(question, completion, budget, DEFAULT_SCORING, WEIGHTS, 100)


@pytest.mark.parametrize(
    ("text", "total"),
    [
        ("<think>1 + 7</think><answer>8</answer>", 1.1),
        ("<answer>8</answer>", 1.0),
        ("<think>1 + 7</think><answer>9</answer>", 0.1),
        ("It is 8.", 0.0),
    ],
)
def test_right_pays_one_and_the_format_a_tenth(text: str, total: float) -> None:
    assert earned(text).reward == pytest.approx(total)


def test_what_cannot_be_scored_earns_nothing_not_zero() -> None:
    for tokens in (10, 100):
        assert earned("<think>x</think><answer>1</answer>", UNSCORABLE, tokens).reward is None


@pytest.mark.parametrize(
    ("tokens", "total"), [(80, 1.1), (90, 1.1 - 0.25), (100, 1.1 - 0.5), (200, 1.1 - 0.5), (0, 1.1)]
)
def test_the_last_fifth_of_the_limit_costs_up_to_the_overlong_weight(tokens: int, total: float) -> None:
    assert earned("<think>1 + 7</think><answer>8</answer>", tokens=tokens).reward == pytest.approx(total)


@pytest.mark.parametrize(("answer", "total"), [("8", 1.1 + 0.2 * 0.5), ("9", 0.1)])
def test_closeness_to_a_length_budget_pays_only_when_right(answer: str, total: float) -> None:
    found = earned(f"<think>x</think><answer>{answer}</answer>", budget=LengthBudget(tokens=20))
    assert found.verdict.length == 0.5
    assert found.reward == pytest.approx(total)


def test_a_reward_stays_in_its_stated_range() -> None:
    """[-overlong, correct + format + length], both ends reached."""
    texts = ("<think>x</think><answer>8</answer>", "<think>x</think><answer>9</answer>", "<answer>8</answer>", "", "8")
    budgets = (None, LengthBudget(tokens=20), LengthBudget(tokens=20, mode="at_most"))
    totals = [
        earned(text, tokens=tokens, budget=budget).reward
        for text, tokens, budget in product(texts, (0, 1, 20, 85, 100, 1000), budgets)
    ]
    found = [total for total in totals if total is not None]
    assert len(found) == len(totals)
    assert min(found) == pytest.approx(-WEIGHTS.overlong)
    assert max(found) == pytest.approx(WEIGHTS.correct + WEIGHTS.format + WEIGHTS.length)


# The grader as TRL calls it


END = 1
ENDS = frozenset({END})


def turns(*texts: str) -> list[list[dict[str, str]]]:
    return [[{"role": "assistant", "content": text}] for text in texts]


def test_trl_is_given_one_total_or_none_a_completion() -> None:
    telemetry = Telemetry()
    pay = grader(PARAMS.model_copy(update={"group_size": 2}), DEFAULT_SCORING, ENDS, telemetry)
    right, wrong = "<think>x</think><answer>8</answer>", "<think>x</think><answer>9</answer>"
    totals = pay(
        completions=turns(right, wrong, right, right),
        completion_ids=[[5, END], [5, 6, END], [5, END], [5, END]],
        question=[SUM.canonical()] * 2 + [UNSCORABLE.canonical()] * 2,
        budget=[""] * 4,
        prompts=["ignored"] * 4,
    )
    assert totals == [pytest.approx(1.1), pytest.approx(0.1), None, None]
    assert telemetry.newest[1].completion.tokens == 3


def test_a_completion_without_its_end_was_cut_off() -> None:
    telemetry = Telemetry()
    pay = grader(PARAMS.model_copy(update={"group_size": 2}), DEFAULT_SCORING, ENDS, telemetry)
    cut, ended = [5] * 16, [5, END]
    asked = [SUM.canonical()] * 2
    pay(completions=turns("<think>x", "<think>x"), completion_ids=[cut, ended], question=asked, budget=["", ""])
    assert [each.verdict.reason.value for each in telemetry.newest] == ["truncated", "no_answer"]
    assert means(telemetry.shares())["train/truncated"] == 0.5


def test_a_row_is_the_conversation_and_the_question() -> None:
    (row,) = rows(Plan([SUM], [0]), PARAMS)
    assert [turn["role"] for turn in row["prompt"]] == ["system", "user"]
    assert row["prompt"][1]["content"] == user_text(SUM)
    assert Question.model_validate_json(row["question"]) == SUM
    assert row["budget"] == ""


def test_rows_are_the_plans_draws_in_order_however_they_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medu1.train.grpo.PART", 2)
    places = [5, 0, 7, 5, 2, 0]
    found = [Question.model_validate_json(row["question"]) for row in rows(Plan(CHOICES, places), PARAMS)]
    assert found == [CHOICES[place] for place in places]


# Length budgets

AT_MOST = Budgets(mode="at_most", spread="uniform", low=5, high=12, controlled=1.0)
MANY = [SUM.model_copy(update={"id": f"sum/{n}"}) for n in range(400)]


def test_a_budget_is_asked_for_and_rewarded() -> None:
    params = PARAMS.model_copy(update={"budgets": AT_MOST, "group_size": 1})
    (row,) = rows(Plan([SUM], [0]), params)
    budget = LengthBudget.model_validate_json(row["budget"])
    assert row["prompt"][1]["content"] == user_text(SUM, budget)
    assert f"Think for maximum {budget.tokens} tokens." in row["prompt"][1]["content"]
    telemetry = Telemetry()
    pay = grader(params, DEFAULT_SCORING, ENDS, telemetry)
    total = pay(
        completions=turns("<think>x</think><answer>8</answer>"),
        completion_ids=[[5, END]],
        question=[row["question"]],
        budget=[row["budget"]],
    )
    assert total == [pytest.approx(1.3)]
    assert means(telemetry.shares())["train/budget/closeness"] == 1.0


def tokens(**changes: object) -> list[int]:
    """The budgets of many questions, free ones left out."""
    budgets = [assigned(each, AT_MOST.model_copy(update=changes), 0) for each in MANY]
    return [budget.tokens for budget in budgets if budget]


def test_budgets_are_spread_as_asked() -> None:
    assert tokens(mode="none") == []
    assert set(tokens(spread="fixed")) == {12}
    assert set(tokens()) == set(range(5, 13))
    wide = sorted(tokens(spread="log_uniform", low=10, high=1000))
    assert 10 <= wide[0] <= wide[-1] <= 1000
    assert 60 < wide[200] < 160  # the middle of 10 and 1000 by ratio is 100


@pytest.mark.parametrize("spread", ["fixed", "uniform", "log_uniform"])
def test_a_share_of_the_questions_is_controlled_and_the_others_are_free(spread: str) -> None:
    assert tokens(controlled=0.0, spread=spread) == []
    assert 150 < len(tokens(controlled=0.5, spread=spread)) < 250
    assert len(tokens(controlled=1.0, spread=spread)) == len(MANY)


@pytest.mark.parametrize("mode", ["exact", "at_most"])
def test_a_budget_is_exact_or_a_limit_as_asked(mode: str) -> None:
    found = assigned(SUM, AT_MOST.model_copy(update={"mode": mode}), 0)
    assert found is not None
    assert found.mode == mode


def test_a_budget_is_the_same_for_a_question_and_seed() -> None:
    assert tokens() == tokens()
    assert assigned(SUM, AT_MOST, 0) == assigned(SUM.model_copy(), AT_MOST, 0)
    assert [assigned(each, AT_MOST, 1) for each in MANY] != [assigned(each, AT_MOST, 0) for each in MANY]


def test_a_budget_that_no_response_can_reach_is_refused() -> None:
    with pytest.raises(ValidationError, match="lower the one or raise the other"):
        Train.model_validate({**PARAMS.model_dump(), "budgets": {**AT_MOST.model_dump(), "high": 17}})
    with pytest.raises(ValidationError, match="low must not exceed high"):
        Budgets.model_validate({**AT_MOST.model_dump(), "low": 13})


# GRPO


@pytest.fixture(scope="module")
def candidate(prepared: Prepared) -> ModelManifest:
    return prepared.trained()


def root(prepared: Prepared, model: ModelManifest) -> Path:
    return prepared.workspace.home / "store" / "checkpoints" / Path(model.key).name


def test_grpo_writes_a_whole_model_and_no_pickle(prepared: Prepared, candidate: ModelManifest) -> None:
    names = {path.name for path in prepared.folder(candidate).iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja", record.NAME} <= names
    assert names & {"optimizer.pt", "trainer_state.json", "checkpoint.json", "history.jsonl"} == set()
    assert {path.suffix for path in prepared.folder(candidate).iterdir()} & {*UNSAFE, ".pt", ".pth"} == set()
    assert {path.suffix for path in prepared.workspace.home.rglob("*")} & UNSAFE == set()
    assert candidate.digest == model_digest(prepared.folder(candidate))
    assert candidate.digest != record.content_digest(prepared.folder(candidate))  # MLflow's files lie beside it


def test_grpo_moves_the_weights_and_keeps_the_tokenizer(prepared: Prepared, candidate: ModelManifest) -> None:
    before, after = prepared.folder(prepared.base), prepared.folder(candidate)
    assert record.checksum(before / "model.safetensors") != record.checksum(after / "model.safetensors")
    assert (before / "tokenizer.json").read_bytes() == (after / "tokenizer.json").read_bytes()


def test_without_a_warm_start_or_a_filter_there_is_no_such_phase(prepared: Prepared, candidate: ModelManifest) -> None:
    assert {path.name for path in (prepared.workspace.home / "store").iterdir()} == {
        "base",
        "checkpoints",
        "prepare",
        "train",
    }


def test_checkpoints_hold_the_state_of_training_and_are_marked(prepared: Prepared, candidate: ModelManifest) -> None:
    found = list(checkpoints.held(root(prepared, candidate)))
    assert [each.folder.name for each in found] == ["step-00000002", "step-00000001"]
    state = {"optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json", "history.jsonl"}
    for each in found:
        assert state <= set(each.marker.files)
        assert checkpoints.is_sound(each)


def test_the_run_holds_metrics_of_every_step_and_completions(prepared: Prepared, candidate: ModelManifest) -> None:
    client = Tracking(prepared.workspace).client
    made = record.read(prepared.folder(candidate))
    assert made is not None
    assert (made.facts["seed"], made.facts["step"]) == (PARAMS.seed, PARAMS.steps)
    run = client.get_run(made.mlflow_run)
    assert run.info.status == "FINISHED"
    for name in ("reward", "loss", "train/correct/choice", "train/format", "train/groups/mixed", "time/generate"):
        assert [point.step for point in client.get_metric_history(made.mlflow_run, name)] == [1, 2], name
    assert run.data.metrics["train/format"] > 0
    assert run.data.metrics["mixture/choice/own"] == 1.0
    assert {file.path for file in client.list_artifacts(made.mlflow_run)} == {"completions", record.NAME}
    assert run.inputs is not None
    (used,) = run.inputs.dataset_inputs
    assert used.dataset.digest == "data"


def test_only_the_wanted_families_are_trained_on(prepared: Prepared, candidate: ModelManifest) -> None:
    notes = [event.message for event, _ in journal.read(prepared.workspace.journal) if event.kind == "note"]
    assert f"GRPO on {len(CHOICES)} questions, 4 x 4 a step" in notes
    assert "8 draws: choice 8; own 8" in notes


def test_trl_asks_the_plans_questions_in_its_order_a_group_each(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """12 draws of 8 questions, easiest first: some are drawn twice, and TRL neither shuffles nor drops a row."""
    arrived: list[str] = []

    def record_groups(telemetry: Telemetry, batch: list[Judged], group_size: int) -> None:
        groups = [batch[start : start + group_size] for start in range(0, len(batch), group_size)]
        assert all(len({each.question.id for each in group}) == 1 for group in groups)
        arrived.extend(group[0].question.id for group in groups)

    monkeypatch.setattr(Telemetry, "record", record_groups)
    mixture = Mixture(weights={"own": 2.0}, balance="family", curriculum="easy_first")
    params = PARAMS.model_copy(update={"steps": 3, "mixture": mixture})
    prepared.trained(params)
    assert arrived == [CHOICES[place].id for place in planned(CHOICES, params).places]
    assert len(arrived) == 12


def test_a_weight_of_an_unknown_source_is_a_stop(prepared: Prepared) -> None:
    mixture = PARAMS.mixture.model_copy(update={"weights": {"onw": 2.0}})
    with pytest.raises(Stop, match=r"train\.mixture\.weights names onw; the nearest .* is own\."):
        prepared.trained(PARAMS.model_copy(update={"mixture": mixture}))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    prepared: Prepared, candidate: ModelManifest
) -> None:
    again = prepared.trained(code="edited")
    assert again.key != candidate.key
    assert again.digest == candidate.digest
    assert prepared.trained(PARAMS.model_copy(update={"seed": 1})).digest != candidate.digest


def test_a_candidate_is_made_once_and_its_base_models_name_makes_no_other(
    prepared: Prepared, candidate: ModelManifest
) -> None:
    """What the base is, its digest says."""
    params = PARAMS.model_copy(update={"base_model": "elsewhere", "revision": "v2"})
    text = component.train(
        params.canonical(),
        DEFAULT_SCORING.canonical(),
        prepared.base.text(),
        prepared.data.text(),
        prepared.audit.text(),
        "code",
    )
    assert ModelManifest.model_validate_json(text) == candidate


def test_a_family_without_questions_is_a_stop(prepared: Prepared) -> None:
    with pytest.raises(Stop, match=r"train\.families names open, and no training question is of it\."):
        prepared.trained(PARAMS.model_copy(update={"families": ("choice", "open")}))
