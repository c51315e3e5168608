"""What becomes of every row that the gates for single rows have passed: its split, or the reason it is left out.

In order: take out what is asked twice, carry declared splits to whole groups, take out what two splits ask in the same
words, drop the training groups that give an evaluation question away, leave out prompts that are too long, cap each
source. Lengths come before the cap, so a cap of 200 rows means 200 rows that a model can read; contamination comes
before it too, so that evaluation questions over the cap are held against training as well.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from medu1.errors import Stop
from medu1.params import Contamination, DuplicateLimits, Prepare
from medu1.prepare.contamination.contamination import Batch, Index, Packed
from medu1.prepare.contamination.leaks import Leaks
from medu1.prepare.contamination.ngrams import Places
from medu1.prepare.repeats.duplicate_report import DuplicateReport
from medu1.prepare.repeats.duplicates import NOTHING, Duplicates, ranks_of
from medu1.prepare.rows.block import PROSE, Bits, Codes
from medu1.prepare.rows.cap import over_cap
from medu1.prepare.rows.fate import Fate
from medu1.prepare.rows.ledger import TRAIN, Ledger
from medu1.prepare.rows.spool import Spool
from medu1.prepare.split import STRICTEST, prompt_of
from medu1.question import Question

Lengths = Callable[[Sequence[Question]], list[int]]  # tokens of each prompt
Progress = Callable[[int, int], None]  # rows done, rows in all

HASHED = 1 << 10  # packed questions that are hashed at once: arrays that fit in a processor's cache


class Selection(NamedTuple):
    """What the gates found; what became of each row stands in the ledger."""

    repeats: DuplicateReport
    leaks: Leaks
    tokens: Mapping[int, int]  # of each row with too long a prompt
    reasons: Mapping[int, str]  # row -> what it asks again, or gives away


def select(
    ledger: Ledger, spool: Spool, params: Prepare, lengths: Lengths | None, generated: Collection[str], tell: Progress
) -> Selection:
    """Fill the ledger in. `lengths` None: no prompt is too long. `generated` sources fill templates, so their questions
    are not held against one another.

    Raises Stop where a group is declared in two splits, or nothing is left to learn from or to be judged by.
    """
    repeats, reasons = _repeats(ledger, spool, params.duplicates)
    _carry_declared(ledger, spool)
    _disjoin(ledger, spool)
    spool.release()
    leaks = _contamination(ledger, spool, params.contamination, generated)
    reasons |= leaks.reasons
    tokens = _too_long(ledger, spool, params.max_prompt_tokens, lengths, tell) if lengths else {}
    ledger.drop(over_cap(ledger, params), Fate.OVER_CAP)
    _require_both(ledger, params)
    return Selection(repeats, leaks, tokens, reasons)


def _repeats(ledger: Ledger, spool: Spool, limits: DuplicateLimits) -> tuple[DuplicateReport, dict[int, str]]:
    """Drop what is asked again; what each such row asks again."""
    if ledger.hints is None:
        return NOTHING, {}
    rows = np.flatnonzero(ledger.searched)
    marks = ledger.marks
    strictness = np.where(marks.declared[rows], marks.split[rows], len(STRICTEST)).astype(np.int8)
    ranks = ranks_of(strictness, marks.identity[rows])
    found = Duplicates(marks.prompt[rows], ledger.hints, ranks, lambda place: spool.question(int(rows[place])), limits)
    ledger.hints = None  # the largest thing in memory, and nothing asks for it again
    firsts = {int(rows[again]): int(rows[first]) for again, first in found.firsts.items()}
    ledger.drop(_bits(ledger, firsts), Fate.REPEATED)
    return found.report(), {again: spool.text(first, "id") for again, first in firsts.items()}


def _bits(ledger: Ledger, rows: Collection[int]) -> Bits:
    bits = np.zeros(len(ledger), np.bool_)
    bits[list(rows)] = True
    return bits


def _carry_declared(ledger: Ledger, spool: Spool) -> None:
    """Every row of a group gets the split that any of them declares."""
    marks = ledger.marks
    stating = np.flatnonzero(marks.declared & ledger.left)
    groups, first = np.unique(marks.group[stating], return_index=True)
    splits = marks.split[stating[first]]
    own = np.searchsorted(groups, marks.group[stating])
    if len(others := stating[marks.split[stating] != splits[own]]):
        raise _two_splits(
            spool, marks.split, int(stating[first[own]][marks.split[stating] != splits[own]][0]), int(others[0])
        )
    place = np.minimum(np.searchsorted(groups, marks.group), max(len(groups) - 1, 0))
    carried = groups[place] == marks.group if len(groups) else np.zeros(len(ledger), np.bool_)
    ledger.moved[carried] = marks.split[carried] != splits[place[carried]]
    marks.split[carried] = splits[place[carried]]


def _two_splits(spool: Spool, splits: Codes, one: int, other: int) -> Stop:
    return Stop(
        f"The group {spool.text(one, 'group')} is in two splits: {spool.text(one, 'id')} is declared "
        f"{STRICTEST[splits[one]]}, {spool.text(other, 'id')} is declared {STRICTEST[splits[other]]}.",
        "What one group knows would be asked of a model that was trained on it.",
        "Declare one split for the whole group.",
    )


def _disjoin(ledger: Ledger, spool: Spool) -> None:
    """Every prompt in one split only, the strictest it is in; repeats within a split stay."""
    home: dict[str, int] = {}
    splits = ledger.marks.split
    prompts = {row: prompt_of(spool.question(row)) for row in _in_two_splits(ledger).tolist()}
    for row, prompt in prompts.items():
        home[prompt] = min(home.get(prompt, len(STRICTEST)), int(splits[row]))
    ledger.drop(_bits(ledger, [row for row, prompt in prompts.items() if splits[row] > home[prompt]]), Fate.ASKED)


def _in_two_splits(ledger: Ledger) -> Places:
    """Rows whose prompt's hash occurs in another split too."""
    rows = np.flatnonzero(ledger.left)
    _, which = np.unique(ledger.marks.prompt[rows], return_inverse=True)
    splits = np.zeros(len(which) and which.max() + 1, np.int64)
    np.bitwise_or.at(splits, which, 1 << ledger.marks.split[rows].astype(np.int64))
    several: Places = rows[(splits & (splits - 1) != 0)[which]]
    return several


def _contamination(ledger: Ledger, spool: Spool, limits: Contamination, generated: Collection[str]) -> Leaks:
    """Drop the training groups that give an evaluation question away."""
    found = Leaks()
    evaluation, training = ledger.kept & (ledger.marks.split != TRAIN), ledger.training
    index = Index.of_batches((batch for _, batch in _batches(ledger, spool, evaluation)), limits, generated)
    groups = set[int]()
    for rows, batch in _batches(ledger, spool, training):
        for row, leak in index.leaks_of(batch):
            found.add(leak, int(rows[row]))
            groups.add(int(ledger.marks.group[rows[row]]))
    gone = training & np.isin(ledger.marks.group, np.array(sorted(groups), np.uint64))
    ledger.drop(gone, Fate.CONTAMINATED)
    return found


def _batches(ledger: Ledger, spool: Spool, chosen: Bits) -> Iterator[tuple[Places, Batch]]:
    """The chosen rows as contamination reads them, after their places."""
    for rows, table in spool.portions(chosen, ["id", "source", "group", PROSE]):
        packed = [Packed(*row) for row in zip(*(column.to_pylist() for column in table.columns), strict=True)]
        for start in range(0, len(packed), HASHED):
            places = rows[start : start + HASHED]
            yield places, Batch.of_packed(packed[start : start + HASHED], ledger.marks.options[places])


def _too_long(ledger: Ledger, spool: Spool, most: int, lengths: Lengths, tell: Progress) -> dict[int, int]:
    """Drop what no model reads whole; the tokens of each such row."""
    found: dict[int, int] = {}
    done, wanted = 0, int(ledger.left.sum())
    for rows, questions in spool.questions(ledger.left):
        tokens = lengths(questions)
        found |= {int(row): count for row, count in zip(rows, tokens, strict=True) if count > most}
        done += len(rows)
        tell(done, wanted)
    ledger.drop(_bits(ledger, found), Fate.TOO_LONG)
    return found


def _require_both(ledger: Ledger, params: Prepare) -> None:
    """Raises Stop where there is nothing to learn from or to be judged by."""
    for split in ("train", "test"):
        if not (ledger.kept & (ledger.marks.split == STRICTEST.index(split))).any():
            raise _nothing_left(ledger, params, split)


def _nothing_left(ledger: Ledger, params: Prepare, split: str) -> Stop:
    lost: defaultdict[Fate, int] = defaultdict(int)
    for counted in ledger.counts():
        lost[counted.fate] += counted.rows
    return Stop(
        f"No question is left in the {split} split: {lost[Fate.TOO_LONG]} prompts are longer than "
        f"{params.max_prompt_tokens} tokens, {lost[Fate.ASKED]} are asked in another split, "
        f"{lost[Fate.REPEATED]} are asked again, {lost[Fate.CONTAMINATED]} give an evaluation question away.",
        "There is nothing to " + ("train on." if split == "train" else "judge a candidate by."),
        "Add a source such as builtin, or raise prepare.max_prompt_tokens.",
    )
