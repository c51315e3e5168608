"""A seed of its own for each conversation, for engines that draw every request by the seed it brings.

It hangs on the conversation and on how many equal ones came before, not on its place among others: equal conversations
are sampled apart, and no question shares another's luck.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence

from medu1.generation.backend import Conversation


def seeds(conversations: Sequence[Conversation], seed: int) -> list[int]:
    """One number in [0, 2^31) a conversation."""
    before: Counter[str] = Counter()
    found = []
    for conversation in conversations:
        text = json.dumps(list(conversation), sort_keys=True)
        found.append(_number(f"{seed}/{before[text]}/{text}"))
        before[text] += 1
    return found


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
