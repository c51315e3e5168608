"""How close a response's token count is to what was asked for, and the penalty for nearing the hard limit."""

from medu1.budget import LengthBudget
from medu1.errors import Stop


def closeness(used: int | None, budget: LengthBudget | None) -> float | None:
    """In [0, 1]; None without a budget or a token count.

    exact:   max(0, 1 - |used - N| / N)
    at_most: 1 while used <= N, then max(0, 2 - used / N): longer never pays more.
    """
    if used is None or budget is None:
        return None
    if budget.mode == "exact":
        return max(0.0, 1.0 - abs(used - budget.tokens) / budget.tokens)
    return min(1.0, max(0.0, 2.0 - used / budget.tokens))


def overlong_penalty(tokens: int, limit: int, cache: int) -> float:
    """DAPO's soft overlong punishment (arXiv 2503.14476, eq. 13), in [-1, 0].

    0 up to limit - cache, then linear to -1 at limit and beyond; with cache 0 a step just past limit.
    Raises Stop unless 0 <= cache <= limit.
    """
    if not 0 <= cache <= limit:
        raise Stop(
            f"The overlong cache is {cache} tokens and the limit {limit}.",
            "The penalty rises over the last `cache` tokens before the limit.",
            "Choose 0 <= cache <= limit.",
        )
    start = limit - cache
    if tokens <= start:
        return 0.0
    return -1.0 if tokens >= limit else (start - tokens) / cache
