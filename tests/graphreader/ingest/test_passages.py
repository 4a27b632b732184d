from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from graphreader.ingest.chunk import chunk_document, sentences_of
from graphreader.ingest.passages import MAX_WORD_PIECES, estimated_word_pieces, passages_of
from graphreader.records import Document, Heading, Page, Passage

_PIECES = st.sampled_from(
    [
        "The ship left the bay. ",
        "Why? ",
        "word ",
        "\n",
        "\n\n",
        "Costs 1,577 1,420\n",
        "今天很好。",
        "他们走",
        "x" * 300,
        ", ",
    ]
)


def _document(text: str, headings: Sequence[Heading] = (), furniture: Sequence[tuple[int, int]] = ()) -> Document:
    return Document(
        "d",
        "d.txt",
        "Report",
        "text/plain",
        text,
        (Page(1, 0, len(text)),),
        tuple(headings),
        furniture=tuple(furniture),
    )


def _passages(document: Document, max_chunk_tokens: int = 500) -> list[Passage]:
    chunks = chunk_document(document, lambda texts: [len(text.split()) for text in texts], max_chunk_tokens)
    return passages_of(document, chunks)


@settings(deadline=None)
@given(st.lists(_PIECES, max_size=80).map("".join), st.integers(20, 200))
def test_passages_lie_in_their_chunk_and_cover_every_sentence(text: str, max_chunk_tokens: int) -> None:
    document = _document(text)
    chunks = chunk_document(document, lambda texts: [len(part) for part in texts], max_chunk_tokens)
    passages = passages_of(document, chunks)
    chunk_of = {chunk.id: chunk for chunk in chunks}
    reached = 0
    for passage in passages:
        assert chunk_of[passage.chunk_id].start <= passage.start < passage.end <= chunk_of[passage.chunk_id].end
        assert reached <= passage.start
        assert not text[reached : passage.start].strip()
        assert "".join(passage.text.split()).endswith("".join(text[passage.start : passage.end].split()))
        reached = passage.end
    assert not text[reached:].strip()
    assert len({passage.id for passage in passages}) == len(passages)


def test_windows_hold_whole_sentences_of_about_the_size_of_the_embedder() -> None:
    document = _document("The supply vessel left the harbour at dawn with forty men. " * 60)
    passages = _passages(document, 2000)
    starts = {start for start, _ in sentences_of(document)}
    assert all(passage.start in starts for passage in passages)
    assert all(estimated_word_pieces(passage.text) <= MAX_WORD_PIECES for passage in passages)
    assert all(passage.end - passage.start > 350 for passage in passages[:-1])


def test_a_long_sentence_becomes_several_passages() -> None:
    passages = _passages(_document("word and " * 400))
    assert len(passages) > 3
    assert max(estimated_word_pieces(passage.text) for passage in passages) < 2 * MAX_WORD_PIECES


def test_furniture_is_covered_but_not_indexed() -> None:
    text = "The year was good for us.\nAnnual Report 2022\nIt ended well."
    (passage,) = _passages(_document(text, furniture=[(26, 44)]))
    assert passage.text == "Report: The year was good for us. It ended well."
    assert (passage.start, passage.end) == (0, len(text))


def test_headings_lead_a_passage() -> None:
    body = "It was a good year for all of us here. " * 30
    text = f"Finance\n\nCosts\n\n{body}"
    passages = _passages(_document(text, [Heading(1, "Finance", 0, 7), Heading(2, "Costs", 9, 14)]))
    assert len(passages) > 2
    assert passages[0].text.startswith("Report: Finance Costs It was")
    assert all(passage.text.startswith("Report - Finance - Costs: It") for passage in passages[1:])


def test_rows_far_below_a_table_head_are_led_by_caption_and_columns() -> None:
    rows = "\n".join(f"Revenue of vessel number {word} $1,577 $1,420" for word in ["alpha", "beta", "gamma"] * 12)
    text = f"The following table shows revenues by vessel:\n(Dollars in millions)\nYears ended 2022 2021\n{rows}"
    passages = _passages(_document(text))
    assert len(passages) > 3
    lead = "The following table shows revenues by vessel: - Years ended 2022 2021: "
    assert all(lead in passage.text for passage in passages[1:])
