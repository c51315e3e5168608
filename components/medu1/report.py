"""What evaluate found out: plain figures that decide, register and the command line read.

A row is one model on one slice of one frozen set; a comparison pairs the candidate with the base or the champion on
the same questions. Unscorable verdicts are counted beside a row, never inside its accuracy: the question is at fault.
"""

from pathlib import Path
from typing import Literal

from medu1.question import Frozen
from medu1.suite import Strategy

NAME = "report.json"

Role = Literal["base", "candidate", "champion"]
Incumbent = Literal["base", "champion"]
SetName = Literal["test", "ood"]
Slice = Literal["all", "family", "source", "topic"]

WHOLE = "all"  # the name of the one slice of kind "all"


class Judged(Frozen):
    """A model that answered; a champion is listed only where its weights are neither the base's nor the candidate's."""

    role: Role
    weights: str  # digest
    base: str  # what it descends from: builtin, a hub id or a folder; "" where the registry's entry does not say
    revision: str


class QuestionSet(Frozen):
    """The frozen questions of one source in one split: the same digest is the same questions."""

    name: str  # such as test/medqa
    questions: int
    digest: str


class Row(Frozen):
    """Accuracy of one model on one slice, with its Wilson interval."""

    role: Role
    set: SetName
    slice: Slice
    name: str
    n: int  # scored questions
    correct: int
    unscorable: int  # beside n
    accuracy: float | None  # share of n; None where nothing could be scored
    low: float
    high: float
    chance: float | None  # of a blind guess: mean of 1 / options; None where a question has no options


class Comparison(Frozen):
    """The candidate against an incumbent on the scored questions both answered; shares, not points."""

    against: Incumbent
    set: SetName
    slice: Slice
    name: str
    n: int  # pairs
    groups: int  # of questions that share a patient note, a fact or other luck
    gained: int  # wrong before, right now
    lost: int  # right before, wrong now
    difference: float  # (gained - lost) / n
    error: float  # standard error of the difference, cluster-robust
    freedom: float  # its degrees of freedom; 0 with one group
    low: float  # Student's interval with these two
    high: float
    bootstrap: tuple[float, float] | None  # clustered percentiles, a second opinion; None with too few groups for one
    p: float  # exact McNemar, two-sided
    p_holm: float  # corrected over the slices of the same kind


class Conduct(Frozen):
    """How one model writes on one set; counts of questions, means in tokens."""

    role: Role
    set: SetName
    n: int  # questions asked
    truncated: int  # cut off by the token limit
    malformed: int  # not the method's format
    unanswered: int  # no answer could be extracted
    unscorable: int
    tokens_right: float | None  # mean length of right responses; None where there are none
    tokens_wrong: float | None


class Probed(Frozen):
    """What one model did in one suite."""

    suite: str  # its name in evaluate.suites
    role: Role


class LengthPoint(Probed):
    """Under one reasoning-length budget."""

    mode: Literal["exact", "at_most"]
    budget: int  # tokens asked for
    n: int  # scored questions
    correct: int
    accuracy: float | None
    low: float  # Wilson
    high: float
    tokens: float | None  # mean length of all responses
    kept: float  # share of responses that keep the budget: at most, or within a tenth of it where exact
    closeness: float  # mean of the grader's closeness to the budget, in [0, 1]


class Consistency(Probed):
    """With options in several orders."""

    orders: int
    n: int  # questions scored in every order
    accuracy: float | None  # mean over orders
    consistent: float | None  # share of questions answered with the same option in every order
    low: float  # Wilson, of `consistent`
    high: float
    always_right: float | None  # share right in every order
    letters: dict[str, float]  # share of all answers that name a letter
    golds: dict[str, float]  # share of all right letters


class Sampling(Probed):
    """Several answers a question."""

    samples: int
    temperature: float
    n: int  # questions whose answers are all scored
    pass_at: dict[int, float]  # k -> unbiased estimate of the share with a right one among k
    majority_at: dict[int, float]  # k -> expected share whose most frequent answer among k is right
    low: float  # Wilson, of the majority among all samples
    high: float


class Strategic(Probed):
    """By one reasoning strategy."""

    strategy: Strategy
    n: int  # scored questions
    correct: int
    unscorable: int
    accuracy: float | None
    low: float  # Wilson
    high: float
    tokens: float | None  # mean written for one question, over all calls
    calls: float  # mean of the model for one question
    complete: float | None  # mean share of the steps that are there; strategies with named steps only
    difference: float | None  # from the strategy named first, paired; None for itself
    difference_low: float | None  # cluster-robust
    difference_high: float | None
    p: float | None  # exact McNemar
    p_holm: float | None


class Probes(Frozen):
    """What the suites found out."""

    lengths: tuple[LengthPoint, ...] = ()
    consistency: tuple[Consistency, ...] = ()
    sampling: tuple[Sampling, ...] = ()
    strategies: tuple[Strategic, ...] = ()


class Protocol(Frozen):
    """How answers to the test and out-of-distribution questions were generated."""

    backend: str
    strategy: Strategy
    decoding: str  # in words: greedy or sampled, limits, batch; greedy answers can differ between batches


class Report(Frozen):
    """One evaluation: who answered what under which protocol, and how well."""

    models: tuple[Judged, ...]
    frozen: str  # digest of the frozen test and out-of-distribution sets
    questions: dict[SetName, int]  # asked of every model
    sets: tuple[QuestionSet, ...]  # the same questions, by split and source
    confidence: float  # of every interval
    max_completion_tokens: int
    batch: int
    protocol: Protocol
    versions: dict[str, str]  # of the packages that decoded
    rows: tuple[Row, ...]
    comparisons: tuple[Comparison, ...]
    conduct: tuple[Conduct, ...]
    probes: Probes = Probes()

    @classmethod
    def read(cls, folder: Path) -> "Report":
        """The report of an evaluation folder."""
        return cls.model_validate_json((folder / NAME).read_bytes())

    def model(self, role: Role) -> Judged | None:
        """The model in a role; None where nobody holds it."""
        return next((model for model in self.models if model.role == role), None)

    def row(self, role: Role, set_: SetName, slice_: Slice = "all", name: str = WHOLE) -> Row | None:
        """One model on one slice; None where the slice has no questions."""
        return next((r for r in self.rows if (r.role, r.set, r.slice, r.name) == (role, set_, slice_, name)), None)

    def comparison(
        self, against: Incumbent, set_: SetName, slice_: Slice = "all", name: str = WHOLE
    ) -> Comparison | None:
        """The candidate against an incumbent on one slice; None where either has no scored question in it."""
        wanted = (against, set_, slice_, name)
        return next((c for c in self.comparisons if (c.against, c.set, c.slice, c.name) == wanted), None)

    def names(self, set_: SetName, slice_: Slice) -> list[str]:
        """The names of a kind of slice in a set, in the report's order."""
        return list(dict.fromkeys(row.name for row in self.rows if (row.set, row.slice) == (set_, slice_)))


class Condition(Frozen):
    """One thing a candidate must show."""

    name: str  # such as gain or family:open
    holds: bool
    words: str
    figures: dict[str, float]  # what it was judged by; shares, levels and counts


class Decision(Frozen):
    """Whether the candidate may be registered, and why: in words for people, as conditions for machines."""

    passed: bool
    reasons: tuple[str, ...]  # sentences with the numbers
    incumbent: str  # "base" or "version N"
    conditions: tuple[Condition, ...] = ()  # none where nothing was left to judge
