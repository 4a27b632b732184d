from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from memory import fit


def words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


@given(st.lists(st.text(alphabet="ab ", max_size=40), max_size=30), st.integers(0, 60))
def test_what_fits_is_within_the_window_and_the_next_one_would_not_be(texts: list[str], window: int) -> None:
    count = fit(texts, words, window, tokens_per_item=1)
    cost = [tokens + 1 for tokens in words(texts)]
    assert count == len(texts) or sum(cost[: count + 1]) > window
    assert count <= 1 or sum(cost[:count]) <= window
    assert count >= min(1, len(texts))
