"""What tests of prepare share: parameters, rows, a stand-in for the built-in questions, a home with a tokenizer."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from medu1 import dataset
from medu1.builtin import questions as built_in
from medu1.manifest import TokenizerManifest
from medu1.params import Prepare
from medu1.prepare import rawdata
from medu1.prepare.contamination.contamination import DEFAULT_CONTAMINATION
from medu1.prepare.health.phi import DEFAULT_PHI
from medu1.prepare.repeats.duplicates import DEFAULT_DUPLICATES
from medu1.question import FreeText, Question, Split
from medu1.stage import produce
from medu1.workspace import Workspace

TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<go>{% endif %}"
)

PARAMS = Prepare(
    tables={},
    allowed=(),
    labels="keep",
    phi=DEFAULT_PHI,
    duplicates=DEFAULT_DUPLICATES,
    contamination=DEFAULT_CONTAMINATION,
    sources=("builtin",),
    calculators=(),
    max_rows_per_source=None,
    caps={},
    max_prompt_tokens=200,
    validation=0.2,
    test=0.3,
    seed=7,
    repository="",
    revision="",
    dvc_remote="",
)

QUAD = {
    "id": "0000001-1",
    "source": "9_Own_QA",
    "focus": "hiccups",
    "qtype": "outlook",
    "question": "How long do hiccups last ?",
    "answer": "Most stop within minutes.",
}


def question(number: int, split: Split | None = None, group: str = "", text: str = "", **more: Any) -> Question:
    return Question(
        id=f"q/{number}",
        source="own",
        text=text or f"What is item {number}?",
        gold=FreeText(text=f"thing {number}"),
        group=group,
        split=split,
        **more,
    )


def write_json(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def write_lines(path: Path, rows: Sequence[object]) -> Path:
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), encoding="utf-8"
    )
    return path


def small_raw() -> dict[str, str]:
    """A stand-in for the built-in questions: 30 to train on, 6 to select by, 10 to judge by, 4 never taught."""
    counts: dict[Split, int] = {"train": 30, "validation": 6, "test": 10, "ood": 4}
    rows = [
        question(
            number,
            split,
            text=f"What is {split} {number}?",
            rationale="it is so" if split == "train" else "",
            topic="t",
        ).model_copy(update={"id": f"b/{split}/{number}"})
        for split, count in counts.items()
        for number in range(count)
    ]
    return {"builtin/facts.jsonl": dataset.lines(rows)}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database: its tables take seconds to make and a moment to copy."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: Path) -> TokenizerManifest:
    """A home folder with a tokenizer in its store, a raw directory's stand-in and its pin."""
    (tmp_path / "home").mkdir()
    shutil.copy(database, tmp_path / "home" / "mlflow.db")
    for name, value in Workspace(home=tmp_path / "home", run="r", tracking_uri="").environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.setattr(built_in, "raw_files", small_raw)
    rawdata.build(tmp_path, pin=True)
    output = produce("tokenizer", {}, {}, "", lambda stage, folder: write_tokenizer(folder))
    return TokenizerManifest(key=output.key, digest="t", base="builtin", revision="")


def write_tokenizer(folder: Path) -> dict[str, Any]:
    """One token a word."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    configuration = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"}
    write_json(folder / "tokenizer_config.json", configuration)
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    return {}
