"""What generates: conversations in, replies out, whether transformers, vLLM or an OpenAI-compatible server does it."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol, TypedDict

from medu1.completion import Finish


class Message(TypedDict):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


Conversation = Sequence[Message]
Progress = Callable[[int, int], None]  # done, total


class Decoding(NamedTuple):
    """How replies are generated."""

    max_tokens: int  # of one reply
    batch: int  # conversations at once; temperature 0 is not the same at every batch size
    temperature: float = 0.0  # 0: greedy
    seed: int = 0  # of sampled replies


class Reply(NamedTuple):
    """What a model wrote for one conversation."""

    text: str
    tokens: int | None  # None where the backend does not say
    finish: Finish


def silent(done: int, total: int) -> None:
    """Nobody watches."""


class Backend(Protocol):
    """One model, ready to be asked."""

    def replies(
        self, conversations: Sequence[Conversation], decoding: Decoding, on_progress: Progress = silent
    ) -> list[Reply]:
        """One reply a conversation, in order. Equal conversations are sampled apart. Raises Stop where it cannot."""
