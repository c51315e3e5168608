"""Similar training cases beside the question, several experts who see them, and their vote.

Nearest cases and a vote of several answers are Medprompt's parts (Nori et al. 2023, arXiv:2311.16452), the majority is
self-consistency's (Wang et al. 2023, arXiv:2203.11171). What makes the voters differ is who they are, as in MedAgents
(Tang et al. 2024, arXiv:2311.10537), so that greedy decoding gives different opinions too; where a chat template leaves
the system turn out, they are equal. A case's rationale is the source's own; none is generated for it.

A tie is decided by a chair who sees the tied answers. The first expert's answer would be cheaper, and would make the
vote of three who all differ, the usual tie of open questions, worth no more than one expert.

Calls a question, at most: the experts and the chair.
"""

from collections.abc import Sequence
from typing import Final

from medu1.evaluate.strategies.dialogue import FORM, Dialogue, as_written, conversation, reply_to, stem
from medu1.evaluate.strategies.quotation import line, quoted
from medu1.evaluate.strategies.vote import Vote, leaders, told, votes
from medu1.generation.backend import Conversation
from medu1.question import Question, gold_text

ROLES: Final = (
    "an internist",
    "a clinical scientist who knows physiology and laboratory medicine",
    "a clinical pharmacologist",
    "an emergency physician",
    "a pathologist",
    "a family doctor",
    "a surgeon",
    "an epidemiologist",
)
_CHAIR: Final = f"You are the chair of a panel of medical experts and decide between them. {FORM}"
_CASE: Final = 1500  # characters of a case's question that are shown
_REASON: Final = 600  # of its rationale
_ANSWER: Final = 300  # of its answer and of each option


def similar_cases(question: Question, cases: Sequence[Question], experts: int) -> Dialogue:
    """The majority's first reply; where nobody's answer can be read, the first expert's reply as it is."""
    shown = _shown(cases)
    replies = yield [conversation(question, _expert(number), shown) for number in range(experts)]
    leading = leaders(votes(question, replies))
    if len(leading) > 1:
        return as_written((yield from reply_to(_chair(question, leading, shown))))
    return as_written(leading[0].reply if leading else replies[0])


def _expert(number: int) -> str:
    """The system turn of an expert, counted from 0; beyond the roles each is asked for once more."""
    again, role = divmod(number, len(ROLES))
    which = f" Yours is opinion {again + 1} of that kind." if again else ""
    return f"You are {ROLES[role]}.{which} {FORM}"


def _shown(cases: Sequence[Question]) -> str:
    """The cases with their answers, one bounded line a field; nothing where there are none."""
    blocks = [_case(number, case) for number, case in enumerate(cases, start=1)]
    return "\n\n".join(["Similar cases with their right answers:", *blocks]) if blocks else ""


def _case(number: int, case: Question) -> str:
    options = [f"{letter}: {line(text, _ANSWER)}" for letter, text in sorted(case.options.items())]
    reason = [f"Because:\n{quoted(case.rationale, _REASON)}"] if case.rationale else []
    asked = quoted(stem(case.model_copy(update={"options": {}})), _CASE)
    return "\n".join([f"Case {number}:", asked, *options, *reason, f"Answer: {line(gold_text(case), _ANSWER)}"])


def _chair(question: Question, tied: Sequence[Vote], shown: str) -> Conversation:
    opinions = [told(f"Answer {number}:", each) for number, each in enumerate(tied, start=1)]
    return conversation(question, _CHAIR, shown, "Your experts are divided between these answers:", *opinions)
