"""The grader's few settings."""

from typing import Annotated

from pydantic import Field

from medu1.question import Frozen


class Grading(Frozen):
    """Defaults are calibrated on real benchmark files; `tests/real` holds them to their targets.

    At threshold 0.6, on 2,000 MedQuAD golds: another type's gold is accepted 0 times; the gold with one harmless
    sentence appended is rejected 4 times, its first half is accepted 12 times.
    """

    free_text_threshold: Annotated[float, Field(ge=0, le=1)] = 0.6  # token-F1 or ROUGE-L F at which a text is right
    number_tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.05  # share of the value, where the gold has no limits
    max_answer_characters: Annotated[int, Field(gt=0)] = 2000  # longer answers are wrong; twice a longer gold's length


DEFAULT_GRADING = Grading()
