from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from graphreader.records import Document, Page, Passage
from graphreader.search.pages import RankedPage, rank_pages
from graphreader.search.ranked import DEFAULT_WEIGHTS, RankedPassage

TEXTS = (
    "Contents\nSee also Table 2. Harbour dues and pilots.",
    "Harbour dues rose again. The crane was painted.",
    "Harbour dues, pilots, piers and cranes were all let in the same year, and the harbour dues paid for them.",
    "Table 2: What the pilots earned\nIlse Marrow 38,000",
    "Index of names",
)


def _document(name: str = "d") -> Document:
    text = "\f".join(TEXTS)
    starts = [sum(len(part) + 1 for part in TEXTS[:number]) for number in range(len(TEXTS))]
    ends = [*starts[1:], len(text)]
    pages = tuple(Page(number, *span) for number, span in enumerate(zip(starts, ends, strict=True), start=1))
    return Document(name, f"{name}.pdf", "", "application/pdf", text, pages)


def _passage(document: Document, page: int, score: float, offset: int = 0) -> RankedPassage:
    start = document.pages[page - 1].start + offset
    passage = Passage(f"{document.id}-{page}-{offset}", document.id, f"{document.id}-0", start, start + 5, "")
    return RankedPassage(passage, score, "text")


def _ranked(question: str, passages: Sequence[RankedPassage], *documents: Document) -> list[RankedPage]:
    by_id = {document.id: document for document in documents}

    def read(pages: Sequence[tuple[str, Page]]) -> list[str]:
        return [by_id[name].text[page.start : page.end] for name, page in pages]

    return rank_pages(question, passages, by_id, read, DEFAULT_WEIGHTS)


def test_a_page_whose_whole_text_fits_comes_before_one_with_as_good_a_passage() -> None:
    document = _document()
    passages = [_passage(document, 2, 0.9), _passage(document, 3, 0.9)]
    pages = _ranked("What paid for the pilots, piers and cranes?", passages, document)
    assert [ranked.page.number for ranked in pages] == [3, 2]
    assert pages[0].best == passages[1]


def test_further_passages_of_a_page_count_a_little() -> None:
    document = _document()
    passages = [_passage(document, 1, 0.8), _passage(document, 5, 0.8), _passage(document, 5, 0.7, offset=3)]
    assert [ranked.page.number for ranked in _ranked("zzz", passages, document)] == [5, 1]


def test_a_page_that_the_question_names_comes_first_even_if_nothing_of_it_was_found() -> None:
    document = _document()
    pages = _ranked("What does page 5 list?", [_passage(document, 2, 0.9)], document)
    assert [ranked.page.number for ranked in pages] == [5, 2]
    assert pages[0].best is None


def test_a_page_number_says_nothing_among_many_documents() -> None:
    documents = [_document(name) for name in "abcd"]
    passages = [_passage(document, 2, 0.9) for document in documents]
    assert len(_ranked("What does page 5 list?", passages, *documents)) == 4


@pytest.mark.parametrize("question", ["What is in Table 2?", "What does table 2 say of Ilse?"])
def test_a_page_on_which_the_table_stands_comes_before_one_that_mentions_it(question: str) -> None:
    document = _document()
    pages = _ranked(question, [_passage(document, 1, 0.9), _passage(document, 4, 0.85)], document)
    assert [ranked.page.number for ranked in pages] == [4, 1]


def test_without_passages_there_are_no_pages() -> None:
    assert _ranked("anything", [], _document()) == []


def test_weights_of_zero_leave_the_order_of_the_best_passages() -> None:
    document = _document()
    passages = [_passage(document, 2, 0.9), _passage(document, 3, 0.8), _passage(document, 4, 0.7)]
    weights = replace(DEFAULT_WEIGHTS, page_text=0.0, named_page=0.0, named_part=0.0)
    pages = rank_pages("Table 2 on page 4", passages, {"d": document}, lambda pages: [""] * len(pages), weights)
    assert [ranked.page.number for ranked in pages] == [2, 3, 4]
