"""What evaluate and decide show beside the page: Markdown, kfp's artifacts, MLflow's figures, the command line's lines.

kfp's own classes stand where kfp puts them; the decision is taken on a real store and a real MLflow database.
"""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl
from markdown_it import MarkdownIt
from markdown_it.token import Token

from medu1 import record, result
from medu1.drawing import markdown as document
from medu1.evaluate import component, logged, markdown, outputs, step
from medu1.evaluate.confusion import Confusion, confusion
from medu1.judging import Decide
from medu1.manifest import DatasetManifest, EvaluationManifest, ModelManifest
from medu1.report import NAME, Decision, Probes, Report
from medu1.stage import Stage, produce
from medu1.tracking import Tracking
from medu1.workspace import Workspace
from pipelines.made import Made
from pipelines.suite_lines import suite_lines
from probes import PROBES
from reported import DECISION, HOSTILE, answer, evaluated, huge, question

DECIDE = Decide(
    min_gain=0.0,
    alpha=0.05,
    spending="series",
    veto=0.05,
    above_chance=False,
    max_truncated=None,
    max_malformed=None,
)


def parsed(text: str) -> list[Token]:
    """As CommonMark with tables, raw HTML let through: the renderer that trusts most."""
    found = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    return [each for token in found for each in (token, *(token.children or ()))]


def kinds(text: str) -> set[str]:
    return {token.type.removesuffix("_open").removesuffix("_close") for token in parsed(text)}


OWN = {
    "heading",
    "paragraph",
    "inline",
    "text",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "bullet_list",
    "list_item",
}


def test_hostile_text_is_text_in_markdown() -> None:
    report = huge()[0]
    text = markdown.render(report, DECISION)
    assert kinds(text) <= OWN
    assert "alert(1)" in "".join(token.content for token in parsed(text) if token.type == "text")
    for raw in ("<script", "<!--", "</style", "http://", "\u202e", "\x00", "\u2028", "`"):
        assert raw not in text.replace("\\`", ""), raw


def test_hostile_text_opens_no_cell_and_no_row() -> None:
    harmless = markdown.render(evaluated()[0], DECISION).replace("\\|", "")
    hostile = markdown.render(huge()[0], DECISION)
    for kind in ("table_open", "tr_open", "td_open", "th_open", "heading_open"):
        count = [sum(token.type == kind for token in parsed(text)) for text in (harmless, hostile)]
        assert count[0] == count[1], kind
    columns = [len(re.findall(r"(?<!\\)\|", line)) for line in hostile.splitlines() if line.startswith("|")]
    assert columns == [len(re.findall(r"\|", line)) for line in harmless.splitlines() if line.startswith("|")]


@pytest.mark.parametrize(
    "text",
    [
        "# x",
        "- x",
        "+ x",
        "1. x",
        "= x",
        "---",
        "===",
        "> x",
        "~~~",
        "```",
        "    x",
        "[a]: http://b",
        "![a](b)",
        "&amp;",
    ],
)
def test_no_beginning_of_a_line_makes_a_block(text: str) -> None:
    assert kinds(document.text(text)) == {"paragraph", "inline", "text"}
    shown = "".join(token.content for token in parsed(document.text(text)) if token.type == "text")
    assert shown == text.strip()


def test_numbers_and_words_read_the_same_in_the_source() -> None:
    for text in ("+28.2", "-3.1", "64.3% (61.0% to 67.4%)", "pass@8", "p = 0.021", "family:open"):
        assert document.text(text) == text
    assert document.text("who@host.test www.host.test") == "who\\@host.test www\\.host.test"


def test_the_decision_comes_first_in_the_markdown() -> None:
    text = markdown.render(evaluated()[0], DECISION)
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings[0] == "## Decision: do not register"
    assert "1 of 2 conditions are met" in text
    assert "Decision" not in markdown.render(evaluated()[0])
    for words in ("Accuracy against length", "Options in several orders", "Several answers", "Reasoning strategies"):
        assert f"## {words}" in text
    already = markdown.render(evaluated()[0], Decision(passed=False, reasons=("already it",), incumbent="version 3"))
    assert "- already it" in already


def test_a_long_document_is_cut_between_lines() -> None:
    text = markdown.render(evaluated()[0], DECISION)
    assert document.shortened(text, 100_000) == text
    cut = document.shortened(text, 1000)
    assert len(cut) <= 1000
    kept, _, said = cut.rpartition("\n\n")
    assert text.startswith(kept + "\n")
    assert said == "… the rest is in the run's files."


def test_letters_are_counted_by_the_right_one_and_the_answered_one() -> None:
    asked = question(1, "choice").model_copy(update={"options": {"A": "yes", "B": "no", "C": "maybe"}})
    wrong = answer(asked, "test", False, "x")
    answers = [
        answer(asked, "test", True, "x"),
        *(wrong.model_copy(update={"answer": said}) for said in ("B", "c: maybe", "no", "Z", HOSTILE, None)),
        answer(question(1, "open"), "test", True, "x"),
    ]
    questions = {asked.id: asked, "open-1": question(1, "open")}
    assert confusion(answers, questions) == Confusion(
        categories=("A", "B", "C", "none"),
        matrix=((1, 2, 1, 3), (0, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0)),
    )
    assert confusion(answers[-1:], questions) is None


def folder_of(path: Path) -> tuple[Path, Report]:
    report, found, questions = evaluated()
    path.mkdir(exist_ok=True)
    record.write_text(path / NAME, report.model_dump_json())
    outputs.write(path, report, found, questions, 30)
    return path, report


def artifacts(place: Path) -> tuple[dsl.HTML, dsl.Metrics, dsl.ClassificationMetrics]:
    place.mkdir(exist_ok=True)
    return (
        dsl.HTML(uri=str(place / "report")),
        dsl.Metrics(uri=str(place / "metrics")),
        dsl.ClassificationMetrics(uri=str(place / "letters")),
    )


def test_kfp_is_told_the_figures_and_the_letters_and_finds_a_file_of_each(tmp_path: Path) -> None:
    folder, report = folder_of(tmp_path / "evaluation")
    page, metrics, letters = artifacts(tmp_path / "kfp")
    outputs.show_evaluation(folder, page, metrics, letters)
    assert Path(page.path).read_bytes() == (folder / "report.html").read_bytes()
    row = report.row("candidate", "test")
    assert row is not None
    assert metrics.metadata["accuracy_test_candidate"] == row.accuracy
    assert all(name.replace("_", "").isalnum() and name == name.lower() for name in metrics.metadata)
    assert json.loads(Path(metrics.path).read_bytes()) == metrics.metadata
    matrix = letters.metadata["confusionMatrix"]
    assert [each["displayName"] for each in matrix["annotationSpecs"]] == ["A", "none"]
    assert sum(sum(row["row"]) for row in matrix["rows"]) == 20
    assert Path(letters.path).is_file()
    json.dumps([metrics.metadata, letters.metadata], allow_nan=False)


def test_an_evaluation_without_choice_questions_has_no_letters(tmp_path: Path) -> None:
    folder, _ = folder_of(tmp_path / "evaluation")
    record.write_text(folder / "letters.json", "null")
    page, metrics, letters = artifacts(tmp_path / "kfp")
    outputs.show_evaluation(folder, page, metrics, letters)
    assert letters.metadata == {}
    assert Path(letters.path).read_text() == "null\n"


def test_a_figure_that_is_no_number_is_not_handed_to_kfp(tmp_path: Path) -> None:
    gain = {"difference": math.nan, "low": 0.1, "earlier": 2, "level": math.inf}
    unsure = DECISION.model_copy(update={"conditions": (DECISION.conditions[0].model_copy(update={"figures": gain}),)})
    metrics = dsl.Metrics(uri=str(tmp_path / "metrics"))
    said = outputs.Told("page", "document")
    outputs.show_decision(said, unsure, Made(str(tmp_path / "p")), Made(str(tmp_path / "d")), metrics)
    assert metrics.metadata == {"passed": 0.0, "low": 0.1, "earlier": 2.0}


def test_the_artifacts_of_a_step_without_kfp_are_its_files(tmp_path: Path) -> None:
    folder, _ = folder_of(tmp_path / "evaluation")
    made = [Made(str(tmp_path / name)) for name in ("report.html", "metrics.json", "letters.json")]
    outputs.show_evaluation(folder, *made)
    assert all(Path(each.path).stat().st_size for each in made)


def test_the_rooms_stand_ins_promise_no_more_than_kfp_has() -> None:
    for stand_in in (component.HTML, component.Markdown, component.Metrics, component.ClassificationMetrics):
        promised = {name for name in vars(stand_in) if not name.startswith("_")} | set(stand_in.__annotations__)
        assert promised <= set(dir(getattr(dsl, stand_in.__name__)))
        assert promised <= set(dir(Made)) | {"path"}


def manifest(step_: str, make: Mapping[str, str], inputs: Mapping[str, str]) -> Any:
    def write(stage: Stage, folder: Path) -> Mapping[str, Any]:
        for name, text in make.items():
            record.write_text(folder / name, text)
        return {}

    return produce(step_, {}, inputs, "code", write)


@pytest.fixture
def decided(tracked_home: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Workspace, dict[str, dsl.Artifact], bool]:
    """One decision, by the step itself, on the report of `evaluated`."""
    workspace = Workspace(home=tracked_home, run="judged", tracking_uri=f"sqlite:///{tracked_home / 'mlflow.db'}")
    for name, value in workspace.environment().items():
        monkeypatch.setenv(name, value)
    report, found, questions = evaluated(("base", "candidate"))
    data = manifest("prepare", {"rows": "1"}, {})
    base, candidate = manifest("base", {"w": "1"}, {}), manifest("train", {"w": "2"}, {"audit": "a", "dataset": "d"})

    def write(stage: Stage, folder: Path) -> Mapping[str, Any]:
        record.write_text(folder / NAME, report.model_dump_json())
        outputs.write(folder, report, found, questions, 30)
        return {}

    evaluation = produce("evaluate", {}, {}, "code", write)
    texts = (
        EvaluationManifest(key=evaluation.key, digest="e", candidate="c", champion="", frozen=report.frozen).text(),
        DatasetManifest(key=data.key, digest="d", frozen=report.frozen, sets={}, rows={}, data="d").text(),
        *(ModelManifest(key=each.key, digest="m", base="b", revision="").text() for each in (base, candidate)),
    )
    made = {
        "report": dsl.HTML(uri=str(tracked_home / "report")),
        "document": dsl.Markdown(uri=str(tracked_home / "document")),
        "metrics": dsl.Metrics(uri=str(tracked_home / "metrics")),
    }
    passed = component.decide(DECIDE.canonical(), *texts, "", *made.values())  # type: ignore[arg-type]
    return workspace, made, passed


def test_the_decision_reaches_every_reader(
    decided: tuple[Workspace, dict[str, dsl.Artifact], bool], tmp_path: Path
) -> None:
    workspace, made, passed = decided
    page = Path(made["report"].path).read_text(encoding="utf-8")
    assert f"Decision: {'register' if passed else 'do not register'}" in page
    ended = result.read(workspace)
    assert ended is not None
    assert ended.report == str(workspace.home / "runs" / "judged" / "report.html")
    assert Path(ended.report).read_text(encoding="utf-8") == page

    gain = next(each.figures for each in ended.decision.conditions if each.name == "gain")
    assert made["metrics"].metadata == {
        "passed": float(passed),
        **{name: gain[name] for name in ("difference", "low", "earlier", "level")},
    }
    assert json.loads(Path(made["metrics"].path).read_bytes()) == made["metrics"].metadata

    tracking = Tracking(workspace)
    parent = tracking.parent()
    (child,) = [run.info.run_id for run in tracking.tree() if run.data.tags.get("medu1.step") == "decide"]
    files = {run: {each.path for each in tracking.client.list_artifacts(run)} for run in (parent, child)}
    assert files == {parent: {"report.html", "report.md"}, child: {"report.html", "report.md", "decision.json"}}
    downloaded = tracking.client.download_artifacts(parent, "report.html", str(tmp_path))
    assert Path(downloaded).read_text(encoding="utf-8") == page
    note = tracking.client.get_run(parent).data.tags[step.NOTE]
    assert len(note) <= step.LONGEST_NOTE
    assert note.startswith("# Evaluation of the candidate\n\n## Decision: ")
    assert Path(made["document"].path).read_text(encoding="utf-8").startswith(note.partition("\n\n…")[0])


def test_suites_are_metrics_whose_step_is_the_budget_or_k(tracked_home: Path) -> None:
    report = evaluated()[0]
    found = logged.points(report)
    assert found[40]["length.lengths.candidate"] == 0.5
    assert found[40]["length_tokens.lengths.base"] == 32.0
    assert found[8] == {f"{name}.samples.{role}": share for role in ("base", "candidate", "champion")
                        for name, share in (("pass_at", 0.8), ("majority_at", 0.5))}  # fmt: skip
    assert found[0]["consistent.orders.base"] == pytest.approx(1 / 3)
    assert found[0]["strategy.strategies.step_by_step.candidate"] == pytest.approx(29 / 60)
    assert "strategy_gain.strategies.direct.candidate" not in found[0]
    assert logged.points(report.model_copy(update={"probes": Probes()})) == {}

    tracking = Tracking(Workspace(home=tracked_home, run="r", tracking_uri=f"sqlite:///{tracked_home / 'mlflow.db'}"))
    run = tracking.child("evaluate")
    for place, figures in found.items():
        tracking.metrics(run, figures, place)
    history = tracking.client.get_metric_history(run, "length.lengths.candidate")
    assert {each.step: each.value for each in history} == {20: 20 / 60, 40: 0.5, 80: 50 / 60}


def test_the_command_line_has_a_line_for_each_suite() -> None:
    assert suite_lines(PROBES) == [
        "lengths: 33.3% at 20, 50.0% at 40, 83.3% at 80 tokens",
        "orders: the same option in 4 orders 46.7%, right in all of them 30.0%",
        "samples: pass@1 40.0%, pass@8 80.0%, maj@8 50.0%",
        "strategies: direct 33.3%, step by step 48.3%, structured 63.3%",
    ]
    assert suite_lines(Probes()) == []
    unscored = tuple(each.model_copy(update={"n": 0, "pass_at": {}, "majority_at": {}}) for each in PROBES.sampling)
    assert suite_lines(Probes(sampling=unscored)) == ["samples: no question is scored"]
