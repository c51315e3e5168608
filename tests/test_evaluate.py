"""Evaluate and decide on real, tiny, random models: every question answered once, every verdict kept."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import copy, rmtree
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from medu1 import dataset, journal, record, result
from medu1.code import digest
from medu1.errors import Stop
from medu1.evaluate.component import decide, evaluate
from medu1.frozen import FrozenSets
from medu1.generation import backends
from medu1.generation.backend import Backend, Conversation, Decoding, Progress, Reply, silent
from medu1.judging import Decide, Evaluate
from medu1.manifest import DatasetManifest, EvaluationManifest, ModelManifest
from medu1.prompt import user_text
from medu1.question import Choice, FreeText, Integer, Question
from medu1.report import Report
from medu1.scoring.grading import DEFAULT_SCORING
from medu1.stage import Stage, produce
from medu1.tracking import Tracking
from medu1.workspace import Workspace

pytestmark = [  # both inside MLflow
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),
    pytest.mark.filterwarnings("ignore:For backward compatibility, 'str' dtypes"),
]

PARAMS = {
    **yaml.safe_load((Path(__file__).parents[1] / "params.yaml").read_text(encoding="utf-8"))["evaluate"],
    **{"suites": {}, "max_completion_tokens": 6, "batch": 4, "completions_shown": 10},
}
SCORING = DEFAULT_SCORING.canonical()
DECIDE = Decide(
    min_gain=0.0,
    alpha=0.05,
    spending="series",
    veto=0.05,
    above_chance=False,
    max_truncated=None,
    max_malformed=None,
).canonical()
TEMPLATE = "{% for m in messages %}{{ m['content'] }}\n{% endfor %}"


def questions() -> list[Question]:
    golds: list[tuple[Any, dict[str, str]]] = [
        (Choice(letter="A"), {"A": "yes", "B": "no"}),
        (FreeText(text="aspirin"), {}),
        (Integer(value=3), {}),
    ]
    return [
        Question(
            id=f"q{number}",
            source="made-up",
            text=f"Question {number}?",
            gold=gold,
            options=options,
            topic="t",
            split="test" if number < 4 else "ood",
        )
        for number, (gold, options) in enumerate(golds * 2)
    ]


def tiny_model(folder: Path, seed: int) -> None:
    """A random Qwen2 of a few thousand weights with a byte-level BPE tokenizer of its own."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    pieces = Tokenizer(models.BPE())
    pieces.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pieces.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["<end>"], initial_alphabet=alphabet)
    pieces.train_from_iterator([user_text(question) for question in questions()], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=pieces, eos_token="<end>", pad_token="<end>")  # type: ignore[no-untyped-call]
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        eos_token_id=0,
        pad_token_id=0,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables, which take seconds to create."""
    path = tmp_path_factory.mktemp("tables") / "mlflow.db"
    Tracking(Workspace(home=path.parent, run="none", tracking_uri=f"sqlite:///{path}")).client.search_experiments()
    return path


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_database: Path) -> Workspace:
    copy(empty_database, tmp_path / "mlflow.db")
    found = Workspace(home=tmp_path, run="first", tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    for name, value in found.environment().items():
        monkeypatch.setenv(name, value)
    return found


def model(role: str, seed: int) -> str:
    def make(stage: Stage, folder: Path) -> Mapping[str, Any]:
        tiny_model(folder, seed)
        return {}

    output = produce(role, {"seed": seed}, {}, "code", make)
    return ModelManifest(
        key=output.key, digest=record.content_digest(output.folder), base="builtin", revision=""
    ).text()


def data(rows: list[Question]) -> str:
    def make(stage: Stage, folder: Path) -> Mapping[str, Any]:
        dataset.write(folder, "test", rows[:4])
        dataset.write(folder, "ood", rows[4:])
        return {}

    output = produce("prepare", {"rows": len(rows)}, {}, "code", make)
    frozen = FrozenSets.of(rows)
    counts = {"test": len(rows[:4]), "ood": len(rows[4:])}
    return DatasetManifest(
        key=output.key, digest=frozen.whole(), frozen=frozen.whole(), sets=frozen.sets(), rows=counts, data="d"
    ).text()


def judge(rows: str, base: str, candidate: str, champion: str = "", **changes: Any) -> EvaluationManifest:
    params = json.dumps({**PARAMS, **changes})
    weights, key = ("", "")
    if champion:
        holder = ModelManifest.model_validate_json(champion)
        weights, key = holder.digest, holder.key
    text = evaluate(
        params, SCORING, rows, base, candidate, weights, key, digest("evaluate"), *shown("report", "m", "c")
    )
    return EvaluationManifest.model_validate_json(text)


@dataclass
class Shown:
    """What a step hands to kfp, whichever kind of artifact it is."""

    path: str

    def log_metric(self, metric: str, value: float) -> None:
        """Kept by kfp."""

    def log_confusion_matrix(self, categories: list[str], matrix: list[list[int]]) -> None:
        """Kept by kfp."""


def shown(*names: str) -> list[Shown]:
    return [Shown(str(Workspace.from_environment().home / f"shown-{name}")) for name in names]


def decided(evaluation: str, rows: str, base: str, candidate: str, champion_version: str = "") -> bool:
    return decide(DECIDE, evaluation, rows, base, candidate, champion_version, *shown("decision", "d", "n"))


def notes(workspace: Workspace) -> list[str]:
    return [event.message for event, _ in journal.read(workspace.journal) if event.kind == "note"]


def refuse(params: Evaluate, role: str, weights: str, folder: Callable[[], Path]) -> Backend:
    raise AssertionError(f"{role} was opened although every verdict is stored")


def test_every_model_answers_every_question_once(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, base, candidate, champion = data(questions()), model("base", 0), model("train", 1), model("train", 2)
    first = judge(rows, base, candidate)
    folder = workspace.home / "store" / first.key
    assert {path.name for path in folder.iterdir()} >= {"record.json", "report.json", "report.html", "verdicts.parquet"}
    assert pq.read_table(folder / "verdicts.parquet").num_rows == 2 * 6
    assert notes(workspace) == [
        "base: 6 answers generated, 0 verdicts reused",
        "candidate: 6 answers generated, 0 verdicts reused",
    ]

    report = Report.read(folder)
    assert report.questions == {"test": 4, "ood": 2}
    assert {found.name: (found.questions, found.digest) for found in report.sets} == {
        name: (report.questions[name.partition("/")[0]], digest)  # type: ignore[index]
        for name, digest in DatasetManifest.model_validate_json(rows).sets.items()
    }
    whole = report.row("candidate", "test")
    assert whole is not None
    assert whole.n == 4

    second = judge(rows, base, candidate, champion, confidence=0.9)
    assert notes(workspace)[2:] == [
        "base: 0 answers generated, 6 verdicts reused",
        "candidate: 0 answers generated, 6 verdicts reused",
        "champion: 6 answers generated, 0 verdicts reused",
    ]
    assert Report.read(workspace.home / "store" / second.key).row("champion", "ood") is not None

    monkeypatch.setattr(backends, "opened", refuse)
    again = judge(rows, base, candidate, champion, confidence=0.8)
    assert again.champion == ModelManifest.model_validate_json(champion).digest
    (workspace.home / "shown-report").unlink()
    assert judge(rows, base, candidate) == first
    assert (workspace.home / "shown-report").read_bytes() == (folder / "report.html").read_bytes()
    assert judge(rows, base, candidate, candidate).key == first.key


def test_another_batch_size_is_another_decoding(workspace: Workspace) -> None:
    rows, base, candidate = data(questions()), model("base", 0), model("train", 1)
    judge(rows, base, candidate)
    judge(rows, base, candidate, batch=1)
    assert sum("6 answers generated" in note for note in notes(workspace)) == 4


def test_figures_files_and_completions_reach_mlflow(workspace: Workspace) -> None:
    judge(data(questions()), model("base", 0), model("train", 1))
    tracking = Tracking(workspace)
    (run,) = [run for run in tracking.tree() if run.data.tags.get("medu1.step") == "evaluate"]
    assert run.info.status == "FINISHED"
    names = {"accuracy.test.candidate", "accuracy.test.choice.base", "accuracy.ood.base", "gain.test", "mcnemar_p.test"}
    assert names <= set(run.data.metrics)
    files = {file.path for file in tracking.client.list_artifacts(run.info.run_id)}
    assert {"report.html", "report.json", "verdicts.parquet", "completions.json", "record.json"} <= files
    assert run.inputs is not None
    assert [inputs.dataset.name for inputs in run.inputs.dataset_inputs] == ["medu1"]


def test_decide_says_no_in_words_and_links_what_was_reused(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, base, candidate = data(questions()), model("base", 0), model("train", 1)
    evaluation = judge(rows, base, candidate).text()
    second = workspace.model_copy(update={"run": "second"})
    monkeypatch.setenv("MEDU1_RUN", "second")

    assert decided(evaluation, rows, base, candidate) is False
    ended = result.read(second)
    assert ended is not None
    assert not ended.decision.passed
    assert Path(ended.report).exists()
    assert ended.version is None
    assert any("McNemar" in reason for reason in ended.decision.reasons)
    assert "Not met: the candidate's training names no reward audit" in ended.decision.reasons[-1]

    tracking = Tracking(second)
    parent = tracking.client.get_run(tracking.parent()).data
    assert {f"medu1.reused.{step}" for step in ("prepare", "base", "train", "evaluate")} <= set(parent.tags)
    assert parent.tags["medu1.decision"] == "not passed"
    assert {"passed", "accuracy.test.candidate", "gain.test.low"} <= set(parent.metrics)  # of reused steps too
    assert parent.params["evaluate.batch"] == "4"


def test_the_champion_itself_is_already_registered(workspace: Workspace) -> None:
    rows, base, candidate = data(questions()), model("base", 0), model("train", 1)
    evaluation = judge(rows, base, candidate, candidate).text()
    assert decided(evaluation, rows, base, candidate, "3") is False
    ended = result.read(workspace)
    assert ended is not None
    assert (ended.version, ended.decision.reasons) == ("3", ("already version 3",))
    assert Tracking(workspace).decided(DatasetManifest.model_validate_json(rows).frozen) == []


def place(workspace: Workspace) -> tuple[float, float]:
    """Which decision on its frozen questions the last one was, and at which level."""
    ended = result.read(workspace)
    assert ended is not None
    figures = next(each.figures for each in ended.decision.conditions if each.name == "gain")
    return figures["earlier"] + 1, round(figures["level"], 5)


def test_decisions_on_the_same_frozen_questions_are_counted_and_alpha_is_spent(workspace: Workspace) -> None:
    rows, base, first, second = data(questions()), model("base", 0), model("train", 1), model("train", 2)
    evaluations = [judge(rows, base, candidate).text() for candidate in (first, second)]
    decided(evaluations[0], rows, base, first)
    assert place(workspace) == (1, 0.0304)
    decided(evaluations[1], rows, base, second)
    assert place(workspace) == (2, 0.0076)
    decided(evaluations[0], rows, base, first)  # judged again: the place it had, and no further look
    assert place(workspace) == (1, 0.0304)
    assert len(Tracking(workspace).decided(DatasetManifest.model_validate_json(rows).frozen)) == 2
    assert Tracking(workspace).decided("of other questions") == []


def test_an_evaluation_on_other_frozen_questions_is_refused(workspace: Workspace) -> None:
    rows, base, candidate = data(questions()), model("base", 0), model("train", 1)
    evaluation = judge(rows, base, candidate).text()
    other = DatasetManifest.model_validate_json(rows).model_copy(update={"frozen": "0" * 64}).text()
    with pytest.raises(Stop, match="is of other frozen questions than the dataset"):
        decided(evaluation, other, base, candidate)


def test_a_test_split_without_questions_stops(workspace: Workspace) -> None:
    with pytest.raises(Stop, match="no test questions"):
        judge(data([]), model("base", 0), model("train", 1))


def test_a_gold_changed_after_prepare_is_refused_before_anything_is_generated(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = questions()
    rows = data(asked)
    folder = workspace.home / "store" / DatasetManifest.model_validate_json(rows).key
    dataset.write(folder, "test", [asked[0].model_copy(update={"gold": Choice(letter="B")}), *asked[1:4]])
    whole = record.StepRecord.model_validate_json((folder / record.NAME).read_bytes())
    record.write(whole.model_copy(update={"outputs": record.entries(folder)}), folder)
    monkeypatch.setattr(backends, "opened", refuse)
    with pytest.raises(Stop, match=r"does not hold the questions that prepare froze: test/made-up is ") as error:
        judge(rows, model("base", 0), model("train", 1))
    assert "ood/made-up" not in str(error.value)


def test_a_manifest_whose_whole_is_another_is_refused(workspace: Workspace) -> None:
    manifest = DatasetManifest.model_validate_json(data(questions())).model_copy(update={"frozen": "0" * 64})
    with pytest.raises(Stop, match="all of test and ood is "):
        judge(manifest.text(), model("base", 0), model("train", 1))


def test_a_champion_without_a_place_stops(workspace: Workspace) -> None:
    with pytest.raises(Stop, match="without a place"):
        evaluate(
            json.dumps(PARAMS),
            SCORING,
            data(questions()),
            model("base", 0),
            model("train", 1),
            "abc",
            "",
            "code",
            *shown("report", "m", "c"),
        )


SUITES = {
    "lengths": {"kind": "length", "split": "test", "questions": 3, "tokens": [3, 6], "mode": "at_most"},
    "orders": {"kind": "permuted", "split": "test", "questions": 3, "orders": 2},
    "samples": {"kind": "sampled", "split": "ood", "questions": 3, "samples": 4, "temperature": 1.0},
    "ways": {"kind": "strategies", "split": "test", "questions": 2, "names": ["method", "direct"]},
}


def test_suites_are_asked_of_every_model_and_told_in_report_file_and_mlflow(workspace: Workspace) -> None:
    rows, base, candidate = data(questions()), model("base", 0), model("train", 1)
    made = judge(rows, base, candidate, suites=SUITES)
    folder = workspace.home / "store" / made.key
    probes = Report.read(folder).probes
    assert [(each.role, each.budget, each.n) for each in probes.lengths] == [
        *(("base", 3, 3), ("base", 6, 3)),
        *(("candidate", 3, 3), ("candidate", 6, 3)),
    ]
    assert [(each.role, each.n, each.orders) for each in probes.consistency] == [("base", 2, 2), ("candidate", 2, 2)]
    assert [(each.role, each.n, list(each.pass_at)) for each in probes.sampling] == [
        ("base", 2, [1, 2, 4]),
        ("candidate", 2, [1, 2, 4]),
    ]
    assert [(each.role, each.strategy, each.n) for each in probes.strategies] == [
        *(("base", "method", 2), ("base", "direct", 2)),
        *(("candidate", "method", 2), ("candidate", "direct", 2)),
    ]
    answers = pq.read_table(folder / "probes.parquet").to_pylist()
    counts = Counter((row["model"], row["suite"]) for row in answers)
    each = {"lengths": 6, "orders": 4, "samples": 8, "ways": 4}
    assert counts == {(role, suite): count for role in ("base", "candidate") for suite, count in each.items()}
    assert {row["variant"] for row in answers if row["suite"] == "orders"} == {"AB", "BA"}
    tracking = Tracking(workspace)
    (run,) = [run for run in tracking.tree() if run.data.tags.get("medu1.step") == "evaluate"]
    assert "probes.parquet" in {file.path for file in tracking.client.list_artifacts(run.info.run_id)}


def test_no_suites_are_a_file_without_rows(workspace: Workspace) -> None:
    made = judge(data(questions()), model("base", 0), model("train", 1))
    assert pq.read_table(workspace.home / "store" / made.key / "probes.parquet").num_rows == 0


def test_renaming_a_suite_generates_nothing(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, base, candidate = data(questions()), model("base", 0), model("train", 1)
    judge(rows, base, candidate, suites={"one": SUITES["samples"]})
    monkeypatch.setattr(backends, "opened", refuse)
    made = judge(rows, base, candidate, suites={"other": SUITES["samples"]})
    assert {each.suite for each in Report.read(workspace.home / "store" / made.key).probes.sampling} == {"other"}


def test_a_suite_without_questions_stops_before_a_model_is_opened(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "opened", refuse)
    with pytest.raises(Stop, match=r"The suite evaluate\.suites\.far is empty: the split ood has no questions"):
        judge(
            data(questions()[:4]),
            model("base", 0),
            model("train", 1),
            suites={"far": {**SUITES["lengths"], "split": "ood"}},
        )


def test_the_strategy_answers_the_test_and_ood_questions_and_is_told(workspace: Workspace) -> None:
    rows, base, candidate = data(questions()), model("base", 0), model("train", 1)
    judge(rows, base, candidate)
    made = judge(rows, base, candidate, strategy="direct")
    assert sum("6 answers generated" in note for note in notes(workspace)) == 4
    protocol = Report.read(workspace.home / "store" / made.key).protocol
    assert (protocol.backend, protocol.strategy) == ("transformers", "direct")
    assert protocol.decoding == "greedy, at most 6 new tokens, batches of 4"


class Cut:
    """A backend that fails in the n-th call of all its models, and otherwise is the real one."""

    def __init__(self, at: int) -> None:
        self.at, self.calls = at, 0
        self.opened = backends.opened

    def open(self, params: Evaluate, role: Any, weights: str, folder: Callable[[], Path]) -> Backend:
        real = self.opened(params, role, weights, folder)
        outer = self

        class Cutting:
            def replies(
                self, conversations: Sequence[Conversation], decoding: Decoding, on_progress: Progress = silent
            ) -> list[Reply]:
                outer.calls += 1
                if outer.calls == outer.at:
                    raise ConnectionError("cut")
                return real.replies(conversations, decoding, on_progress)

        return Cutting()


def test_an_evaluation_that_was_cut_short_ends_in_the_same_bytes(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sampled answers of a real model included; four questions a block."""
    rows, base, candidate = data(questions()), model("base", 0), model("train", 1)
    settings: dict[str, Any] = {"suites": {"samples": {**SUITES["samples"], "samples": 6}}, "batch": 1}
    cutting = Cut(at=9)  # each model: a block of 4 test questions, one of 2 others, three of 4 samples
    monkeypatch.setattr(backends, "opened", cutting.open)
    with pytest.raises(ConnectionError):
        judge(rows, base, candidate, **settings)
    judge(rows, base, candidate, **settings)
    assert cutting.calls == 9 + 2
    assert notes(workspace)[1:] == [
        "base: 0 answers generated, 18 verdicts reused",
        "candidate: 8 answers generated, 4 taken up where an evaluation was cut short, 6 verdicts reused",
    ]
    resumed = stored(workspace)
    rmtree(workspace.home / "store" / "verdicts")
    judge(rows, base, candidate, **settings, confidence=0.9)
    assert stored(workspace) == resumed
    assert len(resumed) == 6


def stored(workspace: Workspace) -> dict[str, str]:
    """The checksum of every stored file of verdicts, by identity."""
    return {path.parent.name: record.checksum(path) for path in workspace.home.glob("store/verdicts/*/*.parquet")}
