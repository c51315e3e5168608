"""What the grader says about one completion: right, wrong or unscorable, with the evidence.

Unscorable (`correct` None) is a property of the question or an internal fault; nothing a completion contains causes it.
"""

from enum import StrEnum
from typing import NamedTuple


class Reason(StrEnum):
    """Why a verdict is what it is; one code a verdict."""

    RIGHT = "right"  # the answer is the gold by the rules of its kind
    NO_ANSWER = "no_answer"  # no closed answer block after the last </think>
    TRUNCATED = "truncated"  # no closed answer block, and the token limit cut the response off
    EMPTY_ANSWER = "empty_answer"  # the block holds nothing but spaces
    SEVERAL_ANSWERS = "several_answers"  # blocks of different content
    NESTED_TAGS = "nested_tags"  # a tag inside the answer block
    LOOKALIKE_TAGS = "lookalike_tags"  # a tag that only looks like an answer tag
    OVERSIZED = "oversized"  # longer than any answer needs to be
    WRONG_LETTER = "wrong_letter"  # another option
    SEVERAL_LETTERS = "several_letters"  # more than one option letter
    NOT_AN_OPTION = "not_an_option"  # neither an option letter nor an option's text
    AMBIGUOUS_TEXT = "ambiguous_text"  # the text of several options
    LETTER_TEXT_CONFLICT = "letter_text_conflict"  # a letter with words that are not its own option's text
    NOT_A_NUMBER = "not_a_number"  # no finite number found
    SEVERAL_NUMBERS = "several_numbers"  # different numbers
    RANGE_OR_INEQUALITY = "range_or_inequality"  # a span, a bound or a +/- where one number is asked
    OUTSIDE_LIMITS = "outside_limits"  # a decimal outside the accepted limits
    WRONG_VALUE = "wrong_value"  # another whole number, or another figure inside a text
    NOT_A_DATE = "not_a_date"  # no calendar date in month-day-year, ISO or month-name form
    SEVERAL_DATES = "several_dates"  # different dates, or a date beside other figures
    WRONG_DATE = "wrong_date"  # another date
    NOT_WEEKS_DAYS = "not_weeks_days"  # not exactly one number of weeks and one of days
    WRONG_WEEKS_DAYS = "wrong_weeks_days"  # another number of weeks or days
    NEGATED = "negated"  # the answer denies the gold
    CONTRADICTED = "contradicted"  # the opposite of a gold word stands in its place
    TOO_FEW_CONTENT_WORDS = "too_few_content_words"  # too few of the gold's content words
    EXTRA_WORDS = "extra_words"  # a short gold among other content: another answer, or several
    BELOW_THRESHOLD = "below_threshold"  # too unlike every accepted text
    UNSCORABLE = "unscorable"  # the gold is malformed, or the grader failed
    MALFORMED_QUESTION = "malformed_question"  # the question's row cannot be read; rows of `medu1 score` only
    UNKNOWN_QUESTION = "unknown_question"  # no question has this id; rows of `medu1 score` only
    UNREADABLE_ROW = "unreadable_row"  # the completion's row is not of the contract; rows of `medu1 score` only


class Judgement(NamedTuple):
    """What a gold kind's module says about an extracted answer; `similarity` in [0, 1], for free text only."""

    correct: bool | None
    reason: Reason
    similarity: float | None = None


def right(similarity: float | None = None) -> Judgement:
    """The answer is the gold."""
    return Judgement(True, Reason.RIGHT, similarity)


def wrong(reason: Reason, similarity: float | None = None) -> Judgement:
    """The answer is not the gold, because of `reason`."""
    return Judgement(False, reason, similarity)


class Verdict(NamedTuple):
    """The one record training, evaluation and the audit read."""

    question_id: str
    format_ok: bool  # reported and rewarded apart; never changes `correct`
    answer: str | None  # the extracted answer, stripped; None where there is none
    correct: bool | None  # None: unscorable
    reason: Reason
    similarity: float | None = None  # [0, 1], free text only
    length: float | None = None  # closeness to the budget, in [0, 1]; under paper in [-1, 1]; None without a budget
