"""The table of completions to read: what each was asked, wrote and earned, part by part, and why.

Groups are shown whole, since GRPO compares within them. Families take turns, and within one a hash of step and question
says which group comes first: other ones at every step, wherever they stand in the batch. That order is the same in all
processes, so that together they show what one alone would have shown. A long cell loses its middle, since the answer
stands at the end.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from typing import Any, Final, NamedTuple

from medu1.prompt import user_text
from medu1.question import gold_text
from medu1.scoring.reward import Parts
from medu1.train.rewards import Judged

ROWS: Final = 64
LONGEST: Final = 4000  # characters of a cell
NOTE: Final = 50  # characters kept free for saying how many are left out
COLUMNS: Final = (
    "step",
    "question",  # its id
    "family",
    "source",
    "prompt",  # the user's turn, with the length asked for
    "completion",
    "answer",  # as extracted; None without one
    "gold",
    "reward",  # None where the question is unscorable, as are its parts
    *(f"reward/{part}" for part in Parts._fields),
    "advantage",  # None where the trainer's is not given
    "correct",
    "format",
    "reason",
    "tokens",
    "finish",
)


class Sample(NamedTuple):
    """The completions of one prompt at a step."""

    step: int
    completions: Sequence[Judged]
    advantages: Sequence[float | None]  # of each completion

    @property
    def family(self) -> str:
        """Of the question."""
        return self.completions[0].question.family


def sampled(
    step: int, groups: Sequence[Sequence[Judged]], advantages: Sequence[float] | None = None, rows: int = ROWS
) -> list[Sample]:
    """Those of a process's groups that are shown, together at most `rows` completions, but at least one group.

    `advantages` are those of all its completions, in order.
    """
    left = iter(advantages or ())
    return _chosen([Sample(step, group, [next(left, None) for _ in group]) for group in groups], rows)


def merged(parts: Iterable[Sequence[Sample]], rows: int = ROWS) -> list[Sample]:
    """Of what several processes would show, what one alone would."""
    return _chosen(list(chain.from_iterable(parts)), rows)


def table(samples: Sequence[Sample]) -> dict[str, Any]:
    """In pandas' split orientation, which MLflow's tables have; strict JSON."""
    data = [
        _row(sample.step, judged, advantage)
        for sample in samples
        for judged, advantage in zip(sample.completions, sample.advantages, strict=True)
    ]
    return {"columns": list(COLUMNS), "data": data}


def _chosen(samples: Sequence[Sample], rows: int) -> list[Sample]:
    chosen: list[Sample] = []
    shown = 0
    for sample in _in_turns(samples):
        shown += len(sample.completions)
        if chosen and shown > rows:
            break
        chosen.append(sample)
    return chosen


def _in_turns(samples: Sequence[Sample]) -> list[Sample]:
    """One of each family in turn; which family begins changes from step to step, too."""
    families: dict[str, list[Sample]] = {}
    for sample in sorted(samples, key=lambda each: _place(each.step, each.completions[0].question.id)):
        families.setdefault(sample.family, []).append(sample)
    order = sorted(families, key=lambda family: _place(samples[0].step, family))
    turns = chain.from_iterable(zip_longest(*(families[family] for family in order)))
    return [sample for sample in turns if sample]


def _place(step: int, name: str) -> bytes:
    return hashlib.sha256(f"{step}/{name}".encode()).digest()


def _row(step: int, judged: Judged, advantage: float | None) -> list[Any]:
    question, completion, verdict = judged.question, judged.completion, judged.verdict
    return [
        step,
        _cell(question.id),
        question.family,
        _cell(question.source),
        _cell(user_text(question, judged.budget)),
        _cell(completion.text),
        None if verdict.answer is None else _cell(verdict.answer),
        _cell(gold_text(question)),
        judged.reward,
        *(judged.parts or [None] * len(Parts._fields)),
        advantage if advantage is not None and math.isfinite(advantage) else None,
        verdict.correct,
        verdict.format_ok,
        verdict.reason.value,
        completion.tokens,
        completion.finish,
    ]


def _cell(text: str) -> str:
    """The text; where it is longer than 4,000 characters, its beginning and its end with a note between them."""
    if len(text) <= LONGEST:
        return text
    half = (LONGEST - NOTE) // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} characters left out ...]\n{text[-half:]}"
