from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from graphreader.ingest.chunk import chunk_document
from graphreader.ingest.normalise import normalise
from graphreader.ingest.phrases import key_elements_of_question, phrase_facts, vocabulary_of
from graphreader.records import AtomicFact, Document, FactOrigin, Page

_PIECES = st.one_of(
    st.sampled_from(
        ["Captain Ilse Marrow left. ", "The Trust (HLT) ", "in 2021 ", "Costs 1,577 1,420\n", "刘备见关羽。"]
    ),
    st.sampled_from(["“好”", "$5 million ", "tidal barrage ", "HEADING\n", ". ", "and ", "\n", "\n\n"]),
)
_STORY = (
    "Captain Ilse Marrow joined the Harbour Light Trust (HLT) in March 2019. The HLT built a tidal barrage. "
    "Whales came, and many whales stayed near the tidal barrage. Marrow paid $3.5 million.\n\n"
    "(Dollars in millions)\nPurchases of property (1,577) (1,420)\n\n7\n"
)


def _document(text: str, furniture: Sequence[tuple[int, int]] = ()) -> Document:
    return Document("d", "d.txt", "D", "text/plain", text, (Page(1, 0, len(text)),), furniture=tuple(furniture))


def _facts(document: Document, max_chunk_tokens: int = 1000) -> list[AtomicFact]:
    vocabulary = vocabulary_of(document)
    chunks = chunk_document(document, lambda texts: [len(text) for text in texts], max_chunk_tokens)
    return [fact for chunk in chunks for fact in phrase_facts(document, chunk, vocabulary)]


def _names(fact: AtomicFact) -> list[str]:
    return [element.name for element in fact.key_elements]


@settings(deadline=None)
@given(st.one_of(st.text(), st.lists(_PIECES, max_size=60).map("".join)), st.integers(10, 200))
def test_a_fact_is_a_sentence_of_its_chunk(text: str, max_chunk_tokens: int) -> None:
    document = _document(text)
    chunks = {c.id: c for c in chunk_document(document, lambda texts: [len(t) for t in texts], max_chunk_tokens)}
    facts = _facts(document, max_chunk_tokens)
    assert len({fact.id for fact in facts}) == len(facts)
    for fact in facts:
        chunk = chunks[fact.chunk_id]
        assert chunk.start <= fact.start < fact.end <= chunk.end
        assert fact.text == " ".join(text[fact.start : fact.end].split())
        assert fact.origin is FactOrigin.PHRASES
        assert len(set(_names(fact))) == len(fact.key_elements)
        for element in fact.key_elements:
            assert element.name == normalise(element.name) != ""
            assert element.spelling in fact.text or element.spelling in fact.text.lower()


def test_names_terms_dates_amounts_and_aliases() -> None:
    first, second, third, fourth, *rest = _facts(_document(_STORY))
    assert _names(first) == ["ilse marrow", "harbour light trust", "march 2019", "2019"]
    assert first.key_elements[0].spelling == "Captain Ilse Marrow"
    assert _names(second) == ["harbour light trust", "tidal barrage"]
    assert _names(third) == ["tidal barrage"]
    assert _names(fourth) == ["ilse marrow", "$3.5 million"]
    assert [fact.text for fact in rest] == ["(Dollars in millions)", "Purchases of property (1,577) (1,420)"]
    assert _names(rest[1]) == ["purchases of property"]


def test_furniture_is_no_fact() -> None:
    text = "The year was good.\nAnnual Report 2022\nIt ended well."
    assert [fact.text for fact in _facts(_document(text, [(19, 37)]))] == ["The year was good.", "It ended well."]


def test_recurring_ideographs_titles_and_quotes_are_key_elements() -> None:
    around = ["大军", "百姓", "城门", "山寨", "江水", "秋风"]
    text = "".join(f"玄德{a}，{b}孔明。" for a in around for b in around) + "此名《太平要术》也。"
    facts = _facts(_document(text))
    assert {"玄德", "孔明"} <= {name for fact in facts for name in _names(fact)}
    assert "太平要术" in _names(facts[-1])


def test_the_key_elements_of_a_question() -> None:
    found = key_elements_of_question("Who paid for the Tidal Barrages of Skerry Sound in 2021?")
    assert found[0] == "tidal barrages of skerry sound"
    assert {"2021", "tidal barrage", "skerry sound"} <= set(found)
    assert "the" not in found
    assert "关羽" in key_elements_of_question("刘备在哪里遇见关羽？")
    assert key_elements_of_question("") == []


@given(st.text(max_size=200))
def test_question_elements_are_normal_and_unique(question: str) -> None:
    found = key_elements_of_question(question)
    assert len(set(found)) == len(found)
    assert all(name and normalise(name) == name for name in found)
