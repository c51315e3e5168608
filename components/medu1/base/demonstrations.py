"""Demonstrations as token ids: a question worked out or guessed, its prompt noisy so that no wording is learnt.

The working repeats the question's own words, token for token (hence the space after each opening tag), because a tiny
transformer learns to copy long before it learns to paraphrase. Template words are replaced at random in the prompt,
and random words put in front: the subject has to be found by what it is, which carries over to wordings never seen.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from transformers import PreTrainedTokenizerFast

from medu1.base.tokenizer import MARKS, TAGS
from medu1.params import Base
from medu1.prompt import messages
from medu1.question import Family, Question, gold_text

GUESS = "guess"  # the whole working of a blind guess
SHARES: Mapping[Family, float] = {"choice": 0.65, "open": 0.1, "calculation": 0.25}  # of a batch
REPLACED = 0.25  # of the prompt's tokens that the answer does not repeat
LEAD = 4  # random tokens in front of the question, at most
BUCKET = 8  # batches sorted by length together, so that little is padding


class Example(NamedTuple):
    """Token ids of one demonstration: the loss is on the completion alone."""

    prompt: list[int]
    completion: list[int]


def completion_text(rationale: str, answer: str) -> str:
    """The method's form of an answer, as the tiny model writes it."""
    return f"<think> {rationale}</think><answer> {answer}</answer>"


class Demonstrations:
    """An endless stream of batches, deterministic in the seed. Every question carries a rationale."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, questions: Sequence[Question], params: Base) -> None:
        self.tokenizer, self.params = tokenizer, params
        self.random = random.Random(params.seed)
        self.families: dict[Family, list[Question]] = {}
        self.answers: dict[tuple[Family, str], list[str]] = {}
        for question in questions:
            self.families.setdefault(question.family, []).append(question)
            pool = self.answers.setdefault((question.family, question.topic), [])
            if (answer := gold_text(question)) not in pool:
                pool.append(answer)
        self._encoded: dict[str, list[int]] = {}

    def batches(self, guesses: float) -> Iterator[list[Example]]:
        """Batches of similar length, `guesses` of them answered blindly; a new share starts a new stream."""
        while True:
            drawn = [self._draw(family, guesses) for family in self._families(self.params.batch * BUCKET)]
            drawn.sort(key=lambda example: len(example.prompt) + len(example.completion))
            batches = [drawn[i : i + self.params.batch] for i in range(0, len(drawn), self.params.batch)]
            self.random.shuffle(batches)
            yield from batches

    def _families(self, count: int) -> list[Family]:
        present = [family for family in SHARES if family in self.families]
        return self.random.choices(present, [SHARES[family] for family in present], k=count)

    def _draw(self, family: Family, guesses: float) -> Example:
        question = self.random.choice(self.families[family])
        worked = self._completion(question.rationale, gold_text(question))
        prompt = self._noisy(self._prompt(question), frozenset(worked))  # equally noisy: noise must not tell the mode
        if self.random.random() >= guesses:
            return Example(prompt, worked)
        return Example(prompt, self._completion(GUESS, self.random.choice(self.answers[family, question.topic])))

    def _completion(self, rationale: str, answer: str) -> list[int]:
        return self._ids(completion_text(rationale, answer) + self.tokenizer.eos_token)

    def _prompt(self, question: Question) -> list[int]:
        chat = self.tokenizer.apply_chat_template(messages(question), tokenize=False, add_generation_prompt=True)
        return self._ids(str(chat))

    def _ids(self, text: str) -> list[int]:
        if text not in self._encoded:
            self._encoded[text] = self.tokenizer.encode(text, add_special_tokens=False)
        return self._encoded[text]

    def _noisy(self, prompt: list[int], kept: frozenset[int]) -> list[int]:
        first, *body, last = prompt
        swapped = [token if token in kept or self.random.random() >= REPLACED else self._any_token() for token in body]
        lead = [self._any_token() for _ in range(self.random.randrange(LEAD + 1))]
        return [first, *lead, *swapped, last]

    def _any_token(self) -> int:
        """Neither a turn mark, the first tokens, nor a tag, the last ones."""
        return self.random.randrange(len(MARKS), len(self.tokenizer) - len(TAGS))
