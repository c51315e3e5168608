"""What a model wrote for one question."""

from typing import Literal

from medu1.question import Frozen

Finish = Literal["stop", "length"]


class Completion(Frozen):
    """`tokens` counts the whole response; `finish` is `length` where generation was cut off by the token limit."""

    question_id: str
    text: str
    tokens: int | None = None
    finish: Finish = "stop"
