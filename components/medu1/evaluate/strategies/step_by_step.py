"""Zero-shot chain of thought, then the answer: one call.

Kojima et al. 2022, "Large Language Models are Zero-Shot Reasoners" (arXiv:2205.11916), whose trigger sentence this is.
Published prompts put it last; here it stands before the question, so that every prompt ends in the answer's form.
"""

from typing import Final

from medu1.evaluate.strategies.dialogue import FORM, Dialogue, as_written, conversation, reply_to
from medu1.question import Question

_SYSTEM: Final = f"You are a helpful medical assistant who reasons in small steps. {FORM}"
_TRIGGER: Final = "Let's think step by step: state each step and what follows from it before you answer."


def step_by_step(question: Question) -> Dialogue:
    """Reasoning is asked for in words, whatever the model is trained on."""
    return as_written((yield from reply_to(conversation(question, _SYSTEM, _TRIGGER))))
