"""How many rows of a source go on: whole groups in the order of a hash, as long as they fit under the cap."""

from collections import defaultdict
from collections.abc import Sequence

from medu1.builtin.draw import uniform
from medu1.prepare.split import group_of
from medu1.question import Question


def capped(questions: Sequence[Question], most: int | None, seed: int) -> list[Question]:
    """At most `most` questions a source, in their old order; None: all. A group that does not fit is passed over."""
    if most is None:
        return list(questions)
    sizes: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for question in questions:
        sizes[question.source][group_of(question)] += 1
    chosen = {(source, group) for source, groups in sizes.items() for group in _fitting(groups, most, seed)}
    return [question for question in questions if (question.source, group_of(question)) in chosen]


def _fitting(groups: dict[str, int], most: int, seed: int) -> list[str]:
    taken: list[str] = []
    room = most
    for group in sorted(groups, key=lambda group: (uniform("cap", seed, group), group)):
        if groups[group] <= room:
            taken.append(group)
            room -= groups[group]
    return taken
