"""The tiny model's files: a tokenizer fitted to the built-in questions, and weights after the warm start."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from transformers import PreTrainedTokenizerFast
from transformers.utils import logging

from medu1.base.demonstrations import GUESS, completion_text
from medu1.base.tokenizer import fit
from medu1.base.warmstart import untrained, warm_start
from medu1.builtin.questions import calculation, taught
from medu1.params import Base
from medu1.prompt import user_text
from medu1.question import Question, gold_text
from medu1.stage import Stage

PER_TOPIC = 150  # choice and calculation questions of a topic in the tokenizer's corpus: words matter, not figures
LOGGED = 10  # steps between logged losses


def write_tokenizer(folder: Path, vocabulary: int) -> int:
    """Fit and save; gives the number of tokens."""
    tokenizer = fit(_corpus(), vocabulary)
    tokenizer.save_pretrained(folder)
    return len(tokenizer)


def write_model(folder: Path, vocabulary: Path, questions: Sequence[Question], params: Base, stage: Stage) -> None:
    """Train the tiny model and save it with its tokenizer."""
    logging.disable_progress_bar()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(vocabulary)
    model = untrained(params, tokenizer)

    def on_step(step: int, loss: float) -> None:
        stage.progress(step, params.steps, f"loss {loss:.2f}")
        if step % LOGGED == 0 or step == params.steps:
            stage.metrics({"loss": loss}, step)

    warm_start(model, tokenizer, questions, params, on_step)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _corpus() -> Iterator[str]:
    """Training prompts and answers: every fact once a wording, and of each topic as many others as show its words."""
    seen: Counter[str] = Counter()
    for question in (*taught(("train",)), *(each for each in calculation() if each.split == "train")):
        seen[question.topic] += question.family != "open"
        if question.family == "open" or seen[question.topic] <= PER_TOPIC:
            yield user_text(question) + "\n" + completion_text(question.rationale, gold_text(question))
    yield from [completion_text(GUESS, "")] * PER_TOPIC
