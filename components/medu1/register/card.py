"""The model card: what a person must know before using a version, in Markdown with Hugging Face's header.

It is written from what the steps recorded and from the report the decision was taken on; nothing is typed in by hand,
and what was not recorded is said to be so. All that data, parameters or base models say is text: it opens no markup.
The card lies whole among the files of the register run; the version's description is as much of it as MLflow keeps.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from medu1.drawing.markdown import shortened, table, text
from medu1.record import StepRecord
from medu1.register.judgement import NOTHING, decided, headline, judged
from medu1.register.lineage import LONGEST_TAG, REGISTER_RUN, Evidence
from medu1.registered_models import KEY, WEIGHTS
from medu1.report import Decision, Report

NAME: Final = "model_card.md"
LONGEST_DESCRIPTION: Final = LONGEST_TAG  # characters: the column's width
PREPARED: Final = "report.json"  # prepare's, in the dataset's folder
BUILTIN: Final = "builtin"
LEFT_OUT: Final = {  # gate of prepare -> field of its report, counts by source
    "label audit": "labels_dropped",
    "asked in a stricter split": "asked_elsewhere",
    "contaminated by evaluation questions": "contaminated",
    "prompt too long": "too_long",
    "over the cap of a source": "over_cap",
}
MAIN: Final = (
    "preset",
    "steps",
    "prompts_per_step",
    "group_size",
    "learning_rate",
    "max_completion_tokens",
    "families",
)

USE = """\
For research on reasoning models, and to compare trainings with each other. It answers exam-like questions: multiple
choice, short open questions and calculations, in English.

**Not for use in care.** It is no medical device, was tested on no patient's case and by no clinician, and its reasoning
can read well and be wrong. Let nobody take its answers for advice."""

UNTESTED = """\
- Other languages than English, dialogue over several turns, and questions unlike those it was judged on.
- Harm: dangerous advice, bias between groups of people, robustness to hostile prompts, private data in the weights.
- Whether its reasoning supports its answers: answers are graded, reasoning is not.
- Questions that the base model has seen before: contamination is looked for within this data only.
- A built-in base knows nothing beyond the built-in questions: figures on those say that training works, no more."""


class Told(NamedTuple):
    """What a card is written from."""

    name: str
    found: Evidence
    tags: Mapping[str, str]
    parent: str  # version that was champion; "" none
    report: Report | None
    decision: Decision | None
    prepared: Mapping[str, Any]  # prepare's report


def card(name: str, found: Evidence, tags: Mapping[str, str], parent: str, decision: Decision | None) -> str:
    """The whole document."""
    made = found.made
    report = Report.read(made["evaluate"].folder) if "report.json" in found.record("evaluate").outputs else None
    told = Told(name, found, tags, parent, report, decision, _read(made["prepare"].folder / PREPARED))
    return _header(told) + "\n" + "\n\n".join(_blocks(told)) + "\n"


def description(document: str) -> str:
    """As much of a card as the registry keeps, without the header, which is for machines, and the model's name."""
    body = document.partition("\n---\n")[2].strip()
    return shortened(body.partition("\n")[2].strip(), LONGEST_DESCRIPTION)


def _blocks(told: Told) -> Iterator[str]:
    yield f"# {text(told.name)}"
    yield "A medical reasoning model, retrained with GRPO on verifiable rewards. **For research, not for use in care.**"
    yield from _summary(told)
    yield "## Intended use\n\n" + USE
    yield "## Limits: what was not tested\n\n" + UNTESTED
    yield from _evaluation(told)
    yield from _data(told)
    yield from _training(told)
    yield from _lineage(told)


# Header


def _header(told: Told) -> str:
    import yaml

    base = told.found.base.base
    is_hub = base != BUILTIN and base.count("/") == 1 and not base.startswith(("/", ".", "~"))
    licences = sorted({licence for licence in _licences(told).values() if licence})
    known = {
        "license": "other",
        "license_name": "of the base model and of the data by source",
        "base_model": base if is_hub else None,
        "base_model_relation": "finetune" if is_hub else None,
        "language": ["en"],
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["medical", "reasoning", "grpo", "reinforcement-learning", "medu1"],
        "datasets": sorted(_licences(told)) or None,
        "metrics": ["accuracy"],
    }
    if base == BUILTIN and licences == ["Apache-2.0"]:
        known |= {"license": "apache-2.0", "license_name": None}
    stated = {key: value for key, value in known.items() if value is not None}
    return f"---\n{yaml.safe_dump(stated, sort_keys=False, allow_unicode=True, width=10_000)}---\n"


def _licences(told: Told) -> Mapping[str, str]:
    found = told.prepared.get("licences")
    return {str(source): str(licence) for source, licence in found.items()} if isinstance(found, Mapping) else {}


# What it is, in a few lines


def _summary(told: Told) -> Iterator[str]:
    beaten = f"version {told.parent}" if told.parent else "the base"
    if told.report and (line := headline(told.report)):
        yield line
    yield _listed(
        {
            "base": told.tags.get("medu1.base", ""),
            "judged against": beaten,
            "weights": told.tags[WEIGHTS],
            "whole card, lineage, parameters, checksums": f"files of the MLflow run {told.tags[REGISTER_RUN]}",
        }
    )


# Evaluation


def _evaluation(told: Told) -> Iterator[str]:
    yield "## Evaluation"
    yield from decided(told.decision)
    if told.report is None:
        yield NOTHING.capitalize() + "."
    else:
        yield from judged(told.report)


# Data


def _data(told: Told) -> Iterator[str]:
    data = told.found.dataset
    yield "## Data"
    yield _listed({"raw data (DVC)": data.data, "dataset": data.digest, "frozen questions": data.frozen})
    counts = ", ".join(f"{split} {rows:,}" for split, rows in data.rows.items())
    yield text(f"Questions after every gate: {counts}.")
    if rows := _sources(told):
        yield table(("source", "licence", "train", "validation", "test", "ood"), rows, numbers=False)
    yield "### Data gates"
    yield from _gates(told.prepared)
    if audit := told.found.record("train").inputs.get("audit"):
        yield text(f"Trained after the reward audit {audit}: golds and degenerate answers met the grader before.")
    frozen = data.sets_of("test", "ood")
    yield "### Frozen sets it was judged on"
    yield table(("set", "digest"), sorted(frozen.items()), numbers=False)


def _sources(told: Told) -> list[list[str]]:
    kept = told.prepared.get("kept")
    kept = kept if isinstance(kept, Mapping) else {}
    licences = _licences(told)
    return [
        [source, licences.get(source) or "unknown", *(_count(kept, source, split) for split in _SPLITS)]
        for source in sorted({*licences, *map(str, kept)})
    ]


_SPLITS: Final = ("train", "validation", "test", "ood")


def _count(kept: Mapping[str, Any], source: str, split: str) -> str:
    return f"{sum((kept.get(source, {}).get(split) or {}).values()):,}"


def _gates(prepared: Mapping[str, Any]) -> Iterator[str]:
    if not prepared:
        yield NOTHING.capitalize() + "."
        return
    read = sum(source["read"] for source in prepared["sources"])
    phi, repeats = prepared.get("phi") or {}, prepared.get("repeats") or {}
    left = {gate: sum(prepared.get(field, {}).values()) for gate, field in LEFT_OUT.items()}
    left[f"identifiers of people ({phi.get('action', NOTHING)})"] = sum(phi.get("dropped", {}).values())
    left["asked twice"] = sum(repeats.get("dropped", {}).values())
    yield text(f"{read:,} rows were read; one malformed row would have refused them all.")
    yield table(("gate", "questions left out"), ([gate, f"{count:,}"] for gate, count in left.items()))


# Training


def _training(told: Told) -> Iterator[str]:
    made = told.found.record("train")
    params, facts = made.params.get("train") or {}, made.facts
    yield "## Training"
    yield text(f"GRPO (arXiv 2402.03300) by TRL {made.versions.get('trl', NOTHING)} {_recipe(params)}.")
    steps = f"step {facts.get('step', NOTHING)} of {facts.get('steps', NOTHING)}"
    ended = f", ended early: {facts['stopped']}" if facts.get("stopped") else ""
    chosen = "the best on validation questions" if (params.get("validation") or {}).get("every") else "the last"
    yield _listed(
        {
            **{name.replace("_", " "): params[name] for name in MAIN if name in params},
            "seed": facts.get("seed", NOTHING),
            "checkpoint": f"{steps}, {chosen}{ended}",
            "rewards": json.dumps(params.get("rewards") or NOTHING),
            "options of TRL": json.dumps(params.get("grpo") or {}),
            "grader": told.found.grader,
            "time": f"{made.seconds:,.0f} s from {made.started}",
            "image": made.image or "none: run on a machine's own packages",
            "packages": ", ".join(f"{name} {version}" for name, version in sorted(made.versions.items())),
        }
    )


def _recipe(params: Mapping[str, Any]) -> str:
    adapter, warm = params.get("adapter") or {}, params.get("warm_start") or {}
    rank = adapter.get("rank")
    weights = (
        f"LoRA of rank {rank}{', quantized' if adapter.get('quantized') else ''}, merged" if rank else "all weights"
    )
    first = f"after {warm['steps']} supervised steps" if warm.get("steps") else "without supervised steps before"
    return f"on {weights}, {first}"


# Lineage


def _lineage(told: Told) -> Iterator[str]:
    tags = told.tags
    yield "## Lineage"
    yield _listed(
        {
            "base": f"{tags.get('medu1.base', '')} ({told.found.base.digest})",
            "version before": told.parent or "none",
            "evaluation": told.found.evaluation.digest,
            "commit": tags.get("medu1.commit") or NOTHING,
            "parameters": tags.get("medu1.params", ""),
            "folder in the store": tags[KEY],
        }
    )
    rows = [_step(step, output.record) for step, output in told.found.made.items()]
    yield table(("step", "fingerprint", "code", "commit", "MLflow run"), rows, numbers=False)
    yield text("lineage.json, params.json and checksums.json beside this card have the rest.")


def _step(step: str, made: StepRecord) -> list[str]:
    dirty = " (with changes)" if made.dirty else ""
    return [step, made.fingerprint, made.code or "by image", f"{made.commit[:12] or NOTHING}{dirty}", made.mlflow_run]


def _listed(lines: Mapping[str, object]) -> str:
    return "\n".join(f"- {text(label)}: {text(_told(value))}" for label, value in lines.items())


def _told(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def _read(path: Path) -> Mapping[str, Any]:
    """A JSON object; empty where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and "sources" in found else {}
