from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphreader.llm.partial import StringReader, partial_string

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(TEXTS, TEXTS, st.booleans(), st.booleans())
def test_any_beginning_gives_a_beginning_and_the_whole_the_whole(
    message: str, other: str, ascii_only: bool, wrapped: bool
) -> None:
    call = {"function": "send_message", "note": other, "message": message, "last": other}
    text = json.dumps({"reply": call} if wrapped else call, ensure_ascii=ascii_only)
    beginnings = [partial_string(text[:end], "message") for end in range(len(text) + 1)]
    assert all(message.startswith(one) for one in beginnings)
    assert [len(one) for one in beginnings] == sorted(len(one) for one in beginnings)
    assert beginnings[-1] == message


@given(TEXTS, st.lists(st.integers(1, 5), min_size=1, max_size=20))
def test_pieces_however_cut_add_up(message: str, sizes: list[int]) -> None:
    text = json.dumps({"message": message})
    reader, told, start = StringReader("message"), "", 0
    for size in [*sizes, len(text)]:
        told += reader.new_text(text[start : start + size])
        start += size
    assert told == message


@pytest.mark.parametrize(
    ("beginning", "text"),
    [
        ('{"message": "a\\', "a"),
        ('{"message": "a\\u00', "a"),
        ('{"message": "a\\ud83d', "a"),
        ('{"message": "a\\ud83d\\ude', "a"),
        ('{"message": "a\\ud83d\\ude00', "a😀"),
        ('{"note": "\\"message\\": \\"no\\""', ""),
        ('{"note": "\\"message\\": \\"no', ""),
        ('{"message": 7, "other": "x"}', ""),
        ('{"message"', ""),
        ("[]", ""),
    ],
)
def test_what_is_not_whole_waits_and_what_is_another_string_is_not_told(beginning: str, text: str) -> None:
    assert partial_string(beginning, "message") == text
