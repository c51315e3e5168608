"""What becomes of every question that was read: its split, or the reason it is left out.

In order: split by group, take out what two splits ask in the same words, drop the training groups that give an
evaluation question away, leave out prompts that are too long, cap each source. Lengths come before the cap, so a cap of
200 rows means 200 rows that a model can read; contamination comes before it too, so that evaluation questions over the
cap are held against training as well.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from medu1.errors import Stop
from medu1.params import Prepare
from medu1.prepare.cap import capped
from medu1.prepare.contamination.contamination import Index
from medu1.prepare.contamination.leaks import Leak, dropped_groups
from medu1.prepare.split import assigned, disjoint, group_of, prompt_of
from medu1.question import Frozen, Question

Lengths = Callable[[Sequence[Question]], list[int]]  # tokens of each prompt


class LongPrompt(Frozen):
    """A question left out because its prompt is too long."""

    id: str
    source: str
    tokens: int


class Selection(NamedTuple):
    """Every question once, but for the demonstrations, which are training questions too where they are a source."""

    kept: list[Question]
    demonstrations: list[Question]
    duplicates: list[Question]  # asked in the same words in a stricter split
    leaks: list[Leak]  # training questions and the evaluation questions they give away
    contaminated: list[Question]  # of the groups that leave training for it
    too_long: list[LongPrompt]
    over_cap: list[Question]


def select(
    questions: Sequence[Question],
    demonstrations: Iterable[Question],
    params: Prepare,
    lengths: Lengths,
    generated: Collection[str] = (),
) -> Selection:
    """Split and filter. Demonstrations are neither split nor capped. Raises Stop where a group is in two splits.

    `generated` sources fill templates, so their questions are not held against one another.
    """
    split = disjoint(assigned(questions, params))
    shown = [question for question in demonstrations if prompt_of(question) not in split.held_out]
    leaks = _leaks(split.kept, shown, params, generated)
    gone = dropped_groups(leaks)
    clean = [question for question in split.kept if not _is_gone(question, gone)]
    shown = [question for question in shown if not _is_gone(question, gone)]
    tokens = _tokens([*clean, *shown], lengths)
    fitting = [question for question in clean if tokens[question.id] <= params.max_prompt_tokens]
    kept = capped(fitting, params.max_rows_per_source, params.seed)
    chosen = {question.id for question in kept}
    selection = Selection(
        kept=kept,
        demonstrations=[question for question in shown if tokens[question.id] <= params.max_prompt_tokens],
        duplicates=split.left_out,
        leaks=leaks,
        contaminated=[question for question in split.kept if _is_gone(question, gone)],
        too_long=[
            LongPrompt(id=question.id, source=question.source, tokens=tokens[question.id])
            for question in clean
            if tokens[question.id] > params.max_prompt_tokens
        ],
        over_cap=[question for question in fitting if question.id not in chosen],
    )
    _check(selection, params)
    return selection


def _leaks(
    kept: Sequence[Question], shown: Sequence[Question], params: Prepare, generated: Collection[str]
) -> list[Leak]:
    evaluation = (question for question in kept if question.split != "train")
    learnt = {question.id: question for question in [*kept, *shown] if question.split == "train"}
    return Index.of(evaluation, params.contamination, generated).leaks(list(learnt.values()))


def _is_gone(question: Question, gone: Collection[str]) -> bool:
    return question.split == "train" and group_of(question) in gone


def _tokens(questions: Iterable[Question], lengths: Lengths) -> dict[str, int]:
    distinct = list({question.id: question for question in questions}.values())
    return dict(zip((question.id for question in distinct), lengths(distinct), strict=True))


def _check(selection: Selection, params: Prepare) -> None:
    """Nothing learnt from is asked again. Raises Stop where there is nothing to learn from or to be judged by."""
    learnt = {prompt_of(question) for question in selection.kept if question.split == "train"}
    learnt |= {prompt_of(question) for question in selection.demonstrations}
    asked = {prompt_of(question) for question in selection.kept if question.split != "train"}
    assert not learnt & asked, f"{len(learnt & asked)} prompts are learnt from and asked"
    for split in ("train", "test"):
        if not any(question.split == split for question in selection.kept):
            raise Stop(
                f"No question is left in the {split} split: {len(selection.too_long)} prompts are longer than "
                f"{params.max_prompt_tokens} tokens, {len(selection.duplicates)} are asked in another split, "
                f"{len(selection.contaminated)} give an evaluation question away.",
                "There is nothing to " + ("train on." if split == "train" else "judge a candidate by."),
                "Add a source such as builtin, or raise prepare.max_prompt_tokens.",
            )
