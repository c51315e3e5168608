"""What the newest generation looks like, in figures whose names are stable.

Every process holds whole groups of its own and gives `Share`s by name; those of all processes are `merged`, and `means`
makes metrics of them. A figure without rows is left out. A completion is scored unless its question is unscorable.

| metric | is |
|---|---|
| train/completions, train/groups | how many the generation holds |
| train/reward | mean reward of scored completions |
| train/reward/PART | mean of a part of it: correct, format, length, overlong (`scoring/reward.py`) |
| train/reward/FAMILY, train/reward/FAMILY/PART | the same within one family: choice, open, calculation |
| train/correct, train/correct/FAMILY | share of scored completions that are right |
| train/format | share of completions in the method's format |
| train/no_answer | share without an answer to judge: none closed, empty, or cut off |
| train/odd_tags | share with nested or look-alike tags, or an oversized answer |
| train/several_answers | share that hedges: several answers, a range, a short text among other content |
| train/not_of_kind | share whose answer is no option, number, date or weeks and days, as its question asks for |
| train/unscorable | share that earns nothing, by a fault of the question or of the grader |
| train/truncated | share cut off by the token limit |
| train/repetition | share that repeats itself at its end (`repeats`) |
| train/answer_words | mean words of an extracted answer |
| train/tokens, train/tokens/right, train/tokens/wrong | mean tokens of a completion; of a right, of a wrong one |
| train/budget/closeness | mean closeness to the length asked for, in [0, 1] under any preset (`scoring/length.py`) |
| train/budget/within | share that keeps a limit, or comes within 10% of an exact length |
| train/groups/all_right, train/groups/all_wrong, train/groups/mixed | share of groups, by their scored completions |
| train/groups/unscorable | share of groups without a scored completion: the four sum to 1 |
| train/groups/zero_variance | share of groups whose rewards are equal up to 1e-6: they teach nothing |
| train/letters/answers, train/letters/questions | choice completions that name an option, their questions: how many |
| train/letters/answered/LETTER, train/letters/gold/LETTER | share of these that name it; for which it is right |
| train/letters/skew | total variation distance between the two histograms, in [0, 1] |

The thirty reason codes are no metrics. Four shares gather those that tell a fault of form, which training can cause and
cure; the table of completions has each one's own.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Final, NamedTuple

from medu1.budget import LengthBudget
from medu1.question import Choice
from medu1.scoring.choice import judge_choice
from medu1.scoring.length import closeness
from medu1.scoring.reward import Parts
from medu1.scoring.verdict import Reason
from medu1.train.rewards import Judged

COMPLETIONS, GROUPS, REWARD, TOKENS = "train/completions", "train/groups", "train/reward", "train/tokens"
REPETITION, SKEW = "train/repetition", "train/letters/skew"
ANSWERS, QUESTIONS = "train/letters/answers", "train/letters/questions"
ANSWERED, GOLD = "train/letters/answered/", "train/letters/gold/"  # before a letter
COUNTS: Final = frozenset({COMPLETIONS, GROUPS, ANSWERS, QUESTIONS})  # sums; the others are means

_FORM: Final[Mapping[Reason, str]] = {
    Reason.NO_ANSWER: "train/no_answer",
    Reason.EMPTY_ANSWER: "train/no_answer",
    Reason.TRUNCATED: "train/no_answer",
    Reason.NESTED_TAGS: "train/odd_tags",
    Reason.LOOKALIKE_TAGS: "train/odd_tags",
    Reason.OVERSIZED: "train/odd_tags",
    Reason.SEVERAL_ANSWERS: "train/several_answers",
    Reason.SEVERAL_LETTERS: "train/several_answers",
    Reason.SEVERAL_NUMBERS: "train/several_answers",
    Reason.SEVERAL_DATES: "train/several_answers",
    Reason.RANGE_OR_INEQUALITY: "train/several_answers",
    Reason.EXTRA_WORDS: "train/several_answers",
    Reason.NOT_AN_OPTION: "train/not_of_kind",
    Reason.AMBIGUOUS_TEXT: "train/not_of_kind",
    Reason.LETTER_TEXT_CONFLICT: "train/not_of_kind",
    Reason.NOT_A_NUMBER: "train/not_of_kind",
    Reason.NOT_A_DATE: "train/not_of_kind",
    Reason.NOT_WEEKS_DAYS: "train/not_of_kind",
}
EQUAL: Final = 1e-6  # rewards no further apart are one: sums of floats
NEAR: Final = 0.1  # share of an exact budget that a response may miss it by

TAIL: Final = 2000  # characters at the end: a loop lasts until the token limit, or nearly
RUN: Final = 20  # words and signs: a loop repeats runs of any length, a list worded alike only short ones
FEWEST: Final = 16  # runs
REPEATED: Final = 0.5  # share of the runs that stand earlier
_PIECE = re.compile(r"[^\W\u3040-\U0010ffff]{1,12}|\S")  # words, signs, and characters of East Asian scripts

_CHOICES: Final = {letter: Choice(letter=letter) for letter in ascii_uppercase}


@dataclass(frozen=True, slots=True)
class Share:
    """A sum over rows and their number, which add up over processes."""

    total: float
    count: int


class Telemetry:
    """The newest generation of this process, in groups of one prompt."""

    def __init__(self) -> None:
        self.newest: list[Judged] = []
        self.groups: list[list[Judged]] = []
        self._is_measured = True

    def record(self, batch: Sequence[Judged], group_size: int) -> None:
        """Keep a generation. Asserts that groups are whole and of one prompt, which GRPO's advantages rest on."""
        assert len(batch) % group_size == 0, f"{len(batch)} completions are no whole groups of {group_size}"
        self.newest, self._is_measured = list(batch), False
        self.groups = [self.newest[start : start + group_size] for start in range(0, len(batch), group_size)]
        for group in self.groups:
            assert len({each.question.id for each in group}) == 1, "a group holds completions of several prompts"

    def clear(self) -> None:
        """Give no more figures, so that steps which reuse a generation do not measure it again; completions stay."""
        self._is_measured = True

    def shares(self) -> dict[str, Share]:
        """This process's part of every figure; empty before a generation and once cleared."""
        if self._is_measured or not self.newest:
            return {}
        return {
            COMPLETIONS: Share(len(self.newest), 1),
            GROUPS: Share(len(self.groups), 1),
            **_rewards(self.newest),
            **_form(self.newest),
            **_lengths(self.newest),
            **_letters(self.newest),
            **_groups(self.groups),
        }


def merged(parts: Iterable[Mapping[str, Share]]) -> dict[str, Share]:
    """The shares of several processes as if one had seen every row."""
    found: dict[str, Share] = {}
    for part in parts:
        for name, share in part.items():
            before = found.get(name, Share(0.0, 0))
            found[name] = Share(before.total + share.total, before.count + share.count)
    return found


def means(shares: Mapping[str, Share]) -> dict[str, float]:
    """Metrics by name. The skew of letters is found here: it is no mean of those of single processes."""
    found = {
        name: float(share.total if name in COUNTS else share.total / share.count)
        for name, share in shares.items()
        if share.count
    }
    answered, gold = histogram(found, ANSWERED), histogram(found, GOLD)
    if not answered:
        return found
    idle = {letter for letter in ascii_uppercase if not answered[letter] + gold[letter]}
    unused = {prefix + letter for letter in idle for prefix in (ANSWERED, GOLD)}
    return {SKEW: distance(answered, gold)} | {name: value for name, value in found.items() if name not in unused}


def histogram(metrics: Mapping[str, float], prefix: str) -> dict[str, float]:
    """Shares by letter, of the metrics whose names begin with the prefix."""
    return {letter: metrics[prefix + letter] for letter in ascii_uppercase if prefix + letter in metrics}


def distance(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """Total variation distance of two distributions, in [0, 1]: half the sum of the absolute differences."""
    return sum(abs(one.get(key, 0.0) - other.get(key, 0.0)) for key in {*one, *other}) / 2


def repeats(text: str) -> bool:
    """Whether more than half of the runs of twenty words and signs in the last 2,000 characters stand there earlier.

    The measure is seq-rep-n of Welleck et al. 2020 (arXiv 1908.04319), one minus the share of distinct runs; MedCalc's
    1,047 worked answers, lists worded alike, reach 0.41 (0.75 for runs of four). Fewer than sixteen runs tell nothing.
    Linear in the text, which is bounded.
    """
    pieces = _PIECE.findall(text[-TAIL:])
    runs = len(pieces) - RUN + 1
    if runs < FEWEST:
        return False
    distinct = set(zip(*(pieces[start:] for start in range(RUN)), strict=False))
    return runs - len(distinct) > REPEATED * runs


def letter_of(judged: Judged) -> str | None:
    """The option that an answer to a choice question names, as the grader reads it; None where it names none."""
    gold, answer, options = judged.question.gold, judged.verdict.answer, judged.question.options
    if not isinstance(gold, Choice) or answer is None:
        return None
    if judged.verdict.correct:
        return gold.letter
    if judged.verdict.reason is not Reason.WRONG_LETTER:
        return None
    return answer if answer in options else next(filter(lambda each: _names(answer, options, each), options), None)


def _names(answer: str, options: Mapping[str, str], letter: str) -> bool:
    return bool(judge_choice(answer, options, _CHOICES[letter]).correct)


def _share(values: Sequence[float]) -> Share:
    return Share(float(sum(values)), len(values))


class _Scored(NamedTuple):
    """What the grader and the weights say of a completion."""

    family: str
    is_right: bool
    parts: Parts


def _rewards(batch: Sequence[Judged]) -> dict[str, Share]:
    """Rewards and right answers of scored completions, all together and family by family."""
    scored = [_Scored(each.question.family, bool(each.verdict.correct), each.parts) for each in batch if each.parts]
    found = _paid(scored, "")
    for family in sorted({each.family for each in scored}):
        found |= _paid([each for each in scored if each.family == family], f"/{family}")
    return found


def _paid(scored: Sequence[_Scored], family: str) -> dict[str, Share]:
    found = {
        f"train/correct{family}": _share([each.is_right for each in scored]),
        f"{REWARD}{family}": _share([each.parts.total for each in scored]),
    }
    paid = zip(*(each.parts for each in scored), strict=True)  # by part
    return found | {
        f"{REWARD}{family}/{part}": _share(values) for part, values in zip(Parts._fields, paid, strict=False)
    }


def _form(batch: Sequence[Judged]) -> dict[str, Share]:
    """What can be told without the gold."""
    faults = Counter(_FORM.get(each.verdict.reason) for each in batch)
    return {name: Share(float(faults[name]), len(batch)) for name in dict.fromkeys(_FORM.values())} | {
        "train/format": _share([each.verdict.format_ok for each in batch]),
        "train/unscorable": _share([each.verdict.correct is None for each in batch]),
        "train/truncated": _share([each.completion.finish == "length" for each in batch]),
        REPETITION: _share([repeats(each.completion.text) for each in batch]),
    }


def _lengths(batch: Sequence[Judged]) -> dict[str, Share]:
    """Tokens, words of answers, and how prompts that ask for a length are heeded."""
    counted = [(each.completion.tokens, each.verdict.correct) for each in batch if each.completion.tokens is not None]
    asked = [(used, each.budget) for each in batch if each.budget and (used := each.completion.tokens) is not None]
    return {
        TOKENS: _share([tokens for tokens, _ in counted]),
        f"{TOKENS}/right": _share([tokens for tokens, correct in counted if correct]),
        f"{TOKENS}/wrong": _share([tokens for tokens, correct in counted if correct is False]),
        "train/answer_words": _share([len(each.verdict.answer.split()) for each in batch if each.verdict.answer]),
        "train/budget/closeness": _share([closeness(*each) or 0.0 for each in asked]),
        "train/budget/within": _share([_is_within(*each) for each in asked]),
    }


def _is_within(used: int, budget: LengthBudget) -> bool:
    return used <= budget.tokens if budget.mode == "at_most" else abs(used - budget.tokens) <= NEAR * budget.tokens


def _letters(batch: Sequence[Judged]) -> dict[str, Share]:
    """Letters answered and, of the same completions, right ones; all of A-Z, so that processes count the same rows."""
    named = [(each.question, letter) for each in batch if (letter := letter_of(each))]
    if not named:
        return {}
    answered = Counter(letter for _, letter in named)
    gold = Counter(question.gold.letter for question, _ in named if isinstance(question.gold, Choice))
    return {
        ANSWERS: Share(len(named), 1),
        QUESTIONS: Share(len({question.id for question, _ in named}), 1),
        **{ANSWERED + letter: Share(float(answered[letter]), len(named)) for letter in ascii_uppercase},
        **{GOLD + letter: Share(float(gold[letter]), len(named)) for letter in ascii_uppercase},
    }


def _groups(groups: Sequence[Sequence[Judged]]) -> dict[str, Share]:
    """Groups by what can be learnt from them."""
    kinds = Counter(_kind(group) for group in groups)
    equal = sum(_pays_alike([each.parts.total for each in group if each.parts]) for group in groups)
    found = {kind: kinds[kind] for kind in ("all_right", "all_wrong", "mixed", "unscorable")} | {"zero_variance": equal}
    return {f"{GROUPS}/{name}": Share(float(number), len(groups)) for name, number in found.items()}


def _kind(group: Sequence[Judged]) -> str:
    right = {each.verdict.correct for each in group} - {None}
    if not right:
        return "unscorable"
    if len(right) > 1:
        return "mixed"
    return "all_right" if True in right else "all_wrong"


def _pays_alike(rewards: Sequence[float]) -> bool:
    return bool(rewards) and max(rewards) - min(rewards) <= EQUAL
