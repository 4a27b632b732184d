"""How much of a ranked list, or of a text, a window holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from memory.paging import longest


def fit(
    texts: Sequence[str],
    count_tokens: Callable[[Sequence[str]], list[int]],
    max_tokens: int,
    tokens_per_item: int = 6,
) -> int:
    """How many of ``texts``, best first, fit ``max_tokens`` together, at least one if there is any.

    ``tokens_per_item`` is what a list entry costs beside its text: its number, label and line break.
    """
    used = 0
    for index, tokens in enumerate(count_tokens(texts)):
        used += tokens + tokens_per_item
        if used > max_tokens and index > 0:
            return index
    return len(texts)


def clipped(text: str, count_tokens: Callable[[Sequence[str]], list[int]], max_tokens: int) -> str:
    """The text, or as much of its beginning as has ``max_tokens`` together with the sign that more follows."""
    if count_tokens([text])[0] <= max_tokens:
        return text
    return f"{text[: longest(len(text), lambda end: count_tokens([f'{text[:end]} …'])[0] <= max_tokens)]} …"
