"""Conversations as the text a model reads, and whether that and a reply fit what it can hold.

A model reads its own chat template. Some refuse a system turn: their first user turn then begins with its words.
"""

from collections.abc import Sequence
from typing import Any

from medu1.errors import Stop
from medu1.generation.backend import Conversation, Message

STRETCHED = frozenset({"linear", "dynamic", "yarn"})  # rotations that reach `factor` times as far


def rendered(tokenizer: Any, conversations: Sequence[Conversation]) -> list[str]:
    """Each conversation up to where the reply begins. Raises Stop where the template has no words for one."""
    if tokenizer.chat_template is None:
        raise Stop(
            "The model's tokenizer has no chat template.",
            "A conversation can be put to it in no way it was trained for.",
            "Add chat_template.jinja to the model's folder, or take a chat model.",
        )
    return [_rendered(tokenizer, conversation) for conversation in conversations]


def _rendered(tokenizer: Any, conversation: Conversation) -> str:
    from jinja2 import TemplateError

    def text(turns: Conversation) -> str:
        return str(tokenizer.apply_chat_template(list(turns), tokenize=False, add_generation_prompt=True))

    try:
        return text(conversation)
    except TemplateError as error:
        merged = without_system(conversation)
        if merged == list(conversation):
            raise _refusal(error) from None
    try:
        return text(merged)
    except TemplateError as error:
        raise _refusal(error) from None


def _refusal(error: Exception) -> Stop:
    return Stop(
        f"The model's chat template refuses a conversation: {error}.",
        next_step="Take a strategy whose turns the model knows, or a model with another template.",
    )


def without_system(conversation: Conversation) -> list[Message]:
    """The same with the system turns' words at the head of the first user turn; unchanged without a user turn."""
    system = [message["content"] for message in conversation if message["role"] == "system"]
    turns = [message for message in conversation if message["role"] != "system"]
    first = next((place for place, message in enumerate(turns) if message["role"] == "user"), None)
    if not system or first is None:
        return list(conversation)
    words = "\n\n".join([*system, turns[first]["content"]])
    return [*turns[:first], Message(role="user", content=words), *turns[first + 1 :]]


def require_room(longest: int, max_tokens: int, context: int | None) -> None:
    """Raises Stop where the longest prompt and a whole reply, in tokens, do not fit; None: no limit is known."""
    if context is not None and longest + max_tokens > context:
        raise Stop(
            f"A conversation of {longest:,} tokens and a reply of up to {max_tokens:,} do not fit the model's context "
            f"of {context:,} tokens.",
            "Beyond it a model writes what it was never trained to.",
            "Lower max_completion_tokens or prepare.max_prompt_tokens, ask by a strategy with shorter turns, or take a "
            "model with a longer context.",
        )


def context(config: Any) -> int | None:
    """Tokens a model's configuration lets it hold; None where it does not say."""
    text = config.get_text_config()
    held: int | None = getattr(text, "max_position_embeddings", None)
    rope = getattr(text, "rope_parameters", None) or {}
    if held is None or rope.get("rope_type") not in STRETCHED:
        return held
    return max(held, int(rope.get("factor", 1) * rope.get("original_max_position_embeddings", held)))
