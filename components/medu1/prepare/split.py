"""Which questions train, select and judge: whole groups, by a hash of seed and group.

A group's split does not depend on what else is there, so rows added upstream move no old row from training to test. No
quota could hold that: to fill one, a new row would push an old one out. So every stratum (task and calculator or topic)
gets its shares by the law of large numbers, and the report lists what each has got. A split that a source declares is
honoured, and carries the rest of its group with it.
"""

from medu1.builtin.draw import uniform
from medu1.params import Prepare
from medu1.prompt import normalised, user_text
from medu1.question import Question, Split

STRICTEST: tuple[Split, ...] = ("ood", "test", "validation", "train")  # a prompt stays in the first of them it is in


def group_of(question: Question) -> str:
    """What must not be shared between splits; a question without a group is one of its own."""
    return question.group or question.id


def drawn(group: str, params: Prepare) -> Split:
    """The split of a group that no source declares."""
    share = uniform("prepare", params.seed, group)
    return "test" if share < params.test else "validation" if share < params.test + params.validation else "train"


def prompt_of(question: Question) -> str:
    """The form in which two prompts are the same question."""
    return normalised(user_text(question))
