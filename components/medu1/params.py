"""Every knob of the chain: one frozen section a step, none with a default in code.

`params.yaml` is the complete list, so a missing key is an error as much as an unknown one, and the nearest known name
is part of the message. Below this door a section travels as one canonical JSON string (a kfp dict turns 7 into 7.0).
"""

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from medu1.columns import Columns
from medu1.errors import Stop
from medu1.judging import Decide, Evaluate
from medu1.notification import Notify
from medu1.placements import PLACEMENTS
from medu1.question import Family, Frozen
from medu1.section import Fraction, Positive, Rate, Section, Weight, Whole, explained

Preset = Literal["recommended", "paper"]  # the authors' rules with their faults, or those repaired
Alarm = Literal["accuracy_falls", "length_collapse", "repetition", "letter_skew"]


class Base(Section):
    """The built-in tiny model: its size and its short supervised warm start. Another `train.base_model` reads none."""

    vocabulary: Annotated[int, Field(ge=300, le=65536)]  # tokenizer entries, tags included
    hidden: Positive  # width of the residual stream
    layers: Positive
    heads: Positive
    steps: Positive  # optimizer steps of the warm start
    batch: Positive  # demonstrations a step
    learning_rate: Rate
    guesses: Fraction  # demonstrations that answer blindly instead of working the answer out
    seed: int

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.hidden % (2 * self.heads):
            raise ValueError("hidden must be a multiple of 2 x heads")
        return self


class PhiPolicy(Section):
    """The screen for protected health information in the sources' questions."""

    action: Literal["report", "redact", "drop"]
    dated: Literal["keep", "drop"]  # under redact: a row whose gold is a date and whose text holds one of birth
    toll_free: bool  # toll-free phone numbers are hotlines, no patient's
    public_hosts: tuple[str, ...]  # endings of hosts whose pages are nobody's own


class DuplicateLimits(Section):
    """When two questions of the sources are one; `prepare/repeats/` has the rules."""

    near_similarity: Annotated[float, Field(ge=0.5, le=1)]  # Jaccard of 3-word shingles
    near_words: Positive  # below, one word of a text without options can be its subject: no Jaccard
    near_words_choice: Positive  # the same with equal options, their words counted
    most_alike: Annotated[int, Field(ge=2)]  # more rows with one band of hashes fill a template: no Jaccard for them
    drop_conflicting: bool  # both rows of one question whose golds disagree, where the gold is no free text


class Contamination(Section):
    """When a training question gives an evaluation question away; `prepare/contamination/` has the rules."""

    ngram: Positive  # words of a run
    min_share: Fraction  # of the runs of the shorter of two texts
    boilerplate: Positive  # groups of evaluation questions; a run in more of them counts for nothing
    min_options: Annotated[int, Field(ge=2)]  # options that say something, in a set that can give a question away
    min_words: Fraction  # of the telling words of one of two questions with the same options


class Prepare(Section):
    """What the questions are and which of them train, select and judge."""

    sources: Annotated[tuple[str, ...], Field(min_length=1)]  # "builtin" or FORMAT:PLACE[#SPLIT]
    tables: dict[str, Columns]  # of a source in the format table, by its place: which column is what
    allowed: tuple[str, ...]  # restricted sources one's own agreement covers, by format, table source or data set name
    calculators: tuple[str, ...]  # built-in calculators asked about; empty: all of them
    labels: Literal["keep", "relabel", "drop"]  # of MedCalc labels that the formula does not give
    phi: PhiPolicy
    duplicates: DuplicateLimits
    contamination: Contamination
    max_rows_per_source: Positive | None  # None: all rows
    caps: dict[str, Positive]  # by question source, in place of max_rows_per_source
    max_prompt_tokens: Positive  # longer prompts are counted, listed and left out
    validation: Fraction  # share of groups, where a source declares no split
    test: Fraction
    seed: int  # of the split by group
    repository: str  # whose data.dvc pins the raw bytes, a git URL or a folder; "": the one here
    revision: str  # of it; resolved before anything runs to the commit that pinned them
    dvc_remote: str  # where the bytes are pulled from; "": the repository's own remote, without one they are rebuilt

    @model_validator(mode="after")
    def _leaves_something_to_train_on(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError("validation + test must stay below 1, or nothing is left to train on")
        return self

    @model_validator(mode="after")
    def _pins_what_it_names(self) -> Self:
        if bool(self.repository) != bool(self.revision):
            raise ValueError("repository and revision are set together or not at all: only both name bytes")
        return self


class Scoring(Section):
    """The one grader's settings, read by audit, train and evaluate alike."""

    preset: Preset  # paper: the authors' formulas, for comparison runs
    free_text_threshold: Fraction  # recommended: token-F1 or ROUGE-L F at which a free text counts as right
    number_tolerance: Annotated[float, Field(ge=0, lt=1)]  # share of the value, where the gold has no limits
    max_answer_characters: Positive  # recommended: longer answers are wrong; twice a longer gold's length
    paper_metric: Literal["merge", "ems", "bleu"]  # paper: the measure of free text
    paper_threshold: Annotated[float, Field(ge=0, le=100)]  # paper: the measure must exceed it


class Audit(Section):
    """How hackable a reward may be before training is refused."""

    max_false_accept: Fraction  # of degenerate answers, a battery item and source
    max_false_reject: Fraction  # of golds by their own grader, a source


class Rewards(Section):
    """Weights of the reward's parts under the preset recommended (paper has fixed ones); read by training only."""

    correct: Annotated[float, Field(ge=0)]
    format: Annotated[float, Field(ge=0)]
    length: Annotated[float, Field(ge=0)]  # x closeness to the length budget, in [0, 1]
    length_gated: bool  # closeness pays only a right answer
    overlong: Annotated[float, Field(ge=0)]  # x soft overlong punishment, in [-1, 0]
    overlong_cache: Fraction  # share of the token limit over which that punishment rises
    shape: Literal["binary", "continuous"]  # continuous: a free text pays its similarity to the gold

    @model_validator(mode="after")
    def _rewards_something(self) -> Self:
        if not self.correct:
            raise ValueError("correct must be above 0: nothing else makes an answer right")
        return self


class Budgets(Section):
    """The reasoning length that training prompts ask for."""

    mode: Literal["none", "exact", "at_most"]
    spread: Literal["fixed", "uniform", "log_uniform"]  # fixed: `high` for all
    low: Positive  # tokens
    high: Positive
    controlled: Fraction  # share of the questions that ask for a length; the others leave it free

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.low > self.high:
            raise ValueError("low must not exceed high")
        return self


class Mixture(Section):
    """Which training questions are drawn, and in which order; `train/mixture.py` has the rules."""

    weights: dict[str, Weight]  # by source: multiplies its questions' chance; 0 leaves it out; one not named weighs 1
    balance: Literal["none", "family"]  # family: the same share of the draws for each task family
    curriculum: Literal["none", "easy_first"]


class Validation(Section):
    """Greedy task accuracy on validation questions during training, which picks the candidate among the checkpoints."""

    every: Whole  # steps; a multiple of save_every, so that what is judged is also kept; 0: the last step is the model
    questions: Positive  # at most, the same ones each time
    patience: Whole  # times in a row without a better one after which training stops; 0: never


class Prefilter(Section):
    """Which training questions are too easy or too hard for the base to learn from: left out before training."""

    samples: Whole  # completions of the base a question, apart from those trained on; 0: no filter
    low: Fraction  # share of them that is right: a question stays where it lies strictly between the two
    high: Fraction

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.samples and self.low >= self.high:
            raise ValueError("low must be below high")
        return self


class Adapter(Section):
    """LoRA: small matrices are trained beside the frozen weights and merged into them at the end."""

    rank: Whole  # 0: all weights are trained
    alpha: Positive
    dropout: Fraction
    targets: Annotated[tuple[str, ...], Field(min_length=1)]  # names of modules; all-linear: every one but the head
    quantized: bool  # QLoRA: the frozen weights in 4 bits, on a GPU with bitsandbytes


class WarmStart(Section):
    """Supervised steps on worked answers before GRPO, a phase of its own."""

    steps: Whole  # 0: none
    batch: Positive  # demonstrations a step
    learning_rate: Rate


class Alarms(Section):
    """When training looks as if it cheats; each is a metric and a warning, and may end the run."""

    stop: tuple[Alarm, ...]  # those that end it
    window: Positive  # steps that a figure is averaged over
    length_collapse: Fraction  # mean tokens below this share of the first window's
    repetition: Fraction  # share of completions that repeat themselves
    letter_skew: Fraction  # total variation distance between the letters answered and the right ones


class Train(Section):
    """GRPO."""

    base_model: str  # "builtin", a Hugging Face id or a local folder
    revision: str  # of a Hugging Face id; "": the newest, resolved to a commit before anything runs
    seed: int
    preset: Preset  # how GRPO goes about it; train/options.py has both in full
    grpo: dict[str, Any]  # options of TRL's GRPOConfig by their names, in place of the preset's
    steps: Positive  # optimizer steps
    prompts_per_step: Positive
    group_size: Annotated[int, Field(ge=2)]  # completions a prompt
    micro_batch: Positive | None  # completions in memory at once in a process; None: all of its share
    learning_rate: Rate
    max_completion_tokens: Positive
    families: Annotated[tuple[Family, ...], Field(min_length=1)]  # all three: mixed training; one: per-task training
    save_every: Positive  # steps between checkpoints
    keep: Positive  # checkpoints kept beside the best one
    processes: Positive  # of a node, one a GPU
    nodes: Positive  # machines; several are the pods of a TrainJob
    sharding: Literal["none", "fsdp", "zero2", "zero3"]  # how several processes divide weights and optimizer state
    validation: Validation
    prefilter: Prefilter
    adapter: Adapter
    warm_start: WarmStart
    alarms: Alarms
    mixture: Mixture
    budgets: Budgets
    rewards: Rewards

    @model_validator(mode="after")
    def _budgets_can_be_met(self) -> Self:
        if self.budgets.mode != "none" and self.budgets.high > self.max_completion_tokens:
            raise ValueError(
                f"budgets.high asks for {self.budgets.high} tokens and max_completion_tokens allows "
                f"{self.max_completion_tokens}: lower the one or raise the other"
            )
        return self

    @model_validator(mode="after")
    def _batches_divide(self) -> Self:
        if self.prompts_per_step % self.world:
            nodes = f" on {self.nodes} nodes" if self.nodes > 1 else ""
            raise ValueError(
                f"prompts_per_step {self.prompts_per_step} does not divide among {self.world} processes{nodes}, and a "
                f"group stays in one; the nearest that does is {_nearest(self.prompts_per_step, self.world)}"
            )
        share = self.prompts_per_step * self.group_size // self.world
        if self.micro_batch and share % self.micro_batch:
            raise ValueError(
                f"micro_batch {self.micro_batch} does not divide the {share} completions of a process and step; the "
                f"nearest that does is {_divisor(share, self.micro_batch)}"
            )
        return self

    @model_validator(mode="after")
    def _saves_lie_between_generations(self) -> Self:
        """A resume in the middle of completions that several steps share could not be exact."""
        if self.save_every % self.window:
            raise ValueError(
                f"save_every {self.save_every} would save in the middle of completions that {self.window} steps share "
                f"(train.grpo.steps_per_generation, num_iterations); the nearest that does not is "
                f"{_nearest(self.save_every, self.window)}"
            )
        if self.validation.every % self.save_every:
            raise ValueError(
                f"validation.every {self.validation.every} is not a multiple of save_every {self.save_every}; the "
                f"nearest that is is {_nearest(self.validation.every, self.save_every)}"
            )
        return self

    @model_validator(mode="after")
    def _states_reach_the_first_node(self) -> Self:
        if self.nodes > 1 and self.sharding in ("zero2", "zero3"):
            raise ValueError(
                f"sharding {self.sharding} writes a part of a checkpoint on every node, and the first of {self.nodes} "
                "keeps it: set sharding to fsdp or none, or nodes to 1"
            )
        return self

    @property
    def world(self) -> int:
        """Processes of all nodes."""
        return self.nodes * self.processes

    @property
    def accumulation(self) -> int:
        """Micro-batches a process takes for one optimizer step."""
        return self.prompts_per_step * self.group_size // self.world // self.rows_at_once

    @property
    def rows_at_once(self) -> int:
        """Completions of a micro-batch: all of a process's share of a step where none is set."""
        return self.micro_batch or self.prompts_per_step * self.group_size // self.world

    @property
    def window(self) -> int:
        """Optimizer steps that one generation serves, TRL's steps_per_generation x num_iterations in whole steps."""
        passes = self._option("steps_per_generation", self.accumulation) * self._option("num_iterations", 1)
        return math.lcm(passes, self.accumulation) // self.accumulation

    def _option(self, name: str, default: int) -> int:
        value = self.grpo.get(name)
        return value if isinstance(value, int) and value > 0 else default


def _nearest(value: int, unit: int) -> int:
    """The multiple of `unit`, at least one, that is nearest to `value`."""
    return max(1, round(value / unit)) * unit


def _divisor(whole: int, value: int) -> int:
    """The divisor of `whole` that is nearest to `value`."""
    return min((each for each in range(1, whole + 1) if whole % each == 0), key=lambda each: abs(each - value))


class Registry(Section):
    """Where an accepted model goes."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_. -]*$")]


class Params(Frozen):
    """The sections that travel to the steps, as `params.yaml` has them; its placements stay with whoever compiles."""

    base: Base
    prepare: Prepare
    scoring: Scoring
    audit: Audit
    train: Train
    evaluate: Evaluate
    decide: Decide
    registry: Registry
    notify: Notify

    @classmethod
    def read(cls, data: object, where: str = "params.yaml") -> "Params":
        """Check a parsed file. Raises Stop that names every wrong key and the nearest right one."""
        if not isinstance(data, Mapping):
            raise Stop(f"{where} is not a mapping of sections.", next_step="Start from the file in the repository.")
        try:
            return cls.model_validate({name: section for name, section in data.items() if name != PLACEMENTS})
        except ValidationError as error:
            raise explained(error, cls, where) from None


def overridden(data: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `data` with dotted keys set, such as {"train.seed": 1}; unknown keys are left for `read` to refuse."""
    copy: dict[str, Any] = json.loads(json.dumps(data))
    for dotted, value in settings.items():
        *path, last = dotted.split(".")
        place = copy
        for key in path:
            inner = place.setdefault(key, {})
            if not isinstance(inner, dict):
                raise Stop(f"--set {dotted}: {key} is a value, not a section.", next_step="Write section.key=value.")
            place = inner
        place[last] = value
    return copy
