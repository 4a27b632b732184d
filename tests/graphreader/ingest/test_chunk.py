from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphreader.errors import SettingsError
from graphreader.ingest.chunk import chunk_document, cut_long, heading_paths, sentences_of
from graphreader.ingest.load import load_bytes
from graphreader.records import Chunk, Document, Heading, Page

_PIECES = st.sampled_from(
    [
        "The ship left. ",
        "Why? ",
        "word ",
        "\n",
        "\n\n",
        "1,577 1,420\n",
        "今天很好。",
        "他们走",
        "x" * 40,
        ", ",
        "\t",
        "## A\n",
    ]
)
_TEXTS = st.one_of(st.text(max_size=300), st.lists(_PIECES, max_size=60).map("".join))


def _document(text: str, headings: Sequence[Heading] = (), furniture: Sequence[tuple[int, int]] = ()) -> Document:
    return Document(
        "d", "d.txt", "D", "text/plain", text, (Page(1, 0, len(text)),), tuple(headings), furniture=tuple(furniture)
    )


def _words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def _characters(texts: Sequence[str]) -> list[int]:
    return [len(text) for text in texts]


def _superadditive(texts: Sequence[str]) -> list[int]:
    """Longer texts count more than their parts together, and by an amount that nobody can foresee."""
    return [len(text) + (len(text) // 7) * (zlib.crc32(text.encode("utf-8", "surrogatepass")) % 3) for text in texts]


def _check(document: Document, chunks: list[Chunk], count: Callable[[Sequence[str]], list[int]], limit: int) -> None:
    text = document.text
    assert "".join(text[chunk.start : chunk.end] for chunk in chunks) == text
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    for chunk in chunks:
        assert chunk.start < chunk.end
        assert chunk.id == f"d-{chunk.index}"
        assert chunk.token_count == count([text[chunk.start : chunk.end]])[0]
        assert chunk.token_count <= limit or chunk.end - chunk.start == 1


@settings(max_examples=200, deadline=None)
@given(_TEXTS, st.sampled_from([_words, _characters, _superadditive]), st.integers(1, 80))
def test_chunks_cover_the_text_within_the_limit(
    text: str, count: Callable[[Sequence[str]], list[int]], limit: int
) -> None:
    document = _document(text)
    _check(document, chunk_document(document, count, limit), count, limit)


@settings(deadline=None)
@given(_TEXTS, st.integers(5, 80))
def test_no_sentence_is_split_unless_it_is_too_long_alone(text: str, limit: int) -> None:
    document = _document(text)
    ends = {chunk.end for chunk in chunk_document(document, _characters, limit)}
    spans = sentences_of(document)
    following = [*(start for start, _ in spans[1:]), len(text)][: len(spans)]
    for index, ((start, end), follower) in enumerate(zip(spans, following, strict=True)):
        begin = start if index else 0  # the space around a sentence counts with it
        if follower - begin <= limit:
            assert not any(start < cut < end for cut in ends)


@given(_TEXTS, st.integers(1, 30))
def test_pieces_of_a_long_span_join_to_it(text: str, limit: int) -> None:
    pieces = cut_long(text, 0, len(text), limit)
    assert "".join(text[start:end] for start, end in pieces) == text
    assert all(end - start <= limit for start, end in pieces)


def test_a_long_sentence_is_cut_at_clauses() -> None:
    text = "one two three four, five six seven eight, nine ten eleven twelve"
    chunks = chunk_document(_document(text), _characters, 30)
    assert [text[chunk.start : chunk.end].strip()[-1] for chunk in chunks][:2] == [",", ","]


def _sections() -> Document:
    body = "It was a good year for all of us. " * 4
    text, headings = "", []
    for level, title in ((1, "Part One"), (2, "Costs"), (2, "Sales"), (1, "Part Two"), (3, "Deep")):
        headings.append(Heading(level, title, len(text), len(text) + len(title)))
        text += f"{title}\n\n{body if title != 'Part One' else ''}\n\n"
    return _document(text, headings)


def test_headings_stay_with_what_follows_and_name_the_chunk() -> None:
    document = _sections()
    chunks = chunk_document(document, _words, 40)
    _check(document, chunks, _words, 40)
    assert [chunk.headings for chunk in chunks] == [
        ("Part One", "Costs"),
        ("Part One", "Sales"),
        ("Part Two",),
        ("Part Two", "Deep"),
    ]
    assert document.text[chunks[1].start :].startswith("Sales")


def test_a_chunk_prefers_to_end_with_a_paragraph() -> None:
    paragraph = "One two three. Four five six. Seven eight nine.\n\n"
    text = paragraph * 6
    chunks = chunk_document(_document(text), _words, 14)
    assert {text[chunk.start : chunk.end] for chunk in chunks} == {paragraph}


def test_the_paths_of_headings() -> None:
    assert [path for _, path in heading_paths(_sections())][-1] == ("Part Two", "Deep")


def test_furniture_parts_sentences() -> None:
    text = "The year was\nAnnual Report\ngood."
    document = _document(text, furniture=[(13, 26)])
    assert [text[start:end] for start, end in sentences_of(document)] == ["The year was", "Annual Report", "good."]


def test_the_counter_is_called_in_batches() -> None:
    calls: list[int] = []

    def count(texts: Sequence[str]) -> list[int]:
        calls.append(len(texts))
        return _words(texts)

    chunk_document(_document("One two three. " * 5000), count, 100)
    assert len(calls) <= 3


def test_no_text_no_chunks_and_space_alone_is_one() -> None:
    assert chunk_document(_document(""), _words, 10) == []
    assert [(chunk.start, chunk.end) for chunk in chunk_document(_document(" \n "), _words, 10)] == [(0, 3)]


def test_a_chunk_of_no_tokens_is_refused() -> None:
    with pytest.raises(SettingsError, match="at least 1"):
        chunk_document(_document("a"), _words, 0)


def test_a_line_without_an_end_is_never_counted_whole() -> None:
    text = "words without an end " * 20_000
    longest = 0

    def count(texts: Sequence[str]) -> list[int]:
        nonlocal longest
        longest = max(longest, *map(len, texts))
        return [len(text.split()) for text in texts]

    chunks = chunk_document(load_bytes(text.encode(), "a.txt"), count, 50)
    assert longest <= 32 * 50
    assert [chunk.start for chunk in chunks] == [0, *(chunk.end for chunk in chunks[:-1])]
    assert chunks[-1].end == len(text)
    assert max(chunk.token_count for chunk in chunks) <= 50
