"""What tests of training share: parameters, a tiny base that writes answers but knows no letter, and its questions."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from medu1 import dataset, record
from medu1.base.demonstrations import completion_text
from medu1.base.tokenizer import fit
from medu1.base.warmstart import untrained, warm_start
from medu1.manifest import DatasetManifest, Manifest, ModelManifest
from medu1.params import Adapter, Alarms, Base, Budgets, Mixture, Prefilter, Train, Validation, WarmStart
from medu1.prompt import user_text
from medu1.question import Choice, Integer, Question, gold_text
from medu1.scoring.grading import DEFAULT_SCORING
from medu1.scoring.reward import DEFAULT_REWARDS
from medu1.stage import produce
from medu1.train import flavor, step
from medu1.workspace import Workspace

PARAMS = Train(
    base_model="builtin",
    revision="",
    seed=0,
    preset="recommended",
    grpo={},
    steps=2,
    prompts_per_step=4,
    group_size=4,
    micro_batch=None,
    learning_rate=0.001,
    max_completion_tokens=16,
    families=("choice",),
    save_every=1,
    keep=2,
    processes=1,
    nodes=1,
    sharding="none",
    validation=Validation(every=0, questions=8, patience=0),
    prefilter=Prefilter(samples=0, low=0.0, high=1.0),
    adapter=Adapter(rank=0, alpha=16, dropout=0.0, targets=("all-linear",), quantized=False),
    warm_start=WarmStart(steps=0, batch=4, learning_rate=0.001),
    alarms=Alarms(stop=(), window=2, length_collapse=0.25, repetition=0.2, letter_skew=0.35),
    mixture=Mixture(weights={}, balance="none", curriculum="none"),
    budgets=Budgets(mode="none", spread="uniform", low=5, high=16, controlled=1.0),
    rewards=DEFAULT_REWARDS,
)
TINY = Base(vocabulary=360, hidden=32, layers=1, heads=2, steps=60, batch=8, learning_rate=0.01, guesses=0.5, seed=0)
THIRD_PARTY = (
    r"ignore:'pin_memory' argument is set as true:UserWarning",  # torch, without an accelerator
    r"ignore:`is_gradient_checkpointing` is deprecated:FutureWarning",  # TRL reads it
    r"ignore:For backward compatibility, 'str' dtypes",  # MLflow's tables under pandas 3
)
CHOICES = [
    Question(
        id=f"choice/{n}",
        source="own",
        text=f"Which letter is {letter}?",
        options={"A": "one", "B": "two"},
        gold=Choice(letter=letter),
        topic="letters",
        rationale="so",
    )
    for n, letter in enumerate("AABBABAB")
]
SUM = Question(id="sum/1", source="own", text="What is 1 + 7?", gold=Integer(value=8), rationale="1 + 7 = 8")


class Prepared(NamedTuple):
    """What train reads, in the store of a home."""

    workspace: Workspace
    base: ModelManifest
    data: DatasetManifest
    audit: Manifest

    def trained(self, params: Train = PARAMS, code: str = "code") -> ModelManifest:
        """The candidate, by the step itself."""
        return step.trained(params, DEFAULT_SCORING, self.base, self.data, self.audit, code)

    def folder(self, model: Manifest) -> Path:
        """Where a manifest's files lie."""
        return self.workspace.home / "store" / model.key


def made(workspace: Workspace, base: Base = TINY) -> Prepared:
    """The tiny base and its questions, in the workspace's store; its environment is the process's."""
    model = produce("base", base.model_dump(mode="json"), {}, "code", lambda stage, folder: _write_base(folder, base))
    data = produce("prepare", {}, {}, "code", lambda stage, folder: write_data(folder))
    return Prepared(
        workspace,
        ModelManifest(key=model.key, digest="base", base="builtin", revision=""),
        DatasetManifest(key=data.key, digest="data", frozen="frozen", sets={}, rows={"train": 9}, data="raw"),
        Manifest(key="audit/0", digest="audit"),
    )


@pytest.fixture(scope="module")
def prepared(one_thread: None, tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Prepared]:
    """What train reads, in a home of the test file's own; the process's environment names it."""
    home = tmp_path_factory.mktemp("home")
    (home / "mlflow.db").write_bytes(empty_database.read_bytes())
    workspace = Workspace(home=home, run="r", tracking_uri=f"sqlite:///{home / 'mlflow.db'}")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in workspace.environment().items():
            patch.setenv(name, value)
        patch.delenv("MLFLOW_RUN_ID", raising=False)
        yield made(workspace)


def model_digest(folder: Path) -> str:
    """Of a candidate's model, without what MLflow reads it by."""
    held = record.entries(folder)
    return record.digest(
        {name: entry.sha256 for name, entry in held.items() if Path(name).parts[0] not in flavor.FILES}
    )


def _write_base(folder: Path, params: Base) -> Mapping[str, Any]:
    """A model that has learnt the form of an answer, but no letter: its groups are mixed."""
    texts = [user_text(row) + completion_text(row.rationale, gold_text(row)) for row in CHOICES]
    tokenizer = fit(texts, params.vocabulary)
    model = untrained(params, tokenizer)
    warm_start(model, tokenizer, CHOICES, params)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return {}


def write_data(folder: Path) -> Mapping[str, Any]:
    """Training and validation questions, as prepare writes them."""
    dataset.write(folder, "train", [*CHOICES, SUM])
    dataset.write(folder, "validation", [each.model_copy(update={"id": f"v/{each.id}"}) for each in CHOICES[:4]])
    return {}
