"""Reasoning in named sections, the answer the last of them: one call, and how complete the sections are.

After prompts that lead a model through a clinician's steps: Savage et al. 2024, "Diagnostic reasoning prompts reveal
the potential for large language model interpretability in medicine" (doi:10.1038/s41746-024-01010-1); Sonoda et al.
2024, who have the findings ordered before they are judged (doi:10.1007/s11604-024-01712-2).
"""

from typing import Final

from medu1.evaluate.strategies.answers import after_thought, is_tagged, wrapped
from medu1.evaluate.strategies.dialogue import Answered, Dialogue, conversation, reply_to
from medu1.evaluate.strategies.sections import NAMES, Section, completeness, sections
from medu1.generation.backend import Reply
from medu1.question import Question

_WHAT: Final = (
    "what the question states that matters",
    "the medical facts, rules or formulas that apply",
    "how the answer follows from both, step by step",
    "what speaks against it, and whether every figure and step holds",
    "the final answer alone",
)
_SYSTEM: Final = "You are a careful clinician who reasons in writing, section by section."
_ASK: Final = "Reply in these five sections, in this order, each below its heading:\n" + "\n".join(
    f"{name}: {what}" for name, what in zip(NAMES, _WHAT, strict=True)
)


def structured(question: Question) -> Dialogue:
    """The answer section is the answer; answer tags are taken as they are. Sections after a thought are the reply's."""
    reply = yield from reply_to(conversation(question, _SYSTEM, _ASK))
    last = after_thought(reply.text)
    found = sections(last if last.strip() else reply.text)
    return Answered(_text(reply, found), reply, completeness(found))


def _text(reply: Reply, found: list[Section]) -> str:
    """As written where there is not one whole answer section: none, several that differ, or a cut-off reply."""
    answers = {section.body for section in found if section.name == NAMES[-1] and section.body}
    if len(answers) != 1 or reply.finish == "length" or "<answer>" in reply.text:
        return reply.text
    [answer] = answers
    steps = " ".join(f"{section.name}: {section.body}" for section in found if section.name != NAMES[-1])
    return reply.text if is_tagged(answer) else wrapped(steps, answer)
