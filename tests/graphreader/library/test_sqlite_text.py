"""Texts as differences from their span."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphreader.library.sqlite_ids import id_hash, shorten_id
from graphreader.library.sqlite_text import (
    BLOCK_CHARACTERS,
    COLLAPSED,
    OWN,
    SPACED,
    VERBATIM,
    blocks,
    restore,
    shorten,
    unpack,
)

SIMILAR = st.text(alphabet="ab \n\u3000,|1。", max_size=12)


@given(text=SIMILAR, span=SIMILAR)
def test_any_text_is_restored_over_any_span(text: str, span: str) -> None:
    assert restore(*shorten(text, span), span) == text


@given(lead=SIMILAR, span=SIMILAR)
def test_a_text_with_spaces_added_is_restored(lead: str, span: str) -> None:
    text = lead + " ".join(span)
    assert restore(*shorten(text, span), span) == text


@pytest.mark.parametrize(
    ("text", "span", "kept"),
    [
        ("a  b", "a  b", (VERBATIM, None)),
        ("a b", " a\n b ", (COLLAPSED, None)),
        ("Title: a b", "a\nb", (COLLAPSED, "Title: ")),
        ("Title: a\nb", "a\nb", (VERBATIM, "Title: ")),
        ("书: 一。 二。", "一。二。", (SPACED, "2|书: ")),
        ("she", "Anna", (OWN, "she")),
        ("something", "", (OWN, "something")),
    ],
)
def test_what_is_kept(text: str, span: str, kept: tuple[int, str | None]) -> None:
    assert shorten(text, span) == kept


def test_blocks_join_to_the_text() -> None:
    text = "鲸ab" * BLOCK_CHARACTERS
    assert "".join(map(unpack, blocks(text))) == text
    assert blocks("") == []


def test_ids_keep_what_their_chunk_lacks() -> None:
    assert shorten_id("doc-1-s3", "doc-1") == (id_hash("doc-1-s3"), None, "-s3")
    assert shorten_id("other", "doc-1") == (id_hash("other"), "other", None)
    assert -(2**31) <= id_hash("doc-1-s3") < 2**31
