"""The model card says what the steps recorded, whoever wrote the names in it, and files beside it restore the rest."""

import json
from collections.abc import Callable, Mapping
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

from medu1 import record
from medu1.manifest import DatasetManifest, EvaluationManifest, ModelManifest
from medu1.params import Registry
from medu1.record import StepRecord
from medu1.register import card, lineage
from medu1.register.lineage import Decided, Evidence
from medu1.report import (
    Comparison,
    Conduct,
    Consistency,
    Decision,
    Judged,
    LengthPoint,
    Probes,
    Protocol,
    QuestionSet,
    Report,
    Row,
    Sampling,
    Strategic,
)
from medu1.stage import Output

HOSTILE = "<script>alert(1)</script> [a](javascript:x) | `b` **c**\n# d ![e](http://f.g/h) http://i.j/k"
TRAIN = {"preset": "recommended", "steps": 40, "group_size": 8, "rewards": {"correct": 1.0}, "grpo": {}, "seed": 0}
NO_PROBES = Probes()
DECISION = Decision(
    passed=True, reasons=("Met: test accuracy is higher.", "Met: no family falls."), incumbent="version 3"
)


def made(folder: Path, step: str, params: Mapping[str, Any], facts: Mapping[str, Any], **written: str) -> Output:
    """A step's output as the store holds it, with these files."""
    folder = folder / step
    folder.mkdir(parents=True)
    for name, content in written.items():
        (folder / name.replace("__", ".")).write_text(content, encoding="utf-8")
    described = StepRecord(
        step=step,
        fingerprint=f"f-{step}",
        params=dict(params),
        inputs={"audit": "a" * 64} if step == "train" else {},
        code=f"c-{step}",
        outputs=record.entries(folder),
        facts=dict(facts),
        commit="b" * 40,
        dirty=True,
        image="registry.example/medu1@sha256:1",
        versions={"torch": "2.13.0", "trl": "1.16.0"},
        run="r",
        mlflow_run=f"m-{step}",
        started="2026-01-01T00:00:00+00:00",
        seconds=12.0,
    )
    record.write(described, folder)
    return Output(f"{step}/1", folder, described)


def row(role: Any, slice_: Any, name: str, correct: int, n: int = 100) -> Row:
    share = correct / n
    figures: dict[str, Any] = {"n": n, "correct": correct, "accuracy": share, "low": share - 0.1, "high": share + 0.1}
    return Row(role=role, set="test", slice=slice_, name=name, unscorable=0, chance=None, **figures)


def compared(against: Any, slice_: Any, name: str) -> Comparison:
    counts = {"n": 100, "groups": 90, "gained": 30, "lost": 10}
    figures: dict[str, Any] = {"difference": 0.2, "error": 0.05, "freedom": 80, "low": 0.1, "high": 0.3, "p": 0.00001}
    return Comparison(
        against=against, set="test", slice=slice_, name=name, bootstrap=None, p_holm=0.01, **counts, **figures
    )


def report(source: str = "medqa", probes: Probes = NO_PROBES) -> Report:
    """Base, candidate and champion on a hundred questions of one source."""
    slices: list[tuple[Any, str]] = [("all", "all"), ("family", "choice"), ("source", source)]
    rights = {"base": 20, "candidate": 60, "champion": 40}
    conduct: dict[str, Any] = {"truncated": 1, "malformed": 2, "unanswered": 3, "unscorable": 0}
    return Report(
        models=tuple(Judged(role=role, weights=role, base=source, revision="") for role in rights),  # type: ignore[arg-type]
        frozen="f",
        questions={"test": 100, "ood": 0},
        sets=(QuestionSet(name=f"test/{source}", questions=100, digest="1"),),
        confidence=0.95,
        max_completion_tokens=80,
        batch=16,
        protocol=Protocol(backend="transformers", strategy="method", decoding=f"greedy {source}"),
        versions={},
        rows=tuple(row(role, *each, correct) for each in slices for role, correct in rights.items()),
        comparisons=tuple(compared(against, *each) for each in slices for against in ("base", "champion")),
        conduct=tuple(
            Conduct(role=role, set="test", n=100, tokens_right=9, tokens_wrong=None, **conduct) for role in rights
        ),  # type: ignore[arg-type]
        probes=probes,
    )


def prepared(source: str = "medqa", licence: str = "MIT") -> dict[str, Any]:
    return {
        "sources": [{"entry": source, "digest": "1", "read": 130, "malformed": 0}],
        "licences": {source: licence, "bare": ""},
        "kept": {source: {"train": {"choice": 70}, "test": {"choice": 10}}},
        "labels_dropped": {source: 3},
        "contaminated": {source: 4},
        "phi": {"action": "drop", "dropped": {source: 5}},
        "repeats": {"dropped": {source: 6}},
    }


Found = Callable[..., Evidence]


@pytest.fixture
def found(tmp_path: Path) -> Found:
    def build(
        name: str = "medqa", base: str = "org/model", licence: str = "MIT", probes: Probes = NO_PROBES
    ) -> Evidence:
        facts = {"digest": "w", "seed": 0, "step": 30, "steps": 40, "stopped": name if name == HOSTILE else ""}
        settings = {"train": {**TRAIN, "families": [name]}, "scoring": {"preset": "recommended"}}
        outputs = {
            "train": made(tmp_path, "train", settings, facts, model__safetensors="w"),
            "evaluate": made(
                tmp_path,
                "evaluate",
                {"evaluate": {"batch": 16}, "scoring": {"preset": "recommended"}},
                {"grader": "g" * 64},
                report__json=report(name, probes).model_dump_json(),
            ),
            "prepare": made(
                tmp_path, "prepare", {"seed": 7, "tables": []}, {}, report__json=json.dumps(prepared(name, licence))
            ),
            "base": made(tmp_path, "base", {"base_model": base, "revision": "1"}, {}),
        }
        return Evidence(
            EvaluationManifest(key="evaluate/1", digest="e", candidate="w", champion="w3", frozen="f"),
            DatasetManifest(
                key="prepare/1", digest="q", frozen="f", sets={f"test/{name}": "1"}, rows={"train": 70}, data="d.dir"
            ),
            ModelManifest(key="base/1", digest="b", base=base, revision="1"),
            ModelManifest(key="train/1", digest="w", base=base, revision="1"),
            outputs,
        )

    return build


def document(found: Evidence, decision: Decision | None = DECISION) -> str:
    """The card as it reads, without what escapes markup."""
    text = card.card("medu1", found, lineage.tags(found, "3", "run1"), "3", decision)
    return unescape(text.replace("\\", ""))


def header(text: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(text.split("---\n")[1])
    return loaded


def section(text: str, title: str) -> str:
    """From one heading to the next of its level."""
    start = text.index(f"\n{title}\n")
    level = title.split()[0]
    end = text.find(f"\n{level} ", start + 1)
    return text[start : end if end > 0 else None]


def test_the_header_is_what_a_hub_reads(found: Found) -> None:
    told = header(document(found()))
    assert told["base_model"] == "org/model"
    assert told["base_model_relation"] == "finetune"
    assert (told["license"], told["language"], told["pipeline_tag"]) == ("other", ["en"], "text-generation")
    assert told["datasets"] == ["bare", "medqa"]
    assert {"medical", "grpo"} <= set(told["tags"])


def test_only_the_built_in_base_on_built_in_data_has_a_licence_of_its_own(found: Found) -> None:
    text = document(found(base="builtin"))
    assert "base_model" not in header(text)
    assert header(text)["license"] == "other"  # of one source it is unknown


def test_the_data_are_told_with_counts_licences_and_gates(found: Found) -> None:
    data = section(document(found()), "## Data")
    assert "| medqa | MIT | 70 | 0 | 10 | 0 |" in data
    assert "| bare | unknown | 0 | 0 | 0 | 0 |" in data
    assert "d.dir" in data
    assert "130 rows were read" in data
    for gate, count in {"label audit": 3, "identifiers of people": 5, "asked twice": 6}.items():
        assert any(line.startswith(f"| {gate}") and line.endswith(f"| {count} |") for line in data.splitlines())
    assert "contaminated by evaluation questions | 4 |" in data
    assert "reward audit " + "a" * 64 in data


def test_the_evaluation_has_intervals_differences_and_the_decision(found: Found) -> None:
    judged = section(document(found()), "## Evaluation")
    assert "| slice | base | candidate | champion |" in judged
    for name in ("all", "choice", "medqa"):
        assert f"| {name} | 20.0% (10.0% to 30.0%), n = 100 | 60.0% (50.0% to 70.0%), n = 100 |" in judged
        assert judged.count(f"| {name} | 100 | +20.0 (+10.0 to +30.0) | 30 | 10 | < 0.0001 |") == 2
    assert "Passed against version 3." in judged
    assert "- Met: no family falls." in judged
    assert judged.index("### Decision") < judged.index("### Test questions")
    assert "Out-of-distribution" not in judged


def test_suites_are_told_where_there_are_any(found: Found) -> None:
    of: dict[str, Any] = {"suite": "s", "role": "candidate", "low": 0.1, "high": 0.2}
    scored = {"n": 10, "correct": 5, "accuracy": 0.5}
    absent = dict.fromkeys(("difference", "difference_low", "difference_high", "p", "p_holm", "complete"))
    probes = Probes(
        lengths=(LengthPoint(**of, **scored, mode="exact", budget=40, tokens=41.0, kept=0.9, closeness=0.8),),
        consistency=(
            Consistency(**of, orders=4, n=10, accuracy=0.5, consistent=0.7, always_right=0.3, letters={}, golds={}),
        ),
        sampling=(Sampling(**of, samples=8, temperature=1.0, n=10, pass_at={1: 0.5, 8: 0.9}, majority_at={8: 0.6}),),
        strategies=(Strategic(**of, **scored, strategy="direct", unscorable=0, tokens=3.0, calls=1.0, **absent),),
    )
    text = document(found(probes=probes))
    assert "exact 40 | 50.0% (10.0% to 20.0%) | 90.0% | 41 |" in text
    assert "| 4 | 50.0% | 70.0%" in text
    assert "1: 50.0%, 8: 90.0% | 8: 60.0% |" in text
    assert "| direct | 50.0%" in text


def test_suites_that_were_not_asked_are_not_told(found: Found) -> None:
    assert "### Reasoning length" not in document(found())


def test_limits_and_use_say_that_it_is_not_for_care(found: Found) -> None:
    text = document(found())
    assert "Not for use in care" in section(text, "## Intended use")
    assert "Harm: dangerous advice" in section(text, "## Limits: what was not tested")


def test_the_training_and_lineage_are_told(found: Found) -> None:
    text = document(found())
    training = section(text, "## Training")
    for line in (
        "- steps: 40",
        "- group size: 8",
        "- seed: 0",
        "- checkpoint: step 30 of 40, the last",
        "- time: 12 s",
    ):
        assert line in training
    assert "torch 2.13.0" in training
    assert "| train | f-train | c-train | bbbbbbbbbbbb (with changes) | m-train |" in section(text, "## Lineage")


def test_whatever_data_says_is_text(found: Found) -> None:
    """Rendered by a CommonMark parser that lets HTML through, as a careless page would."""
    evidence = found(HOSTILE, base=HOSTILE, licence=HOSTILE)
    decision = Decision(passed=False, reasons=(HOSTILE,), incumbent=HOSTILE)
    text = card.card(HOSTILE, evidence, lineage.tags(evidence, HOSTILE, "run1"), HOSTILE, decision)
    assert HOSTILE in header(text)["datasets"]  # YAML quotes it
    body = text.split("---\n", 2)[2]
    for shown in (body, card.description(text)):
        page = MarkdownIt("commonmark", {"html": True}).enable("table").render(shown)
        assert "<script" not in page
        assert "<a " not in page
        assert "<img" not in page
        assert "<code" not in page
        assert "<h1>d" not in page


def test_a_card_of_steps_that_left_no_report_says_so(found: Found) -> None:
    evidence = found()
    for step in ("evaluate", "prepare"):
        (evidence.made[step].folder / "report.json").unlink()
    bare = evidence.made["evaluate"].record.model_copy(update={"outputs": {}})
    outputs = {**evidence.made, "evaluate": evidence.made["evaluate"]._replace(record=bare)}
    text = document(evidence._replace(made=outputs), None)
    assert "Not recorded" in section(text, "## Evaluation")
    assert "Not recorded" in section(text, "### Data gates")


def test_the_description_is_as_much_as_the_registry_keeps(found: Found) -> None:
    text = document(found(), DECISION.model_copy(update={"reasons": ("Met: " + "x" * 1500,) * 6}))
    kept = card.description(text)
    assert len(text) > card.LONGEST_DESCRIPTION >= len(kept)
    assert kept.startswith("A medical reasoning model")
    assert "MLflow run run1" in kept
    assert "Not for use in care" in kept


# The files beside it


def test_tags_name_every_digest_and_no_longer_value_than_a_database_keeps(found: Found) -> None:
    evidence = found()
    tags = lineage.tags(evidence, "3", "run1")
    expected = {
        "medu1.evaluation_key": "evaluate/1",
        "medu1.parent": "3",
        "medu1.base_digest": "b",
        "medu1.dataset_key": "prepare/1",
        "medu1.grader": "g" * 64,
        "medu1.image": "registry.example/medu1@sha256:1",
        "medu1.register_run": "run1",
        "medu1.commit": "b" * 40 + "-dirty",
    }
    assert expected.items() <= tags.items()
    assert json.loads(tags["medu1.code"])["train"] == "c-train"
    many = evidence.dataset.model_copy(update={"sets": {f"test/{number}": "d" * 64 for number in range(100)}})
    long = lineage.tags(evidence._replace(dataset=many), "", "run1")
    assert "medu1.sets" not in long
    assert "medu1.parent" not in long
    assert max(map(len, long.values())) <= lineage.LONGEST_TAG


def test_a_first_version_says_that_it_was_judged_against_the_base(found: Found) -> None:
    evidence = found()
    first = evidence.evaluation.model_copy(update={"champion": ""})
    tags = lineage.tags(evidence._replace(evaluation=first), "", "run1")
    assert tags["medu1.champion"] == ""


def test_parameters_checksums_and_lineage_are_files(found: Found, tmp_path: Path) -> None:
    evidence = found()
    decided = Decided(DECISION, {"decide": {"alpha": 0.05}})
    sections = lineage.sections(evidence, Registry(name="medu1"), decided)
    paths = lineage.write(tmp_path / "out", evidence, "3", sections)
    told = {path.name: json.loads(path.read_text()) for path in paths}
    params = told["params.json"]
    assert params["train"] == {**TRAIN, "families": ["medqa"], "base_model": "org/model", "revision": "1"}
    assert (params["registry"], params["decide"], params["prepare"]["tables"]) == (
        {"name": "medu1"},
        {"alpha": 0.05},
        {},
    )
    assert "base" not in params  # another model than the built-in one reads no such section
    document = told["lineage.json"]
    tags = lineage.tags(evidence, "3", "run1")
    assert document["params_digest"] == record.digest(document["params"]) == tags["medu1.params"]
    assert "processes" in document["params_left_out"]["train"]
    assert document["parent"] == {"version": "3", "weights": "w3"}
    assert document["steps"]["train"]["versions"] == {"torch": "2.13.0", "trl": "1.16.0"}
    held = record.entries(evidence.made["train"].folder)
    assert told["checksums.json"] == {name: entry.model_dump() for name, entry in held.items()}


def test_nothing_of_the_environment_is_written(found: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "MEDU1_PROMOTION_HOOK", "MLFLOW_TRACKING_PASSWORD", "HF_TOKEN"):
        monkeypatch.setenv(name, "s3cr3t")
    evidence = found()
    sections = lineage.sections(evidence, Registry(name="medu1"), Decided(None, {}))
    sections["evaluate"] = {"endpoint": {"url": "https://ann:s3cr3t@host:1/v1"}}
    paths = lineage.write(tmp_path / "out", evidence, "3", sections)
    written = [*(path.read_text() for path in paths), document(evidence), *lineage.tags(evidence, "3", "r").values()]
    assert not any("s3cr3t" in text for text in written)
    assert any("https://host:1/v1" in text for text in written)
