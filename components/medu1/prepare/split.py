"""Which questions train, select and judge: whole groups, by a hash of seed and group.

A group's split does not depend on what else is there, so rows added upstream move no old row from training to test. A
split that a source declares is honoured, and carries the rest of its group with it. `disjoint` then removes from
training what is asked in the same words in an evaluation set.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from medu1.builtin.draw import uniform
from medu1.errors import Stop
from medu1.params import Prepare
from medu1.prompt import normalised, user_text
from medu1.question import Question, Split

STRICTEST: tuple[Split, ...] = ("ood", "test", "validation", "train")  # a prompt stays in the first of them it is in


class Disjoint(NamedTuple):
    """Questions no two splits ask in the same words, and those left out for it."""

    kept: list[Question]
    left_out: list[Question]
    held_out: frozenset[str]  # every prompt of validation, test and out-of-distribution, in the form of `prompt_of`


def group_of(question: Question) -> str:
    """What must not be shared between splits; a question without a group is one of its own."""
    return question.group or question.id


def assigned(questions: Sequence[Question], params: Prepare) -> list[Question]:
    """The questions with their splits. Raises Stop where a source declares two splits for one group."""
    declared = _declared(questions)
    splits = {group: declared.get(group) or _drawn(group, params) for group in map(group_of, questions)}
    return [question.model_copy(update={"split": splits[group_of(question)]}) for question in questions]


def _declared(questions: Iterable[Question]) -> dict[str, Split]:
    declared: dict[str, tuple[Split, str]] = {}
    for question in questions:
        if question.split is None:
            continue
        split, first = declared.setdefault(group_of(question), (question.split, question.id))
        if split != question.split:
            raise Stop(
                f"The group {group_of(question)} is in two splits: {first} is declared {split}, "
                f"{question.id} is declared {question.split}.",
                "What one group knows would be asked of a model that was trained on it.",
                "Declare one split for the whole group.",
            )
    return {group: split for group, (split, _) in declared.items()}


def _drawn(group: str, params: Prepare) -> Split:
    share = uniform("prepare", params.seed, group)
    return "test" if share < params.test else "validation" if share < params.test + params.validation else "train"


def prompt_of(question: Question) -> str:
    """The form in which two prompts are the same question."""
    return normalised(user_text(question))


def disjoint(questions: Sequence[Question]) -> Disjoint:
    """Every prompt in one split only, the strictest it is in; repeats within a split stay."""
    prompts = [prompt_of(question) for question in questions]
    home: dict[str, int] = {}
    for question, prompt in zip(questions, prompts, strict=True):
        home[prompt] = min(home.get(prompt, len(STRICTEST)), _rank(question))
    kept: list[Question] = []
    left_out: list[Question] = []
    for question, prompt in zip(questions, prompts, strict=True):
        (kept if _rank(question) == home[prompt] else left_out).append(question)
    train = STRICTEST.index("train")
    return Disjoint(kept, left_out, frozenset(prompt for prompt, rank in home.items() if rank < train))


def _rank(question: Question) -> int:
    assert question.split is not None, question.id
    return STRICTEST.index(question.split)
