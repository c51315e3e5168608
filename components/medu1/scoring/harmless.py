"""Harmless changes of a free-text gold: what a model writes that is right and not word for word the reference."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from medu1.question import Question, gold_text
from medu1.scoring.battery import draw
from medu1.scoring.words import STOP_WORDS

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
SENTENCES: Final = (
    "Please see a doctor for more information.",
    "Individual cases may vary.",
    "This is not medical advice.",
)


def with_lead_in(question: Question) -> str:
    """ "The answer is: " before the gold."""
    return f"The answer is: {gold_text(question)}"


def reordered(question: Question) -> str:
    """The gold's sentences, the last one first."""
    return " ".join(reversed(_SENTENCE_END.split(gold_text(question).strip())))


def with_sentence(question: Question) -> str:
    """One sentence that says nothing of the matter after the gold."""
    return f"{gold_text(question)} {SENTENCES[draw(question.id) % len(SENTENCES)]}"


def fewer_stop_words(question: Question) -> str:
    """The gold without about 30% of its stop words."""
    words = gold_text(question).split()
    return " ".join(
        word
        for place, word in enumerate(words)
        if word.casefold() not in STOP_WORDS or draw(f"{question.id}/{place}") % 10 >= 3
    )


GOLD: Final = "the gold"  # the name of no change at all
CHANGES: Final[Mapping[str, Callable[[Question], str]]] = {
    GOLD: gold_text,
    "a lead-in before the gold": with_lead_in,
    "the gold's sentences reordered": reordered,
    "one harmless sentence after the gold": with_sentence,
    "the gold without 30% of its stop words": fewer_stop_words,
}
