"""The method's prompt: a system instruction, then context, question, options, type suffix and length instruction.

The chat template is the model's own and is applied once, by whoever holds the tokenizer. `normalised` is the form
in which two prompts are compared for leakage.
"""

import re
import unicodedata

from medu1.budget import LengthBudget
from medu1.question import Choice, Date, FreeText, Integer, Number, Question, WeeksDays

SYSTEM = (
    "You are a helpful medical assistant. Think first, then give only the final answer, "
    "as <think> reasoning </think><answer> answer </answer>."
)


def messages(question: Question, budget: LengthBudget | None = None) -> list[dict[str, str]]:
    """The conversation a chat template renders: system and user, in that order."""
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": user_text(question, budget)}]


def user_text(question: Question, budget: LengthBudget | None = None) -> str:
    """The user turn: context, question, options, what form the answer takes, how long to think."""
    parts = [f"<Context>{question.context}</Context>"] if question.context else []
    parts.append(question.text)
    parts += [f"{letter}: {text}" for letter, text in sorted(question.options.items())]
    parts.append(answer_form(question))
    if budget:
        parts.append(budget.instruction())
    return "\n".join(parts)


def answer_form(question: Question) -> str:
    """The sentence that says what form the answer takes."""
    match question.gold:
        case Choice():
            return "Answer with one option letter only."
        case Number() | Integer():
            return "Answer with a number only."
        case Date():
            return "Answer with a date only, such as 04/23/2021."
        case WeeksDays():
            return "Answer with weeks and days only, such as 17 weeks and 6 days."
        case FreeText():
            return "Answer with a short text."


_SPACED = {code: " " for code in range(128) if not chr(code).isalnum()}


def normalised(text: str) -> str:
    """Case, accents' encoding, punctuation and spacing folded away: equal prompts leak, whatever their typography."""
    if text.isascii():  # the same, several times faster
        return " ".join(text.lower().translate(_SPACED).split())
    return re.sub(r"[\W_]+", " ", unicodedata.normalize("NFKC", text).casefold()).strip()
